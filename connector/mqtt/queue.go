package mqtt

import (
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/downlink"
)

// Deliver sends a message of a device's queue. It is part of session.Deliverer.
func (c *conn) Deliver(s *session.Session, m *session.Message) downlink.State {
	var properties []byte
	if c.version == 5 {
		properties = appendExpiry(nil, m.ExpiresAt, c.srv.now().UnixMilli())
	}
	size := publishBody(c.version, m.Topic, m.Payload, 1) + len(properties) + 5
	if c.maxPacket > 0 && size > c.maxPacket {
		return downlink.Refused
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.over:
		return downlink.Offline
	case o.pending != nil && len(*o.pending)+size > c.srv.opts.MaxPending, c.crowded(size) || o.inFlight() >= c.window:
		return downlink.Busy
	}
	id := m.PacketID
	if id > o.lastID { // nothing on this connection has had it
		o.lastID = id
	} else {
		id = o.newID()
	}
	b := o.room()
	start := len(*b)
	*b = appendPublishWith(*b, c.version, m.Topic, m.Payload, id, m.PacketID != 0, properties)
	o.unacked = append(o.unacked, unacked{id: id, at: c.srv.uptime(), packet: append([]byte(nil), (*b)[start:]...), of: s, key: m.ID})
	c.schedule()
	return downlink.Sent
}

// Later has the queue of a session looked at again. It is part of session.Deliverer.
func (c *conn) Later(s *session.Session, soon bool) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	if o.later == nil {
		o.later = make(map[*session.Session]bool)
	}
	o.later[s] = true
	if soon {
		c.resume()
	}
}

// resume has the queues that wait looked at by a goroutine that ends with the connection at the latest. The lock is held.
func (c *conn) resume() {
	o := &c.out
	if len(o.later) == 0 || o.resuming || o.over {
		return
	}
	o.resuming = true
	list := o.later
	o.later = nil
	c.srv.drains.Go(func() {
		for s := range list {
			c.srv.presence.Resume(connContext{c}, s)
		}
		o.mu.Lock()
		o.resuming = false
		o.mu.Unlock()
	})
}

// unfinished tells of messages of queues that were sent over this connection, which has ended, and not acknowledged.
func (c *conn) unfinished() {
	o := &c.out
	o.mu.Lock()
	sent := map[*session.Session][]device.SentMessage{c.sess: nil}
	for i := range o.unacked {
		if u := &o.unacked[i]; u.of != nil {
			sent[u.of] = append(sent[u.of], device.SentMessage{ID: u.key, PacketID: u.id})
		}
	}
	o.mu.Unlock()
	for s, list := range sent {
		c.srv.presence.Unacked(s, list)
	}
}
