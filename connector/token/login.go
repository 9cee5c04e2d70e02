package token

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/token"
)

// A Ticket is what a device gets that has logged in.
type Ticket struct {
	Token     string
	Random    string // of protocol coap: what the device makes its key of
	Key       []byte // of protocol coap: that key, 16 bytes
	ExpiresAt time.Time
	Session   *session.Session
}

// Login has a login decided by function auth. Errors are those of Session.
func (k *Keeper) Login(ctx context.Context, l *device.TokenLogin) (*Ticket, error) {
	return k.decide(ctx, l, false)
}

// LoginAgain is Login for a device that has proved itself from the same address before: that others fail from there, where anybody can
// pretend to be, does not stop it.
func (k *Keeper) LoginAgain(ctx context.Context, l *device.TokenLogin) (*Ticket, error) {
	return k.decide(ctx, l, true)
}

func (k *Keeper) decide(ctx context.Context, l *device.TokenLogin, familiar bool) (*Ticket, error) {
	ticket, err := k.login(ctx, l, familiar)
	if err != nil {
		return nil, k.turnAway(err, l.Protocol, l.RemoteAddr)
	}
	return ticket, nil
}

func (k *Keeper) login(ctx context.Context, l *device.TokenLogin, familiar bool) (*Ticket, error) {
	began := k.now()
	dev := device.Claimed(l.Params)
	budget := k.budget(l.Protocol)
	switch {
	case !familiar && budget != nil && !budget.Allows(addrOf(l.RemoteAddr)):
		return nil, refused(refusal.RateLimitedSource, dev)
	case dev.IsZero():
		return nil, &Refused{Why: refusal.New(refusal.TokenLoginMalformed, "productKey or deviceName")}
	case k.opts.Connects != nil && !k.opts.Connects.Take(dev):
		return nil, refused(refusal.RateLimitedDevice, dev)
	}
	granted := false
	defer func() {
		if !granted && k.opts.Connects != nil {
			k.opts.Connects.GiveBack(dev) // or strangers could lock a device out
		}
	}()
	request := *l
	request.Node, request.At = k.opts.Node, began.UnixMilli()
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, &Undecided{err.Error()}
	}
	result, err := session.Ask(ctx, k.opts.Dispatcher, functionAuth, k.opts.LoginTimeout, record.Record{
		MessageID: k.opts.NextID(request.At), Device: dev, Topic: device.TopicTokenLogin, Payload: payload, ReceivedAt: request.At,
	})
	var got device.TokenGrant
	if err := answered(dev, result, err, &got); err != nil {
		return nil, err
	}
	claims, err := k.opts.Sealer.Open(got.Token)
	if err != nil || claims.Device != dev || got.Grant.Ref() != dev {
		return nil, &Undecided{"the token of function auth is not of this installation: RELINK_INTERNAL_KEY differs"}
	}
	granted = true
	s := k.granted(&claims, &got.Grant, l.RemoteAddr, began)
	if family, ok := token.FamilyOf(l.Protocol); ok {
		s.Conn().(*conn).at(family).Store(request.At) // function auth has noted the login itself
	}
	k.opts.Journal.Record(session.Event{
		Device: dev, IotID: got.Grant.IotID, Operation: session.OpAuth, Code: 200, Detail: l.Protocol, RemoteAddr: l.RemoteAddr,
		LatencyMS: k.now().Sub(began).Milliseconds(), RequestID: result.RequestID,
	})
	return &Ticket{Token: got.Token, Random: got.Random, Key: got.Key, ExpiresAt: time.UnixMilli(got.ExpiresAt), Session: s}, nil
}

// granted keeps the grant of a login.
func (k *Keeper) granted(c *token.Claims, g *device.Grant, remoteAddr string, began time.Time) *session.Session {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := proofOf(c)
	e := k.entries[p]
	if e == nil {
		e = k.add(p)
	} else {
		k.use(e)
	}
	k.keep(e, g, remoteAddr, began)
	return e.session
}

// keep puts a grant into an entry. The session stays the same while the device is the same. The lock is held.
func (k *Keeper) keep(e *entry, g *device.Grant, remoteAddr string, began time.Time) {
	list := g.Topics.List()
	if k.opts.Share != nil {
		g.Topics = k.opts.Share(g)
	}
	now := k.now()
	if s := e.session; s == nil || s.Grant.IotID != g.IotID || s.Grant.NodeType != g.NodeType || s.Grant.DataFormat != g.DataFormat {
		e.session = session.New(g, new(conn), remoteAddr, now)
		e.session.Limit(k.opts.Rates)
	} else if k.opts.Share == nil {
		s.Grant.Topics.Set(list)
	}
	e.refused, e.confirmed, e.due = nil, now, k.dueAfter(now)
	if k.drops.Since(e.proof.device, began) != "" {
		e.confirmed, e.due = time.Time{}, time.Time{} // it was decided before the device changed
	}
}

// A flight is a question about a token that is under way; all who want to know wait for its one answer.
type flight struct {
	done    chan struct{}
	session *session.Session
	err     error // a *Refused or an *Undecided
}

func (f *flight) wait(ctx context.Context) (*session.Session, error) {
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, &Undecided{context.Cause(ctx).Error()}
	}
}

// ask begins to ask whether a token still holds. The lock is held.
func (k *Keeper) ask(e *entry, protocol, remoteAddr string) *flight {
	f := &flight{done: make(chan struct{})}
	e.flight = f
	go k.resume(e, f, protocol, remoteAddr) // ends with the login's time-out at the latest
	return f
}

func (k *Keeper) resume(e *entry, f *flight, protocol, remoteAddr string) {
	defer close(f.done)
	began := k.now()
	p := e.proof
	at := began.UnixMilli()
	payload, err := json.Marshal(device.Resume{
		ProductKey: p.device.ProductKey, DeviceName: p.device.DeviceName, IotHash: p.iot[:], Serial: p.serial, Protocol: protocol, RemoteAddr: remoteAddr, At: at,
	})
	var g device.Grant
	if err == nil {
		var result record.Result
		result, err = session.Ask(context.Background(), k.opts.Dispatcher, functionAuth, k.opts.LoginTimeout, record.Record{
			MessageID: k.opts.NextID(at), Device: p.device, Topic: device.TopicResume, Payload: payload, ReceivedAt: at,
		})
		err = answered(p.device, result, err, &g)
		if err == nil && g.Ref() != p.device {
			err = &Undecided{"the grant is for another device"}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	current := e.flight == f // else the device was forgotten meanwhile
	if current {
		e.flight = nil
	}
	now := k.now()
	why, isRefused := errors.AsType[*Refused](err)
	switch {
	case err == nil && current:
		k.keep(e, &g, remoteAddr, began)
		f.session = e.session
	case err == nil: // the answer is to a question before that; the device's next message asks again
		f.err = &Undecided{"the device was changed meanwhile"}
	case isRefused:
		f.err = why
		if current {
			e.refused, e.due = why, now.Add(refusedFor)
		}
	case current && e.session != nil && now.Sub(e.confirmed) < graceFor:
		f.session, e.due = e.session, now.Add(graceRetry)
	default:
		f.err = err
	}
}
