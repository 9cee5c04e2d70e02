package topology

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/sign"
	"relink/shared/store"
	"relink/shared/topic"
)

// Changes that a gateway is told on thing/topo/change ("Topology", status).
const (
	changeAdded    = 0
	changeRemoved  = 1
	changeEnabled  = 2
	changeDisabled = 8
)

// maxTold is how many sub-devices one topo/change names: 500 of the longest names are 60 KB.
const maxTold = 500

// A Presented is a sub-device that an application wants to give to a gateway, with the signature that proves it knows its secret
// ("BatchAddThingTopo", TopoAddItem). ClientID and Timestamp take part in the signature if they are not empty.
type Presented struct {
	Device                                iot.DeviceRef
	ClientID, Timestamp, Sign, SignMethod string
}

func (p *Presented) entry() entry {
	e := entry{ref: p.Device, sign: p.Sign, method: p.SignMethod}
	for _, f := range []sign.Field{
		{Name: "clientId", Value: p.ClientID}, {Name: "deviceName", Value: string(p.Device.DeviceName)},
		{Name: "productKey", Value: string(p.Device.ProductKey)}, {Name: "timestamp", Value: p.Timestamp},
	} {
		if f.Value != "" {
			e.fields = append(e.fields, f)
		}
	}
	return e
}

// List answers a page of a gateway's sub-devices in the order of their names, and how many it has.
func (s *Service) List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) (subs []iot.DeviceRef, total int, err error) {
	return s.links.List(ctx, gateway, offset, limit)
}

// GatewayOf answers the gateway that a device belongs to; zero if to none.
func (s *Service) GatewayOf(ctx context.Context, sub iot.DeviceRef) (iot.DeviceRef, error) {
	links, err := s.links.Links(ctx, []iot.DeviceRef{sub})
	if err != nil || links[0] == nil {
		return iot.DeviceRef{}, err
	}
	return links[0].Gateway, nil
}

// Found answers a page of the devices that a gateway has found and that do not belong to it yet.
func (s *Service) Found(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]store.Discovery, error) {
	if offset < 0 || limit <= 0 {
		return nil, nil
	}
	var page []store.Discovery
	skip := offset
	for at := 0; len(page) < limit; at += maxEntries {
		list, err := s.discoveries.List(ctx, gateway, at, maxEntries)
		if err != nil {
			return nil, err
		}
		refs := make([]iot.DeviceRef, len(list))
		for i := range list {
			refs[i] = list[i].Device
		}
		k, err := s.lookUp(ctx, refs)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if k.devices[i] == nil || k.gatewayOf(i) == gateway {
				continue
			}
			if skip--; skip < 0 && len(page) < limit {
				page = append(page, list[i])
			}
		}
		if len(list) < maxEntries {
			break
		}
	}
	return page, nil
}

// Attach gives sub-devices to a gateway as if it had sent topo/add itself, and tells it. One of another gateway moves, and loses its session
// there. Errors are those of topo/add, as *alink.Error; in kinds: NotPermitted for a signature, QuotaExceeded, DeviceNotFound,
// DeviceDisabled, InvalidParams.
func (s *Service) Attach(ctx context.Context, gateway iot.DeviceRef, items []Presented, id string) error {
	if is, err := s.isGateway(ctx, gateway); err != nil {
		return err
	} else if !is {
		return errNotGateway
	}
	var entries []entry
	seen := make(map[iot.DeviceRef]bool)
	for i := range items {
		if e := items[i].entry(); !seen[e.ref] {
			seen[e.ref] = true
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return errEntries
	}
	refs := refsOf(entries)
	k, err := s.lookUp(ctx, refs)
	if err != nil {
		return err
	}
	for i := range entries {
		if err := s.mayAdd(ctx, gateway, &entries[i], k.devices[i]); err != nil {
			return err
		}
	}
	sessions, err := s.attach(ctx, gateway, refs, &k)
	if err != nil {
		return err
	}
	if err := s.dropFrom(ctx, gateway, sessions); err != nil {
		return err
	}
	for former, subs := range k.formerGateways(refs, gateway) {
		s.tellChange(ctx, former, changeRemoved, subs, id)
	}
	s.tellChange(ctx, gateway, changeAdded, refs, id)
	return nil
}

// formerGateways are the other gateways that devices belonged to.
func (k *known) formerGateways(refs []iot.DeviceRef, gateway iot.DeviceRef) map[iot.DeviceRef][]iot.DeviceRef {
	former := make(map[iot.DeviceRef][]iot.DeviceRef)
	for i, ref := range refs {
		if of := k.gatewayOf(i); !of.IsZero() && of != gateway {
			former[of] = append(former[of], ref)
		}
	}
	return former
}

// Detach removes the relations of a device: all that it has as a gateway, and the one that it has as a sub-device. Its gateway is told, and
// sessions over it end.
func (s *Service) Detach(ctx context.Context, dev iot.DeviceRef, id string) error {
	gateway, err := s.GatewayOf(ctx, dev)
	if err != nil {
		return err
	}
	if !gateway.IsZero() {
		if err := s.detachFrom(ctx, gateway, []iot.DeviceRef{dev}, id); err != nil {
			return err
		}
	} else if err := s.dropStray(ctx, dev); err != nil {
		return err
	}
	subs, _, err := s.links.List(ctx, dev, 0, max(s.limits.SubDevices, 1))
	if err != nil || len(subs) == 0 {
		return err
	}
	return s.detachFrom(ctx, dev, subs, id)
}

// dropStray ends the session that a device has over a gateway although it belongs to none: a removal broke off before it ended it.
func (s *Service) dropStray(ctx context.Context, dev iot.DeviceRef) error {
	sessions, err := s.sessions.GetMany(ctx, []iot.DeviceRef{dev})
	if err != nil {
		return err
	}
	return s.dropFrom(ctx, iot.DeviceRef{}, sessions)
}

// detachFrom removes relations with one gateway, tells it, and ends sessions over it.
func (s *Service) detachFrom(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, id string) error {
	if err := firstError(s.links.Remove(ctx, gateway, subs, id)); err != nil {
		return err
	}
	s.tellChange(ctx, gateway, changeRemoved, subs, id)
	sessions, err := s.sessions.GetMany(ctx, subs)
	if err != nil {
		return err
	}
	var gone []*store.Session
	for _, x := range sessions {
		if x != nil && x.Node != "" && x.Gateway == gateway {
			gone = append(gone, x)
		}
	}
	return s.drop(ctx, gone)
}

// NotifyAdd asks a gateway to add sub-devices by itself (thing/topo/add/notify). Errors: DeviceOffline, SubscriptionNone …
func (s *Service) NotifyAdd(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, id string) error {
	return s.ask(ctx, gateway, topic.DownTopoAddNotify, "topo/add/notify", appendRefs(nil, subs, false), id)
}

// PermitJoin has a gateway let devices of a product join for so many seconds (thing/gateway/permit). Errors as NotifyAdd.
func (s *Service) PermitJoin(ctx context.Context, gateway iot.DeviceRef, seconds int, product iot.ProductKey, id string) error {
	params := strconv.AppendInt([]byte(`{"time":`), int64(seconds), 10)
	params = append(alink.AppendString(append(params, `,"productKey":`...), string(product)), '}')
	return s.ask(ctx, gateway, topic.DownGatewayPermit, "gateway/permit", params, id)
}

// ask sends a request on the gateway's own topic and says if that is not possible.
func (s *Service) ask(ctx context.Context, gateway iot.DeviceRef, family topic.Family, name string, params []byte, id string) error {
	if is, err := s.isGateway(ctx, gateway); err != nil {
		return err
	} else if !is {
		return errNotGateway
	}
	return s.publish(ctx, &downlink.Publish{
		ProductKey: gateway.ProductKey, DeviceName: gateway.DeviceName, MessageID: id, Topic: "/sys/" + gateway.String() + "/thing/" + name,
		Payload: alink.AppendRequest(nil, family.Method(), id, params, alink.Version),
	})
}

func (s *Service) publish(ctx context.Context, p *downlink.Publish) error {
	o, err := s.commander.Command(ctx, downlink.Command{Publish: p})
	if err != nil {
		return err
	}
	switch o.State {
	case downlink.Sent, downlink.Queued:
		return nil
	case downlink.Offline:
		return iot.Errorf(iot.DeviceOffline, "the gateway is offline")
	case downlink.Unsubscribed:
		return iot.Errorf(iot.SubscriptionNone, "the gateway has unsubscribed %s", p.Topic)
	case downlink.Busy, downlink.QueueFull:
		return iot.Errorf(iot.QuotaExceeded, "the gateway does not take messages as fast as they come")
	}
	return iot.Wrap(iot.Internal, fmt.Errorf("the command's state is %q", o.State), "")
}

// tellChange tells a gateway what has changed. Nothing fails because it does not hear of it: it asks for its topology when it connects.
func (s *Service) tellChange(ctx context.Context, gateway iot.DeviceRef, status int, subs []iot.DeviceRef, id string) {
	for len(subs) > 0 {
		n := min(len(subs), maxTold)
		params := strconv.AppendInt([]byte(`{"status":`), int64(status), 10)
		params = append(appendRefs(append(params, `,"subList":`...), subs[:n], false), '}')
		subs = subs[n:]
		s.tell(ctx, gateway, &downlink.Publish{
			ProductKey: gateway.ProductKey, DeviceName: gateway.DeviceName, MessageID: id, Topic: "/sys/" + gateway.String() + "/thing/topo/change",
			Payload: alink.AppendRequest(nil, topic.DownTopoChange.Method(), id, params, alink.Version),
		})
	}
}

func (s *Service) tell(ctx context.Context, listener iot.DeviceRef, p *downlink.Publish) {
	if err := s.publish(ctx, p); err != nil && !iot.Is(err, iot.DeviceOffline) && !iot.Is(err, iot.SubscriptionNone) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "device not told of a change", logs.Device(listener), slog.String(logs.FieldTopic, p.Topic), logs.Err(err))
	}
}

// A Change is what the cloud does to a device.
type Change struct {
	name   string // of the topic and the method
	status int    // of thing/topo/change
}

// The changes.
var (
	Disabled = Change{"disable", changeDisabled}
	Enabled  = Change{"enable", changeEnabled}
	Deleted  = Change{"delete", changeRemoved}
)

// Announce tells a device what was done to it ("Disable, enable, delete"): on its own topic, over its own connection or its gateway's, and
// then its gateway with thing/topo/change. It does so before a session ends. Devices that are away learn of it at their next login.
func (s *Service) Announce(ctx context.Context, dev iot.DeviceRef, c Change, id string) {
	gateway, err := s.GatewayOf(ctx, dev)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "device not told of a change", logs.Device(dev), logs.Err(err))
		return
	}
	p := &downlink.Publish{
		ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, MessageID: id, Topic: "/sys/" + dev.String() + "/thing/" + c.name,
		Payload: alink.AppendRequest(nil, "thing."+c.name, id, nil, alink.Version),
	}
	if !gateway.IsZero() {
		p.Via = &downlink.Gateway{ProductKey: gateway.ProductKey, DeviceName: gateway.DeviceName}
	}
	s.tell(ctx, dev, p)
	if !gateway.IsZero() {
		s.tellChange(ctx, gateway, c.status, []iot.DeviceRef{dev}, id)
	}
}
