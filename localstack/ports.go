package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// A port is one listener of the system: its number before --port-offset, and whether --host widens it.
type port struct {
	name   string // as in messages
	number int
	public bool // devices and applications reach it; the others stay on 127.0.0.1
}

// The listeners. MQTT ports sniff their first byte, so each takes plain, TLS and WebSocket connections; the three extra ones
// are there because clients expect the usual numbers.
var (
	portMQTT       = port{"MQTT", 1883, true}
	portMQTTS      = port{"MQTT over TLS", 8883, true}
	portWS         = port{"MQTT over WebSocket", 8083, true}
	portWSS        = port{"MQTT over secure WebSocket", 8084, true}
	portHTTP       = port{"HTTP of devices", 8080, true}
	portHTTPS      = port{"HTTPS of devices", 8443, true}
	portCoAP       = port{"CoAP", 5682, true}           // UDP
	portCoAPS      = port{"CoAP over DTLS", 5684, true} // UDP
	portOpenAPI    = port{"OpenAPI", 9080, true}
	portDownload   = port{"download door", 9070, true}
	portTrigger    = port{"HTTP trigger of the OpenAPI's function", 9081, true}
	portInternal   = port{"connector's internal API", 1888, false}
	portFC         = port{"Function Compute", 9000, false}
	portTablestore = port{"Tablestore", 9001, false}
	portOSS        = port{"OSS", 9002, false}
	portSLS        = port{"Log Service", 9003, false}
	portMNS        = port{"MNS", 9004, true} // applications consume their queues
	portControl    = port{"localstack control", 9090, false}
)

// addresses turns ports into host:port for one run.
type addresses struct {
	host   string
	offset int
	moved  map[string]int // port name to the number, before the offset, that was taken because the usual one was in use
}

// number is the port's number in this run.
func (a addresses) number(p port) int {
	if n, ok := a.moved[p.name]; ok {
		return n + a.offset
	}
	return p.number + a.offset
}

// movable finds other numbers for ports that other programs often hold, if they do: 10,000 or 20,000 above. It answers the names of those
// that it moved.
func (a *addresses) movable(ports ...port) []string {
	var names []string
	for _, p := range ports {
		for _, above := range []int{0, 10_000, 20_000} {
			q := port{p.name, p.number + above, p.public}
			if a.free(q) != nil {
				continue
			}
			if above > 0 {
				if a.moved == nil {
					a.moved = make(map[string]int)
				}
				a.moved[p.name] = q.number
				names = append(names, p.name)
			}
			break
		}
	}
	return names
}

// bind is what the port's listener binds.
func (a addresses) bind(p port) string {
	host := "127.0.0.1"
	if p.public {
		host = a.host
	}
	return net.JoinHostPort(host, strconv.Itoa(a.number(p)))
}

// dial is what a client on this machine dials: 127.0.0.1, unless the port is bound to one other address alone.
func (a addresses) dial(p port) string {
	host := "127.0.0.1"
	if ip := net.ParseIP(a.host); p.public && ip != nil && !ip.IsUnspecified() {
		host = a.host
	}
	return net.JoinHostPort(host, strconv.Itoa(a.number(p)))
}

// listen opens a port, and explains if it cannot.
func (a addresses) listen(p port) (net.Listener, error) {
	l, err := net.Listen("tcp", a.bind(p))
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d (%s) is in use: stop what holds it, or move all ports with --port-offset", a.number(p), p.name)
	}
	return nil, fmt.Errorf("port %d (%s): %w", a.number(p), p.name, err)
}

// freePackets checks UDP ports that a child will open.
func (a addresses) freePackets(ports ...port) error {
	for _, p := range ports {
		l, err := net.ListenPacket("udp", a.bind(p))
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("UDP port %d (%s) is in use: stop what holds it, or move all ports with --port-offset", a.number(p), p.name)
		}
		if err != nil {
			return fmt.Errorf("UDP port %d (%s): %w", a.number(p), p.name, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// free checks ports that a child will open, so that the message is ours and comes before anything starts.
func (a addresses) free(ports ...port) error {
	for _, p := range ports {
		l, err := a.listen(p)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
