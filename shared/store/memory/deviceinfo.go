package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

type shadows struct{ s *Store }

// Shadows is the table `shadow`.
func (s *Store) Shadows() store.Shadows { return shadows{s} }

func copyShadow(s store.Shadow) store.Shadow {
	s.Reported, s.Desired = slices.Clone(s.Reported), slices.Clone(s.Desired)
	s.ReportedAt, s.DesiredAt = slices.Clone(s.ReportedAt), slices.Clone(s.DesiredAt)
	return s
}

func (x shadows) Get(ctx context.Context, ref iot.DeviceRef) (*store.Shadow, error) {
	end, err := x.s.begin(ctx, "shadows.get", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	s := copyShadow(x.s.shadows[ref])
	s.Ref = ref
	return &s, nil
}

func (x shadows) Put(ctx context.Context, s *store.Shadow) error {
	end, err := x.s.begin(ctx, "shadows.put", s.Ref)
	if err != nil {
		return err
	}
	defer end()
	if x.s.shadows[s.Ref].Revision != s.Revision {
		return iot.Errorf(iot.Conflict, "the shadow of %s was changed meanwhile", s.Ref)
	}
	s.Revision++
	x.s.shadows[s.Ref] = copyShadow(*s)
	return nil
}

type deviceInfos struct{ s *Store }

// DeviceInfos is the tables `device_info` and `device_by_tag`.
func (s *Store) DeviceInfos() store.DeviceInfos { return deviceInfos{s} }

func (x deviceInfos) Get(ctx context.Context, ref iot.DeviceRef) (*store.DeviceInfo, error) {
	end, err := x.s.begin(ctx, "device_infos.get", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	d := x.s.infos[ref]
	d.Ref, d.Tags, d.Facts = ref, slices.Clone(d.Tags), slices.Clone(d.Facts)
	return &d, nil
}

func (x deviceInfos) Put(ctx context.Context, d *store.DeviceInfo, _ []store.Tag) error {
	end, err := x.s.begin(ctx, "device_infos.put", d.Ref)
	if err != nil {
		return err
	}
	defer end()
	if x.s.infos[d.Ref].Revision != d.Revision {
		return iot.Errorf(iot.Conflict, "what is known of %s was changed meanwhile", d.Ref)
	}
	d.Revision++
	kept := *d
	kept.Tags, kept.Facts = slices.Clone(d.Tags), slices.Clone(d.Facts)
	x.s.infos[d.Ref] = kept
	return nil
}

func (x deviceInfos) Tagged(ctx context.Context, tag store.Tag, limit int) ([]iot.DeviceRef, error) {
	end, err := x.s.begin(ctx, "device_infos.tagged", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var refs []iot.DeviceRef
	for ref, d := range x.s.infos {
		if slices.ContainsFunc(d.Tags, func(t store.Tag) bool { return t.Key == tag.Key && (tag.Value == "" || t.Value == tag.Value) }) {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b iot.DeviceRef) int { return cmp.Compare(a.String(), b.String()) })
	return refs[:min(len(refs), limit)], nil
}

// networkPoint is the place of one entry in the history of a device's network.
type networkPoint struct {
	time      int64
	messageID string
	index     int
}

type networkStatuses struct{ s *Store }

// NetworkStatuses is the table `network_status`.
func (s *Store) NetworkStatuses() store.NetworkStatuses { return networkStatuses{s} }

func (x networkStatuses) Put(ctx context.Context, list []store.NetworkStatus) error {
	end, err := x.s.begin(ctx, "network_statuses.put", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	for _, n := range list {
		if x.s.network[n.Ref] == nil {
			x.s.network[n.Ref] = make(map[networkPoint]store.NetworkStatus)
		}
		n.JSON = slices.Clone(n.JSON)
		x.s.network[n.Ref][networkPoint{n.Time, n.MessageID, n.Index}] = n
	}
	return nil
}

func (x networkStatuses) List(ctx context.Context, ref iot.DeviceRef, from, to int64, limit int) ([]store.NetworkStatus, int64, error) {
	end, err := x.s.begin(ctx, "network_statuses.list", ref)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	var all []store.NetworkStatus
	for _, n := range x.s.network[ref] {
		if n.Time >= from && n.Time <= to {
			n.JSON = slices.Clone(n.JSON)
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b store.NetworkStatus) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.MessageID, a.MessageID), cmp.Compare(b.Index, a.Index))
	})
	page := store.NetworkPage{Limit: limit}
	for _, n := range all {
		if limit <= 0 || !page.Add(n) {
			break
		}
	}
	return page.List, page.Next, nil
}
