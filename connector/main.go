// The connector is the long-lived process that devices hold their connections to: it speaks their protocols, checks topics,
// batches what they send into invocations of functions, delivers what functions answer, and keeps the connections. It holds
// no business rule and no data that a restart would lose (DESIGN.md, law 2).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"relink/connector/openapi"
	"relink/shared/logs"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // messages are short-lived garbage; ops.Trimmer gives back what a storm leaves
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := logs.Stdout()
	if err := run(ctx, log); err != nil {
		log.LogAttrs(context.Background(), slog.LevelError, "connector ended", logs.Err(err))
		fmt.Fprintln(os.Stderr, "connector: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	s, err := read()
	if err != nil {
		return err
	}
	listeners, err := listen(s)
	if err != nil {
		return err
	}
	c, err := build(s, log)
	if err != nil {
		for _, l := range listeners.all() {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "connector starts", slog.String(logs.FieldNode, s.NodeID), slog.String("mqtt", s.ListenMQTT), slog.String("internal", s.ListenInternal))
	c.start(ctx, listeners)
	<-ctx.Done()
	log.LogAttrs(context.Background(), slog.LevelInfo, "connector stops", slog.String(logs.FieldNode, s.NodeID))
	return c.stop()
}

// opened are the listeners, opened before anything else is begun.
type opened struct {
	devices  []net.Listener
	internal net.Listener
	openapi  net.Listener // nil: there is none
	download net.Listener // nil: there is none
	coap     *net.UDPConn // nil: there is none
	coaps    *net.UDPConn // nil: there is none
}

func (o *opened) all() []io.Closer {
	var all []io.Closer
	for _, l := range o.devices {
		all = append(all, l)
	}
	for _, l := range []*net.UDPConn{o.coap, o.coaps} {
		if l != nil {
			all = append(all, l)
		}
	}
	for _, l := range []net.Listener{o.internal, o.openapi, o.download} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

func listen(s *settings) (*opened, error) {
	var o opened
	for _, p := range []struct{ variable, address string }{
		{"RELINK_LISTEN_MQTT", s.ListenMQTT}, {"RELINK_LISTEN_MQTTS", s.ListenMQTTS}, {"RELINK_LISTEN_WS", s.ListenWS},
		{"RELINK_LISTEN_WSS", s.ListenWSS}, {"RELINK_LISTEN_HTTP", s.ListenHTTP}, {"RELINK_LISTEN_HTTPS", s.ListenHTTPS}, {"RELINK_LISTEN_OPENAPI", s.ListenOpenAPI}, {"RELINK_LISTEN_DOWNLOAD", s.ListenDownload}, {"RELINK_LISTEN_INTERNAL", s.ListenInternal},
	} {
		if p.address == "" {
			continue
		}
		// Keep-alive is MQTT's: probes of TCP every 15 s would cost devices on a mobile network their battery and their data.
		config := net.ListenConfig{KeepAlive: -1}
		l, err := config.Listen(context.Background(), "tcp", p.address)
		if err != nil {
			for _, l := range o.all() {
				_ = l.Close() // the other error is the one to tell
			}
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("%s is in use: stop what holds it, or set %s to another address", p.address, p.variable)
			}
			return nil, fmt.Errorf("%s=%s: %w", p.variable, p.address, err)
		}
		switch p.variable {
		case "RELINK_LISTEN_INTERNAL":
			o.internal = l
		case "RELINK_LISTEN_OPENAPI":
			o.openapi = openapi.Limit(l)
		case "RELINK_LISTEN_DOWNLOAD":
			o.download = l
		default:
			o.devices = append(o.devices, l)
		}
	}
	for _, p := range []struct {
		variable, address string
		to                **net.UDPConn
	}{{"RELINK_LISTEN_COAP", s.ListenCoAP, &o.coap}, {"RELINK_LISTEN_COAPS", s.ListenCoAPS, &o.coaps}} {
		conn, err := listenPackets(p.variable, p.address)
		if err != nil {
			for _, l := range o.all() {
				_ = l.Close() // the other error is the one to tell
			}
			return nil, err
		}
		*p.to = conn
	}
	if o.internal == nil {
		return nil, errors.New("configuration: RELINK_LISTEN_INTERNAL is required")
	}
	return &o, nil
}
