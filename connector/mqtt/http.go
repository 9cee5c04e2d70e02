package mqtt

import (
	"net"
	"sync"
	"time"
)

// handOver lets the HTTP face serve a connection and waits until it is done. It goes on counting among those that have not logged in,
// which bounds it.
func (s *Server) handOver(c *conn) {
	var under net.Conn = &prefixed{Conn: c.sock, prefix: c.in.take()}
	if c.tls != nil {
		under = &prefixed{Conn: c.tls, prefix: under.(*prefixed).prefix}
	}
	c.in.release()
	h := &handed{Conn: under, sock: c.sock, ended: make(chan struct{})}
	s.opts.HTTP.Serve(h, c.remote, c.transport)
	<-h.ended
	c.close()
}

// A handed connection is what the HTTP face gets: bytes as they come out of TLS, and the deadlines of the socket for reading. Writing
// never waits.
type handed struct {
	net.Conn
	sock  *sock
	once  sync.Once
	ended chan struct{}
}

func (h *handed) SetDeadline(t time.Time) error      { return h.sock.SetReadDeadline(t) }
func (h *handed) SetReadDeadline(t time.Time) error  { return h.sock.SetReadDeadline(t) }
func (h *handed) SetWriteDeadline(t time.Time) error { return nil }

// Close ends the connection for whoever accepted it, who closes the socket.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.ended) })
	return nil
}
