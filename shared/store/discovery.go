package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Discovery is one row of the table `discovery`: a registered device that a gateway has found near it.
type Discovery struct {
	Device iot.DeviceRef
	At     int64 // when it was last reported
}

// Discoveries is the table `discovery`, kept for 30 days.
type Discoveries interface {
	Put(ctx context.Context, gateway iot.DeviceRef, found []Discovery) error
	// List answers at most limit devices in the order of their names, after offset.
	List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]Discovery, error)
}

const tableDiscovery = "discovery" // key: gateway (hashed like a device), product_key, device_name of the found device

type discoveries struct{ client *client }

func (d discoveries) Put(ctx context.Context, gateway iot.DeviceRef, found []Discovery) error {
	changes := make([]tablestore.RowChange, 0, len(found))
	seen := make(map[iot.DeviceRef]bool, len(found))
	for _, f := range found {
		if seen[f.Device] {
			continue
		}
		seen[f.Device] = true
		key := byGatewayKey(gateway, f.Device)
		var c columns
		c.add("at", f.At)
		changes = append(changes, &tablestore.PutRowChange{TableName: tableDiscovery, PrimaryKey: key, Columns: c, Condition: always})
	}
	return firstError(d.client.write(ctx, changes))
}

func (d discoveries) List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]Discovery, error) {
	if offset < 0 || limit <= 0 {
		return nil, nil
	}
	found := discoveryRange(gateway)
	found.Limit = int32(min(offset+limit, 5000))
	var page []Discovery
	at := 0
	err := d.client.scan(ctx, found, func(row *tablestore.Row) bool {
		if at++; at <= offset {
			return true
		}
		pk := row.PrimaryKey.PrimaryKeys
		product, _ := pk[1].Value.(string)
		name, _ := pk[2].Value.(string)
		page = append(page, Discovery{iot.DeviceRef{ProductKey: iot.ProductKey(product), DeviceName: iot.DeviceName(name)}, newCells(row.Columns).int("at")})
		return len(page) < limit
	})
	return page, err
}

// discoveryRange is all that a gateway has found.
func discoveryRange(gateway iot.DeviceRef) tablestore.RangeRowQueryCriteria {
	first, last := stringKey("gateway", deviceKey(gateway)), stringKey("gateway", deviceKey(gateway))
	for _, name := range []string{"product_key", "device_name"} {
		first.AddPrimaryKeyColumnWithMinValue(name)
		last.AddPrimaryKeyColumnWithMaxValue(name)
	}
	return tablestore.RangeRowQueryCriteria{TableName: tableDiscovery, StartPrimaryKey: first, EndPrimaryKey: last, Direction: tablestore.FORWARD}
}
