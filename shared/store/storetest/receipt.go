package storetest

import (
	"context"
	"testing"

	"relink/shared/store"
)

func receipt(id uint16, sum uint64) store.Receipt { return store.Receipt{PacketID: id, Sum: sum} }

// testReceipts notes what came, and finds it again by its slot.
func testReceipts(t *testing.T, s Stores) {
	ctx, r := t.Context(), s.Receipts()
	find := finder(t, r.Find)
	mustAll(t, r.Note(ctx, []store.Received{
		{Ref: ref("d1"), Receipt: receipt(2, 12), MessageID: "m2", ReceivedAt: 1001},
		{Ref: ref("d1"), Receipt: receipt(5, 15), MessageID: "0123", ReceivedAt: 1004}, {Ref: ref("d2"), Receipt: receipt(5, 1<<63), MessageID: "18446744073709551615", ReceivedAt: 1005},
		{Ref: ref("d1"), Receipt: receipt(25, 16), MessageID: "913072545459240961", ReceivedAt: 1006},
	}))
	for _, c := range []struct {
		dev  string
		x    store.Receipt
		want string
	}{
		{"d1", receipt(2, 12), "m2"}, {"d1", receipt(2, 13), ""}, {"d1", receipt(22, 12), ""},
		{"d1", receipt(5, 15), ""}, // 25 has its place
		{"d1", receipt(25, 16), "913072545459240961"}, {"d2", receipt(5, 1<<63), "18446744073709551615"}, {"d3", receipt(1, 1), ""},
	} {
		if got := find(c.dev, c.x); got != c.want {
			t.Errorf("%s %+v: %q, want %q", c.dev, c.x, got, c.want)
		}
	}
	wantLatest(t, s, ref("d1"), "") // receipts are no properties
	// What is older does not replace what is newer.
	mustAll(t, r.Note(ctx, []store.Received{{Ref: ref("d1"), Receipt: receipt(2, 99), MessageID: "m0", ReceivedAt: 900}}))
	equal(t, find("d1", receipt(2, 12)), "m2", "after an older one")
	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, ref("d1")))
	equal(t, find("d1", receipt(2, 12)), "", "after the device was deleted")
}

// testRepeated stores posts, and finds them when they come again: those that have the time of their arrival in the history, the others by
// their slot.
func testRepeated(t *testing.T, s Stores) {
	ctx := t.Context()
	find := finder(t, s.Properties().Repeated)
	const hour = 3_600_000
	post := func(x store.Receipt, message string, at int64, values ...store.Value) store.Post {
		return store.Post{Ref: ref("d1"), MessageID: message, Values: values, Receipt: x, ReceivedAt: at}
	}
	a, b := func(at int64) store.Value { return value("a", at, "1") }, func(at int64) store.Value { return value("b", at, "2") }
	for range 2 {
		mustAll(t, s.Properties().Post(ctx, []store.Post{
			post(receipt(1, 11), "m1", hour, a(hour)), post(receipt(21, 13), "m3", hour+2, a(hour+2)),
			post(receipt(2, 12), "m2", hour+1, a(7), b(hour+1)), // one value has a time of its own
			post(receipt(3, 14), "m4", hour+3, a(8)), post(receipt(23, 15), "m5", hour+4, a(9), b(10)), post(receipt(4, 16), "m6", hour+5, a(2*hour)),
			{Ref: ref("d1"), MessageID: "m7", Values: []store.Value{b(11)}}, // QoS 0
		}))
	}
	for _, c := range []struct {
		x    store.Receipt
		want string
	}{
		{receipt(1, 11), "m1"}, {receipt(21, 13), "m3"}, {receipt(2, 12), "m2"}, {receipt(1, 13), ""}, {receipt(41, 13), ""}, {receipt(2, 11), ""},
		{receipt(3, 14), ""}, // 23 has its place
		{receipt(23, 15), "m5"}, {receipt(4, 16), "m6"}, {receipt(0, 0), ""},
	} {
		if got := find("d1", c.x); got != c.want {
			t.Errorf("%+v: %q, want %q", c.x, got, c.want)
		}
	}
	found, err := s.Properties().Repeated(ctx, []store.Received{{Ref: ref("d1"), Receipt: receipt(2, 12), ReceivedAt: hour + 9}, {Ref: ref("d1"), Receipt: receipt(23, 15), ReceivedAt: hour + 9}})
	must(t, err)
	equal(t, found[0].ReceivedAt, hour+1, "arrival of m2")
	equal(t, found[1].ReceivedAt, hour+4, "arrival of m5")
	wantLatest(t, s, ref("d1"), "a@7200000=1 b@3600001=2 ") // receipts are no properties
	values, _, err := s.Properties().History(ctx, ref("d1"), "r", 0, 3*hour, true, 10)
	must(t, err)
	equal(t, len(values), 0, "a property of the name of the column")
	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, ref("d1")))
	equal(t, find("d1", receipt(2, 12)), "", "after the device was deleted")
}

// finder makes a function that looks for one message of a device, and at the same time for that of another, which is never there.
func finder(t *testing.T, search func(context.Context, []store.Received) ([]store.Received, error)) func(dev string, x store.Receipt) string {
	return func(dev string, x store.Receipt) string {
		t.Helper()
		const now = 4_000_000
		found, err := search(t.Context(), []store.Received{{Ref: ref("other"), Receipt: x, ReceivedAt: now}, {Ref: ref(dev), Receipt: x, ReceivedAt: now}})
		must(t, err)
		if found[0].MessageID != "" {
			t.Errorf("another device's: %+v", found[0])
		}
		if found[1].MessageID != "" && (found[1].ReceivedAt == 0 || found[1].Ref != ref(dev) || found[1].Receipt != x) {
			t.Errorf("%+v", found[1])
		}
		return found[1].MessageID
	}
}
