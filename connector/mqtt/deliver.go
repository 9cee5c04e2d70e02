package mqtt

import (
	"time"

	"relink/connector/session"
	"relink/shared/downlink"
	"relink/shared/refusal"
)

const (
	maxUnacked = 32 // QoS 1 messages of one device that are sent again
	maxTries   = 5

	maxUnackedGateway = 1024 // as long as they are small, all together not larger than Options.MaxPending
)

// unacked is a QoS 1 message without PUBACK.
type unacked struct {
	id     uint16
	tries  int
	at     time.Duration // when it was sent last, since the server started
	packet []byte
	of     *session.Session // whose queue it is of; nil if it is of none
	key    string           // its place there
}

// Publish queues a message for the device. It is part of session.Conn.
func (c *conn) Publish(topic string, payload []byte, qos byte) downlink.State {
	size := publishBody(c.version, topic, payload, qos) + 5
	if c.maxPacket > 0 && size > c.maxPacket {
		return downlink.Refused
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.over:
		return downlink.Offline
	case o.pending != nil && len(*o.pending)+size > c.srv.opts.MaxPending, qos == 1 && (c.crowded(size) || o.inFlight() >= c.window):
		return downlink.Busy
	}
	b := o.room()
	start := len(*b)
	if qos == 0 {
		*b = appendPublish(*b, c.version, topic, payload, 0, 0, false)
	} else {
		id := o.newID()
		*b = appendPublish(*b, c.version, topic, payload, qos, id, false)
		o.unacked = append(o.unacked, unacked{id: id, at: c.srv.uptime(), packet: append([]byte(nil), (*b)[start:]...)})
	}
	c.schedule()
	return downlink.Sent
}

// crowded reports whether too many QoS 1 messages wait for their PUBACK. A gateway takes those of all its sub-devices. The lock is held.
func (c *conn) crowded(size int) bool {
	o := &c.out
	if len(o.unacked) < maxUnacked {
		return false
	}
	if c.subs == nil || len(o.unacked) >= maxUnackedGateway {
		return true
	}
	for i := range o.unacked {
		size += len(o.unacked[i].packet)
	}
	return size > c.srv.opts.MaxPending
}

// inFlight is how many QoS 1 messages the device has to acknowledge. The lock is held.
func (o *output) inFlight() int { return len(o.unacked) + o.replies }

// newID gives a packet id that no unacknowledged message has. The lock is held.
func (o *output) newID() uint16 {
	for {
		if o.lastID++; o.lastID == 0 {
			continue // [MQTT-2.3.1-1]
		}
		used := false
		for i := range o.unacked {
			used = used || o.unacked[i].id == o.lastID
		}
		if !used {
			return o.lastID
		}
	}
}

// acked takes a PUBACK. An unknown id is of a reply, or does no harm.
func (c *conn) acked(id uint16) {
	if of, key := c.forgetUnacked(id); of != nil {
		c.srv.presence.Acked(connContext{c}, of, key)
	}
}

// forgetUnacked takes an acknowledged message out, and answers whose queue it is of, if it is of one.
func (c *conn) forgetUnacked(id uint16) (of *session.Session, key string) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.unacked {
		if o.unacked[i].id == id {
			of, key = o.unacked[i].of, o.unacked[i].key
			o.unacked = append(o.unacked[:i], o.unacked[i+1:]...)
			if len(o.unacked) == 0 {
				o.unacked = nil
			}
			return of, key
		}
	}
	o.replies = max(0, o.replies-1)
	return nil, ""
}

// resend sends again what was not acknowledged. In 5.0 that is not allowed on the same connection [MQTT-4.4.0-1].
func (c *conn) resend(now time.Duration) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	c.resume()
	if len(o.unacked) == 0 || c.version == 5 || o.over || o.stalled {
		return
	}
	kept := o.unacked[:0]
	for _, u := range o.unacked {
		room := o.pending == nil || len(*o.pending)+len(u.packet) <= c.srv.opts.MaxPending // if there is none: the next time
		if room && now-u.at >= c.srv.opts.ResendAfter {
			if u.tries++; u.tries >= maxTries && u.of != nil {
				u.tries = maxTries // it stays in the queue, and goes again on the device's next connection
				kept = append(kept, u)
				continue
			} else if u.tries >= maxTries {
				c.undelivered(c.sess, "", session.OpDownlink, "", refusal.WriteTimeout)
				continue
			}
			u.at = now
			u.packet[0] |= 8 // DUP [MQTT-3.3.1-1]
			b := o.room()
			*b = append(*b, u.packet...)
			c.schedule()
		}
		kept = append(kept, u)
	}
	clear(o.unacked[len(kept):])
	o.unacked = kept
}

// undelivered notes a message that the device does not get.
func (c *conn) undelivered(s *session.Session, id, operation, name string, cause refusal.Cause) {
	c.srv.journal.Record(session.Event{
		Device: s.Ref, Operation: operation, MessageID: id, Topic: name, Code: 500, Reason: cause, RemoteAddr: c.remote.String(),
	})
}
