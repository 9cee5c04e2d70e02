package download

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
)

// A sniffer makes connections that find out at the first read whether their client speaks TLS. Accept does not wait for that.
type sniffer struct {
	net.Listener
	tls *tls.Config
}

func (s *sniffer) Accept() (net.Conn, error) {
	nc, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffed{Conn: nc, config: s.tls}, nil
}

// recordHandshake is the first byte of a TLS connection (RFC 8446, 5.1).
const recordHandshake = 0x16

// A sniffed connection is plain or TLS. Nobody writes before the first read: HTTP clients speak first, and one reader reads it.
// Deadlines are those of the connection below in both cases.
type sniffed struct {
	net.Conn
	config *tls.Config
	stream atomic.Pointer[net.Conn] // Conn with the first byte before it, or TLS on that; nil until the first byte is there
}

var errNoTLS = errors.New("the client speaks TLS, and no certificate is configured")

func (c *sniffed) Read(p []byte) (int, error) {
	if s := c.stream.Load(); s != nil {
		return (*s).Read(p)
	}
	var first [1]byte
	if _, err := c.Conn.Read(first[:]); err != nil {
		return 0, err
	}
	var stream net.Conn = &prefixed{Conn: c.Conn, first: first[:]}
	if first[0] == recordHandshake {
		if c.config == nil {
			return 0, errNoTLS
		}
		stream = tls.Server(stream, c.config)
	}
	c.stream.Store(&stream)
	return stream.Read(p)
}

func (c *sniffed) Write(p []byte) (int, error) {
	if s := c.stream.Load(); s != nil {
		return (*s).Write(p)
	}
	return c.Conn.Write(p)
}

// Close tells a TLS client that this was the end, and not a truncation.
func (c *sniffed) Close() error {
	if s := c.stream.Load(); s != nil {
		return (*s).Close()
	}
	return c.Conn.Close()
}

type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 && len(b) > 0 {
		b[0], p.first = p.first[0], nil
		return 1, nil
	}
	return p.Conn.Read(b)
}
