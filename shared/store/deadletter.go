package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const tableDeadLetter = "dead_letter" // key: device, at, message_id

type deadLetters struct{ client *client }

func (l deadLetters) Put(ctx context.Context, d *DeadLetter) error {
	key := deviceRowKey(d.Ref)
	key.AddPrimaryKeyColumn("at", d.At)
	key.AddPrimaryKeyColumn("message_id", d.MessageID)
	var c columns
	c.add("function", d.Function)
	c.add("topic", d.Topic)
	c.add("payload", append([]byte{}, d.Payload...))
	c.add("reason", d.Reason)
	return l.client.put(ctx, &tablestore.PutRowChange{TableName: tableDeadLetter, PrimaryKey: key, Columns: c, Condition: always})
}

func (l deadLetters) List(ctx context.Context, ref iot.DeviceRef, limit int) ([]*DeadLetter, error) {
	if limit <= 0 {
		return nil, nil
	}
	newest, oldest := deviceRowKey(ref), deviceRowKey(ref)
	newest.AddPrimaryKeyColumnWithMaxValue("at")
	newest.AddPrimaryKeyColumnWithMaxValue("message_id")
	oldest.AddPrimaryKeyColumnWithMinValue("at")
	oldest.AddPrimaryKeyColumnWithMinValue("message_id")
	var list []*DeadLetter
	err := l.client.scan(ctx, tablestore.RangeRowQueryCriteria{
		TableName: tableDeadLetter, StartPrimaryKey: newest, EndPrimaryKey: oldest, Direction: tablestore.BACKWARD, Limit: int32(min(limit, 5000)),
	}, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		d := &DeadLetter{Ref: ref, Function: c.str("function"), Topic: c.str("topic"), Payload: c.bytes("payload"), Reason: c.str("reason")}
		d.At, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		d.MessageID, _ = row.PrimaryKey.PrimaryKeys[2].Value.(string)
		list = append(list, d)
		return len(list) < limit
	})
	return list, err
}
