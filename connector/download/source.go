package download

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"relink/connector/limits"
	"relink/shared/logs"
	"relink/shared/refusal"
)

// A sourced listener closes connections of an address that has too many already.
type sourced struct {
	net.Listener
	counts  *limits.Openings
	refused func(netip.AddrPort)
}

func (s *sourced) Accept() (net.Conn, error) {
	for {
		nc, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := remoteOf(nc)
		if place := s.counts.Enter(from.Addr(), func() { _ = nc.Close() }); place != nil {
			return &counted{Conn: nc, leave: func() { s.counts.Leave(place) }}, nil
		}
		s.refused(from)
		_ = nc.Close() // nothing was said yet
	}
}

func remoteOf(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}

// A counted connection is one of its source until it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}

// crowded notes a connection that was closed because its source has too many.
func (d *Door) crowded(from netip.AddrPort) {
	if d.lines.Allow() {
		d.log.LogAttrs(context.Background(), slog.LevelInfo, "download refused",
			slog.String(logs.FieldReason, string(refusal.RateLimitedSource)), slog.String("remote", from.String()))
	}
}
