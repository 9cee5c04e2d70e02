package offline

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/store"
)

// Bounds of one page: what a connector keeps of a device's queue in memory.
const (
	PageMessages = 32 // the limit of messages in flight
	PageBytes    = 128 << 10
)

// A Budget bounds the pages of one answer of the function together, because an answer has a limit. The first device always gets its page.
type Budget struct{ left atomic.Int64 }

// NewBudget makes a budget for one invocation.
func NewBudget(bytes int64) *Budget {
	b := new(Budget)
	b.left.Store(bytes)
	return b
}

// Page puts the oldest messages of a device's queue into a result. Those that have expired are taken out and left out.
func (q *Queue) Page(ctx context.Context, ref iot.DeviceRef, queueFrom int64, budget *Budget, into *record.Result) error {
	var page device.QueuePage
	if budget.left.Load() <= 0 {
		page.More = true
		return finish(&page, into)
	}
	now := q.now().UnixMilli()
	for {
		list, more, err := q.messages.List(ctx, ref, q.from(queueFrom), PageMessages, PageBytes)
		if err != nil {
			return err
		}
		var expired []store.QueueKey
		for _, m := range list {
			if m.ExpiresAt != 0 && m.ExpiresAt <= now {
				expired = append(expired, m.QueueKey)
				continue
			}
			page.Messages = append(page.Messages, device.QueuedMessage{ID: ID(m.QueueKey), PacketID: m.PacketID, ExpiresAt: m.ExpiresAt})
			into.Replies = append(into.Replies, record.Reply{Topic: m.Topic, Payload: m.Payload, QoS: 1})
			budget.left.Add(-int64(len(m.Payload) + len(m.Topic) + 100))
		}
		if len(expired) > 0 {
			if err := q.messages.Delete(ctx, ref, expired); err != nil {
				into.Replies = nil
				return err
			}
		}
		page.More = more
		if !more || len(page.Messages) > 0 {
			return finish(&page, into)
		}
	}
}

func finish(page *device.QueuePage, into *record.Result) error {
	if len(page.Messages) == 0 && !page.More {
		return nil
	}
	data, err := json.Marshal(page)
	into.Data = data
	return err
}

// Delivered takes out what a device has acknowledged, and notes what it may have got.
func (q *Queue) Delivered(ctx context.Context, ref iot.DeviceRef, d *device.Delivered) error {
	keys, err := parseAll(d.IDs)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		if err := q.messages.Delete(ctx, ref, keys); err != nil {
			return err
		}
	}
	if len(d.Sent) == 0 {
		return nil
	}
	sent, packets := make([]store.QueueKey, len(d.Sent)), make([]uint16, len(d.Sent))
	for i, m := range d.Sent {
		if sent[i], err = ParseID(m.ID); err != nil {
			return err
		}
		packets[i] = m.PacketID
	}
	return q.messages.Sent(ctx, ref, sent, packets)
}

func parseAll(ids []string) ([]store.QueueKey, error) {
	keys := make([]store.QueueKey, len(ids))
	for i, id := range ids {
		var err error
		if keys[i], err = ParseID(id); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// Discard takes out what was queued before the device asked for a clean session.
func (q *Queue) Discard(ctx context.Context, ref iot.DeviceRef, queueFrom int64) error {
	return q.messages.Clear(ctx, ref, queueFrom)
}
