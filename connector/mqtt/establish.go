package mqtt

import (
	"time"

	"relink/connector/gateway"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/refusal"
)

// establish makes a session of a connection that is granted, and has it read by a goroutine of its own.
func (s *Server) establish(c *conn) {
	if err := c.sock.SetReadDeadline(time.Time{}); err != nil {
		s.refused(c, openError(err, refusal.HandshakeTimeout))
		c.close()
		return
	}
	now := s.now()
	c.sock.allow(2 * max(s.opts.MaxPending, maxBody)) // one buffer of the output, with what TLS and WebSocket put around it
	c.in.limit = maxBody
	c.slots = make(chan struct{}, inFlight(c.grant))
	c.lastSeen.Store(int64(s.uptime()))
	c.expires = s.expiry(c.grant.ExpiresAt, now)
	c.sess = session.New(c.grant, c, c.remote.String(), now)
	c.sess.Limit(s.opts.Rates)
	s.attach(c)
	if !s.registry.Put(c.sess) {
		c.End(refusal.TakenOver, "a newer connection was faster")
	}
	if cause := s.opts.Drops.Since(c.sess.Ref, c.began); cause != "" { // whoever drops it now finds the session
		c.End(cause, "while it logged in")
	}
	s.remember(c)
	if s.stopping.Load() {
		c.End(refusal.Shutdown, "")
	}
	if c.grant.Previous != nil && s.opts.Superseded != nil {
		s.opts.Superseded(c.grant)
	}
	c.sendGreeting()
	s.presence.Online(connContext{c}, c.sess)
	s.conns.Go(c.serve)
}

// inFlight is how many published messages of a connection may be undecided.
func inFlight(g *device.Grant) int {
	if g != nil && g.NodeType == device.NodeGateway { // nil: a connection that only registers
		return gateway.Slots
	}
	return maxInFlight
}

// sendGreeting publishes what the device is to hear right after CONNACK, whatever it has subscribed.
func (c *conn) sendGreeting() {
	if len(c.greeting) == 0 {
		return
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.room()
	*b = c.greet(*b)
	c.schedule()
}

// expiry is when a grant ends, since the server started. One that is over as it comes is of a clock that differs from ours: it gets
// a minute.
func (s *Server) expiry(at int64, now time.Time) time.Duration {
	if at == 0 {
		return 0
	}
	left := time.Duration(at-now.UnixMilli()) * time.Millisecond
	if left <= 0 {
		left = time.Minute
	}
	return s.uptime() + left
}
