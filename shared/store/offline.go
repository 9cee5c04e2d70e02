package store

import (
	"context"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A QueueKey is a message's place in its device's queue. Who stores a message again under the same key stores it once.
type QueueKey struct {
	At        int64 // when it was accepted
	MessageID string
}

// A QueuedMessage is one QoS 1 message that waits for its device.
type QueuedMessage struct {
	QueueKey
	Ref       iot.DeviceRef
	Topic     string
	Payload   []byte
	ExpiresAt int64  // it is not delivered any more from then on; 0: only the table's own limit of 7 days holds
	PacketID  uint16 // under which it was sent to the device over a connection that has ended; 0: it has not been sent, as far as is known
}

// OfflineMessages is the table `offline_message`: what a device with a persistent session has not acknowledged yet. Keys of a device
// order it: by time, and of equal times by message id.
type OfflineMessages interface {
	// Put adds a message at its place. Storing it again changes nothing but the packet id.
	Put(ctx context.Context, m *QueuedMessage) error
	// List answers the oldest messages with At >= from: at most limit, and together at most maxBytes of payload unless the first alone
	// has more. more says that there are others.
	List(ctx context.Context, ref iot.DeviceRef, from int64, limit, maxBytes int) (list []*QueuedMessage, more bool, err error)
	// Usage counts the messages with At >= from, and the bytes of their topics and payloads.
	Usage(ctx context.Context, ref iot.DeviceRef, from int64) (messages, bytes int, err error)
	// Delete removes messages; one that is not there is no error.
	Delete(ctx context.Context, ref iot.DeviceRef, keys []QueueKey) error
	// Sent notes the packet ids under which messages were sent; one that is not there any more is no error.
	Sent(ctx context.Context, ref iot.DeviceRef, keys []QueueKey, packetIDs []uint16) error
	// Clear removes all messages with At < before.
	Clear(ctx context.Context, ref iot.DeviceRef, before int64) error
}

// keep decides what MQTT keeps of the session before.
func (next *Session) keep(t *Take, before *Session) {
	next.Persistent, next.Expiry, next.Since = t.Persistent, t.Expiry, next.Epoch
	if before == nil {
		return
	}
	next.QueueFrom = before.QueueFrom
	switch {
	case !t.Discard && before.Keeps(t.At):
		next.Since = before.Since
	case before.Persistent:
		next.QueueFrom = t.At
	}
}

// Keeps reports whether messages wait for the session, or would if its connection ended now.
func (s *Session) Keeps(now int64) bool {
	return s.Persistent && (s.Node != "" || s.Expiry == 0 || s.OfflineAt+s.Expiry*1000 > now)
}

// Continued reports whether the session was begun by an earlier connection.
func (s *Session) Continued() bool { return s.Since != s.Epoch }

// A row of offline_message is one message. The column size says how long it is without being it.
const tableOffline = "offline_message" // key: device, at, message_id

// OfflineMessages is the table `offline_message`.
func (s *Store) OfflineMessages() OfflineMessages { return offlineMessages{s.client} }

type offlineMessages struct{ client *client }

func queueRowKey(ref iot.DeviceRef, k QueueKey) *tablestore.PrimaryKey {
	key := deviceRowKey(ref)
	key.AddPrimaryKeyColumn("at", k.At)
	key.AddPrimaryKeyColumn("message_id", k.MessageID)
	return key
}

// queueRange covers a device's queue from a time on, oldest first.
func queueRange(ref iot.DeviceRef, from int64) tablestore.RangeRowQueryCriteria {
	return historyIn(tableOffline, "at", ref, &span{from, math.MaxInt64})
}

// historyIn covers rows of one device whose second key column is a time and whose third is a message id.
func historyIn(table, column string, ref iot.DeviceRef, times *span) tablestore.RangeRowQueryCriteria {
	start, end := deviceRowKey(ref), deviceRowKey(ref)
	start.AddPrimaryKeyColumn(column, times.from)
	end.AddPrimaryKeyColumn(column, times.to)
	start.AddPrimaryKeyColumnWithMinValue("message_id")
	end.AddPrimaryKeyColumnWithMaxValue("message_id")
	return tablestore.RangeRowQueryCriteria{TableName: table, StartPrimaryKey: start, EndPrimaryKey: end}
}

func (o offlineMessages) Put(ctx context.Context, m *QueuedMessage) error {
	var c columns
	c.add("topic", m.Topic)
	c.add("payload", append([]byte{}, m.Payload...))
	c.add("size", int64(len(m.Topic)+len(m.Payload)))
	if m.ExpiresAt != 0 {
		c.add("expires_at", m.ExpiresAt)
	}
	if m.PacketID != 0 {
		c.add("packet_id", int64(m.PacketID))
	}
	return o.client.put(ctx, &tablestore.PutRowChange{TableName: tableOffline, PrimaryKey: queueRowKey(m.Ref, m.QueueKey), Columns: c, Condition: always})
}

func keyOfRow(row *tablestore.Row) (k QueueKey) {
	k.At, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
	k.MessageID, _ = row.PrimaryKey.PrimaryKeys[2].Value.(string)
	return k
}

func (o offlineMessages) List(ctx context.Context, ref iot.DeviceRef, from int64, limit, maxBytes int) (list []*QueuedMessage, more bool, err error) {
	if limit <= 0 {
		return nil, false, nil
	}
	q := queueRange(ref, from)
	q.Limit = int32(min(limit+1, 5000))
	size := 0
	err = o.client.scan(ctx, q, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		m := &QueuedMessage{
			QueueKey: keyOfRow(row), Ref: ref, Topic: c.str("topic"), Payload: c.bytes("payload"), ExpiresAt: c.int("expires_at"), PacketID: uint16(c.int("packet_id")),
		}
		if size += len(m.Payload); len(list) == limit || len(list) > 0 && size > maxBytes {
			more = true
			return false
		}
		list = append(list, m)
		return true
	})
	if err != nil {
		return nil, false, err
	}
	return list, more, nil
}

func (o offlineMessages) Usage(ctx context.Context, ref iot.DeviceRef, from int64) (messages, bytes int, err error) {
	q := queueRange(ref, from)
	q.ColumnsToGet = []string{"size"}
	q.Limit = 5000
	err = o.client.scan(ctx, q, func(row *tablestore.Row) bool {
		messages++
		bytes += int(newCells(row.Columns).int("size"))
		return true
	})
	return messages, bytes, err
}

func (o offlineMessages) Delete(ctx context.Context, ref iot.DeviceRef, keys []QueueKey) error {
	changes := make([]tablestore.RowChange, 0, len(keys))
	seen := make(map[QueueKey]bool, len(keys))
	for _, k := range keys {
		if !seen[k] { // a request may not name a row twice
			seen[k] = true
			changes = append(changes, &tablestore.DeleteRowChange{TableName: tableOffline, PrimaryKey: queueRowKey(ref, k), Condition: always})
		}
	}
	return firstError(o.client.write(ctx, changes))
}

func (o offlineMessages) Sent(ctx context.Context, ref iot.DeviceRef, keys []QueueKey, packetIDs []uint16) error {
	changes := make([]tablestore.RowChange, 0, len(keys))
	seen := make(map[QueueKey]bool, len(keys))
	for i, k := range keys {
		if seen[k] {
			continue
		}
		seen[k] = true
		change := &tablestore.UpdateRowChange{TableName: tableOffline, PrimaryKey: queueRowKey(ref, k), Condition: ifExists}
		change.PutColumn("packet_id", int64(packetIDs[i]))
		changes = append(changes, change)
	}
	for _, err := range o.client.write(ctx, changes) {
		if err != nil && !conflict(err) {
			return err
		}
	}
	return nil
}

func (o offlineMessages) Clear(ctx context.Context, ref iot.DeviceRef, before int64) error {
	if before <= 0 {
		return nil
	}
	q := historyIn(tableOffline, "at", ref, &span{math.MinInt64, before - 1})
	q.ColumnsToGet = []string{"size"}
	q.Limit = 5000
	var keys []QueueKey
	err := o.client.scan(ctx, q, func(row *tablestore.Row) bool {
		keys = append(keys, keyOfRow(row))
		return true
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return o.Delete(ctx, ref, keys)
}
