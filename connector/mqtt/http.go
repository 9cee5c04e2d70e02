package mqtt

import (
	"net"
	"sync"
	"time"

	"relink/connector/limits"
)

// handOver lets the HTTP face serve a connection and waits until it is done. It goes on counting among those that have not logged in,
// which bounds it, until a device has shown who it is; then it counts as one that has.
func (s *Server) handOver(c *conn, entry *limits.Opening) {
	var under net.Conn = &prefixed{Conn: c.sock, prefix: c.in.take()}
	if c.tls != nil {
		under = &prefixed{Conn: c.tls, prefix: under.(*prefixed).prefix}
	}
	c.in.release()
	h := &handed{Conn: under, sock: c.sock, stopping: s.stopping.Load, ended: make(chan struct{})}
	h.verified = sync.OnceFunc(func() {
		if s.posts(c) { // else it may have to make room
			s.openings.Leave(entry)
		}
	})
	s.opts.HTTP.Serve(h, c.remote, c.transport)
	<-h.ended
	s.mu.Lock()
	delete(s.posting, c)
	s.mu.Unlock()
	c.close()
}

// posts counts a connection over which a known device posts; false if there are too many connections, or this node is being stopped.
func (s *Server) posts(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() || len(s.live)+len(s.posting) >= s.opts.MaxConnections {
		return false
	}
	if s.posting == nil {
		s.posting = make(map[*conn]struct{})
	}
	s.posting[c] = struct{}{}
	return true
}

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// A handed connection is what the HTTP face gets: bytes as they come out of TLS, and the deadlines of the socket for reading. Writing
// never waits.
type handed struct {
	net.Conn
	sock     *sock
	verified func()
	stopping func() bool // what reads ends at once
	once     sync.Once
	ended    chan struct{}
}

// Verified says that a known device is at the other end.
func (h *handed) Verified() { h.verified() }

func (h *handed) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }

func (h *handed) SetReadDeadline(t time.Time) error {
	if err := h.sock.SetReadDeadline(t); err != nil || !h.stopping() {
		return err
	}
	return h.sock.SetReadDeadline(past)
}

func (h *handed) SetWriteDeadline(t time.Time) error { return nil }

// Close ends the connection for whoever accepted it, who closes the socket.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.ended) })
	return nil
}
