package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A DeviceVersion is what one module of a device runs, as the device reported it.
type DeviceVersion struct {
	Module  string // "default" is the firmware as a whole
	Version string
	At      int64 // first reported
}

// DeviceVersions is the table `device_version`.
type DeviceVersions interface {
	// Put notes the version of a module; a version that is there already changes nothing, its time included.
	Put(ctx context.Context, ref iot.DeviceRef, v DeviceVersion) error
	List(ctx context.Context, ref iot.DeviceRef) ([]DeviceVersion, error)                  // in the order of modules
	Of(ctx context.Context, refs []iot.DeviceRef, module string) ([]*DeviceVersion, error) // nil where none is known
}

const tableVersion = "device_version" // keys: device, module

type deviceVersions struct{ client *client }

// DeviceVersions is the table `device_version`.
func (s *Store) DeviceVersions() DeviceVersions { return deviceVersions{s.client} }

func versionKey(ref iot.DeviceRef, module string) *tablestore.PrimaryKey {
	return underDevice(ref, "module", module)
}

func (d deviceVersions) Put(ctx context.Context, ref iot.DeviceRef, v DeviceVersion) error {
	row, err := d.client.get(ctx, tableVersion, versionKey(ref, v.Module))
	if err != nil || row != nil && row.str("version") == v.Version {
		return err
	}
	var c columns
	c.add("version", v.Version)
	c.add("at", v.At)
	return d.client.put(ctx, &tablestore.PutRowChange{TableName: tableVersion, PrimaryKey: versionKey(ref, v.Module), Columns: c, Condition: always})
}

func (d deviceVersions) List(ctx context.Context, ref iot.DeviceRef) ([]DeviceVersion, error) {
	var list []DeviceVersion
	err := d.client.scan(ctx, ofFirst(tableVersion, "device", deviceKey(ref), "module"), func(row *tablestore.Row) bool {
		module, _ := row.PrimaryKey.PrimaryKeys[1].Value.(string)
		cells := newCells(row.Columns)
		list = append(list, DeviceVersion{module, cells.str("version"), cells.int("at")})
		return true
	})
	slices.SortFunc(list, func(a, b DeviceVersion) int { return cmp.Compare(a.Module, b.Module) })
	return list, err
}

func (d deviceVersions) Of(ctx context.Context, refs []iot.DeviceRef, module string) ([]*DeviceVersion, error) {
	keys := make([]*tablestore.PrimaryKey, len(refs))
	for i, ref := range refs {
		keys[i] = versionKey(ref, module)
	}
	rows, err := d.client.getMany(ctx, tableVersion, keys)
	if err != nil {
		return nil, err
	}
	list := make([]*DeviceVersion, len(refs))
	for i, row := range rows {
		if row != nil {
			list[i] = &DeviceVersion{module, row.str("version"), row.int("at")}
		}
	}
	return list, nil
}
