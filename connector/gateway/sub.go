package gateway

import (
	"sync/atomic"
	"time"

	"relink/connector/session"
	"relink/shared/downlink"
	"relink/shared/refusal"
)

// A Sub is one sub-device that is logged in; it is the session.Conn of its session.
type Sub struct {
	Session *session.Session

	gateway *Gateway
	expires time.Duration // 0: never
	over    atomic.Bool
	account *account // guarded by Gateway.mu; the next login over the same connection goes on with it
}

var _ session.Conn = (*Sub)(nil)

// Over reports whether the session has ended.
func (x *Sub) Over() bool { return x.over.Load() }

// Gateway is the session of the gateway.
func (x *Sub) Gateway() *session.Session { return x.gateway.own }

// Publish queues a message for the sub-device on the gateway's connection. It is part of session.Conn.
func (x *Sub) Publish(topic string, payload []byte, qos byte) downlink.State {
	if x.over.Load() {
		return downlink.Offline
	}
	return x.gateway.own.Conn().Publish(topic, payload, qos)
}

// End ends the session; the gateway stays connected, and is told why ("When a sub-device loses its session"). It is part of
// session.Conn.
func (x *Sub) End(cause refusal.Cause, detail string) { x.end(cause, detail, true) }

func (x *Sub) end(cause refusal.Cause, detail string, tell bool) {
	if !x.over.CompareAndSwap(false, true) {
		return
	}
	g, s := x.gateway, x.Session
	g.mu.Lock()
	if g.subs[s.Ref] == x {
		delete(g.subs, s.Ref)
		if len(g.subs) == 0 {
			g.subs = nil // a map never shrinks
		}
	}
	closed := g.closed
	g.mu.Unlock()
	g.node.Registry.Remove(s)
	if tell && !closed {
		g.tell(noticeOf(cause), s.Ref)
	}
	g.note(s, cause, detail)
	g.node.Teller.Offline(s, cause)
}
