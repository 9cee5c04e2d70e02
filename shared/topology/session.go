package topology

import (
	"context"
	"encoding/json"
	"strconv"

	"relink/shared/access"
	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/store"
)

// login is combine/login: a sub-device gets a session over its gateway's connection.
func (s *Service) login(ctx context.Context, r *exchange.Request) exchange.Answer {
	return s.serveOne(r, func(e entry) exchange.Answer { return s.logIn(ctx, r, []entry{e}) })
}

// logout is combine/logout.
func (s *Service) logout(ctx context.Context, r *exchange.Request) exchange.Answer {
	return s.serveOne(r, func(e entry) exchange.Answer { return s.logOut(ctx, r, []entry{e}) })
}

// serveOne reads a request about one sub-device. Both names are in the answer's data whatever happens: firmware needs them there.
func (s *Service) serveOne(r *exchange.Request, serve func(e entry) exchange.Answer) exchange.Answer {
	var err error
	if r.Alink, err = alink.Parse(r.Record.Payload); err != nil {
		return respond(r, exchange.Answer{Err: err})
	}
	e, err := readEntry(r.Alink.Params)
	if err != nil {
		return respond(r, exchange.Answer{Err: err, Data: appendRef(nil, e.ref, false)})
	}
	a := serve(e)
	a.Data = appendRef(nil, e.ref, false)
	return respond(r, a)
}

// batchLogin is combine/batch_login: signMethod stands beside the list or in each entry, where it wins.
func (s *Service) batchLogin(ctx context.Context, r *exchange.Request) exchange.Answer {
	var err error
	if r.Alink, err = alink.Parse(r.Record.Payload); err != nil {
		return respond(r, exchange.Answer{Err: err, Data: noRefs})
	}
	var list []byte
	method := ""
	for name, value := range alink.Members(r.Alink.Params) {
		switch string(name) {
		case "deviceList":
			list = value
		case "signMethod", "signmethod":
			method, _ = scalar(value)
		}
	}
	if len(list) == 0 || list[0] != '[' {
		return respond(r, exchange.Answer{Err: malformed("deviceList is missing or not an array"), Data: noRefs})
	}
	entries, err := readEntries(list, s.limits.Batch)
	if err != nil {
		return respond(r, exchange.Answer{Err: err, Data: appendRefs(nil, refsOf(entries), false)})
	}
	for i := range entries {
		if entries[i].method == "" {
			entries[i].method = method
		}
	}
	return respond(r, s.logIn(ctx, r, entries))
}

// batchLogout is combine/batch_logout, whose params are an array.
func (s *Service) batchLogout(ctx context.Context, r *exchange.Request) exchange.Answer {
	var err error
	if r.Alink, err = alink.Parse(r.Record.Payload); err != nil {
		return respond(r, exchange.Answer{Err: err, Data: noRefs})
	}
	if r.Alink.Params[0] != '[' {
		return respond(r, exchange.Answer{Err: malformed("params is not an array"), Data: noRefs})
	}
	entries, err := readEntries(r.Alink.Params, s.limits.Batch)
	if err != nil {
		return respond(r, exchange.Answer{Err: err, Data: appendRefs(nil, refsOf(entries), false)})
	}
	return respond(r, s.logOut(ctx, r, entries))
}

var noRefs = []byte("[]")

// respond makes the reply of a session request, in the order of members that the protocol shows for these alone, always with QoS 0:
//
//	{"id":"123","code":200,"message":"success","data":{"productKey":"a1SubSubSub","deviceName":"sub01"}}
func respond(r *exchange.Request, a exchange.Answer) exchange.Answer {
	if !r.Alink.Ack {
		return a
	}
	code, message := alink.CodeOf(a.Err)
	b := alink.AppendString([]byte(`{"id":`), r.Alink.ID)
	b = strconv.AppendInt(append(b, `,"code":`...), int64(code), 10)
	b = alink.AppendString(append(b, `,"message":`...), message)
	b = append(b, `,"data":`...)
	if len(a.Data) == 0 {
		a.Data = []byte("{}")
	}
	b = append(append(b, a.Data...), '}')
	a.Replies = append(a.Replies, record.Reply{Topic: r.Up.ReplyTopic(r.Record.Topic), Payload: b})
	return a
}

// refusals are the entries of a batch that are refused, and why the first one is.
type refusals struct {
	first error
	refs  []iot.DeviceRef
}

func (f *refusals) add(ref iot.DeviceRef, err error) {
	if err == nil {
		return
	}
	if f.first == nil {
		f.first = err
	}
	f.refs = append(f.refs, ref)
}

func (f *refusals) answer() exchange.Answer {
	return exchange.Answer{Err: f.first, Data: appendRefs(nil, f.refs, false), Detail: f.refs[0].String()}
}

// logIn gives all entries their sessions, or none.
func (s *Service) logIn(ctx context.Context, r *exchange.Request, entries []entry) exchange.Answer {
	refs := refsOf(entries)
	k, err := s.lookUp(ctx, refs)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	sessions, err := s.sessions.GetMany(ctx, append([]iot.DeviceRef{r.Ref()}, refs...))
	if err != nil {
		return exchange.Answer{Err: err}
	}
	gateway, sessions := sessions[0], sessions[1:]
	if gateway == nil || gateway.Node != r.Node {
		// The gateway has gone, or connected to another node: what it does not hold it cannot share.
		return exchange.Answer{Err: errSuperseded, Data: appendRefs(nil, refs, false)}
	}
	var refused refusals
	products := make([]*store.CachedProduct, len(entries))
	for i := range entries {
		products[i], err = s.mayLogIn(ctx, r, &entries[i], k.devices[i], k.gatewayOf(i), sessions[i])
		if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
			return exchange.Answer{Err: err}
		}
		refused.add(refs[i], err)
	}
	if refused.first != nil {
		return refused.answer()
	}
	if full, err := s.tooManyOnline(ctx, r.Ref(), sessions); err != nil {
		return exchange.Answer{Err: err}
	} else if full {
		return exchange.Answer{Err: errOnline, Data: appendRefs(nil, refs, false)}
	}
	return s.take(ctx, r, entries, k.devices, products, gateway)
}

// mayLogIn tells why a sub-device may not log in; nil if it may. Its state is told only to who has proved to know its secret.
func (s *Service) mayLogIn(ctx context.Context, r *exchange.Request, e *entry, d *store.Device, owner iot.DeviceRef, session *store.Session) (*store.CachedProduct, error) {
	method, ok := e.resolve()
	switch {
	case !ok:
		return nil, errSignMethod
	case e.sign == "":
		return nil, malformed("sign is missing")
	case d == nil && owner == r.Ref():
		return nil, errDeleted
	case d == nil:
		return nil, errDevice
	case owner != r.Ref():
		return nil, errNoRelation
	case !verify(d, method, e, s.now().UnixMilli()):
		return nil, errLoginSign
	case session.RecentLogins(r.Record.ReceivedAt) >= int64(s.limits.Logins):
		return nil, errLogins
	case d.Disabled:
		return nil, errDisabled
	}
	p, err := s.products.Get(ctx, e.ref.ProductKey)
	switch {
	case iot.Is(err, iot.ProductNotFound):
		err = errDeleted
	case err == nil && p.AuthType == authTypeX509:
		err = errCertified
	}
	return p, err
}

// tooManyOnline reports whether a gateway would have more sub-devices online than it may. Where it may have as many online as belong to
// it that need not be counted.
func (s *Service) tooManyOnline(ctx context.Context, gateway iot.DeviceRef, asking []*store.Session) (bool, error) {
	if s.limits.Online >= s.limits.SubDevices {
		return false, nil
	}
	subs, _, err := s.links.List(ctx, gateway, 0, max(s.limits.SubDevices, 1))
	if err != nil {
		return false, err
	}
	all, err := s.sessions.GetMany(ctx, subs)
	if err != nil {
		return false, err
	}
	online := func(x *store.Session) bool { return x != nil && x.Node != "" && x.Gateway == gateway }
	n := 0
	for _, x := range all {
		if online(x) {
			n++
		}
	}
	fresh := 0
	for _, x := range asking {
		if !online(x) {
			fresh++
		}
	}
	return fresh > 0 && n+fresh > s.limits.Online, nil
}

// take takes the sessions of all entries, which are different devices. The message's own time is that of the sessions, so that the same
// message again is the same login.
func (s *Service) take(ctx context.Context, r *exchange.Request, entries []entry, devices []*store.Device, products []*store.CachedProduct,
	gateway *store.Session) exchange.Answer {
	takes := make([]store.Take, len(entries))
	for i := range entries {
		takes[i] = store.Take{
			Ref: entries[i].ref, Node: r.Node, Gateway: r.Ref(), ExtRRPC: gateway.ExtRRPC, RemoteAddr: gateway.RemoteAddr, At: r.Record.ReceivedAt,
			Persistent: !entries[i].clean, Discard: entries[i].clean,
			SecretSerial: entries[i].serial,
		}
	}
	taken, before, errs := s.sessions.Take(ctx, takes)
	if err := firstError(errs); err != nil {
		s.giveBack(ctx, r, taken, errs)
		return exchange.Answer{Err: err, Data: appendRefs(nil, refsOf(entries), false)}
	}
	var out device.SubSessions
	for i, session := range taken {
		grant := s.grants.Grant(ctx, products[i], devices[i], session)
		access.Keep(grant, session, before[i])
		out.Login = append(out.Login, *grant)
	}
	return exchange.Answer{Sessions: encode(&out), Data: appendRefs(nil, refsOf(entries), false)}
}

// giveBack ends the sessions of a batch of which others could not be taken. One that cannot be ended either is ended by the connector's
// end, or taken again by the next login.
func (s *Service) giveBack(ctx context.Context, r *exchange.Request, taken []*store.Session, errs []error) {
	var refs []iot.DeviceRef
	var epochs, at []int64
	for i, session := range taken {
		if errs[i] == nil {
			refs, epochs, at = append(refs, session.Ref), append(epochs, session.Epoch), append(at, r.Record.ReceivedAt)
		}
	}
	if err := firstError(s.sessions.End(ctx, refs, epochs, at)); err != nil {
		s.logNotEnded(ctx, r.Ref(), err)
	}
}

// logOut ends the sessions of all entries, or none.
func (s *Service) logOut(ctx context.Context, r *exchange.Request, entries []entry) exchange.Answer {
	refs := refsOf(entries)
	sessions, err := s.sessions.GetMany(ctx, refs)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	var refused refusals
	for i, x := range sessions {
		switch {
		case x == nil || x.Gateway != r.Ref():
			refused.add(refs[i], errNoSession)
		case x.Node == r.Node:
		case ended(r, x): // its first answer was lost
		default:
			refused.add(refs[i], errNoSession)
		}
	}
	if refused.first != nil {
		return refused.answer()
	}
	a := s.endHere(ctx, r, sessions)
	a.Data = appendRefs(nil, refs, false)
	return a
}

// ended reports whether this very message, which is tried again, has ended a session. The time alone does not tell: the connector too ends
// what a gateway logged out, a moment later.
func ended(r *exchange.Request, x *store.Session) bool {
	return (r.Record.Attempt > 0 || r.Record.Dup) && x.Node == "" && x.OfflineAt == r.Record.ReceivedAt
}

func encode(out *device.SubSessions) []byte {
	b, err := json.Marshal(out)
	if err != nil { // strings and numbers: it cannot fail
		return []byte("{}")
	}
	return b
}
