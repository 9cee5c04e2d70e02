package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// Topology is the tables of relations between gateways and sub-devices.
func (s *Store) Topology() store.Topology { return topologies{s} }

// Discoveries is the table `discovery`.
func (s *Store) Discoveries() store.Discoveries { return discoveries{s} }

type topologies struct{ s *Store }

func (t topologies) Links(ctx context.Context, subs []iot.DeviceRef) ([]*store.Link, error) {
	end, err := t.s.begin(ctx, "topology.links", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	links := make([]*store.Link, len(subs))
	for i, sub := range subs {
		if link, ok := t.s.links[sub]; ok {
			links[i] = &link
		}
	}
	return links, nil
}

func (t topologies) Add(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, at int64) []error {
	return t.change(ctx, "topology.add", subs, func(sub iot.DeviceRef, before store.Link) store.Link {
		if before.Gateway == gateway {
			return before
		}
		return store.Link{Sub: sub, Gateway: gateway, Since: at}
	})
}

func (t topologies) Remove(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, by string) []error {
	return t.change(ctx, "topology.remove", subs, func(sub iot.DeviceRef, before store.Link) store.Link {
		if before.Gateway != gateway {
			return before
		}
		return store.Link{Sub: sub, Former: gateway, EndedBy: by}
	})
}

func (t topologies) change(ctx context.Context, op string, subs []iot.DeviceRef, next func(sub iot.DeviceRef, before store.Link) store.Link) []error {
	errs := make([]error, len(subs))
	for i, sub := range subs {
		end, err := t.s.begin(ctx, op, sub)
		if err != nil {
			errs[i] = err
			continue
		}
		before, known := t.s.links[sub]
		if link := next(sub, before); known || link != (store.Link{}) {
			t.s.links[sub] = link
		}
		end()
	}
	return errs
}

func (t topologies) List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]iot.DeviceRef, int, error) {
	end, err := t.s.begin(ctx, "topology.list", gateway)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	var subs []iot.DeviceRef
	for sub, link := range t.s.links {
		if link.Gateway == gateway {
			subs = append(subs, sub)
		}
	}
	slices.SortFunc(subs, byName)
	offset = max(offset, 0)
	return subs[min(offset, len(subs)):min(offset+max(limit, 0), len(subs))], len(subs), nil
}

func byName(a, b iot.DeviceRef) int {
	return cmp.Or(cmp.Compare(a.ProductKey, b.ProductKey), cmp.Compare(a.DeviceName, b.DeviceName))
}

func (t topologies) Count(ctx context.Context, gateway iot.DeviceRef) (int, error) {
	_, n, err := t.List(ctx, gateway, 0, 0)
	return n, err
}

// forget removes the relations of a device that is deleted; the caller has the lock.
func (t topologies) forget(dev iot.DeviceRef) {
	delete(t.s.links, dev)
	for sub, link := range t.s.links {
		if link.Gateway == dev {
			t.s.links[sub] = store.Link{Sub: sub, Former: dev, EndedBy: "deleted"}
		}
	}
}

type discoveries struct{ s *Store }

func (d discoveries) Put(ctx context.Context, gateway iot.DeviceRef, found []store.Discovery) error {
	end, err := d.s.begin(ctx, "discoveries.put", gateway)
	if err != nil {
		return err
	}
	defer end()
	if d.s.found[gateway] == nil {
		d.s.found[gateway] = make(map[iot.DeviceRef]int64)
	}
	for _, f := range found {
		d.s.found[gateway][f.Device] = f.At
	}
	return nil
}

func (d discoveries) List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]store.Discovery, error) {
	end, err := d.s.begin(ctx, "discoveries.list", gateway)
	if err != nil {
		return nil, err
	}
	defer end()
	if offset < 0 || limit <= 0 {
		return nil, nil
	}
	var list []store.Discovery
	for dev, at := range d.s.found[gateway] {
		list = append(list, store.Discovery{Device: dev, At: at})
	}
	slices.SortFunc(list, func(a, b store.Discovery) int { return byName(a.Device, b.Device) })
	return list[min(offset, len(list)):min(offset+limit, len(list))], nil
}
