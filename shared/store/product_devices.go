package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// ProductDevices walks through the devices of a product, newest first, in steps that may be far apart: what it costs does not grow with
// how far the walk has come, as it does with pages.
type ProductDevices interface {
	// After gives at most limit devices behind a cursor, "" for the first ones, and the cursor behind the last; "" if there are no more.
	// InvalidParams if the cursor is none. A device that is being registered or deleted may be among them.
	After(ctx context.Context, pk iot.ProductKey, cursor string, limit int) (refs []iot.DeviceRef, next string, err error)
}

type productDevices struct{ client *client }

// ProductDevices walks through the table `device_by_product`.
func (s *Store) ProductDevices() ProductDevices { return productDevices{s.client} }

// DeviceCursor is the place of a device in the order of its product.
func DeviceCursor(createdAt int64, name iot.DeviceName) string {
	return strconv.FormatInt(createdAt, 10) + "/" + string(name)
}

// ReadDeviceCursor reads what DeviceCursor made.
func ReadDeviceCursor(cursor string) (createdAt int64, name iot.DeviceName, err error) {
	at, text, ok := strings.Cut(cursor, "/")
	createdAt, err = strconv.ParseInt(at, 10, 64)
	if err != nil || !ok || !iot.ValidDeviceName(text) {
		return 0, "", iot.Wrap(iot.InvalidParams, fmt.Errorf("cursor %q", cursor), "the cursor is not one that was given")
	}
	return createdAt, iot.DeviceName(text), nil
}

func (p productDevices) After(ctx context.Context, pk iot.ProductKey, cursor string, limit int) ([]iot.DeviceRef, string, error) {
	start, end := stringKey("product_key", string(pk)), stringKey("product_key", string(pk))
	if cursor == "" {
		start.AddPrimaryKeyColumnWithMaxValue("created_at")
		start.AddPrimaryKeyColumnWithMaxValue("device_name")
	} else {
		at, name, err := ReadDeviceCursor(cursor)
		if err != nil {
			return nil, "", err
		}
		start.AddPrimaryKeyColumn("created_at", at)
		start.AddPrimaryKeyColumn("device_name", string(name))
	}
	end.AddPrimaryKeyColumnWithMinValue("created_at")
	end.AddPrimaryKeyColumnWithMinValue("device_name")
	var refs []iot.DeviceRef
	last, more := "", false
	err := p.client.scan(ctx, tablestore.RangeRowQueryCriteria{
		TableName: tableDeviceByProduct, StartPrimaryKey: start, EndPrimaryKey: end, Direction: tablestore.BACKWARD, Limit: int32(min(limit+2, 5000)),
		ColumnsToGet: []string{"device_name"},
	}, func(row *tablestore.Row) bool {
		keys := row.PrimaryKey.PrimaryKeys
		at, _ := keys[1].Value.(int64)
		name, _ := keys[2].Value.(string)
		here := DeviceCursor(at, iot.DeviceName(name))
		if here == cursor {
			return true
		}
		if len(refs) == limit {
			more = true
			return false
		}
		refs, last = append(refs, iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(name)}), here
		return true
	})
	if err != nil || !more {
		return refs, "", err
	}
	return refs, last, nil
}
