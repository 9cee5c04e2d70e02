package dtls

import (
	"crypto/tls"
	"fmt"
	"net/netip"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Why connections end, for metrics.
const (
	endClosed      = "closed"      // by the client
	endIdle        = "idle"        // silent, or no device proved its identity
	endReplaced    = "replaced"    // the client began anew
	endFull        = "full"        // makes room
	endStopping    = "stopping"    // the node stops
	endUnsucceeded = "unsucceeded" // the handshake failed
)

// protected takes a record under keys; false: it is not authentic, or came before.
func (c *Conn) protected(r *record, from netip.AddrPort) bool {
	content, then, ok := c.opened(r, from)
	if then != nil {
		then()
	}
	if content != nil {
		c.server.touch(c)
		c.server.meter.datagrams.Inc()
		c.server.opts.Handle(c, content)
	}
	return ok
}

// opened gives what the exchange layer is to handle, and what is to be done besides without the lock.
func (c *Conn) opened(r *record, from netip.AddrPort) (content []byte, then func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed, r.version != version12, (c.cid != nil) != (r.cid != nil):
		return nil, nil, false
	case c.in == nil:
		c.hs.keep(r, from)
		return nil, nil, true
	case !c.seen.fresh(r.seq):
		return nil, nil, false
	}
	typ, content, err := c.in.open(r)
	if err != nil {
		if c.hs != nil && (r.typ == typeHandshake || r.typ == typeCID) {
			then = c.mismatch(c.hs.identity)
		}
		return nil, then, false
	}
	newest := c.seen.mark(r.seq)
	if c.hs != nil {
		return nil, c.last(typ, content), true
	}
	if newest && from != c.addr && c.cid != nil {
		then = c.moved(from)
	}
	switch typ {
	case typeData:
		return content, then, true
	case typeAlert:
		if len(content) == 2 && (content[0] == levelFatal || content[1] == alertCloseNotify) {
			return nil, func() { c.server.end(c, endClosed, true) }, true
		}
	case typeHandshake:
		switch f, _, ok := nextFragment(content); {
		case ok && f.typ == msgFinished:
			c.sendFinished() // ours was lost
		case ok && f.typ == msgClientHello:
			c.alert(levelWarning, alertNoRenegotiation)
		}
	}
	return nil, then, true
}

// mismatch tells that client and server do not have the same keys; the client is not told, and may be another than the one that the
// handshake is with.
func (c *Conn) mismatch(identity string) func() {
	if c.suite.exchange == exchangePSK {
		return func() { c.report(identity, refusal.New(refusal.PSKMismatch, "")) }
	}
	return func() {
		c.report("", refusal.New(refusal.TLSFailed, "the client's Finished does not open under the keys that were agreed on"))
	}
}

// last takes what should be the client's Finished.
func (c *Conn) last(typ byte, content []byte) func() {
	f, _, ok := nextFragment(content)
	switch {
	case typ == typeAlert && len(content) == 2:
		why := refusal.New(refusal.TLSFailed, "the client refused: "+alertName(content[1]))
		return func() { c.fail(0, why) }
	case typ != typeHandshake || !ok || f.typ != msgFinished || f.seq != c.hs.nextIn || !f.whole():
		return nil
	case !c.finishes(&f):
		return func() {
			c.fail(alertDecryptError, refusal.New(refusal.TLSFailed, "the client's Finished is not of this handshake"))
		}
	}
	c.hs = nil
	replaced := c.server.established(c)
	c.sendFinished()
	return func() {
		for _, old := range replaced {
			c.server.end(old.conn, old.why, false)
		}
	}
}

// An ending is a connection that has to go, and why.
type ending struct {
	conn *Conn
	why  string
}

// established lists a connection that is complete, and gives those that it replaces. c.mu is held.
func (s *Server) established(c *Conn) (gone []ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[c.origin] == c {
		delete(s.pending, c.origin)
	}
	if old := s.conns[c.origin]; old != nil {
		gone = append(gone, ending{old, endReplaced})
	}
	s.conns[c.origin], c.listed = c, c.origin
	c.heard = s.now()
	c.place = s.unproven.PushBack(c)
	s.meter.established.WithLabelValues(c.suite.name).Inc()
	if c.device != (iot.DeviceRef{}) {
		gone = s.proves(c, gone)
	}
	return gone
}

func (s *Server) prove(c *Conn) {
	s.mu.Lock()
	gone := s.proves(c, nil)
	s.mu.Unlock()
	for _, old := range gone {
		s.end(old.conn, old.why, true)
	}
}

// proves moves a connection to those whose device is known; those that are too many for it are added to gone. s.mu is held.
func (s *Server) proves(c *Conn, gone []ending) []ending {
	if c.proven || c.place == nil {
		return gone
	}
	s.unproven.Remove(c.place)
	c.proven, c.heard = true, s.now()
	c.place = s.proven.PushBack(c)
	s.opts.Openings.Leave(c.entry)
	if over := s.proven.Len() - s.opts.MaxConnections; over > 0 {
		gone = append(gone, ending{s.proven.Front().Value.(*Conn), endFull})
	}
	return gone
}

// touch notes that a client was heard. One whose device is not known wins no time by it.
func (s *Server) touch(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.proven && c.place != nil {
		c.heard = s.now()
		s.proven.MoveToBack(c.place)
	}
}

// moved follows a client to another address, which its connection id makes possible: a NAT gave it another (RFC 9146 6). The record
// is authentic and the newest, and an answer goes only where one came from. c.mu is held.
func (c *Conn) moved(to netip.AddrPort) func() {
	s := c.server
	c.addr = to
	return func() {
		s.meter.moves.Inc()
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.place == nil {
			return // gone
		}
		if s.conns[c.listed] == c {
			delete(s.conns, c.listed)
		}
		if s.conns[to] == nil { // or it is found by its connection id alone
			s.conns[to], c.listed = c, to
		}
	}
}

// fail gives a handshake up; alert 0: nothing is said to the client.
func (c *Conn) fail(alert byte, err error) {
	c.mu.Lock()
	h := c.hs
	if h == nil {
		c.mu.Unlock()
		return
	}
	identity, first := h.identity, !h.reported
	h.reported = true
	if alert != 0 {
		c.alert(levelFatal, alert)
	}
	c.mu.Unlock()
	c.server.end(c, endUnsucceeded, false)
	if first {
		// Who falls silent may have lost the network; but who has named an identity has cost a look for its key.
		c.server.failed(Failure{Remote: c.origin, Identity: identity, Err: err}, refusal.CauseOf(err) != refusal.HandshakeTimeout || identity != "")
	}
}

// end forgets a connection, established or not.
func (s *Server) end(c *Conn, why string, goodbye bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if goodbye && c.hs == nil {
		c.alert(levelWarning, alertCloseNotify)
	}
	c.closed, c.hs = true, nil
	c.mu.Unlock()
	if !s.forget(c) {
		return
	}
	s.meter.ended.WithLabelValues(why).Inc()
	if s.opts.Ended != nil {
		s.opts.Ended(c)
	}
}

// forget takes a connection that is closed off all lists; was says that it was established.
func (s *Server) forget(c *Conn) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[c.origin] == c {
		delete(s.pending, c.origin)
	}
	if s.conns[c.listed] == c {
		delete(s.conns, c.listed)
	}
	if c.cid != nil {
		delete(s.cids, [cidLen]byte(c.cid))
	}
	was = c.place != nil
	if was && c.proven {
		s.proven.Remove(c.place)
	} else if was {
		s.unproven.Remove(c.place)
	}
	c.place = nil
	if c.entry != nil {
		s.opts.Openings.Leave(c.entry)
	}
	return was
}

// failed tells of a handshake that came to nothing; blame says that the address is to answer for it.
func (s *Server) failed(f Failure, blame bool) {
	if blame {
		s.opts.Budget.Fail(f.Remote.Addr())
	}
	s.meter.failed.WithLabelValues(string(refusal.CauseOf(f.Err))).Inc()
	if s.opts.Failed != nil {
		s.opts.Failed(f)
	}
}

func (s *Server) certificate() *tls.Certificate {
	if s.opts.Certificate == nil {
		return nil
	}
	return s.opts.Certificate()
}

// alertName is an alert as openssl and mbedTLS spell it.
func alertName(code byte) string {
	name := tls.AlertError(code).Error()
	return fmt.Sprintf("%s (alert %d)", name, code)
}
