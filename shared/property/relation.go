package property

import (
	"context"
	"strings"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// relations is what a batch has to know of the sub-devices that its messages name: read once, for all of them.
type relations struct {
	of  map[iot.DeviceRef]relation
	err error // nothing is known
}

type relation struct {
	gateway  iot.DeviceRef
	exists   bool
	disabled bool
	iotID    iot.IotID
}

var (
	errNoRelation = &alink.Error{Code: alink.CodeNotInTopology, Cause: refusal.TopologyMissing, Message: "topo relation not exist", Kind: iot.NotPermitted}
	errDisabled   = &alink.Error{Code: alink.CodeDeviceDisabled, Cause: refusal.DeviceDisabled, Message: "device disabled", Kind: iot.DeviceDisabled}
)

// relate reads the relations that pack and history posts of the batch need. Batches without such a message cost a look at the end
// of each topic.
func (s *Service) relate(ctx context.Context, b *batch) {
	var subs []iot.DeviceRef
	for i := range b.records {
		rec := &b.records[i]
		if !strings.HasSuffix(rec.Topic, "/pack/post") && !strings.HasSuffix(rec.Topic, "/history/post") {
			continue
		}
		up, err := topic.ParseUplink(rec.Topic)
		if err != nil || up.Family != topic.PropertyPackPost && up.Family != topic.PropertyHistoryPost {
			continue
		}
		req, err := alink.Parse(rec.Payload)
		if err != nil {
			continue
		}
		sections, err := sectionsOf(up.Family, rec.Device, req.Params)
		if err != nil {
			continue
		}
		for _, sec := range sections {
			if sec.ref == rec.Device {
				continue
			}
			if b.relations.of == nil {
				b.relations.of = make(map[iot.DeviceRef]relation)
			}
			if _, known := b.relations.of[sec.ref]; !known {
				b.relations.of[sec.ref] = relation{}
				subs = append(subs, sec.ref)
			}
		}
	}
	if len(subs) == 0 {
		return
	}
	links, err := s.topology.Links(ctx, subs)
	if err != nil {
		b.relations.err = err
		return
	}
	devices, err := s.devices.GetMany(ctx, subs)
	if err != nil {
		b.relations.err = err
		return
	}
	for i, sub := range subs {
		r := relation{exists: devices[i] != nil}
		if links[i] != nil {
			r.gateway = links[i].Gateway
		}
		if r.exists {
			r.disabled, r.iotID = devices[i].Disabled, devices[i].IotID
		}
		b.relations.of[sub] = r
	}
}

// related refuses a message that is about a device which is neither the sender nor one of its sub-devices; m.detail says which.
func (s *Service) related(b *batch, sender iot.DeviceRef, sections []section, m *many) error {
	for _, sec := range sections {
		if sec.ref == sender {
			continue
		}
		r := b.relations.of[sec.ref]
		var err error
		switch {
		case b.relations.err != nil:
			return b.relations.err
		case !r.exists:
			err = iot.Errorf(iot.DeviceNotFound, "no device %s", sec.ref)
		case r.gateway != sender:
			err = errNoRelation
		case r.disabled:
			err = errDisabled
		}
		if err != nil {
			m.detail = sec.ref.String()
			return err
		}
	}
	return nil
}
