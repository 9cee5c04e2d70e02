package mqtt

import (
	"errors"

	"relink/connector/dispatch"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/downlink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// Answer writes the replies to a published message, and then its acknowledgement. If nothing was decided about a QoS 1 message the
// connection ends, because a client sends it again only on a new one [MQTT-4.4.0-1]. A gateway's does not for one of its sub-devices.
func (c *conn) Answer(m *uplink.Message, r record.Result, err error) {
	switch {
	case err == nil:
		if len(r.Data) > 0 && c.subs != nil {
			c.apply(m, r.Data)
		}
		for i := range r.Replies {
			c.reply(m, &r.Replies[i])
		}
		if m.QoS == 1 {
			c.ack(m.PacketID, pubackReason(r))
		}
	case m.Session != c.sess && !errors.Is(err, dispatch.ErrClosed): // of a sub-device: the others keep their connection
		if m.QoS == 1 && c.version == 5 {
			c.ack(m.PacketID, 0x83) // implementation specific error
		}
	case m.QoS == 1:
		c.End(uplink.CauseOf(err), "message "+m.ID+" was not decided: "+err.Error())
	}
	c.decided(m)
	<-c.slots
}

// pubackReason tells a 5.0 device of a message that was put aside; codes of functions are in the reply.
func pubackReason(r record.Result) byte {
	if r.Reason == string(refusal.DeadLetter) {
		return 0x80 // unspecified error
	}
	return 0
}

func (c *conn) reply(m *uplink.Message, r *record.Reply) {
	granted, state := c.receiver(m, r).Delivery(r.Topic)
	if state != downlink.Sent {
		if state == downlink.Refused {
			c.undelivered(m.Session, m.ID, session.OpReply, r.Topic, refusal.ReceiveNotPermitted)
		}
		return // unsubscribed, as the device wanted
	}
	size := publishBody(c.version, r.Topic, r.Payload, 1) + 5
	if c.maxPacket > 0 && size > c.maxPacket {
		c.undelivered(m.Session, m.ID, session.OpReply, r.Topic, refusal.PayloadTooLarge)
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
		if o.inFlight() >= c.window {
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
