package mqtt

import (
	"bytes"

	"github.com/mochi-mqtt/server/v2/packets"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// subscribe takes a SUBSCRIBE. It is read here, because the library's decoder runs past the end of a packet whose last filter has
// no options.
func (c *conn) subscribe(body []byte) error {
	id, filters, err := c.filters(packets.Subscribe, body, true)
	if err != nil {
		return err
	}
	codes := make([]byte, 0, len(filters))
	var of []touched
	for i, f := range filters {
		granted, err := byte(0), error(nil)
		var sess *session.Session
		if i >= maxPerPacket {
			err = refusal.New(refusal.TooManyFilters, "")
		} else if sess, err = c.owner(string(f.text)); err == nil {
			granted, err = sess.Subscribe(string(f.text), f.options&3)
			of = touch(of, sess, i)
		}
		if err != nil {
			granted = c.filterRefused(sess, f.text, err, i <= maxPerPacket)
		}
		codes = append(codes, granted)
	}
	return c.whenStored(of, typeSuback<<4, id, codes)
}

func (c *conn) unsubscribe(body []byte) error {
	id, filters, err := c.filters(packets.Unsubscribe, body, false)
	if err != nil {
		return err
	}
	var codes []byte // 3.x has none
	var of []touched
	for i, f := range filters {
		code := byte(0x11) // no subscription existed
		if sess, err := c.owner(string(f.text)); err == nil && i < maxPerPacket {
			of = touch(of, sess, i)
			if sess.Unsubscribe(string(f.text)) {
				code = 0
				c.srv.journal.Record(session.Event{ // why something is not delivered any more is asked for, even after years
					Device: sess.Ref, Operation: session.OpUnsubscribe, Topic: string(f.text[:min(len(f.text), 256)]), Code: 200, RemoteAddr: c.remote.String(),
				})
			}
		}
		if c.version == 5 {
			codes = append(codes, code)
		}
	}
	return c.whenStored(of, typeUnsuback<<4, id, codes)
}

// filterRefused notes a refused filter, if asked to, and gives its code in SUBACK.
func (c *conn) filterRefused(sess *session.Session, text []byte, err error, note bool) byte {
	cause, code := refusal.CauseOf(err), byte(0x87)
	switch cause {
	case refusal.FilterMalformed:
		code = 0x8f
	case refusal.TooManySubscriptions, refusal.TooManyFilters:
		code = 0x97
	case refusal.SharedUnsupported:
		code = 0x9e
	}
	if c.version < 5 {
		code = 0x80
	}
	if !note {
		return code
	}
	if sess == nil {
		sess = c.sess
	}
	c.srv.journal.Record(session.Event{
		Device: sess.Ref, Operation: session.OpSubscribe, Topic: string(text[:min(len(text), 256)]), Code: int(code), Reason: cause,
		RemoteAddr: c.remote.String(),
	})
	return code
}

type filterOptions struct {
	text    []byte // aliases the packet
	options byte
}

// filters reads the packet id and the filters of a SUBSCRIBE or UNSUBSCRIBE.
func (c *conn) filters(kind byte, body []byte, options bool) (id uint16, list []filterOptions, err error) {
	id, at, err := uint16At(body, 0)
	if err != nil || id == 0 {
		return 0, nil, violation("no packet id in packet of type %d", kind) // [MQTT-2.3.1-1]
	}
	if c.version == 5 {
		block, next, err := propertiesAt(body, at)
		if err != nil {
			return 0, nil, violation("packet of type %d: %v", kind, err)
		}
		var p packets.Properties
		if _, err := p.Decode(kind, bytes.NewBuffer(block)); err != nil {
			return 0, nil, violation("packet of type %d: %v", kind, err)
		}
		if len(p.SubscriptionIdentifier) > 0 {
			return 0, nil, violation("subscription identifiers are announced as not available") // [MQTT-3.2.2.3.12]
		}
		at = next
	}
	for at < len(body) {
		f := filterOptions{}
		if f.text, at, err = fieldAt(body, at); err != nil {
			return 0, nil, violation("packet of type %d: %v", kind, err)
		}
		if options {
			if at == len(body) {
				return 0, nil, violation("SUBSCRIBE without options")
			}
			if f.options, at = body[at], at+1; f.options&3 == 3 || c.version < 5 && f.options > 2 || f.options&0xc0 != 0 {
				return 0, nil, violation("options %#x in SUBSCRIBE", f.options) // [MQTT-3.8.3-4]
			}
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return 0, nil, violation("no filter in packet of type %d", kind) // [MQTT-3.8.3-3]
	}
	return id, list, nil
}

// nobody takes answers that nobody waits for.
type nobody struct{}

func (nobody) Answer(*uplink.Message, record.Result, error) {}
