package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// putRevisioned writes the whole row that a device has in a table, if nobody has written it since revision was read (0: there was
// none). It is Conflict if somebody has. A write whose first answer was lost is recognized by its claim.
func (c *client) putRevisioned(ctx context.Context, table string, ref iot.DeviceRef, revision int64, row columns) error {
	mine := claim()
	row.add("revision", revision+1)
	row.add("claim", mine)
	change := &tablestore.PutRowChange{TableName: table, PrimaryKey: deviceRowKey(ref), Columns: row, Condition: ifMissing}
	if revision > 0 {
		change.Condition = ifColumn("revision", tablestore.CT_EQUAL, revision)
	}
	err := c.put(ctx, change)
	if !conflict(err) {
		return err
	}
	now, err := c.get(ctx, table, deviceRowKey(ref), "claim")
	if err != nil {
		return err
	}
	if now == nil || now.int("claim") != mine {
		return iot.Errorf(iot.Conflict, "%s of device %s was changed meanwhile", table, ref)
	}
	return nil
}

// ReviseRounds bounds how often a row is read again because others write it at the same time.
const ReviseRounds = 8

// Revise runs read-change-write until nobody came between: try is called again while its error is Conflict.
func Revise(ctx context.Context, try func() error) error {
	var err error
	for range ReviseRounds {
		if err = try(); !iot.Is(err, iot.Conflict) {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return iot.Wrap(iot.Throttled, err, "too many changes at the same time")
}
