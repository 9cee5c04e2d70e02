package dtls

import (
	"container/list"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"relink/connector/limits"
	"relink/shared/iot"
)

// A Conn is one association with a client, from its verified hello on. It is a transport of CoAP: what the client sends is handed to
// Options.Handle. It is safe for concurrent use.
type Conn struct {
	server *Server
	socket *net.UDPConn
	origin netip.AddrPort // that the handshake came from
	random [32]byte       // of the client
	suite  *suite
	cid    []byte // that the client puts on its records; nil: none

	told atomic.Bool // Proved

	mu       sync.Mutex
	addr     netip.AddrPort // where to send
	in, out  protection     // nil: keys are not known yet
	seen     window
	next     uint64 // number of our next record under keys
	nextZero uint64 // and without
	theirCID []byte // that we put on ours
	fragment int    // most bytes of content in a record
	finished []byte // our Finished, for a client that missed it
	device   iot.DeviceRef
	hs       *handshake // nil: established, or closed
	closed   bool

	// Of the server, under its mutex.
	place  *list.Element  // in unproven or proven; nil: not established
	listed netip.AddrPort // in conns
	proven bool
	heard  time.Time
	entry  *limits.Opening // nil: given up
}

const epochOne = 1 << 48

// Protocol implements coap.Transport.
func (c *Conn) Protocol() string { return Protocol }

// Verified implements coap.Transport: the client showed by a cookie that it reads what is sent to its address.
func (c *Conn) Verified() bool { return true }

// Device implements coap.Transport: the device whose pre-shared key the client has; zero if it was let in by certificate.
func (c *Conn) Device() iot.DeviceRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.device
}

// Addr is where the client's handshake came from; a client with a connection id may have moved since.
func (c *Conn) Addr() netip.AddrPort { return c.origin }

// Suite is the name of the cipher suite.
func (c *Conn) Suite() string { return c.suite.name }

// Proved says that a device proved its identity over this connection, which therefore may stay for IdleTimeout and no longer counts
// as one of a stranger. Saying it again costs nothing.
func (c *Conn) Proved() {
	if !c.told.Swap(true) {
		c.server.prove(c)
	}
}

// Send implements coap.Transport. The address is not looked at: the association knows where its client is.
func (c *Conn) Send(_ netip.AddrPort, datagram []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.hs != nil || len(datagram) > c.fragment {
		return
	}
	c.send(typeData, datagram)
}

// Close says goodbye and forgets the connection.
func (c *Conn) Close() { c.server.end(c, endClosed, true) }

// send sends one record under keys. c.mu is held.
func (c *Conn) send(typ byte, content []byte) {
	b := c.server.buffer()
	*b = c.seal((*b)[:0], typ, content)
	c.server.write(c.socket, *b, c.addr)
	c.server.buffers.Put(b)
}

func (c *Conn) seal(b []byte, typ byte, content []byte) []byte {
	b = c.out.seal(b, typ, epochOne|c.next, c.theirCID, content)
	c.next++
	return b
}

// alert tells the client that something is wrong, under keys if it has them. c.mu is held.
func (c *Conn) alert(level, code byte) {
	if c.out != nil && c.hs == nil {
		c.send(typeAlert, []byte{level, code})
		return
	}
	b := appendHeader(make([]byte, 0, headerLen+2), typeAlert, version12, c.nextZero, nil, 2)
	c.nextZero++
	c.server.write(c.socket, append(b, level, code), c.addr)
}

// sendFlight sends the flight, in pieces that fit into datagrams. c.mu is held.
func (c *Conn) sendFlight(now time.Time) {
	h := c.hs
	h.sentAt = now
	b := c.server.buffer()
	out := (*b)[:0]
	for _, m := range h.flight {
		for body := m[messageHeader:]; ; {
			room := c.server.opts.MTU - len(out) - headerLen - messageHeader
			if room < min(len(body), 64) && len(out) > 0 {
				c.server.write(c.socket, out, c.addr)
				out = out[:0]
				continue
			}
			n := min(len(body), room, c.fragment-messageHeader)
			offset := len(m) - messageHeader - len(body)
			out = appendHeader(out, typeHandshake, version12, c.nextZero, nil, messageHeader+n)
			c.nextZero++
			out = append(out, m[:6]...) // type, length, number
			out = appendUint24(appendUint24(out, offset), n)
			out = append(out, body[:n]...)
			if body = body[n:]; len(body) == 0 {
				break
			}
		}
	}
	c.server.write(c.socket, out, c.addr)
	*b = out
	c.server.buffers.Put(b)
}

// sendFinished sends the last flight; again if the client missed it. c.mu is held.
func (c *Conn) sendFinished() {
	b := c.server.buffer()
	out := appendHeader((*b)[:0], typeChangeCipherSpec, version12, c.nextZero, nil, 1)
	c.nextZero++
	out = c.seal(append(out, 1), typeHandshake, c.finished)
	c.server.write(c.socket, out, c.addr)
	*b = out
	c.server.buffers.Put(b)
}

func newCID() []byte {
	b := make([]byte, cidLen)
	_, _ = rand.Read(b) // never fails
	return b
}
