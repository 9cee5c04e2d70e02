package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"relink/shared/iot"
	"relink/shared/store"
)

// documents are rows that are one document each, by table and key, as the tables have them: JSON and a revision. The zero value is empty.
type documents struct{ rows map[documentKey]document }

type documentKey struct{ table, first, second string }

type document struct {
	json     []byte
	revision int64
}

func (d *documents) get(key documentKey, into any) (int64, error) {
	row := d.rows[key]
	if row.revision == 0 {
		return 0, nil
	}
	return row.revision, json.Unmarshal(row.json, into)
}

func (d *documents) put(key documentKey, doc any, revision *int64) error {
	if d.rows[key].revision != *revision {
		return iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if d.rows == nil {
		d.rows = make(map[documentKey]document)
	}
	*revision++
	d.rows[key] = document{text, *revision}
	return nil
}

// keys lists the keys of a table in order, those under first if it is not empty.
func (d *documents) keys(table, first string) []documentKey {
	var keys []documentKey
	for k := range d.rows {
		if k.table == table && (first == "" || k.first == first) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b documentKey) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.second, b.second))
	})
	return keys
}

func ofDevice(table string, ref iot.DeviceRef, second string) documentKey {
	return documentKey{table, ref.String(), second}
}

// RemoteConfigs is the table `remote_config`.
func (s *Store) RemoteConfigs() store.RemoteConfigs { return remoteConfigs{s} }

type remoteConfigs struct{ s *Store }

func (r remoteConfigs) Get(ctx context.Context, pk iot.ProductKey) (*store.RemoteConfig, error) {
	end, err := r.s.begin(ctx, "remote_configs.get", iot.DeviceRef{ProductKey: pk})
	if err != nil {
		return nil, err
	}
	defer end()
	c := &store.RemoteConfig{ProductKey: pk}
	c.Revision, err = r.s.documents.get(documentKey{"remote_config", string(pk), ""}, c)
	return c, err
}

func (r remoteConfigs) Put(ctx context.Context, c *store.RemoteConfig) error {
	end, err := r.s.begin(ctx, "remote_configs.put", iot.DeviceRef{ProductKey: c.ProductKey})
	if err != nil {
		return err
	}
	defer end()
	return r.s.documents.put(documentKey{"remote_config", string(c.ProductKey), ""}, c, &c.Revision)
}

// DeviceVersions is the table `device_version`.
func (s *Store) DeviceVersions() store.DeviceVersions { return deviceVersions{s} }

type deviceVersions struct{ s *Store }

const tableVersion = "device_version"

func (d deviceVersions) Put(ctx context.Context, ref iot.DeviceRef, v store.DeviceVersion) error {
	end, err := d.s.begin(ctx, "device_versions.put", ref)
	if err != nil {
		return err
	}
	defer end()
	var old store.DeviceVersion
	revision, err := d.s.documents.get(ofDevice(tableVersion, ref, v.Module), &old)
	if err != nil || old.Version == v.Version {
		return err
	}
	return d.s.documents.put(ofDevice(tableVersion, ref, v.Module), v, &revision)
}

func (d deviceVersions) List(ctx context.Context, ref iot.DeviceRef) ([]store.DeviceVersion, error) {
	end, err := d.s.begin(ctx, "device_versions.list", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	var list []store.DeviceVersion
	for _, k := range d.s.documents.keys(tableVersion, ref.String()) {
		var v store.DeviceVersion
		if _, err := d.s.documents.get(k, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (d deviceVersions) Of(ctx context.Context, refs []iot.DeviceRef, module string) ([]*store.DeviceVersion, error) {
	end, err := d.s.begin(ctx, "device_versions.of", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	list := make([]*store.DeviceVersion, len(refs))
	for i, ref := range refs {
		v := new(store.DeviceVersion)
		revision, err := d.s.documents.get(ofDevice(tableVersion, ref, module), v)
		if err != nil {
			return nil, err
		}
		if revision != 0 {
			list[i] = v
		}
	}
	return list, nil
}

// ProductDevices walks through the devices of a product.
func (s *Store) ProductDevices() store.ProductDevices { return productDevices{s} }

type productDevices struct{ s *Store }

func (p productDevices) After(ctx context.Context, pk iot.ProductKey, cursor string, limit int) ([]iot.DeviceRef, string, error) {
	at, name, err := int64(1<<62), iot.DeviceName(""), error(nil)
	if cursor != "" {
		if at, name, err = store.ReadDeviceCursor(cursor); err != nil {
			return nil, "", err
		}
	}
	end, err := p.s.begin(ctx, "product_devices.after", iot.DeviceRef{ProductKey: pk})
	if err != nil {
		return nil, "", err
	}
	defer end()
	var list []store.Device
	for ref, dev := range p.s.devices {
		if ref.ProductKey == pk && (dev.CreatedAt < at || dev.CreatedAt == at && ref.DeviceName < name) {
			list = append(list, dev)
		}
	}
	slices.SortFunc(list, func(a, b store.Device) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), strings.Compare(string(b.Ref.DeviceName), string(a.Ref.DeviceName)))
	})
	var refs []iot.DeviceRef
	for i := range list[:min(limit, len(list))] {
		refs = append(refs, list[i].Ref)
	}
	if len(list) <= limit {
		return refs, "", nil
	}
	last := &list[limit-1]
	return refs, store.DeviceCursor(last.CreatedAt, last.Ref.DeviceName), nil
}
