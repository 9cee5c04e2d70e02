package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// OfflineMessages is the table `offline_message`.
func (s *Store) OfflineMessages() store.OfflineMessages { return offlineMessages{s} }

type offlineMessages struct{ s *Store }

func compareKeys(a, b store.QueueKey) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.MessageID, b.MessageID))
}

func (o offlineMessages) find(ref iot.DeviceRef, k store.QueueKey) (int, bool) {
	return slices.BinarySearchFunc(o.s.queues[ref], k, func(m store.QueuedMessage, k store.QueueKey) int { return compareKeys(m.QueueKey, k) })
}

func (o offlineMessages) Put(ctx context.Context, m *store.QueuedMessage) error {
	end, err := o.s.begin(ctx, "offline_messages.put", m.Ref)
	if err != nil {
		return err
	}
	defer end()
	stored := *m
	stored.Payload = slices.Clone(m.Payload)
	if i, found := o.find(m.Ref, m.QueueKey); found {
		o.s.queues[m.Ref][i] = stored
	} else {
		o.s.queues[m.Ref] = slices.Insert(o.s.queues[m.Ref], i, stored)
	}
	return nil
}

func (o offlineMessages) List(ctx context.Context, ref iot.DeviceRef, from int64, limit, maxBytes int) (list []*store.QueuedMessage, more bool, err error) {
	end, err := o.s.begin(ctx, "offline_messages.list", ref)
	if err != nil {
		return nil, false, err
	}
	defer end()
	if limit <= 0 {
		return nil, false, nil
	}
	size := 0
	for _, m := range o.s.queues[ref] {
		if m.At < from {
			continue
		}
		if size += len(m.Payload); len(list) == limit || len(list) > 0 && size > maxBytes {
			return list, true, nil
		}
		m.Payload = slices.Clone(m.Payload)
		list = append(list, &m)
	}
	return list, false, nil
}

func (o offlineMessages) Usage(ctx context.Context, ref iot.DeviceRef, from int64) (messages, bytes int, err error) {
	end, err := o.s.begin(ctx, "offline_messages.usage", ref)
	if err != nil {
		return 0, 0, err
	}
	defer end()
	for _, m := range o.s.queues[ref] {
		if m.At >= from {
			messages++
			bytes += len(m.Topic) + len(m.Payload)
		}
	}
	return messages, bytes, nil
}

func (o offlineMessages) Delete(ctx context.Context, ref iot.DeviceRef, keys []store.QueueKey) error {
	end, err := o.s.begin(ctx, "offline_messages.delete", ref)
	if err != nil {
		return err
	}
	defer end()
	for _, k := range keys {
		if i, found := o.find(ref, k); found {
			o.s.queues[ref] = slices.Delete(o.s.queues[ref], i, i+1)
		}
	}
	return nil
}

func (o offlineMessages) Sent(ctx context.Context, ref iot.DeviceRef, keys []store.QueueKey, packetIDs []uint16) error {
	end, err := o.s.begin(ctx, "offline_messages.sent", ref)
	if err != nil {
		return err
	}
	defer end()
	for j, k := range keys {
		if i, found := o.find(ref, k); found {
			o.s.queues[ref][i].PacketID = packetIDs[j]
		}
	}
	return nil
}

func (o offlineMessages) Clear(ctx context.Context, ref iot.DeviceRef, before int64) error {
	end, err := o.s.begin(ctx, "offline_messages.clear", ref)
	if err != nil {
		return err
	}
	defer end()
	o.s.queues[ref] = slices.DeleteFunc(o.s.queues[ref], func(m store.QueuedMessage) bool { return m.At < before })
	return nil
}
