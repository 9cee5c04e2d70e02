package dtls

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"

	"relink/shared/refusal"
)

// maxHello bounds a ClientHello, which must come in one piece: nothing is kept of a client before it has shown its cookie.
const maxHello = 2048

// greet takes a ClientHello. Without a good cookie it costs one HMAC and an answer that is shorter than it.
func (s *Server) greet(r *record, f *fragment, addr netip.AddrPort, pc *net.UDPConn) {
	if !f.whole() || f.length > maxHello {
		s.meter.dropped.WithLabelValues("hello_in_pieces").Inc()
		return
	}
	h, err := parseHello(f.body)
	if err != nil || h.version>>8 != 0xfe {
		s.meter.dropped.WithLabelValues("malformed").Inc()
		return
	}
	now := s.now()
	if !s.cookies.good(h, addr, now) {
		b := s.buffer()
		*b = appendHelloVerify((*b)[:0], r.seq, f.seq, s.cookies.cookie(h, addr, now))
		s.write(pc, *b, addr)
		s.buffers.Put(b)
		s.meter.verify.Inc()
		return
	}
	s.admit(h, r, f, addr, pc)
}

// admit begins a handshake with a client that reads what is sent to its address. An association that it has already stays until the
// new one is complete, and then makes room for it (RFC 6347 4.2.8).
func (s *Server) admit(h *hello, r *record, f *fragment, addr netip.AddrPort, pc *net.UDPConn) {
	pending, established := s.lookup(addr)
	switch {
	case pending != nil && pending.random == h.random:
		pending.repeat()
		return
	case established != nil && established.random == h.random, s.stopped.Load():
		return // came late
	}
	reject := func(alert byte, err *refusal.Error) {
		s.write(pc, append(appendHeader(nil, typeAlert, version12, r.seq, nil, 2), levelFatal, alert), addr)
		s.failed(Failure{Remote: addr, Err: err}, true)
	}
	certificate := s.certificate()
	chosen := choose(h, certificate != nil, s.opts.Key != nil)
	switch {
	case !s.opts.Budget.Allows(addr.Addr()):
		s.failed(Failure{Remote: addr, Err: refusal.New(refusal.RateLimitedSource, "")}, false)
		return
	case h.version > version12: // counts down
		reject(alertProtocolVersion, refusal.New(refusal.TLSFailed, "the client knows no DTLS 1.2"))
		return
	case !h.uncompressed:
		reject(alertIllegalParameter, refusal.New(refusal.TLSFailed, "the client insists on compression"))
		return
	case chosen == nil:
		reject(alertHandshakeFailure, refusal.New(refusal.TLSFailed, "no cipher suite in common; the client offers"+offered(h.suites)))
		return
	}
	now := s.now()
	raw := message(f.typ, f.seq, f.body)
	own, err := parseHello(raw[messageHeader:]) // of memory that is not the reader's
	if err != nil {
		return // never: it parsed before
	}
	c := &Conn{
		server: s, socket: pc, origin: addr, addr: addr, random: h.random, suite: chosen, nextZero: r.seq, fragment: maxContent,
		hs: &handshake{
			hello: own, certificate: certificate, transcript: raw, nextIn: f.seq + 1, nextOut: f.seq, busy: true,
			interval: firstRetransmission, deadline: now.Add(s.opts.HandshakeTimeout),
		},
	}
	if own.fragment != 0 {
		c.fragment = 256 << own.fragment
	}
	if own.cid != nil {
		c.cid, c.theirCID = newCID(), own.cid
	}
	entry := s.opts.Openings.Enter(addr.Addr(), func() { s.end(c, endFull, true) })
	if entry == nil {
		s.failed(Failure{Remote: addr, Err: refusal.New(refusal.RateLimitedSource, "too many connections of which no device has proved its identity")}, false)
		return
	}
	s.mu.Lock()
	if pending = s.pending[addr]; pending != nil && pending.random == h.random { // another reader has the same hello, which came twice
		s.mu.Unlock()
		s.opts.Openings.Leave(entry)
		return
	}
	c.entry = entry
	s.pending[addr] = c
	if c.cid != nil {
		s.cids[[cidLen]byte(c.cid)] = c
	}
	heap.Push(&s.timers, timer{now.Add(firstRetransmission), c})
	s.mu.Unlock()
	if pending != nil {
		s.end(pending, endReplaced, false)
	}
	if c.gone() {
		s.forget(c) // had to make room before it was listed
		return
	}
	s.meter.began.Inc()
	if c.suite.exchange != exchangeECDHE {
		c.opening()
	} else if !s.try(c.opening) {
		s.end(c, endFull, false) // the client greets again
	}
}

// opening sends the first flight.
func (c *Conn) opening() {
	defer c.contain()
	h := c.underway()
	if h == nil {
		return
	}
	if err := c.begin(h); err != nil {
		c.fail(alertInternalError, refusal.New(refusal.TLSFailed, err.Error()))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hs == nil {
		return
	}
	c.hs.busy = false
	c.hs.coming = assembly{}
	c.sendFlight(c.server.now())
}

// underway is the handshake; nil: it is over.
func (c *Conn) underway() *handshake {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hs
}

func (c *Conn) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// contain ends the connection whose task panicked, and none else.
func (c *Conn) contain() {
	if p := recover(); p != nil {
		c.server.meter.panics.Inc()
		c.server.log.LogAttrs(context.Background(), slog.LevelError, "panic in a handshake", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		c.fail(alertInternalError, refusal.New(refusal.InternalError, ""))
	}
}

// repeat sends the flight again for a hello that came again.
func (c *Conn) repeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.server.now(); c.hs != nil && !c.hs.busy && c.in == nil && now.Sub(c.hs.sentAt) >= repeatAfter {
		c.sendFlight(now)
	}
}

// offered lists suites for the log: the numbers of the first few.
func offered(ids []uint16) string {
	var b bytes.Buffer
	for i, id := range ids {
		if i == 24 {
			b.WriteString(" …")
			break
		}
		fmt.Fprintf(&b, " %04x", id)
	}
	return b.String()
}
