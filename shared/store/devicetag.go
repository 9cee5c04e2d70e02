package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const tableDeviceByTag = "device_by_tag" // key: tag, value, device

// The index of tags has one row for each tag of each device. Its key begins with a hash of the tag's key, which spreads tags over
// partitions; a value is hashed too, because it may be longer than a key column. A write that broke off may leave a row too many:
// whoever reads the index looks at the device's tags as well. Two writers that take away and add the same tag of one device within
// the same milliseconds can lose its row until the tag is written again; a device's own messages are never written at the same time.

func tagColumns(tag Tag) (key, value string) {
	k, v := sha256.Sum256([]byte(tag.Key)), sha256.Sum256([]byte(tag.Value))
	return hex.EncodeToString(k[:8]) + "#" + tag.Key, hex.EncodeToString(v[:16])
}

func tagKey(tag Tag, ref iot.DeviceRef) *tablestore.PrimaryKey {
	key, value := tagColumns(tag)
	k := stringKey("tag", key)
	k.AddPrimaryKeyColumn("value", value)
	k.AddPrimaryKeyColumn("device", deviceKey(ref))
	return k
}

func (x deviceInfos) indexTags(ctx context.Context, ref iot.DeviceRef, tags []Tag) error {
	changes := make([]tablestore.RowChange, len(tags))
	for i, tag := range tags {
		var c columns
		c.add("product_key", string(ref.ProductKey))
		c.add("device_name", string(ref.DeviceName))
		changes[i] = &tablestore.PutRowChange{TableName: tableDeviceByTag, PrimaryKey: tagKey(tag, ref), Columns: c, Condition: always}
	}
	return firstError(x.s.client.write(ctx, changes))
}

func (x deviceInfos) unindexTags(ctx context.Context, ref iot.DeviceRef, tags []Tag) error {
	changes := make([]tablestore.RowChange, len(tags))
	for i, tag := range tags {
		changes[i] = &tablestore.DeleteRowChange{TableName: tableDeviceByTag, PrimaryKey: tagKey(tag, ref), Condition: always}
	}
	return firstError(x.s.client.write(ctx, changes))
}

func (x deviceInfos) Tagged(ctx context.Context, tag Tag, limit int) ([]iot.DeviceRef, error) {
	key, value := tagColumns(tag)
	start, end := stringKey("tag", key), stringKey("tag", key)
	if tag.Value == "" {
		start.AddPrimaryKeyColumnWithMinValue("value")
		end.AddPrimaryKeyColumnWithMaxValue("value")
	} else {
		start.AddPrimaryKeyColumn("value", value)
		end.AddPrimaryKeyColumn("value", value)
	}
	start.AddPrimaryKeyColumnWithMinValue("device")
	end.AddPrimaryKeyColumnWithMaxValue("device")
	var refs []iot.DeviceRef
	seen := make(map[iot.DeviceRef]bool)
	err := x.s.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableDeviceByTag, StartPrimaryKey: start, EndPrimaryKey: end},
		func(row *tablestore.Row) bool {
			c := newCells(row.Columns)
			ref := iot.DeviceRef{ProductKey: iot.ProductKey(c.str("product_key")), DeviceName: iot.DeviceName(c.str("device_name"))}
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
			return len(refs) < limit
		})
	return refs, err
}
