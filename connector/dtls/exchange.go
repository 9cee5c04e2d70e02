package dtls

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"time"

	"relink/shared/refusal"
)

var errKeyExchange = errors.New("malformed ClientKeyExchange")

// message takes a fragment of a message without keys, of which there is one: the ClientKeyExchange.
func (c *Conn) message(f *fragment) {
	body, err := c.assemble(f)
	switch {
	case err != nil:
		c.fail(alertUnexpected, err)
	case body == nil:
	case c.suite.exchange == exchangePSK:
		c.ask(body)
	default:
		if !c.server.try(func() { c.exchange(body) }) {
			c.forgetExchange()
		}
	}
}

// assemble gives the ClientKeyExchange once it is whole; the connection is busy from then on.
func (c *Conn) assemble(f *fragment) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hs
	if h == nil || h.busy || c.in != nil || f.seq != h.nextIn {
		return nil, nil
	}
	if f.typ != msgClientKeyExchange || f.length > maxKeyExchange {
		return nil, refusal.New(refusal.TLSFailed, "a message other than ClientKeyExchange")
	}
	if !h.coming.add(f) {
		return nil, nil
	}
	h.busy = true
	return h.coming.body, nil
}

// forgetExchange takes the ClientKeyExchange for not received: the client sends it again.
func (c *Conn) forgetExchange() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hs != nil {
		c.hs.coming, c.hs.busy = assembly{}, false
	}
}

// exchange works out the premaster secret by RSA or a curve.
func (c *Conn) exchange(body []byte) {
	defer c.contain()
	h := c.underway()
	if h == nil {
		return
	}
	var premaster []byte
	var err error
	if c.suite.exchange == exchangeRSA {
		premaster, err = h.rsaPremaster(body)
	} else {
		premaster, err = h.ecdhePremaster(body)
	}
	if err != nil {
		c.fail(alertIllegalParameter, refusal.New(refusal.TLSFailed, err.Error()))
		return
	}
	c.agreed(body, premaster)
}

// ask looks for the key of a PSK identity, which takes an invocation. Which identities exist, clients do not learn: one that is refused
// gets a key that nobody has, and fails as one with a wrong key does, by silence.
func (c *Conn) ask(body []byte) {
	identity, err := pskIdentity(body)
	if err != nil {
		c.fail(alertDecodeError, refusal.New(refusal.TLSFailed, err.Error()))
		return
	}
	s := c.server
	select {
	case s.lookups <- struct{}{}:
	default:
		s.meter.dropped.WithLabelValues("busy").Inc()
		c.forgetExchange()
		return
	}
	s.tasks.Go(func() {
		defer c.contain()
		defer func() { <-s.lookups }()
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.LookupTimeout)
		defer cancel()
		identity = strings.ToValidUTF8(identity, "?")
		key, err := s.opts.Key(ctx, identity, c.origin)
		switch {
		case err == nil:
		case refusal.CauseOf(err) != "":
			key = Key{Key: s.decoy(identity)}
			c.report(identity, err)
		default:
			s.failed(Failure{Remote: c.origin, Identity: identity, Err: refusal.New(refusal.BackendUnavailable, "")}, false)
			c.forgetExchange()
			return
		}
		c.mu.Lock()
		if c.hs != nil {
			c.hs.identity = identity
		}
		c.device = key.Device
		c.mu.Unlock()
		c.agreed(body, pskPremaster(key.Key))
	})
}

// decoy is the key of an identity that has none: of the length that keys have, and the same each time.
func (s *Server) decoy(identity string) []byte {
	mac := hmac.New(sha256.New, s.decoys[:])
	mac.Write([]byte(identity))
	return []byte(strings.ToUpper(hex.EncodeToString(mac.Sum(nil))))
}

// report tells of a handshake that cannot succeed, once.
func (c *Conn) report(identity string, err error) {
	c.mu.Lock()
	first := c.hs != nil && !c.hs.reported
	if first {
		c.hs.reported = true
	}
	c.mu.Unlock()
	if first {
		c.server.failed(Failure{Remote: c.origin, Identity: identity, Err: err}, true)
	}
}

// agreed goes on with the premaster secret, and takes the records that came before their keys.
func (c *Conn) agreed(body, premaster []byte) {
	early, err := c.install(body, premaster)
	if err != nil {
		c.fail(alertInternalError, refusal.New(refusal.TLSFailed, err.Error()))
		return
	}
	for i := range early {
		c.protected(&early[i].record, early[i].from)
	}
}

func (c *Conn) install(body, premaster []byte) ([]earlyRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hs
	if h == nil {
		return nil, nil // given up meanwhile
	}
	h.transcript = append(h.transcript, message(msgClientKeyExchange, h.nextIn, body)...)
	h.nextIn++
	h.busy = false
	if err := c.derive(premaster); err != nil {
		return nil, err
	}
	early := h.early
	h.early, h.flight, h.coming = nil, nil, assembly{}
	return early, nil
}

// An earlyRecord came before its keys were known. Its slices are its own.
type earlyRecord struct {
	record record
	from   netip.AddrPort
}

func (h *handshake) keep(r *record, from netip.AddrPort) {
	if len(h.early) >= maxEarly || len(r.body) > maxEarlyRecord {
		return
	}
	e := earlyRecord{*r, from}
	e.record.body = append([]byte(nil), r.body...)
	if r.cid != nil {
		e.record.cid = append([]byte(nil), r.cid...)
	}
	h.early = append(h.early, e)
}

// tick sends the flight again, or gives up; on says when to look again.
func (c *Conn) tick(now time.Time) (due time.Time, on bool) {
	c.mu.Lock()
	h := c.hs
	if h == nil {
		c.mu.Unlock()
		return time.Time{}, false
	}
	if now.Before(h.deadline) {
		if !h.busy && c.in == nil {
			h.interval = min(2*h.interval, longestRetransmission)
			c.sendFlight(now)
		}
		due = now.Add(h.interval)
		if due.After(h.deadline) {
			due = h.deadline
		}
		c.mu.Unlock()
		return due, true
	}
	c.mu.Unlock()
	c.fail(0, refusal.New(refusal.HandshakeTimeout, "the client fell silent"))
	return time.Time{}, false
}
