package storetest

import (
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func queued(dev iot.DeviceRef, at int64, id, payload string) *store.QueuedMessage {
	return &store.QueuedMessage{QueueKey: store.QueueKey{At: at, MessageID: id}, Ref: dev, Topic: "/t", Payload: []byte(payload)}
}

func wantQueue(t *testing.T, s Stores, dev iot.DeviceRef, from int64, limit, maxBytes int, want string) {
	t.Helper()
	list, more, err := s.OfflineMessages().List(t.Context(), dev, from, limit, maxBytes)
	must(t, err)
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%s@%d%s=%s#%d/%d ", m.MessageID, m.At, m.Topic, m.Payload, m.PacketID, m.ExpiresAt)
	}
	if more {
		b.WriteString("…")
	}
	if b.String() != want {
		t.Errorf("queue\n got %s\nwant %s", b.String(), want)
	}
}

func testOfflineMessages(t *testing.T, s Stores) {
	ctx, q, dev := t.Context(), s.OfflineMessages(), ref("d1")
	wantQueue(t, s, dev, 0, 9, 99, "")
	second := queued(dev, 20, "b", "two")
	second.ExpiresAt = 77
	for _, m := range []*store.QueuedMessage{queued(dev, 30, "a", "three\x00\xff"), second, queued(dev, 10, "c", "one"), queued(dev, 20, "a", ""), second, queued(ref("d10"), 5, "x", "other")} {
		must(t, q.Put(ctx, m))
	}
	wantQueue(t, s, dev, 0, 9, 99, "c@10/t=one#0/0 a@20/t=#0/0 b@20/t=two#0/77 a@30/t=three\x00\xff#0/0 ")
	wantQueue(t, s, dev, 0, 2, 99, "c@10/t=one#0/0 a@20/t=#0/0 …")
	wantQueue(t, s, dev, 0, 9, 6, "c@10/t=one#0/0 a@20/t=#0/0 b@20/t=two#0/77 …")
	wantQueue(t, s, dev, 20, 9, 1, "a@20/t=#0/0 …")
	wantQueue(t, s, dev, 30, 9, 1, "a@30/t=three\x00\xff#0/0 ")
	n, size, err := q.Usage(ctx, dev, 20)
	must(t, err)
	equal(t, [2]int{n, size}, [2]int{3, 2 + 5 + 9}, "usage")

	gone := store.QueueKey{At: 1, MessageID: "gone"}
	must(t, q.Sent(ctx, dev, []store.QueueKey{second.QueueKey, gone}, []uint16{7, 8}))
	must(t, q.Delete(ctx, dev, []store.QueueKey{{At: 10, MessageID: "c"}, {At: 10, MessageID: "c"}, gone}))
	wantQueue(t, s, dev, 0, 9, 99, "a@20/t=#0/0 b@20/t=two#7/77 a@30/t=three\x00\xff#0/0 ")
	must(t, q.Clear(ctx, dev, 30))
	must(t, q.Clear(ctx, dev, 0))
	wantQueue(t, s, dev, 0, 9, 99, "a@30/t=three\x00\xff#0/0 ")

	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, dev))
	wantQueue(t, s, dev, 0, 9, 99, "")
	wantQueue(t, s, ref("d10"), 0, 9, 99, "x@5/t=other#0/0 ")
}

// testOfflineVolume has more messages than one request reads or writes.
func testOfflineVolume(t *testing.T, s Stores) {
	ctx, q, dev := t.Context(), s.OfflineMessages(), ref("away")
	var keys []store.QueueKey
	for i := range 450 {
		m := queued(dev, int64(1000+i), "m", strings.Repeat("x", 100))
		keys = append(keys, m.QueueKey)
		must(t, q.Put(ctx, m))
	}
	n, size, err := q.Usage(ctx, dev, 0)
	must(t, err)
	equal(t, [2]int{n, size}, [2]int{450, 450 * 102}, "usage")
	must(t, q.Delete(ctx, dev, keys[:420]))
	must(t, q.Clear(ctx, dev, 1440))
	list, more, err := q.List(ctx, dev, 0, 100, 1<<20)
	must(t, err)
	if len(list) != 10 || more || list[0].At != 1440 {
		t.Errorf("%d messages left, more %v", len(list), more)
	}
}

// A session in the sense of MQTT outlives connections as the device wants it.
func testPersistentSessions(t *testing.T, s Stores) {
	ctx, x, dev := t.Context(), s.Sessions(), ref("d1")
	clean := store.Take{Discard: true}
	keep := store.Take{Persistent: true}
	hour := store.Take{Persistent: true, Expiry: 3600}
	once := store.Take{} // takes over what was kept, and keeps nothing itself
	at, epoch := int64(1000), int64(0)
	for i, c := range []struct {
		take      store.Take
		away      int64 // seconds since the connection before ended; 0: it has not ended
		continued bool
		discarded bool
	}{
		{take: clean},
		{take: keep},
		{take: keep, away: 1e6, continued: true},
		{take: keep, continued: true},
		{take: clean, away: 5, discarded: true},
		{take: hour, away: 5},
		{take: hour, away: 3599, continued: true},
		{take: hour, away: 3601, discarded: true},
		{take: hour, continued: true},
		{take: once, away: 5, continued: true},
		{take: keep, away: 5},
	} {
		if c.away > 0 {
			at++
			mustAll(t, x.End(ctx, []iot.DeviceRef{dev}, []int64{epoch}, []int64{at}))
		}
		at += c.away*1000 + 1
		take := c.take
		take.Ref, take.Node, take.At = dev, "n1", at
		now, before, errs := x.Take(ctx, []store.Take{take})
		mustAll(t, errs)
		from := int64(0)
		if before[0] != nil {
			from = before[0].QueueFrom
		}
		if c.discarded {
			from = at
		}
		n := now[0]
		if n.Continued() != c.continued || n.Persistent != take.Persistent || n.Expiry != take.Expiry || n.QueueFrom != from {
			t.Errorf("take %d: continued %v, want %v; queue from %d, want %d: %+v", i, n.Continued(), c.continued, n.QueueFrom, from, n)
		}
		stored, err := x.Get(ctx, dev)
		must(t, err)
		equal(t, *stored, *n, "Get")
		epoch = n.Epoch
	}
}
