// Package token lets devices in that keep no connection: those of HTTP and CoAP ("HTTP(S) device access", "CoAP device access" in the
// device protocol). They log in once for a token, and show it with every message. Function auth issues it; this package opens it without
// asking anybody, keeps what the device may do, and asks again now and then whether it still holds.
//
// A device that is disabled, deleted, or whose secret is changed is forgotten (Forget) because a control message says so; that a grant is
// asked for again after a minute is for messages that did not come.
package token

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/token"
)

// functionAuth decides logins and grants; functionLifecycle keeps who was heard of.
const (
	functionAuth      = "auth"
	functionLifecycle = "lifecycle"
)

// Options configure a Keeper. The first group is required.
type Options struct {
	Dispatcher session.Dispatcher
	Journal    session.Journal
	Sealer     *token.Sealer
	NextID     func(at int64) string // message ids
	Node       string
	Logger     *slog.Logger

	Budget *limits.Budget // of failures per source, shared with the other faces; nil: no limit
	// Forgeable is Budget for the protocol coap, where anybody can write any address on a datagram: with one budget a stranger could lock
	// those out who connect from there.
	Forgeable *limits.Budget
	Connects  *limits.Connects          // logins of one device, shared with the other faces; nil: no limit
	Rates     limits.Rates              // messages of one device
	Refused   func(cause refusal.Cause) // counts; nil: nobody does
	// Share gives the topic classes that all grants of a product have, so that a change reaches them; nil: each has its own.
	Share func(*device.Grant) *device.Classes

	LoginTimeout time.Duration // of function auth; 8 s
	MaxDevices   int           // whose grants are kept; beyond, those that have been silent longest are forgotten; 100,000
	Recheck      time.Duration // after which a grant is asked for again, less up to a tenth; 60 s
	Now          func() time.Time
}

// How long other answers count.
const (
	refusedFor = 2 * time.Second  // a refusal, so that a device that repeats itself costs no invocation each time
	graceFor   = 10 * time.Minute // a grant that is due while function auth does not answer, since it was last confirmed
	graceRetry = 5 * time.Second  // and then it is asked again
)

// A Keeper knows the devices that speak with tokens. It is safe for concurrent use. End it with Close.
type Keeper struct {
	opts  Options
	now   func() time.Time
	drops *session.Drops // devices that were forgotten lately: a login or a resume that began before does not count
	heard *hearing

	mu       sync.Mutex
	entries  map[proof]*entry
	byDevice map[iot.DeviceRef]*entry // the first of those of a device
	first    *entry                   // most lately used
	last     *entry
}

// A proof is who a token is of, and what it was given for: tokens that have it in common have one grant.
type proof struct {
	device iot.DeviceRef
	iot    token.IotHash
	serial int64
}

func proofOf(c *token.Claims) proof { return proof{c.Device, c.Iot, c.Serial} }

// An entry is what was answered about one proof.
type entry struct {
	proof      proof
	session    *session.Session // nil: never granted
	confirmed  time.Time        // when session was last granted
	refused    *Refused         // the last answer, if that was a refusal
	due        time.Time        // when the answer has to be asked for again
	flight     *flight          // that asks; nil if none does
	prev, next *entry           // in the order of use
	sibling    *entry           // of the same device
}

// New makes a Keeper and starts its goroutine.
func New(o Options) *Keeper {
	if o.LoginTimeout == 0 {
		o.LoginTimeout = 8 * time.Second
	}
	if o.MaxDevices == 0 {
		o.MaxDevices = 100_000
	}
	if o.Recheck == 0 {
		o.Recheck = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{
		opts: o, now: o.Now, drops: session.NewDrops(o.LoginTimeout + 5*time.Second), entries: make(map[proof]*entry), byDevice: make(map[iot.DeviceRef]*entry),
	}
	k.heard = startHearing(k)
	return k
}

// Close stops the Keeper's goroutine. What devices were heard of lately is told until ctx ends.
func (k *Keeper) Close(ctx context.Context) error { return k.heard.close(ctx) }

// Devices is how many grants are kept.
func (k *Keeper) Devices() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.entries)
}

// Session gives the session of a token's device: the same for all its messages, known to nobody else, and without a connection. It waits
// for function auth if the grant is not known or due, until ctx ends. An error that is a *refusal.Error says that the device is refused for that
// cause (which has been logged); any other that nothing was decided, and the device may try again.
func (k *Keeper) Session(ctx context.Context, text, protocol, remoteAddr string) (*session.Session, error) {
	claims, err := k.open(text, protocol, remoteAddr)
	if err != nil {
		return nil, k.turnAway(err, protocol, remoteAddr)
	}
	p := proofOf(&claims)
	k.mu.Lock()
	e := k.entries[p]
	if e != nil {
		k.use(e)
		if s, why, ok := e.answer(k.now()); ok {
			k.mu.Unlock()
			if why != nil {
				return nil, k.turnAway(why, protocol, remoteAddr)
			}
			return s, nil
		}
	} else {
		e = k.add(p)
	}
	f := e.flight
	if f == nil {
		f = k.ask(e, protocol, remoteAddr)
	}
	k.mu.Unlock()
	s, err := f.wait(ctx)
	if err != nil {
		return nil, k.turnAway(err, protocol, remoteAddr)
	}
	return s, nil
}

// Try is Session for who must not wait: false says that Session has to be asked, which knows why. The error is nil.
func (k *Keeper) Try(text, protocol string) (*session.Session, error, bool) {
	claims, err := k.opts.Sealer.Open(text)
	if err != nil || k.misplaced(&claims, protocol) != "" {
		return nil, nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[proofOf(&claims)]
	if e == nil {
		return nil, nil, false
	}
	s, why, ok := e.answer(k.now())
	if !ok || why != nil {
		return nil, nil, false
	}
	k.use(e)
	return s, nil, true
}

// answer is what is known; false if it has to be asked for. The lock is held.
func (e *entry) answer(now time.Time) (*session.Session, *Refused, bool) {
	switch {
	case !now.Before(e.due):
		return nil, nil, false
	case e.refused != nil:
		return nil, e.refused, true
	}
	return e.session, nil, e.session != nil
}

// open reads a token, and checks what can be seen of it. The error is a *Refused.
func (k *Keeper) open(text, protocol, remoteAddr string) (token.Claims, error) {
	if !k.allowed(protocol, remoteAddr) {
		return token.Claims{}, refused(refusal.RateLimitedSource, iot.DeviceRef{})
	}
	if text == "" {
		return token.Claims{}, refused(refusal.TokenMissing, iot.DeviceRef{})
	}
	claims, err := k.opts.Sealer.Open(text)
	if err != nil {
		return token.Claims{}, refused(refusal.TokenMalformed, iot.DeviceRef{})
	}
	if cause := k.misplaced(&claims, protocol); cause != "" {
		return token.Claims{}, refused(cause, claims.Device)
	}
	return claims, nil
}

// misplaced says why a token that opens does not hold here and now; it is empty if it does.
func (k *Keeper) misplaced(c *token.Claims, protocol string) refusal.Cause {
	family, _ := token.FamilyOf(protocol)
	switch {
	case c.Family != family:
		return refusal.TokenOtherProtocol
	case k.now().Unix() >= c.ExpiresAt:
		return refusal.TokenExpired
	}
	return ""
}

// allowed reports whether the budget of a source has room. The address of a datagram proves nothing, and to open a token costs little: there
// only logins count, which cost an invocation.
func (k *Keeper) allowed(protocol, remoteAddr string) bool {
	return k.opts.Budget == nil || protocol == "coap" || k.opts.Budget.Allows(addrOf(remoteAddr))
}

// budget is what failures over a protocol count against; nil: there is no limit.
func (k *Keeper) budget(protocol string) *limits.Budget {
	if protocol == "coap" {
		return k.opts.Forgeable
	}
	return k.opts.Budget
}

func addrOf(remote string) netip.Addr {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr()
	}
	a, _ := netip.ParseAddr(remote) // what is none counts for nobody
	return a
}

// Forget says that a device was disabled, enabled, deleted, or has another secret: whatever is known of it is asked for again.
func (k *Keeper) Forget(ref iot.DeviceRef) {
	k.drops.Note(ref, refusal.TokenRevoked, k.now())
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.byDevice[ref]; e != nil; e = e.sibling {
		e.due, e.confirmed, e.refused, e.flight = time.Time{}, time.Time{}, nil, nil // who comes now does not take the answer to an older question
	}
}

// Allow counts a message of a device against its rate; the error, if it is one too many, is a *refusal.Error with the cause
// RateLimitedMessages. Those of qos 0 and 1 are counted apart, as MQTT's are.
func (k *Keeper) Allow(s *session.Session, qos byte) error {
	if s.MaySendTogether(qos, k.now().UnixMilli()) {
		return nil
	}
	return refusal.New(refusal.RateLimitedMessages, "")
}

// dueAfter spreads what is due, so that devices that came together are not asked for together ever after.
func (k *Keeper) dueAfter(now time.Time) time.Time {
	return now.Add(k.opts.Recheck - rand.N(k.opts.Recheck/10+1))
}

// conn stands where a connection would: there is none to publish to, or to end.
type conn struct {
	heard [2]heardAt // by protocol: HTTP, CoAP
}

func (*conn) Publish(string, []byte, byte) downlink.State { return downlink.Offline }

func (*conn) End(refusal.Cause, string) {}
