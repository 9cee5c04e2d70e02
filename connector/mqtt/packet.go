package mqtt

import (
	"bytes"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"

	"relink/connector/gateway"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// Limits of messages ("Limits", "MQTT 5.0").
const (
	MaxPayload   = 256 << 10
	maxBody      = MaxPayload + 64<<10 + 1024 // with the longest topic name that MQTT has, to be refused by its own rule
	maxLogin     = 8 << 10                    // a CONNECT
	maxAlias     = 20
	maxInFlight  = 100
	noWindow     = 1 << 30 // 3.x and the default of 5.0 set no limit that counts
	maxPerPacket = 200     // filters of a SUBSCRIBE that are looked at
)

func violation(format string, args ...any) error {
	return refusal.New(refusal.ProtocolError, fmt.Sprintf(format, args...))
}

// handle takes one packet. An error ends the connection; it is a *refusal.Error.
func (c *conn) handle(first byte, body []byte) error {
	kind, flags := first>>4, first&0xf
	if kind == typePublish {
		return c.published(flags, body)
	}
	want := byte(0)
	if kind == typeSubscribe || kind == typeUnsubscribe || kind == typePubrel {
		want = 2
		if c.version == 3 {
			flags &^= 8 // MQTT 3.1 had DUP here
		}
	}
	if flags != want {
		return violation("flags %#x in packet of type %d", flags, kind) // [MQTT-2.2.2-2]
	}
	switch kind {
	case typePuback:
		id, _, err := uint16At(body, 0)
		if err != nil {
			return violation("PUBACK: %v", err)
		}
		c.acked(id)
		return nil
	case typePingreq:
		c.write([]byte{typePingresp << 4, 0})
		return nil
	case typeSubscribe:
		return c.subscribe(body)
	case typeUnsubscribe:
		return c.unsubscribe(body)
	case typeDisconnect:
		if c.version == 5 && len(body) > 0 && body[0] == 0x04 { // disconnect with will message
			return refusal.New(refusal.ConnectionClosed, "disconnect with will message")
		}
		return refusal.New(refusal.Disconnected, "")
	case typePubrel: // QoS 2 was never begun here: end it
		id, _, err := uint16At(body, 0)
		if err != nil {
			return violation("PUBREL: %v", err)
		}
		c.write(appendAck(nil, typePubcomp<<4, c.version, id, 0x92))
		return nil
	case typePubrec, typePubcomp:
		return nil
	case typeConnect:
		return violation("second CONNECT") // [MQTT-3.1.0-2]
	}
	return violation("packet of type %d", kind)
}

// published takes a PUBLISH.
func (c *conn) published(flags byte, body []byte) error {
	qos := flags >> 1 & 3
	switch {
	case qos == 3:
		return violation("QoS 3") // [MQTT-3.3.1-4]
	case qos == 2:
		return refusal.New(refusal.QoS2Unsupported, "")
	}
	name, at, err := fieldAt(body, 0)
	if err != nil {
		return violation("PUBLISH: %v", err)
	}
	id := uint16(0)
	if qos == 1 {
		if id, at, err = uint16At(body, at); err != nil || id == 0 {
			return violation("PUBLISH without packet id") // [MQTT-2.3.1-1]
		}
	}
	if c.version == 5 {
		block, next, err := propertiesAt(body, at)
		if err != nil {
			return violation("PUBLISH: %v", err)
		}
		at = next
		if len(block) > 1 {
			var excess error
			if name, excess, err = c.properties(block, name); err != nil {
				return err
			}
			if excess != nil {
				return c.excessive(string(name), excess, qos, id)
			}
		}
	}
	payload := body[at:]
	if len(payload) > MaxPayload {
		return refusal.New(refusal.PayloadTooLarge, fmt.Sprintf("%d bytes", len(payload)))
	}
	if string(name) != c.lastName || len(name) == 0 || c.stale() {
		if dev, err := c.topicOf(string(name)); err != nil {
			if refusal.CauseOf(err) == refusal.TopicMalformed {
				return err
			}
			return c.dropped(dev, string(name), err, qos, id)
		}
	}
	if !c.publisher().MaySend(qos, c.now) { // "Excess uplink is dropped silently: no PUBACK, no disconnect"
		c.srv.router.Refused(c.publisher().Ref, c.lastTopic, qos, refusal.New(refusal.RateLimitedMessages, ""), c.now)
		return nil
	}
	if c.subs != nil && !c.admit(name, qos, id) {
		return nil
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.done:
		return refusal.New(refusal.ConnectionClosed, "")
	}
	m := &uplink.Message{
		Session: c.publisher(), Topic: c.lastTopic, Parsed: c.lastParsed, Payload: append(make([]byte, 0, len(payload)), payload...),
		QoS: qos, ReceivedAt: c.now, PacketID: id, Dup: qos == 1 && flags&8 != 0, Since: c.grant.Since, To: c,
	}
	if err := c.srv.router.Take(connContext{c}, m); err != nil {
		c.decided(m)
		<-c.slots
		select {
		case <-c.done:
			return refusal.New(refusal.ConnectionClosed, "")
		default:
			return refusal.New(refusal.Shutdown, err.Error())
		}
	}
	return nil
}

// topicOf parses a topic and checks that the device may publish there. The last one is remembered: a device seldom changes it. With an
// error it says whose message is not taken.
func (c *conn) topicOf(name string) (iot.DeviceRef, error) {
	u, err := topic.ParseUplink(name)
	var sub *gateway.Sub
	switch {
	case err != nil:
	case c.subs != nil:
		sub, err = c.mayPublish(u)
	default:
		err = topic.MayPublish(c.grant, u)
	}
	if err != nil {
		if sub != nil {
			return sub.Session.Ref, err
		}
		return c.sess.Ref, err
	}
	c.lastName, c.lastTopic, c.lastParsed = name, topic.Cut(name), u
	if c.subs != nil {
		c.subs.last = sub
	}
	return c.sess.Ref, nil
}

// dropped answers a message that is not taken ("PUBLISH to a topic without permission"): acknowledged, or C4 would send it again
// every three seconds for ever.
func (c *conn) dropped(dev iot.DeviceRef, name string, err error, qos byte, id uint16) error {
	c.srv.router.Refused(dev, name, qos, err, c.now)
	if qos == 1 {
		c.ack(id, 0x87)
	}
	return nil
}

// excessive answers a message whose properties go beyond the limits: it is not taken, and a QoS 1 one is acknowledged with a reason.
func (c *conn) excessive(name string, err error, qos byte, id uint16) error {
	dev, topicErr := c.topicOf(name)
	if topicErr != nil {
		err = topicErr
	} else {
		dev = c.publisher().Ref
	}
	c.srv.router.Refused(dev, name, qos, err, c.now)
	if qos == 1 {
		c.ack(id, 0x83) // implementation specific error
	}
	return nil
}

// properties reads what matters of a 5.0 PUBLISH: the topic's alias, and whether limits are kept. It gives the topic, and what is beyond
// the limits.
func (c *conn) properties(block, name []byte) (topicName []byte, excess, err error) {
	var p packets.Properties
	if _, err := p.Decode(packets.Publish, bytes.NewBuffer(block)); err != nil {
		return nil, nil, violation("PUBLISH: %v", err)
	}
	if len(p.SubscriptionIdentifier) > 0 {
		return nil, nil, violation("subscription identifier in PUBLISH") // [MQTT-3.3.4-6]
	}
	excess = checkProperties(&p)
	if !p.TopicAliasFlag {
		return name, excess, nil
	}
	i := int(p.TopicAlias) - 1
	if i < 0 || i >= maxAlias {
		return nil, nil, refusal.New(refusal.TopicAliasOutOfRange, fmt.Sprint(p.TopicAlias)) // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
	}
	if len(name) == 0 {
		if i >= len(c.aliases) || c.aliases[i] == "" {
			return nil, nil, violation("topic alias %d is not known", p.TopicAlias)
		}
		return []byte(c.aliases[i]), excess, nil
	}
	if len(name) > topic.MaxLength+64 {
		return name, excess, nil // it is refused for its length, and not kept
	}
	for len(c.aliases) <= i {
		c.aliases = append(c.aliases, "")
	}
	if c.aliases[i] != string(name) {
		c.aliases[i] = string(name)
	}
	return name, excess, nil
}

// A will is what a 5.0 device wants to be said if it goes without DISCONNECT. It is taken like a message of the device, on a
// custom topic on which it may publish; in 3.x it is ignored ("MQTT behaviour after CONNECT").
type will struct {
	topic   string
	payload []byte
	qos     byte
}

// publishWill takes the will. Nobody waits for its answer.
func (c *conn) publishWill() {
	u, err := topic.ParseUplink(c.will.topic)
	if err == nil {
		err = topic.MayPublish(c.grant, u)
	}
	if err == nil && u.Family != topic.Custom {
		err = refusal.New(refusal.TopicNotPermitted, "a will needs a custom topic")
	}
	now := c.srv.now().UnixMilli()
	if err != nil {
		c.srv.router.Refused(c.sess.Ref, c.will.topic, c.will.qos, err, now)
		return
	}
	m := &uplink.Message{
		Session: c.sess, Topic: c.will.topic, Parsed: u, Payload: c.will.payload, QoS: c.will.qos, ReceivedAt: now, To: nobody{},
	}
	ctx, cancel := c.srv.lastWords()
	defer cancel()
	if err := c.srv.router.Take(ctx, m); err != nil {
		c.srv.journal.Record(session.Event{
			Device: c.sess.Ref, Operation: session.OpUplink, Topic: c.will.topic, Code: 500, Reason: refusal.DeadlineExceeded, Detail: "will: " + err.Error(),
		})
	}
}
