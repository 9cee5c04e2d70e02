package mqtt

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"relink/connector/gateway"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/device"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// subDevices are those behind a gateway's connection ("Gateways and sub-devices").
type subDevices struct {
	*gateway.Gateway
	last *gateway.Sub // whose the last message's topic is, nil: the gateway's own. Of the goroutine that reads
}

// attach makes a gateway of a connection whose device is one.
func (s *Server) attach(c *conn) {
	if c.grant.NodeType == device.NodeGateway {
		c.subs = &subDevices{Gateway: gateway.New(&s.gateways, c.sess)}
	}
}

// functionTopology is the function whose answers carry device.SubSessions.
const functionTopology = "topology"

// apply carries out what a function's answer says about sub-devices, before the gateway hears it.
func (c *conn) apply(m *uplink.Message, data []byte) {
	if m.Session != c.sess || m.Parsed.Family.Function() != functionTopology {
		return
	}
	var subs device.SubSessions
	if err := json.Unmarshal(data, &subs); err != nil {
		c.srv.log.LogAttrs(context.Background(), slog.LevelError, "sessions of sub-devices are not understood", logs.Device(c.sess.Ref),
			slog.String(logs.FieldMessageID, m.ID), slog.String(logs.FieldTopic, m.Topic), logs.Err(err))
		return
	}
	removed := false
	switch m.Parsed.Family {
	case topic.CombineLogin, topic.CombineBatchLogin, topic.CombineLogout, topic.CombineBatchLogout:
	default:
		removed, subs.Login = true, nil // only a login logs in
	}
	c.subs.Apply(&subs, time.UnixMilli(m.ReceivedAt), removed)
}

// mayPublish decides whether the gateway, or which of its sub-devices, may publish on a topic ("Permission check"); nil is the gateway.
func (c *conn) mayPublish(u topic.Uplink) (*gateway.Sub, error) {
	if u.Device.IsZero() || u.Device == c.sess.Ref || !u.Family.Uplink() {
		return nil, topic.MayPublish(c.grant, u)
	}
	x := c.subs.Find(u.Device)
	if x == nil {
		c.subs.Stray(u.Device, c.srv.uptime())
		return nil, refusal.New(refusal.SubNotLoggedIn, u.Device.String())
	}
	return x, topic.MayPublish(x.Session.Grant, u)
}

// publisher is whose message the last one is.
func (c *conn) publisher() *session.Session {
	if c.subs == nil || c.subs.last == nil {
		return c.sess
	}
	return c.subs.last.Session
}

// stale reports whether what is remembered of the last message's topic does not hold any more.
func (c *conn) stale() bool { return c.subs != nil && c.subs.last != nil && c.subs.last.Over() }

// free is how many slots are free.
func (c *conn) free() int { return cap(c.slots) - len(c.slots) }

// admit gives each sub-device its share of the connection ("One slow one does not hold up the others"). False: the message is dropped.
func (c *conn) admit(name []byte, qos byte, id uint16) bool {
	if c.subs.Admit(c.subs.last, c.free, c.done) {
		return true
	}
	select {
	case <-c.done: // the next read ends it
	default:
		err := refusal.New(refusal.RateLimitedMessages, "too many of its messages on the gateway's connection are undecided")
		c.srv.router.Refused(c.publisher().Ref, string(name), qos, err, c.now)
		if qos == 1 && c.version == 5 { // in 3.x silence; in 5.0 it would take one of the messages that may be in flight for ever
			c.ack(id, 0x97) // quota exceeded
		}
	}
	return false
}

// decided gives a message's share back.
func (c *conn) decided(m *uplink.Message) {
	if c.subs != nil {
		c.subs.Decided(m.Session, time.Duration(max(0, time.Now().UnixMilli()-m.ReceivedAt))*time.Millisecond)
	}
}

// owner is the session that a filter of a SUBSCRIBE or UNSUBSCRIBE belongs to.
func (c *conn) owner(filter string) (*session.Session, error) {
	if c.subs == nil {
		return c.sess, nil
	}
	ref := topic.FilterOwner(filter)
	if ref.IsZero() || ref == c.sess.Ref {
		return c.sess, nil
	}
	if x := c.subs.Find(ref); x != nil {
		return x.Session, nil
	}
	return nil, refusal.New(refusal.SubNotLoggedIn, ref.String())
}

// receiver is the session that decides whether a reply is delivered: whoever asked, or, where what the gateway asked has consequences for a
// sub-device, that one.
func (c *conn) receiver(m *uplink.Message, r *record.Reply) *session.Session {
	if c.subs == nil {
		return m.Session
	}
	ref := topic.FilterOwner(r.Topic)
	switch {
	case ref.IsZero() || ref == m.Session.Ref:
	case ref == c.sess.Ref:
		return c.sess
	default:
		if x := c.subs.Find(ref); x != nil {
			return x.Session
		}
	}
	return m.Session
}

// A storing waits until what a SUBSCRIBE or UNSUBSCRIBE has changed is durable for all whose filters it has.
type storing struct {
	conn     *conn
	first    byte // of the acknowledgement
	id       uint16
	mu       sync.Mutex
	codes    []byte
	left     int
	withheld bool
}

// stored is called once for each session. A sub-device that has lost its session meanwhile gets its filters refused; the others do not wait
// for it.
func (w *storing) stored(s *session.Session, places []int, err error) {
	w.mu.Lock()
	w.left--
	switch {
	case err == nil:
	case w.first == typeSuback<<4 && s.Gateway() != nil && refusal.CauseOf(err) == refusal.SessionSuperseded:
		code := byte(0x87)
		if w.conn.version < 5 {
			code = 0x80
		}
		for _, i := range places {
			w.codes[i] = code
		}
	default:
		w.withheld = true
	}
	done := w.left == 0 && !w.withheld
	w.mu.Unlock()
	if done {
		w.conn.write(appendCodes(nil, w.first, w.conn.version, w.id, w.codes))
	}
}

// A touched session has filters in a SUBSCRIBE or UNSUBSCRIBE.
type touched struct {
	sess   *session.Session
	places []int // of its filters
}

// touch notes that filter i belongs to a session.
func touch(list []touched, s *session.Session, i int) []touched {
	for j := len(list) - 1; j >= 0; j-- {
		if list[j].sess == s {
			list[j].places = append(list[j].places, i)
			return list
		}
	}
	return append(list, touched{s, []int{i}})
}

// whenStored acknowledges once what the devices have subscribed is durable: they rely on it for ever. Without that there is no
// acknowledgement, and the device asks again.
func (c *conn) whenStored(list []touched, first byte, id uint16, codes []byte) error {
	if len(list) == 0 { // nothing was granted
		c.write(appendCodes(nil, first, c.version, id, codes))
		return nil
	}
	w := &storing{conn: c, first: first, id: id, codes: codes, left: len(list)}
	for _, t := range list {
		err := c.srv.presence.Subscribed(connContext{c}, t.sess, func(err error) { w.stored(t.sess, t.places, err) })
		if err != nil {
			return refusal.New(refusal.Shutdown, err.Error())
		}
	}
	return nil
}
