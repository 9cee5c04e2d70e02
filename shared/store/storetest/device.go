package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testDevices(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	_, err := d.Get(ctx, ref("none"))
	wantKind(t, err, iot.DeviceNotFound, "Get of nothing")
	_, err = d.Resolve(ctx, "iot-none")
	wantKind(t, err, iot.DeviceNotFound, "Resolve of nothing")
	wantKind(t, d.SetDisabled(ctx, ref("none"), true, 1), iot.DeviceNotFound, "SetDisabled of nothing")

	want := newDevice("lamp@1:a.b-c_d", 1000)
	must(t, d.Create(ctx, want))
	wantKind(t, d.Create(ctx, want), iot.AlreadyExists, "Create again")
	got, err := d.Get(ctx, want.Ref)
	must(t, err)
	equal(t, *got, *want, "Get")
	if got.Secret != want.Secret {
		t.Error("Get: the secret is another")
	}
	where, err := d.Resolve(ctx, want.IotID)
	must(t, err)
	equal(t, where, want.Ref, "Resolve")

	must(t, d.SetDisabled(ctx, want.Ref, true, 2000))
	got, err = d.Get(ctx, want.Ref)
	must(t, err)
	if !got.Disabled || got.UpdatedAt != 2000 || got.Secret != want.Secret {
		t.Errorf("Get after SetDisabled: %+v", *got)
	}

	must(t, d.Create(ctx, newDevice("other", 1001)))
	many, err := d.GetMany(ctx, []iot.DeviceRef{ref("other"), ref("none"), want.Ref, ref("other")})
	must(t, err)
	if len(many) != 4 || many[0] == nil || many[1] != nil || many[2] == nil || many[3] == nil || many[2].Ref != want.Ref {
		t.Errorf("GetMany: %+v", many)
	}
	none, err := d.GetMany(ctx, nil)
	if len(none) != 0 || err != nil {
		t.Errorf("GetMany of nothing: %v, %v", none, err)
	}
}

func testDevicePages(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	const n = 230 // more than one request reads or writes
	for i := range n {
		must(t, d.Create(ctx, newDevice(fmt.Sprintf("dev%03d", i), int64(1000+i/2))))
	}
	other := newDevice("elsewhere", 5000)
	other.Ref.ProductKey = "a1storetest2"
	must(t, d.Create(ctx, other))
	count, err := d.Count(ctx, "a1storetest")
	must(t, err)
	if count != n {
		t.Errorf("Count: %d, want %d", count, n)
	}
	seen := make(map[iot.DeviceName]bool)
	last := int64(1 << 62)
	for offset := 0; offset < n+50; offset += 50 {
		page, err := d.List(ctx, "a1storetest", offset, 50)
		must(t, err)
		for _, dev := range page {
			if seen[dev.Ref.DeviceName] || dev.CreatedAt > last {
				t.Errorf("List: %s again or out of order", dev.Ref)
			}
			seen[dev.Ref.DeviceName], last = true, dev.CreatedAt
		}
	}
	if len(seen) != n {
		t.Errorf("List: %d devices in all, want %d", len(seen), n)
	}
	refs := make([]iot.DeviceRef, n)
	for i := range refs {
		refs[i] = ref(fmt.Sprintf("dev%03d", n-1-i))
	}
	many, err := d.GetMany(ctx, refs)
	must(t, err)
	for i, dev := range many {
		if dev == nil || dev.Ref != refs[i] || dev.Secret != iot.Secret("secret-of-"+string(refs[i].DeviceName)) {
			t.Fatalf("GetMany: %d is %+v, want %s", i, dev, refs[i])
		}
	}
}

func testDeviceDeletion(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	dev := newDevice("gone", 1000)
	neighbour := newDevice("gone2", 1000)
	must(t, d.Create(ctx, dev))
	must(t, d.Create(ctx, neighbour))
	var posts []store.Post
	for i := range 450 {
		for _, to := range []iot.DeviceRef{dev.Ref, neighbour.Ref} {
			posts = append(posts, store.Post{Ref: to, MessageID: fmt.Sprint(i), Values: []store.Value{{Identifier: "t", Time: int64(5000 + i), JSON: []byte("1")}}})
		}
	}
	mustAll(t, s.Properties().Post(ctx, posts))
	_, _, errs := s.Sessions().Take(ctx, []store.Take{{Ref: dev.Ref, Node: "n1", At: 1}, {Ref: neighbour.Ref, Node: "n1", At: 1}})
	mustAll(t, errs)

	for range 2 { // deleting what is gone is fine
		must(t, d.Delete(ctx, dev.Ref))
		_, err := d.Get(ctx, dev.Ref)
		wantKind(t, err, iot.DeviceNotFound, "Get after Delete")
		_, err = d.Resolve(ctx, dev.IotID)
		wantKind(t, err, iot.DeviceNotFound, "Resolve after Delete")
	}
	checkHolds := func(to iot.DeviceRef, want int) {
		t.Helper()
		history, _, err := s.Properties().History(ctx, to, "t", 0, 1<<60, true, 1000)
		must(t, err)
		session, err := s.Sessions().Get(ctx, to)
		must(t, err)
		latest, err := s.Properties().Latest(ctx, to)
		must(t, err)
		if len(history) != want || (session != nil) != (want > 0) || (len(latest) > 0) != (want > 0) {
			t.Errorf("%s: %d values of history, session %v, %d latest values; want %d values", to, len(history), session, len(latest), want)
		}
	}
	checkHolds(dev.Ref, 0)
	checkHolds(neighbour.Ref, 450)
	list, err := d.List(ctx, dev.Ref.ProductKey, 0, 10)
	must(t, err)
	count, err := d.Count(ctx, dev.Ref.ProductKey)
	must(t, err)
	if len(list) != 1 || count != 1 {
		t.Errorf("after Delete: List has %d, Count is %d, want 1", len(list), count)
	}
	again := newDevice("gone", 9000)
	again.IotID = "iot-again"
	must(t, d.Create(ctx, again))
	got, err := d.Get(ctx, again.Ref)
	must(t, err)
	equal(t, *got, *again, "Get after Create anew")
}

func testDeviceRace(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			dev := newDevice("raced", int64(1000+i%2))
			dev.IotID = iot.IotID(fmt.Sprint("iot-", i))
			switch err := d.Create(ctx, dev); {
			case err == nil:
				won.Add(1)
			case !iot.Is(err, iot.AlreadyExists):
				t.Errorf("Create: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d creations of one device succeeded", won.Load())
	}
	dev, err := d.Get(ctx, ref("raced"))
	must(t, err)
	where, err := d.Resolve(ctx, dev.IotID)
	must(t, err)
	equal(t, where, dev.Ref, "Resolve of the winner")
}
