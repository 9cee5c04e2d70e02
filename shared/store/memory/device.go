package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

type devices struct{ s *Store }

func (d devices) Create(ctx context.Context, dev *store.Device) error {
	end, err := d.s.begin(ctx, "devices.create", dev.Ref)
	if err != nil {
		return err
	}
	defer end()
	if _, ok := d.s.devices[dev.Ref]; ok {
		return iot.Errorf(iot.AlreadyExists, "device %s exists", dev.Ref)
	}
	dev.Credentials.Serial = max(dev.Credentials.Serial, 1)
	d.s.devices[dev.Ref] = *dev.Clone()
	return nil
}

func (d devices) Get(ctx context.Context, ref iot.DeviceRef) (*store.Device, error) {
	end, err := d.s.begin(ctx, "devices.get", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	dev, ok := d.s.devices[ref]
	if !ok {
		return nil, iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	return dev.Clone(), nil
}

func (d devices) GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*store.Device, error) {
	end, err := d.s.begin(ctx, "devices.get_many", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	list := make([]*store.Device, len(refs))
	for i, ref := range refs {
		if dev, ok := d.s.devices[ref]; ok {
			list[i] = dev.Clone()
		}
	}
	return list, nil
}

func (d devices) Resolve(ctx context.Context, id iot.IotID) (iot.DeviceRef, error) {
	end, err := d.s.begin(ctx, "devices.resolve", iot.DeviceRef{})
	if err != nil {
		return iot.DeviceRef{}, err
	}
	defer end()
	for ref, dev := range d.s.devices {
		if dev.IotID == id {
			return ref, nil
		}
	}
	return iot.DeviceRef{}, iot.Errorf(iot.DeviceNotFound, "no device with this IotId")
}

func (d devices) List(ctx context.Context, key iot.ProductKey, offset, limit int) ([]*store.Device, error) {
	end, err := d.s.begin(ctx, "devices.list", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return nil, err
	}
	defer end()
	if offset < 0 || limit <= 0 {
		return nil, nil
	}
	var list []*store.Device
	for ref, dev := range d.s.devices {
		if ref.ProductKey == key {
			list = append(list, dev.Clone())
		}
	}
	slices.SortFunc(list, func(a, b *store.Device) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.Ref.DeviceName, a.Ref.DeviceName))
	})
	return list[min(offset, len(list)):min(offset+limit, len(list))], nil
}

func (d devices) Count(ctx context.Context, key iot.ProductKey) (int, error) {
	end, err := d.s.begin(ctx, "devices.count", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return 0, err
	}
	defer end()
	n := 0
	for ref := range d.s.devices {
		if ref.ProductKey == key {
			n++
		}
	}
	return n, nil
}

func (d devices) SetDisabled(ctx context.Context, ref iot.DeviceRef, disabled bool, at int64) error {
	end, err := d.s.begin(ctx, "devices.set_disabled", ref)
	if err != nil {
		return err
	}
	defer end()
	dev, ok := d.s.devices[ref]
	if !ok {
		return iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	dev.Disabled, dev.UpdatedAt = disabled, at
	d.s.devices[ref] = dev
	return nil
}

func (d devices) SetNickname(ctx context.Context, ref iot.DeviceRef, nickname string, at int64) error {
	end, err := d.s.begin(ctx, "devices.set_nickname", ref)
	if err != nil {
		return err
	}
	defer end()
	dev, ok := d.s.devices[ref]
	if !ok {
		return iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	dev.Nickname, dev.UpdatedAt = nickname, at
	d.s.devices[ref] = dev
	return nil
}

func (d devices) SetCredentials(ctx context.Context, dev *store.Device) error {
	end, err := d.s.begin(ctx, "devices.set_credentials", dev.Ref)
	if err != nil {
		return err
	}
	defer end()
	old, ok := d.s.devices[dev.Ref]
	if !ok {
		return iot.Errorf(iot.DeviceNotFound, "no device %s", dev.Ref)
	}
	if old.Credentials.Revision != dev.Credentials.Revision {
		return iot.Errorf(iot.Conflict, "the credentials of device %s were changed meanwhile", dev.Ref)
	}
	dev.Credentials.Revision++
	next := dev.Clone()
	old.Secret, old.Credentials, old.UpdatedAt = next.Secret, next.Credentials, next.UpdatedAt
	d.s.devices[dev.Ref] = old
	return nil
}

func (d devices) Delete(ctx context.Context, ref iot.DeviceRef) error {
	end, err := d.s.begin(ctx, "devices.delete", ref)
	if err != nil {
		return err
	}
	defer end()
	delete(d.s.devices, ref)
	delete(d.s.sessions, ref)
	delete(d.s.latest, ref)
	delete(d.s.history, ref)
	delete(d.s.events, ref)
	delete(d.s.calls, ref)
	delete(d.s.desired, ref)
	delete(d.s.shadows, ref)
	delete(d.s.infos, ref)
	delete(d.s.network, ref)
	topologies(d).forget(ref)
	delete(d.s.queues, ref)
	delete(d.s.receipts, ref)
	delete(d.s.posted, ref)
	delete(d.s.found, ref)
	for _, k := range d.s.documents.keys(tableTask, ref.String()) {
		t := new(store.Task)
		if _, err := d.s.documents.get(k, t); err != nil {
			return err
		}
		delete(d.s.documents.rows, documentKey{tableTaskByJob, t.JobID, k.second})
	}
	for _, table := range []string{tableFile, tableUpload, tableUsage, tableVersion, tableTask} {
		for _, k := range d.s.documents.keys(table, ref.String()) {
			delete(d.s.documents.rows, k)
		}
	}
	return nil
}
