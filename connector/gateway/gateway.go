// Package gateway is the sub-devices that speak over the connection of their gateway ("Gateways and sub-devices" in the device
// protocol). Each has a session of its own, as if it had a connection: grant, subscriptions, epoch. Function topology decides who
// may log in; what it says about it (device.SubSessions) is carried out here.
//
// It knows no protocol: the gateway's connection stands behind session.Conn. No method blocks, except where it says so.
package gateway

import (
	"context"
	"sync"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// MaxSubs bounds the sub-devices that are logged in over one connection ("sub-devices per gateway", the newest number). Function
// topology refuses those beyond with a code; this is for what slips through.
const MaxSubs = 2000

// A Node is what the gateways of one connector have in common. All is required, except Drops, Superseded and Share.
type Node struct {
	Registry   *session.Registry
	Teller     *session.Teller
	Journal    session.Journal
	Drops      *session.Drops
	Superseded func(*device.Grant)                                // has Grant.Previous told
	Share      func(*device.Grant) *device.Classes                // topic classes as other sessions of the product have them
	Expiry     func(expiresAt int64, now time.Time) time.Duration // of a grant, in the time of Check
	Now        func() time.Time
}

// A Gateway is one gateway's connection with its sub-devices. It is safe for concurrent use.
type Gateway struct {
	node  *Node
	own   *session.Session
	freed chan struct{} // a message was decided while Admit waits

	// Order of locks: this one, then those of the registry and the teller. None is held while a session or a connection is ended,
	// or a message sent.
	mu      sync.Mutex
	closed  bool
	subs    map[iot.DeviceRef]*Sub // logged in
	expires time.Duration          // the first grant that expires; 0: none does
	waiting bool                   // Admit wants freed
	mine    account                // of the gateway's own messages
	strays  map[iot.DeviceRef]time.Duration
	swept   time.Duration // when strays were last looked through
}

// New makes the gateway of an established session.
func New(n *Node, own *session.Session) *Gateway {
	return &Gateway{node: n, own: own, freed: make(chan struct{}, 1)}
}

// Find gives a sub-device that is logged in here; nil if it is not.
func (g *Gateway) Find(ref iot.DeviceRef) *Sub {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.subs[ref]
}

// Len is the number of sub-devices that are logged in.
func (g *Gateway) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.subs)
}

// Apply carries out what function topology said with its answer to a request that came at began. It is done when Apply returns, so
// that the gateway may be answered. removed says that the logouts follow from the topology, not from a logout.
func (g *Gateway) Apply(s *device.SubSessions, began time.Time, removed bool) {
	cause := refusal.SubLoggedOut
	if removed {
		cause = refusal.TopologyRemoved
	}
	for i := range s.Logout {
		e := &s.Logout[i]
		x := g.Find(iot.DeviceRef{ProductKey: e.ProductKey, DeviceName: e.DeviceName})
		if x != nil && (e.Epoch == 0 || x.Session.Grant.Epoch <= e.Epoch) {
			x.end(cause, "", false) // the gateway asked for it
		}
	}
	for i := range s.Login {
		g.login(s.Login[i], began)
	}
}

// login makes a session of a grant. A second login over the same connection replaces the first in silence.
func (g *Gateway) login(grant device.Grant, began time.Time) {
	ref := grant.Ref()
	if ref == g.own.Ref || ref.IsZero() {
		return
	}
	grant.ExtRRPC = g.own.Grant.ExtRRPC // "The choice follows the connection's ext bit 0"
	if g.node.Share != nil {
		grant.Topics = g.node.Share(&grant)
	}
	now := g.node.Now()
	x := &Sub{gateway: g, expires: g.node.Expiry(grant.ExpiresAt, now), account: new(account)}
	x.Session = session.New(&grant, x, g.own.RemoteAddr, now)
	x.Session.Limit(g.own.Limits())
	old, refused := g.put(x)
	switch {
	case refused == refusal.SessionSuperseded:
		return // an answer that is older than the one before
	case refused != "":
		x.end(refused, "", true)
		return
	case old != nil:
		old.End(refusal.TakenOver, "")
	}
	if grant.Previous != nil && g.node.Superseded != nil {
		g.node.Superseded(&grant)
	}
	// Whoever drops it now finds the session. What came before is remembered.
	if cause := g.node.Drops.Since(ref, began); cause != "" {
		x.end(cause, "while it logged in", true)
	}
}

// put takes a sub-device in, and gives the session that it had elsewhere; or the cause for which it is not taken in.
func (g *Gateway) put(x *Sub) (elsewhere *session.Session, refused refusal.Cause) {
	ref := x.Session.Ref
	g.mu.Lock()
	defer g.mu.Unlock()
	former := g.subs[ref]
	switch {
	case g.closed:
		return nil, refusal.GatewayGone
	case former == nil && len(g.subs) >= MaxSubs:
		return nil, refusal.GatewayFull
	case former != nil && former.Session.Grant.Epoch >= x.Session.Grant.Epoch:
		return nil, refusal.SessionSuperseded
	}
	old, ok := g.node.Registry.Swap(x.Session)
	if !ok {
		return nil, refusal.TakenOver
	}
	if former != nil {
		former.over.Store(true)
		x.account = former.account
		if old == former.Session {
			old = nil
		}
	}
	if g.subs == nil {
		g.subs = make(map[iot.DeviceRef]*Sub)
	}
	g.subs[ref] = x
	if x.expires > 0 && (g.expires == 0 || x.expires < g.expires) {
		g.expires = x.expires
	}
	g.node.Teller.Online(x.Session) // under the lock, so that no end is told before
	return old, ""
}

// Check is called every second with the time since the server started: grants expire.
func (g *Gateway) Check(now time.Duration) {
	var expired []*Sub
	g.mu.Lock()
	if g.expires > 0 && now >= g.expires {
		g.expires = 0
		for _, x := range g.subs {
			switch {
			case x.expires == 0:
			case x.expires <= now:
				expired = append(expired, x)
			case g.expires == 0 || x.expires < g.expires:
				g.expires = x.expires
			}
		}
	}
	if now-g.swept > strayPause {
		g.swept = now
		g.forgetStrays(now)
	}
	g.mu.Unlock()
	for _, x := range expired {
		x.end(refusal.GrantExpired, "", true)
	}
}

// Close ends all sessions with the connection, whose end has the given cause: "all its sub-devices go offline at once, with no messages
// to anyone". It blocks for a few seconds at most while the platform is told; what cannot be told then is told later.
func (g *Gateway) Close(presence *session.Presence, cause refusal.Cause) {
	g.mu.Lock()
	all := g.subs
	g.subs, g.strays, g.closed = nil, nil, true
	g.mu.Unlock()
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, x := range all {
		if !x.over.CompareAndSwap(false, true) {
			continue
		}
		g.node.Registry.Remove(x.Session)
		g.note(x.Session, refusal.GatewayGone, string(cause))
		presence.OfflineWithin(ctx, x.Session, refusal.GatewayGone)
	}
}

const closePatience = 3 * time.Second

// note writes the end of a session to the device log.
func (g *Gateway) note(s *session.Session, cause refusal.Cause, detail string) {
	code := 200
	switch cause {
	case refusal.GatewayFull, refusal.Disabled, refusal.Deleted, refusal.GrantExpired, refusal.Kicked:
		code = 400
	}
	g.node.Journal.Record(session.Event{
		Device: s.Ref, IotID: s.Grant.IotID, Operation: session.OpOffline, Code: code, Reason: cause, Detail: detail, RemoteAddr: s.RemoteAddr,
	})
}
