package topology

import (
	"context"
	"strconv"

	"relink/shared/device"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/sign"
	"relink/shared/store"
)

// add is thing/topo/add: the gateway presents sub-devices, each with its signature. One of another gateway moves.
func (s *Service) add(ctx context.Context, r *exchange.Request) exchange.Answer {
	gateway := r.Ref()
	entries, k, err := s.presented(ctx, r, maxEntries)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	for i := range entries {
		if err := s.mayAdd(ctx, gateway, &entries[i], k.devices[i]); err != nil {
			return exchange.Answer{Err: err, Detail: entries[i].ref.String()}
		}
	}
	sessions, err := s.attach(ctx, gateway, refsOf(entries), &k)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	return exchange.Answer{Err: s.dropFrom(ctx, gateway, sessions), Messages: addedTo(r, entries, &k)}
}

// presented reads the sub-devices that a gateway names in a request, at most limit, and looks them up. Who asks has to be a gateway.
func (s *Service) presented(ctx context.Context, r *exchange.Request, limit int) ([]entry, known, error) {
	is, err := s.isGateway(ctx, r.Ref())
	if err == nil && !is {
		err = errNotGateway
	}
	if err != nil {
		return nil, known{}, err
	}
	entries, err := readEntries(r.Alink.Params, limit)
	if err != nil {
		return nil, known{}, err
	}
	k, err := s.lookUp(ctx, refsOf(entries))
	return entries, k, err
}

// mayAdd tells why an entry of topo/add is refused; nil if it is not.
func (s *Service) mayAdd(ctx context.Context, gateway iot.DeviceRef, e *entry, d *store.Device) error {
	method, ok := e.resolve()
	switch {
	case !ok:
		return errSignMethod
	case e.sign == "":
		return malformed("sign is missing")
	case e.ref == gateway:
		return errSelf
	case d == nil:
		return errDevice
	}
	p, err := s.products.Get(ctx, e.ref.ProductKey)
	switch {
	case iot.Is(err, iot.ProductNotFound):
		return errDevice
	case err != nil:
		return err
	case p.NodeType == device.NodeGateway:
		return errNotSubDevice
	case p.AuthType == authTypeX509:
		return errCertified
	case !verify(d, method, e, s.now().UnixMilli()):
		return errAddSign
	case d.Disabled:
		return errDisabled
	}
	return nil
}

// verify checks what an entry presents against the device's live secrets, and notes which one it was.
func verify(d *store.Device, method sign.Method, e *entry, now int64) bool {
	secrets, serials := d.Secrets(now)
	i := sign.VerifySubAny(method, secrets, e.fields, e.sign)
	if i >= 0 {
		e.serial = serials[i]
	}
	return i >= 0
}

// attach gives sub-devices, about which k is known, to a gateway, and answers the sessions that those have over other gateways: they end
// now. A sub-device whose connection is its own keeps it.
func (s *Service) attach(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, k *known) ([]*store.Session, error) {
	fresh := 0
	for i := range subs {
		if k.gatewayOf(i) != gateway {
			fresh++
		}
	}
	if err := s.room(ctx, gateway, fresh); err != nil {
		return nil, err
	}
	if err := firstError(s.links.Add(ctx, gateway, subs, s.now().UnixMilli())); err != nil {
		return nil, err
	}
	return s.sessions.GetMany(ctx, subs)
}

// room reports errFull if a gateway cannot have so many sub-devices more.
func (s *Service) room(ctx context.Context, gateway iot.DeviceRef, more int) error {
	if more == 0 {
		return nil
	}
	n, err := s.links.Count(ctx, gateway)
	if err == nil && n+more > s.limits.SubDevices {
		_, n, err = s.links.List(ctx, gateway, 0, 0) // exact
	}
	if err == nil && n+more > s.limits.SubDevices {
		err = errFull
	}
	return err
}

// dropFrom ends the sessions among these that are over another gateway than this one.
func (s *Service) dropFrom(ctx context.Context, gateway iot.DeviceRef, sessions []*store.Session) error {
	var gone []*store.Session
	for _, x := range sessions {
		if x != nil && x.Node != "" && !x.Gateway.IsZero() && x.Gateway != gateway {
			gone = append(gone, x)
		}
	}
	return s.drop(ctx, gone)
}

// remove is thing/topo/delete.
func (s *Service) remove(ctx context.Context, r *exchange.Request) exchange.Answer {
	entries, err := readEntries(r.Alink.Params, maxEntries)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	k, err := s.lookUp(ctx, refsOf(entries))
	if err != nil {
		return exchange.Answer{Err: err}
	}
	for i := range entries {
		if k.gatewayOf(i) == r.Ref() || k.endedBy(i, r) {
			continue
		}
		err := error(errNoRelation)
		if k.devices[i] == nil {
			err = errDevice
		}
		return exchange.Answer{Err: err, Detail: entries[i].ref.String()}
	}
	answer := s.detach(ctx, r, refsOf(entries))
	answer.Messages = removedFrom(r, entries, &k)
	return answer
}

// endedBy reports whether this very message has ended the i-th device's relation: its first answer was lost.
func (k *known) endedBy(i int, r *exchange.Request) bool {
	link := k.links[i]
	return link != nil && link.Former == r.Ref() && link.EndedBy != "" && link.EndedBy == r.Record.MessageID
}

// unregister is thing/sub/unregister: it removes the relation, not the device. What has no relation may go without an error.
func (s *Service) unregister(ctx context.Context, r *exchange.Request) exchange.Answer {
	entries, err := readEntries(r.Alink.Params, maxRegistered)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	k, err := s.lookUp(ctx, refsOf(entries))
	if err != nil {
		return exchange.Answer{Err: err}
	}
	for i := range entries {
		var err error
		switch gateway := k.gatewayOf(i); {
		case entries[i].ref == r.Ref():
			err = errSelf
		case k.devices[i] == nil:
			err = s.unknown(ctx, entries[i].ref)
		case gateway != r.Ref() && !gateway.IsZero():
			err = errBound
		}
		if err != nil {
			return exchange.Answer{Err: err, Detail: entries[i].ref.String()}
		}
	}
	answer := s.detach(ctx, r, refsOf(entries))
	answer.Messages = removedFrom(r, entries, &k)
	return answer
}

// unknown is the error for a device that does not exist: perhaps its product does not either.
func (s *Service) unknown(ctx context.Context, ref iot.DeviceRef) error {
	if _, err := s.products.Get(ctx, ref.ProductKey); iot.Is(err, iot.ProductNotFound) {
		return errProduct
	} else if err != nil {
		return err
	}
	return errDevice
}

// detach takes sub-devices from the gateway that asks for it. Their sessions over its connection end with the answer, those that are
// left on a connection which it had before end there.
func (s *Service) detach(ctx context.Context, r *exchange.Request, subs []iot.DeviceRef) exchange.Answer {
	if err := firstError(s.links.Remove(ctx, r.Ref(), subs, r.Record.MessageID)); err != nil {
		return exchange.Answer{Err: err}
	}
	sessions, err := s.sessions.GetMany(ctx, subs)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	var here, elsewhere []*store.Session
	for _, x := range sessions {
		switch {
		case x == nil || x.Gateway != r.Ref():
		case x.Node == r.Node || ended(r, x):
			here = append(here, x)
		case x.Node != "":
			elsewhere = append(elsewhere, x)
		}
	}
	if err := s.drop(ctx, elsewhere); err != nil {
		return exchange.Answer{Err: err}
	}
	return s.endHere(ctx, r, here)
}

// endHere ends sessions over the gateway that asks for it; the answer tells the connector.
func (s *Service) endHere(ctx context.Context, r *exchange.Request, sessions []*store.Session) exchange.Answer {
	if len(sessions) == 0 {
		return exchange.Answer{}
	}
	var out device.SubSessions
	refs, epochs, at := make([]iot.DeviceRef, len(sessions)), make([]int64, len(sessions)), make([]int64, len(sessions))
	for i, x := range sessions {
		refs[i], epochs[i], at[i] = x.Ref, x.Epoch, r.Record.ReceivedAt
		out.Logout = append(out.Logout, device.SubEnd{ProductKey: x.Ref.ProductKey, DeviceName: x.Ref.DeviceName, Epoch: x.Epoch})
	}
	if err := firstError(s.sessions.End(ctx, refs, epochs, at)); err != nil {
		return exchange.Answer{Err: err}
	}
	return exchange.Answer{Sessions: encode(&out)}
}

// get is thing/topo/get.
func (s *Service) get(ctx context.Context, r *exchange.Request) exchange.Answer {
	subs, _, err := s.links.List(ctx, r.Ref(), 0, max(s.limits.SubDevices, 1))
	if err != nil {
		return exchange.Answer{Err: err, Data: []byte("[]")}
	}
	return exchange.Answer{Data: appendRefs(nil, subs, true), Detail: strconv.Itoa(len(subs)) + " sub-devices"}
}

// found is thing/list/found: what a gateway discovered. Of it registered devices that could be its sub-devices are kept for the
// operators (RelinkListFoundDevices); others are nothing that could be offered.
func (s *Service) found(ctx context.Context, r *exchange.Request) exchange.Answer {
	if is, err := s.isGateway(ctx, r.Ref()); err != nil {
		return exchange.Answer{Err: err}
	} else if !is {
		return exchange.Answer{Err: errNotGateway}
	}
	entries, err := readEntries(r.Alink.Params, maxEntries)
	if err != nil {
		if len(entries) == 1 && iot.ValidProductKey(string(entries[0].ref.ProductKey)) && entries[0].ref.DeviceName != "" {
			err = errName
		}
		return exchange.Answer{Err: err}
	}
	for i := range entries {
		p, err := s.products.Get(ctx, entries[i].ref.ProductKey)
		switch {
		case iot.Is(err, iot.ProductNotFound):
			err = errFoundProduct
		case err == nil && p.NodeType == device.NodeGateway:
			err = errNotSubDevice
		}
		if err != nil {
			return exchange.Answer{Err: err, Detail: entries[i].ref.String()}
		}
	}
	devices, err := s.devices.GetMany(ctx, refsOf(entries))
	if err != nil {
		return exchange.Answer{Err: err}
	}
	var found []store.Discovery
	for _, d := range devices {
		if d != nil {
			found = append(found, store.Discovery{Device: d.Ref, At: r.Record.ReceivedAt})
		}
	}
	if len(found) > 0 {
		err = s.discoveries.Put(ctx, r.Ref(), found)
	}
	return exchange.Answer{Err: err, Messages: foundBy(r, devices)}
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
