package storetest

import (
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testShadows(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Shadows()
	none, err := x.Get(ctx, ref("lamp"))
	must(t, err)
	equal(t, *none, store.Shadow{Ref: ref("lamp")}, "Get of nothing")

	want := &store.Shadow{
		Ref: ref("lamp"), Reported: []byte(`{"a":1,"灯":{"b":[1]}}`), ReportedAt: []int64{5, 6}, Version: 1_700_000_000_000, UpdatedAt: 7, ClearedAt: 8,
		MessageID: "m1", MessageVersion: 9,
	}
	must(t, x.Put(ctx, want))
	got, err := x.Get(ctx, want.Ref)
	must(t, err)
	equal(t, *got, *want, "Get")
	if got.Revision != 1 {
		t.Errorf("revision %d, want 1", got.Revision)
	}
	stale := *none
	wantKind(t, x.Put(ctx, &stale), iot.Conflict, "Put of what was read before")
	got.Reported, got.ReportedAt, got.Desired, got.DesiredAt = nil, nil, []byte(`{"x":{"y":null}}`), []int64{3}
	must(t, x.Put(ctx, got))
	again, err := x.Get(ctx, want.Ref)
	must(t, err)
	equal(t, *again, *got, "Get after a second Put")
	wantKind(t, x.Put(ctx, want), iot.Conflict, "Put of an older one")

	must(t, s.Devices().Create(ctx, newDevice("fresh", 1)))
	must(t, x.Put(ctx, &store.Shadow{Ref: ref("fresh"), Version: 4}))
	must(t, s.Devices().Delete(ctx, ref("fresh")))
	gone, err := x.Get(ctx, ref("fresh"))
	must(t, err)
	equal(t, *gone, store.Shadow{Ref: ref("fresh")}, "Get after Delete of the device")
}

func testDeviceInfos(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.DeviceInfos()
	none, err := x.Get(ctx, ref("lamp"))
	must(t, err)
	equal(t, *none, store.DeviceInfo{Ref: ref("lamp")}, "Get of nothing")
	want := &store.DeviceInfo{
		Ref: ref("lamp"), Tags: []store.Tag{{Key: "room", Value: "2.14"}, {Key: "a", Value: ""}}, Facts: []store.Tag{{Key: "SYS_SDK_LANGUAGE", Value: "C"}},
		LogUpload: true, LANPrefix: "p7d2k9qx", LANSecret: "k3v9q2m7", UpdatedAt: 5,
	}
	must(t, x.Put(ctx, want, nil))
	got, err := x.Get(ctx, want.Ref)
	must(t, err)
	equal(t, *got, *want, "Get")
	if got.LANSecret != want.LANSecret {
		t.Error("the secret is another")
	}
	wantKind(t, x.Put(ctx, none, nil), iot.Conflict, "Put of what was read before")

	must(t, s.Devices().Create(ctx, newDevice("named", 1)))
	must(t, s.Devices().SetNickname(ctx, ref("named"), "other", 9))
	d, err := s.Devices().Get(ctx, ref("named"))
	must(t, err)
	if d.Nickname != "other" || d.UpdatedAt != 9 || d.Secret != "secret-of-named" {
		t.Errorf("after SetNickname: %+v", *d)
	}
	wantKind(t, s.Devices().SetNickname(ctx, ref("none"), "x", 9), iot.DeviceNotFound, "SetNickname of nothing")
}

func testDeviceTags(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.DeviceInfos()
	long := strings.Repeat("v", 4096)
	tags := map[string][]store.Tag{
		"d1": {{Key: "room", Value: "1"}, {Key: "long", Value: long}}, "d2": {{Key: "room", Value: "2"}}, "d3": {{Key: "rooms", Value: "1"}},
	}
	for name, list := range tags {
		must(t, s.Devices().Create(ctx, newDevice(name, 1)))
		must(t, x.Put(ctx, &store.DeviceInfo{Ref: ref(name), Tags: list}, nil))
	}
	count := func(tag store.Tag, limit, want int) {
		t.Helper()
		refs, err := x.Tagged(ctx, tag, limit)
		must(t, err)
		if len(refs) != want {
			t.Errorf("%s=%.9s: %v, want %d", tag.Key, tag.Value, refs, want)
		}
	}
	count(store.Tag{Key: "room"}, 10, 2)
	count(store.Tag{Key: "room"}, 1, 1)
	count(store.Tag{Key: "room", Value: "2"}, 10, 1)
	count(store.Tag{Key: "long", Value: long}, 10, 1)
	count(store.Tag{Key: "nothing"}, 10, 0)
	d, err := x.Get(ctx, ref("d1"))
	must(t, err)
	before := d.Tags
	d.Tags = []store.Tag{{Key: "room", Value: "2"}}
	must(t, x.Put(ctx, d, before))
	count(store.Tag{Key: "room", Value: "1"}, 10, 0)
	count(store.Tag{Key: "room", Value: "2"}, 10, 2)
	must(t, s.Devices().Delete(ctx, ref("d1")))
	count(store.Tag{Key: "room"}, 10, 1)
	gone, err := x.Get(ctx, ref("d1"))
	must(t, err)
	equal(t, *gone, store.DeviceInfo{Ref: ref("d1")}, "Get after Delete of the device")
}

func testNetworkStatuses(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.NetworkStatuses()
	entry := func(at int64, id string, index int) store.NetworkStatus {
		return store.NetworkStatus{Ref: ref("lamp"), Time: at, MessageID: id, Index: index, Model: "time=now", JSON: []byte(`{"wifi":{"rssi":-61}}`)}
	}
	all := []store.NetworkStatus{entry(40, "m3", 0), entry(30, "m2", 1), entry(30, "m2", 0), entry(20, "m1", 0)}
	must(t, x.Put(ctx, all))
	must(t, x.Put(ctx, all[1:])) // again
	got, next, err := x.List(ctx, ref("lamp"), 0, 100, 10)
	must(t, err)
	equal(t, got, all, "List")
	if next != 0 {
		t.Errorf("next %d after the last page", next)
	}
	got, next, err = x.List(ctx, ref("lamp"), 0, 100, 2)
	must(t, err)
	if len(got) != 1 || next != 30 {
		t.Errorf("a page of two: %d entries, next %d", len(got), next)
	}
	got, next, err = x.List(ctx, ref("lamp"), 0, next, 2)
	must(t, err)
	if len(got) != 2 || got[1].Index != 0 || next != 20 {
		t.Errorf("the second page: %+v, next %d", got, next)
	}
	got, _, err = x.List(ctx, ref("lamp"), 21, 39, 10)
	must(t, err)
	if len(got) != 2 {
		t.Errorf("a range: %+v", got)
	}
	must(t, s.Devices().Create(ctx, newDevice("lamp", 1)))
	must(t, s.Devices().Delete(ctx, ref("lamp")))
	if got, _, err = x.List(ctx, ref("lamp"), 0, 100, 10); err != nil || len(got) != 0 {
		t.Errorf("after Delete of the device: %v, %v", got, err)
	}
}
