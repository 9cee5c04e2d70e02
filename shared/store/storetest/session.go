package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/store"
)

func testSessions(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	none, err := x.Get(ctx, ref("d1"))
	if none != nil || err != nil {
		t.Errorf("Get of nothing: %+v, %v", none, err)
	}
	now, before, errs := x.Take(ctx, []store.Take{{Ref: ref("d1"), Node: "n1", ExtRRPC: true, RemoteAddr: "10.0.0.1:5", At: 1000}})
	mustAll(t, errs)
	if before[0] != nil {
		t.Errorf("first Take: before is %+v", before[0])
	}
	first := *now[0]
	equal(t, first, store.Session{Ref: ref("d1"), Node: "n1", Epoch: first.Epoch, ExtRRPC: true, RemoteAddr: "10.0.0.1:5", ActiveAt: 1000, OnlineAt: 1000, Since: 1000}, "first Take")
	stored, err := x.Get(ctx, ref("d1"))
	must(t, err)
	equal(t, *stored, first, "Get")

	// The clock of the second taker is behind.
	now, before, errs = x.Take(ctx, []store.Take{{Ref: ref("d1"), Node: "n2", At: 900}})
	mustAll(t, errs)
	equal(t, *before[0], first, "second Take, before")
	second := *now[0]
	if second.Epoch <= first.Epoch || second.Node != "n2" || second.ActiveAt != 1000 || second.OnlineAt != 900 || second.ExtRRPC ||
		second.PrevNode != "n1" || second.PrevEpoch != first.Epoch {
		t.Errorf("second Take: %+v", second)
	}

	mustAll(t, x.End(ctx, []iot.DeviceRef{ref("d1"), ref("unknown")}, []int64{first.Epoch, 1}, []int64{1100, 1100}))
	stored, err = x.Get(ctx, ref("d1"))
	must(t, err)
	equal(t, *stored, second, "Get after the End of an older session")

	for range 2 {
		mustAll(t, x.End(ctx, []iot.DeviceRef{ref("d1")}, []int64{second.Epoch}, []int64{1200}))
	}
	stored, err = x.Get(ctx, ref("d1"))
	must(t, err)
	if stored.Node != "" || stored.OfflineAt != 1200 || stored.Epoch != second.Epoch || stored.OnlineAt != 900 {
		t.Errorf("Get after End: %+v", *stored)
	}

	now, _, errs = x.Take(ctx, []store.Take{{Ref: ref("d1"), Node: "n1", At: 2000}})
	mustAll(t, errs)
	if now[0].OfflineAt != 0 || now[0].ActiveAt != 1000 || now[0].Epoch <= second.Epoch || now[0].PrevNode != "" {
		t.Errorf("third Take: %+v", *now[0])
	}

	// The answer to a login is lost and the node asks again: it still learns whom to tell.
	for range 2 {
		now, _, errs = x.Take(ctx, []store.Take{{Ref: ref("d1"), Node: "n3", At: 3000}})
		mustAll(t, errs)
		if now[0].PrevNode != "n1" {
			t.Errorf("Take from a living session: %+v", *now[0])
		}
	}
	stored, err = x.Get(ctx, ref("d1"))
	must(t, err)
	equal(t, *stored, *now[0], "Get after the session was taken twice")
	many, err := x.GetMany(ctx, []iot.DeviceRef{ref("d2"), ref("d1"), ref("d1")})
	must(t, err)
	if many[0] != nil || many[1] == nil || many[2] == nil || many[1].Node != "n3" {
		t.Errorf("GetMany: %+v", many)
	}
}

func testSessionBatch(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	const devices, rounds = 250, 3
	var takes []store.Take
	for r := range rounds {
		for i := range devices {
			takes = append(takes, store.Take{Ref: ref(fmt.Sprint("d", i)), Node: fmt.Sprint("n", r), At: 1000})
		}
	}
	now, before, errs := x.Take(ctx, takes)
	mustAll(t, errs)
	for i := range takes {
		if now[i].Ref != takes[i].Ref || now[i].Node != takes[i].Node {
			t.Fatalf("take %d: %+v", i, *now[i])
		}
		if i < devices {
			if before[i] != nil {
				t.Fatalf("take %d: before is %+v", i, *before[i])
			}
		} else if before[i] == nil || !reflect.DeepEqual(before[i], now[i-devices]) || now[i].Epoch <= before[i].Epoch {
			t.Fatalf("take %d is not after its device's former one: %+v", i, *now[i])
		}
	}
	// Of two ends of a device the greater epoch counts, wherever it stands.
	last := now[len(now)-1]
	mustAll(t, x.End(ctx, []iot.DeviceRef{last.Ref, last.Ref}, []int64{last.Epoch, last.Epoch - 1}, []int64{5000, 4000}))
	stored, err := x.Get(ctx, last.Ref)
	must(t, err)
	if stored.Node != "" || stored.OfflineAt != 5000 {
		t.Errorf("Get after End: %+v", *stored)
	}
}

func testSessionRace(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	var mu sync.Mutex
	epochs := make(map[int64]bool)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			now, _, errs := x.Take(ctx, []store.Take{{Ref: ref("raced"), Node: fmt.Sprint("n", i), At: 1000}})
			mu.Lock()
			defer mu.Unlock()
			if errs[0] != nil {
				t.Errorf("Take: %v", errs[0])
			} else if epochs[now[0].Epoch] {
				t.Errorf("epoch %d was given twice", now[0].Epoch)
			} else {
				epochs[now[0].Epoch] = true
			}
		})
	}
	wg.Wait()
	stored, err := x.Get(ctx, ref("raced"))
	must(t, err)
	for e := range epochs {
		if e > stored.Epoch {
			t.Errorf("epoch %d was given, %d is stored", e, stored.Epoch)
		}
	}
}

func testNodes(t *testing.T, s Stores) {
	ctx, n := t.Context(), s.Nodes()
	none, err := n.Get(ctx, "n1")
	if none != nil || err != nil {
		t.Errorf("Get of nothing: %+v, %v", none, err)
	}
	must(t, n.Renew(ctx, store.Node{ID: "n1", URL: "http://a:1", Until: 10, Sessions: 3}))
	want := store.Node{ID: "n1", URL: "http://a:2", Until: 20, Sessions: 4, Lanes: map[string]device.LaneCounts{
		"property": {In: 9, Stored: 4, Rejected: 3, DeadLettered: 1, Undecided: 1}, "event": {In: 1}}}
	must(t, n.Renew(ctx, want))
	got, err := n.Get(ctx, "n1")
	must(t, err)
	equal(t, *got, want, "Get")
	must(t, n.Renew(ctx, store.Node{ID: "n0", URL: "http://b:1", Until: 30}))
	list, err := n.List(ctx)
	must(t, err)
	if len(list) != 2 || list[0].ID != "n0" || !reflect.DeepEqual(*list[1], want) {
		t.Errorf("List: %+v", list)
	}
}

func testDeadLetters(t *testing.T, s Stores) {
	ctx, l := t.Context(), s.DeadLetters()
	for i := range 5 {
		d := &store.DeadLetter{
			Ref: ref("d1"), MessageID: fmt.Sprint("m", i), Function: "property", Topic: "/t", Payload: []byte{0, byte(i), 255}, Reason: "r", At: int64(10 + i),
		}
		must(t, l.Put(ctx, d))
		must(t, l.Put(ctx, d))
	}
	must(t, l.Put(ctx, &store.DeadLetter{Ref: iot.DeviceRef{}, MessageID: "login", At: 1}))
	list, err := l.List(ctx, ref("d1"), 2)
	must(t, err)
	if len(list) != 2 {
		t.Fatalf("List: %d, want 2", len(list))
	}
	equal(t, *list[0], store.DeadLetter{Ref: ref("d1"), MessageID: "m4", Function: "property", Topic: "/t", Payload: []byte{0, 4, 255}, Reason: "r", At: 14}, "newest")
	list, err = l.List(ctx, iot.DeviceRef{}, 10)
	must(t, err)
	if len(list) != 1 || list[0].MessageID != "login" {
		t.Errorf("List of no device: %+v", list)
	}
}

// A session says whether it is a connection of the device's own or goes over that of a gateway.
func testGatewaySessions(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	gw, other := ref("gw"), ref("gw2")
	for i, gateway := range []iot.DeviceRef{{}, gw, gw, other, {}, {}} {
		at := int64(1000 + i)
		now, _, errs := x.Take(ctx, []store.Take{{Ref: ref("behind"), Node: "n1", Gateway: gateway, At: at}})
		mustAll(t, errs)
		if now[0].Gateway != gateway {
			t.Errorf("take %d: gateway %v, want %v", i, now[0].Gateway, gateway)
		}
		if i == 2 {
			mustAll(t, x.End(ctx, []iot.DeviceRef{ref("behind")}, []int64{now[0].Epoch}, []int64{at}))
			now[0].Node, now[0].OfflineAt = "", at
		}
		stored, err := x.Get(ctx, ref("behind"))
		must(t, err)
		equal(t, *stored, *now[0], "Get")
	}
}

// What a device has subscribed belongs to it: it outlives sessions, and only the session that holds the device may change it.
func testSubscriptions(t *testing.T, s Stores) {
	ctx := t.Context()
	dev := iot.DeviceRef{ProductKey: "a1SubsXrip0", DeviceName: "subscriber"}
	take := func(node string, at int64) *store.Session {
		t.Helper()
		now, _, errs := s.Sessions().Take(ctx, []store.Take{{Ref: dev, Node: node, At: at}})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		return now[0]
	}
	first := take("n1", 1000)
	want := device.Subscriptions{Epoch: first.Epoch, Subscribed: []device.Subscription{{Filter: "/a1SubsXrip0/subscriber/user/get", QoS: 1}}, Muted: []string{"/m"}}
	for range 2 { // storing it again changes nothing
		if errs := s.Sessions().Subscribe(ctx, []iot.DeviceRef{dev}, []device.Subscriptions{want}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	if errs := s.Sessions().End(ctx, []iot.DeviceRef{dev}, []int64{first.Epoch}, []int64{1001}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	second := take("n2", 2000)
	if !reflect.DeepEqual(second.Subscribed, want.Subscribed) || !reflect.DeepEqual(second.Muted, want.Muted) || second.OfflineAt != 0 {
		t.Errorf("the next session has %+v", second)
	}
	stale := device.Subscriptions{Epoch: first.Epoch}
	if errs := s.Sessions().Subscribe(ctx, []iot.DeviceRef{dev}, []device.Subscriptions{stale}); !iot.Is(errs[0], iot.Conflict) {
		t.Errorf("a superseded session changed the subscriptions: %v, want a conflict", errs[0])
	}
	got, err := s.Sessions().Get(ctx, dev)
	if err != nil || !reflect.DeepEqual(got, second) {
		t.Errorf("stored %+v (%v), want %+v", got, err, second)
	}
}
