package memory

import (
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// desiredRow is one row of the table `desired`.
type desiredRow struct {
	revision int64
	values   map[string]store.Desired
}

type desired struct{ s *Store }

// DesiredProperties is the table `desired`.
func (s *Store) DesiredProperties() store.DesiredProperties { return desired{s} }

func (d desired) Get(ctx context.Context, ref iot.DeviceRef) ([]store.Desired, int64, error) {
	end, err := d.s.begin(ctx, "desired.get", ref)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	row := d.s.desired[ref]
	var list []store.Desired
	for _, v := range row.values {
		v.Value = slices.Clone(v.Value)
		list = append(list, v)
	}
	return list, row.revision, nil
}

func (d desired) Update(ctx context.Context, ref iot.DeviceRef, revision int64, list []store.Desired) error {
	end, err := d.s.begin(ctx, "desired.update", ref)
	if err != nil {
		return err
	}
	defer end()
	row := d.s.desired[ref]
	if row.revision != revision {
		return iot.Errorf(iot.Conflict, "the desired values of %s were changed meanwhile", ref)
	}
	if row.values == nil {
		row.values = make(map[string]store.Desired)
	}
	for _, v := range list {
		v.Value = slices.Clone(v.Value)
		row.values[v.Identifier] = v
	}
	row.revision++
	d.s.desired[ref] = row
	return nil
}
