package store

import (
	"context"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// indexed is one row of device_by_product.
type indexed struct {
	ref       iot.DeviceRef
	iotID     iot.IotID
	createdAt int64
}

// eachOfProduct walks through a product's index rows, newest first, until f answers false.
func (d devices) eachOfProduct(ctx context.Context, key iot.ProductKey, limit int32, f func(indexed) bool, columns ...string) error {
	newest, oldest := stringKey("product_key", string(key)), stringKey("product_key", string(key))
	newest.AddPrimaryKeyColumnWithMaxValue("created_at")
	newest.AddPrimaryKeyColumnWithMaxValue("device_name")
	oldest.AddPrimaryKeyColumnWithMinValue("created_at")
	oldest.AddPrimaryKeyColumnWithMinValue("device_name")
	return d.s.client.scan(ctx, tablestore.RangeRowQueryCriteria{
		TableName: tableDeviceByProduct, StartPrimaryKey: newest, EndPrimaryKey: oldest, Direction: tablestore.BACKWARD, Limit: limit, ColumnsToGet: columns,
	}, func(row *tablestore.Row) bool {
		pk := row.PrimaryKey.PrimaryKeys
		created, _ := pk[1].Value.(int64)
		name, _ := pk[2].Value.(string)
		return f(indexed{
			ref:       iot.DeviceRef{ProductKey: key, DeviceName: iot.DeviceName(name)},
			iotID:     iot.IotID(newCells(row.Columns).str("iot_id")),
			createdAt: created,
		})
	})
}

// staleAfter is the age at which an index row without a device is no creation under way.
const staleAfter = 10 * time.Minute

// List reads index rows up to the end of the page asked for; a row that turns out to have no device makes the page shorter, and
// is removed if a creation that broke off has left it.
func (d devices) List(ctx context.Context, key iot.ProductKey, offset, limit int) ([]*Device, error) {
	if offset < 0 || limit <= 0 {
		return nil, nil
	}
	var page []indexed
	at := 0
	err := d.eachOfProduct(ctx, key, int32(min(offset+limit, 5000)), func(row indexed) bool {
		if at >= offset {
			page = append(page, row)
		}
		at++
		return len(page) < limit
	})
	if err != nil {
		return nil, err
	}
	refs := make([]iot.DeviceRef, len(page))
	for i := range page {
		refs[i] = page[i].ref
	}
	devs, err := d.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	list := make([]*Device, 0, len(devs))
	for i, dev := range devs {
		row := &page[i]
		switch {
		case dev != nil && dev.IotID == row.iotID && dev.CreatedAt == row.createdAt:
			list = append(list, dev)
		case time.Since(time.UnixMilli(row.createdAt)) > staleAfter:
			if err := d.dropIndex(ctx, row.ref, row.iotID, row.createdAt); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// Count reads the whole index of the product, 5000 rows a request.
func (d devices) Count(ctx context.Context, key iot.ProductKey) (int, error) {
	n := 0
	err := d.eachOfProduct(ctx, key, 0, func(indexed) bool { n++; return true }, "device_name")
	return n, err
}
