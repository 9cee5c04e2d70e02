package mqtt

import (
	"fmt"
	"sync"
	"time"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/downlink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// An output is what waits to be written. It is bounded by Options.MaxPending: a device that does not read its answers is
// disconnected, and a downlink that finds no room is refused; nothing is dropped in silence.
type output struct {
	mu        sync.Mutex
	pending   *[]byte // encoded packets; nil if there are none
	scheduled bool    // in the flusher's list, or being flushed
	stalled   bool    // the socket is busy; drained comes
	over      bool    // ended: nothing more is queued
	cause     refusal.Cause
	detail    string

	lastID  uint16
	unacked []unacked // QoS 1 messages that are sent again
	replies int       // QoS 1 replies without PUBACK; they are not sent again, the device asks again
}

type unacked struct {
	id     uint16
	tries  int
	at     time.Duration // when it was sent last, since the server started
	packet []byte
}

const (
	keptBuffer  = 64 << 10 // larger ones are not kept
	maxUnacked  = 32       // of one device
	resendAfter = 10 * time.Second
	maxTries    = 5
)

// room is where to append. The lock is held.
func (o *output) room() *[]byte {
	if o.pending == nil {
		o.pending = smallBuffers.Get().(*[]byte)
	}
	return o.pending
}

// schedule has what is pending written. The lock is held.
func (c *conn) schedule() {
	if o := &c.out; !o.scheduled && !o.stalled {
		o.scheduled = true
		c.srv.flusher.add(c)
	}
}

// flush writes what is pending, and closes the socket if the connection has ended. The flusher calls it.
func (c *conn) flush() {
	o := &c.out
	o.mu.Lock()
	for o.pending != nil {
		buf := o.pending
		o.pending = nil
		o.mu.Unlock()
		_, err := c.stream.Write(*buf)
		c.srv.meter.Sent(len(*buf))
		if cap(*buf) <= keptBuffer {
			*buf = (*buf)[:0]
			smallBuffers.Put(buf)
		}
		if err != nil {
			c.End(refusal.ConnectionClosed, "")
			o.mu.Lock()
			break
		}
		o.mu.Lock()
		if c.sock.busy() {
			if o.over {
				break // it has had its time
			}
			o.stalled = true
			break
		}
	}
	o.scheduled = false
	over := o.over
	o.mu.Unlock()
	if over {
		c.close()
	}
}

// drained is called when a busy socket has taken all.
func (c *conn) drained() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stalled {
		o.stalled = false
		c.schedule()
	}
}

// stuck is called when a busy socket takes nothing more.
func (c *conn) stuck() { c.End(refusal.WriteTimeout, "") }

// End ends the connection once; in 5.0 the device is told why [MQTT-4.13], in 3.x it is not ("Duplicate connections").
func (c *conn) End(cause refusal.Cause, detail string) {
	o := &c.out
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	o.over, o.cause, o.detail = true, cause, detail
	close(c.done)
	if reason, told := disconnectReason(cause); told && c.version == 5 && c.sess != nil {
		b := o.room()
		*b = appendDisconnect(*b, reason)
	}
	stalled := o.stalled
	if !stalled {
		c.schedule()
	}
	o.mu.Unlock()
	if stalled {
		c.close()
	}
}

func (c *conn) cause() (refusal.Cause, string) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	detail := c.out.detail
	if n := len(c.out.unacked); n > 0 {
		detail = fmt.Sprintf("%s%d messages to the device were not acknowledged", separated(detail), n)
	}
	return c.out.cause, detail
}

func separated(s string) string {
	if s == "" {
		return ""
	}
	return s + "; "
}

func (c *conn) close() {
	if err := c.sock.Close(); err != nil {
		return // closed already
	}
}

// write queues one encoded packet of the handshake or an acknowledgement.
func (c *conn) write(packet []byte) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	b := o.room()
	*b = append(*b, packet...)
	c.schedule()
}

// Answer writes the replies to a published message, and then its acknowledgement, unless nothing was decided.
func (c *conn) Answer(m *uplink.Message, r record.Result, err error) {
	if err == nil {
		for i := range r.Replies {
			c.reply(m, &r.Replies[i])
		}
		if m.QoS == 1 {
			c.ack(m.PacketID, 0)
		}
	}
	<-c.slots
}

func (c *conn) reply(m *uplink.Message, r *record.Reply) {
	granted, state := c.sess.Delivery(r.Topic)
	if state != downlink.Sent {
		if state == downlink.Refused {
			c.undelivered(m.ID, session.OpReply, r.Topic, refusal.ReceiveNotPermitted)
		}
		return // unsubscribed, as the device wanted
	}
	size := publishBody(c.version, r.Topic, r.Payload, 1) + 5
	if c.maxPacket > 0 && size > c.maxPacket {
		c.undelivered(m.ID, session.OpReply, r.Topic, refusal.PayloadTooLarge)
		return
	}
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !c.fits(size) {
		return
	}
	qos, id := min(r.QoS, granted), uint16(0)
	if qos == 1 {
		if c.version == 5 && o.inFlight(5) >= c.window {
			qos = 0 // the device may not be sent more [MQTT-3.3.4-9]
		} else {
			id = o.newID()
			o.replies++
		}
	}
	b := o.room()
	*b = appendPublish(*b, c.version, r.Topic, r.Payload, qos, id, false)
	c.schedule()
}

// fits reports whether size more bytes may be queued; if not, the device has not read for too long. The lock is held, and given
// up meanwhile.
func (c *conn) fits(size int) bool {
	o := &c.out
	if o.over {
		return false
	}
	if o.pending == nil || len(*o.pending)+size <= c.srv.opts.MaxPending {
		return true
	}
	o.mu.Unlock()
	c.End(refusal.WriteTimeout, "too much waits to be read by the device")
	o.mu.Lock()
	return false
}

func (c *conn) ack(id uint16, reason byte) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !c.fits(5) {
		return
	}
	b := o.room()
	*b = appendAck(*b, typePuback<<4, c.version, id, reason)
	c.schedule()
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
	case o.pending != nil && len(*o.pending)+size > c.srv.opts.MaxPending, qos == 1 && o.inFlight(c.version) >= c.window:
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

// inFlight is how many QoS 1 messages the device has to acknowledge; 3.x sets no limit for replies. The lock is held.
func (o *output) inFlight(version byte) int {
	if version == 5 {
		return len(o.unacked) + o.replies
	}
	return len(o.unacked)
}

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
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.unacked {
		if o.unacked[i].id == id {
			o.unacked = append(o.unacked[:i], o.unacked[i+1:]...)
			if len(o.unacked) == 0 {
				o.unacked = nil
			}
			return
		}
	}
	o.replies = max(0, o.replies-1)
}

// resend sends again what was not acknowledged. In 5.0 that is not allowed on the same connection [MQTT-4.4.0-1].
func (c *conn) resend(now time.Duration) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unacked) == 0 || c.version == 5 || o.over || o.stalled {
		return
	}
	kept := o.unacked[:0]
	for _, u := range o.unacked {
		if now-u.at >= resendAfter {
			if u.tries++; u.tries >= maxTries {
				c.undelivered("", session.OpDownlink, "", refusal.WriteTimeout)
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
func (c *conn) undelivered(id, operation, name string, cause refusal.Cause) {
	c.srv.journal.Record(session.Event{
		Device: c.sess.Ref, Operation: operation, MessageID: id, Topic: name, Code: 500, Reason: cause, RemoteAddr: c.remote.String(),
	})
}
