package storetest

import (
	"testing"

	"relink/shared/store"
)

func testReceipts(t *testing.T, s Stores) {
	ctx, r := t.Context(), s.Receipts()
	receipt := func(id uint16, sum uint64) store.Receipt { return store.Receipt{PacketID: id, Sum: sum} }
	find := func(dev string, x store.Receipt) string {
		t.Helper()
		found, err := r.Find(ctx, []store.Received{{Ref: ref("other"), Receipt: x}, {Ref: ref(dev), Receipt: x}})
		must(t, err)
		if found[0].MessageID != "" {
			t.Errorf("another device's: %+v", found[0])
		}
		if found[1].MessageID != "" && (found[1].ReceivedAt == 0 || found[1].Ref != ref(dev) || found[1].Receipt != x) {
			t.Errorf("%+v", found[1])
		}
		return found[1].MessageID
	}
	post := func(id uint16, sum uint64, message string, at int64, historyOnly bool) store.Post {
		return store.Post{
			Ref: ref("d1"), MessageID: message, Values: []store.Value{value("a", at, "1")}, Receipt: receipt(id, sum), ReceivedAt: at, HistoryOnly: historyOnly,
		}
	}
	for range 2 {
		mustAll(t, s.Properties().Post(ctx, []store.Post{post(1, 11, "m1", 1000, false), post(2, 12, "m2", 1001, false), post(21, 13, "m3", 1002, false), post(4, 14, "m4", 1003, true)}))
	}
	mustAll(t, r.Note(ctx, []store.Received{
		{Ref: ref("d1"), Receipt: receipt(5, 15), MessageID: "0123", ReceivedAt: 1004}, {Ref: ref("d2"), Receipt: receipt(5, 1<<63), MessageID: "18446744073709551615", ReceivedAt: 1005},
		{Ref: ref("d1"), Receipt: receipt(25, 16), MessageID: "913072545459240961", ReceivedAt: 1006},
	}))
	for _, c := range []struct {
		dev  string
		x    store.Receipt
		want string
	}{
		{"d1", receipt(1, 11), ""}, // 21 has its place
		{"d1", receipt(21, 13), "m3"}, {"d1", receipt(2, 12), "m2"}, {"d1", receipt(2, 13), ""}, {"d1", receipt(22, 12), ""},
		{"d1", receipt(4, 14), ""}, {"d1", receipt(5, 15), ""}, {"d1", receipt(25, 16), "913072545459240961"}, {"d2", receipt(5, 1<<63), "18446744073709551615"}, {"d3", receipt(1, 1), ""},
	} {
		if got := find(c.dev, c.x); got != c.want {
			t.Errorf("%s %+v: %q, want %q", c.dev, c.x, got, c.want)
		}
	}
	wantLatest(t, s, ref("d1"), "a@1002=1 ") // receipts are no properties
	wantLatest(t, s, ref("d2"), "")
	// What is older does not replace what is newer.
	mustAll(t, r.Note(ctx, []store.Received{{Ref: ref("d1"), Receipt: receipt(2, 99), MessageID: "m0", ReceivedAt: 900}}))
	equal(t, find("d1", receipt(2, 12)), "m2", "after an older one")
	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, ref("d1")))
	equal(t, find("d1", receipt(2, 12)), "", "after the device was deleted")
}
