package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const (
	tableDevice          = "device"            // key: device
	tableDeviceIotID     = "device_iot_id"     // key: iot_id; which device has it
	tableDeviceByProduct = "device_by_product" // key: product_key, created_at, device_name
)

// The two index rows are written before a device's row and deleted before it. An index row without its device, or with
// another one's IotID, is what a creation that broke off has left; readers pass over it.

type devices struct{ s *Store }

func deviceRowKey(dev iot.DeviceRef) *tablestore.PrimaryKey {
	return stringKey("device", deviceKey(dev))
}

func byProductKey(dev iot.DeviceRef, createdAt int64) *tablestore.PrimaryKey {
	k := stringKey("product_key", string(dev.ProductKey))
	k.AddPrimaryKeyColumn("created_at", createdAt)
	k.AddPrimaryKeyColumn("device_name", string(dev.DeviceName))
	return k
}

func (d devices) Create(ctx context.Context, dev *Device) error {
	dev.Credentials.Serial = max(dev.Credentials.Serial, 1)
	old, err := d.s.client.get(ctx, tableDevice, deviceRowKey(dev.Ref))
	if err != nil {
		return err
	}
	if old.bool("deleted") { // a deletion that broke off
		if err := d.Delete(ctx, dev.Ref); err != nil {
			return err
		}
	} else if old != nil {
		return iot.Errorf(iot.AlreadyExists, "device %s exists", dev.Ref)
	}
	if err := d.putIndex(ctx, dev); err != nil {
		return err
	}
	mine := claim()
	change, err := d.row(dev, mine)
	if err != nil {
		return err
	}
	err = d.s.client.put(ctx, change)
	if !conflict(err) {
		return err
	}
	row, err := d.s.client.get(ctx, tableDevice, deviceRowKey(dev.Ref))
	if err != nil {
		return err
	}
	if row.int("claim") == mine { // it was this call; its first answer was lost
		return nil
	}
	// Another creation of the same device won the race: take back what only this one wrote.
	if row.int("created_at") != dev.CreatedAt {
		if err := d.dropIndex(ctx, dev.Ref, dev.IotID, dev.CreatedAt); err != nil {
			return err
		}
	}
	return iot.Errorf(iot.AlreadyExists, "device %s exists", dev.Ref)
}

func (d devices) putIndex(ctx context.Context, dev *Device) error {
	var byID, byProduct columns
	byID.add("product_key", string(dev.Ref.ProductKey))
	byID.add("device_name", string(dev.Ref.DeviceName))
	byProduct.add("iot_id", string(dev.IotID))
	// A login or a message that was under way while a device of this name was deleted may have left rows; the new device has none.
	return firstError(d.s.client.write(ctx, []tablestore.RowChange{
		&tablestore.PutRowChange{TableName: tableDeviceIotID, PrimaryKey: stringKey("iot_id", string(dev.IotID)), Columns: byID, Condition: always},
		&tablestore.PutRowChange{TableName: tableDeviceByProduct, PrimaryKey: byProductKey(dev.Ref, dev.CreatedAt), Columns: byProduct, Condition: always},
		&tablestore.DeleteRowChange{TableName: tableSession, PrimaryKey: deviceRowKey(dev.Ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableShadow, PrimaryKey: deviceRowKey(dev.Ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableDeviceInfo, PrimaryKey: deviceRowKey(dev.Ref), Condition: always},
	}))
}

func (d devices) dropIndex(ctx context.Context, ref iot.DeviceRef, id iot.IotID, createdAt int64) error {
	return firstError(d.s.client.write(ctx, []tablestore.RowChange{
		&tablestore.DeleteRowChange{TableName: tableDeviceIotID, PrimaryKey: stringKey("iot_id", string(id)), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableDeviceByProduct, PrimaryKey: byProductKey(ref, createdAt), Condition: always},
	}))
}

func (d devices) row(dev *Device, claim int64) (*tablestore.PutRowChange, error) {
	var c columns
	c.add("iot_id", string(dev.IotID))
	if err := d.addCredentials(&c, dev); err != nil {
		return nil, err
	}
	c.add("nickname", dev.Nickname)
	c.add("disabled", dev.Disabled)
	c.add("created_at", dev.CreatedAt)
	c.add("updated_at", dev.UpdatedAt)
	c.add("claim", claim)
	return &tablestore.PutRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(dev.Ref), Columns: c, Condition: ifMissing}, nil
}

// read makes a device of its row, nil if there is none or its deletion has begun.
func (d devices) read(ref iot.DeviceRef, row cells) (*Device, error) {
	if row == nil || row.bool("deleted") {
		return nil, nil
	}
	secret, err := d.s.seal.open(row.bytes("secret"), secretPlace(tableDevice, ref.String()))
	if err != nil {
		return nil, err
	}
	credentials, err := d.readCredentials(ref, row)
	if err != nil {
		return nil, err
	}
	return &Device{
		Ref: ref, IotID: iot.IotID(row.str("iot_id")), Secret: secret, Nickname: row.str("nickname"),
		Disabled: row.bool("disabled"), CreatedAt: row.int("created_at"), UpdatedAt: row.int("updated_at"),
		Credentials: credentials,
	}, nil
}

func (d devices) Get(ctx context.Context, ref iot.DeviceRef) (*Device, error) {
	row, err := d.s.client.get(ctx, tableDevice, deviceRowKey(ref))
	if err != nil {
		return nil, err
	}
	dev, err := d.read(ref, row)
	if err == nil && dev == nil {
		err = iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	return dev, err
}

func (d devices) GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*Device, error) {
	keys, place := distinctKeys(refs)
	rows, err := d.s.client.getMany(ctx, tableDevice, keys)
	if err != nil {
		return nil, err
	}
	devs := make([]*Device, len(refs))
	for i, ref := range refs {
		if devs[i], err = d.read(ref, rows[place[i]]); err != nil {
			return nil, err
		}
	}
	return devs, nil
}

// distinctKeys makes one key for each device that refs name, and for each ref the index of its key: one request must not ask
// for a row twice.
func distinctKeys(refs []iot.DeviceRef) (keys []*tablestore.PrimaryKey, place []int) {
	seen := make(map[iot.DeviceRef]int, len(refs))
	place = make([]int, len(refs))
	for i, ref := range refs {
		j, ok := seen[ref]
		if !ok {
			j = len(keys)
			seen[ref] = j
			keys = append(keys, deviceRowKey(ref))
		}
		place[i] = j
	}
	return keys, place
}

func (d devices) Resolve(ctx context.Context, id iot.IotID) (iot.DeviceRef, error) {
	row, err := d.s.client.get(ctx, tableDeviceIotID, stringKey("iot_id", string(id)))
	if err != nil {
		return iot.DeviceRef{}, err
	}
	if row == nil {
		return iot.DeviceRef{}, iot.Errorf(iot.DeviceNotFound, "no device with this IotId")
	}
	return iot.DeviceRef{ProductKey: iot.ProductKey(row.str("product_key")), DeviceName: iot.DeviceName(row.str("device_name"))}, nil
}

func (d devices) SetDisabled(ctx context.Context, ref iot.DeviceRef, disabled bool, at int64) error {
	change := &tablestore.UpdateRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(ref), Condition: ifExists}
	change.PutColumn("disabled", disabled)
	change.PutColumn("updated_at", at)
	err := d.s.client.update(ctx, change)
	if conflict(err) {
		return iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	return err
}

func (d devices) SetNickname(ctx context.Context, ref iot.DeviceRef, nickname string, at int64) error {
	change := &tablestore.UpdateRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(ref), Condition: ifExists}
	change.PutColumn("nickname", nickname)
	change.PutColumn("updated_at", at)
	err := d.s.client.update(ctx, change)
	if conflict(err) {
		return iot.Errorf(iot.DeviceNotFound, "no device %s", ref)
	}
	return err
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
