package storetest

import (
	"fmt"
	"sync"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func refs(names ...string) []iot.DeviceRef {
	list := make([]iot.DeviceRef, len(names))
	for i, name := range names {
		list[i] = ref(name)
	}
	return list
}

// wantSubs compares all sub-devices of a gateway.
func wantSubs(t *testing.T, s Stores, gateway string, names ...string) {
	t.Helper()
	subs, total, err := s.Topology().List(t.Context(), ref(gateway), 0, 1000)
	must(t, err)
	if len(names) == 0 && len(subs) == 0 && total == 0 {
		return
	}
	equal(t, subs, refs(names...), "sub-devices of "+gateway)
	equal(t, total, len(names), "number of sub-devices of "+gateway)
}

func testTopology(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Topology()
	links, err := x.Links(ctx, refs("s1"))
	must(t, err)
	if links[0] != nil {
		t.Errorf("Links of nothing: %+v", *links[0])
	}
	wantSubs(t, s, "g1")
	for range 2 { // again changes nothing
		mustAll(t, x.Add(ctx, ref("g1"), refs("s3", "s1", "s2"), 1000))
		wantSubs(t, s, "g1", "s1", "s2", "s3")
	}
	links, err = x.Links(ctx, refs("s1", "none", "s1"))
	must(t, err)
	if links[1] != nil {
		t.Errorf("Links: %+v", *links[1])
	}
	equal(t, *links[0], store.Link{Sub: ref("s1"), Gateway: ref("g1"), Since: 1000}, "link")
	equal(t, *links[2], *links[0], "the same link again")

	page, total, err := x.List(ctx, ref("g1"), 1, 1)
	must(t, err)
	equal(t, page, refs("s2"), "second page")
	equal(t, total, 3, "total")
	page, _, err = x.List(ctx, ref("g1"), 5, 10)
	must(t, err)
	equal(t, len(page), 0, "page after the end")
	n, err := x.Count(ctx, ref("g1"))
	must(t, err)
	equal(t, n, 3, "count")

	// A sub-device moves.
	mustAll(t, x.Add(ctx, ref("g2"), refs("s2"), 2000))
	wantSubs(t, s, "g1", "s1", "s3")
	wantSubs(t, s, "g2", "s2")

	// What belongs to another gateway, or to none, is not removed.
	mustAll(t, x.Remove(ctx, ref("g1"), refs("s2", "none"), "m1"))
	wantSubs(t, s, "g2", "s2")
	for _, by := range []string{"m2", "m3"} { // the first message holds
		mustAll(t, x.Remove(ctx, ref("g1"), refs("s1"), by))
		wantSubs(t, s, "g1", "s3")
		links, err = x.Links(ctx, refs("s1"))
		must(t, err)
		equal(t, *links[0], store.Link{Sub: ref("s1"), Former: ref("g1"), EndedBy: "m2"}, "ended link")
	}
	// And there and back.
	for i := range 3 {
		mustAll(t, x.Add(ctx, ref(fmt.Sprint("g", 1+i%2)), refs("s1"), 3000))
	}
	wantSubs(t, s, "g1", "s1", "s3")
	wantSubs(t, s, "g2", "s2")

	names := make([]string, 250)
	for i := range names {
		names[i] = fmt.Sprintf("many-%03d", i)
	}
	mustAll(t, x.Add(ctx, ref("g3"), refs(names...), 4000))
	wantSubs(t, s, "g3", names...)
}

func testTopologyRace(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Topology()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			mustAll(t, x.Add(ctx, ref(fmt.Sprint("g", i)), refs("raced"), 1000))
		})
	}
	wg.Wait()
	links, err := x.Links(ctx, refs("raced"))
	must(t, err)
	owners := 0
	for i := range 4 {
		subs, _, err := x.List(ctx, ref(fmt.Sprint("g", i)), 0, 10)
		must(t, err)
		if owners += len(subs); len(subs) > 0 && links[0].Gateway != ref(fmt.Sprint("g", i)) {
			t.Errorf("gateway %d has it, the relation is with %s", i, links[0].Gateway)
		}
	}
	equal(t, owners, 1, "gateways that have the sub-device")
}

func testTopologyDeletion(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Topology()
	for _, name := range []string{"g1", "s1", "s2"} {
		must(t, s.Devices().Create(ctx, newDevice(name, 1000)))
	}
	mustAll(t, x.Add(ctx, ref("g1"), refs("s1", "s2"), 1000))
	must(t, s.Devices().Delete(ctx, ref("s1")))
	wantSubs(t, s, "g1", "s2")
	must(t, s.Devices().Delete(ctx, ref("g1")))
	wantSubs(t, s, "g1")
	links, err := x.Links(ctx, refs("s1", "s2"))
	must(t, err)
	if links[0] != nil || links[1] == nil || !links[1].Gateway.IsZero() {
		t.Errorf("links of a deleted sub-device and of one whose gateway was deleted: %+v, %+v", links[0], links[1])
	}
}

func testDiscoveries(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Discoveries()
	list, err := x.List(ctx, ref("g1"), 0, 10)
	must(t, err)
	equal(t, len(list), 0, "nothing found")
	must(t, x.Put(ctx, ref("g1"), []store.Discovery{{Device: ref("s2"), At: 1}, {Device: ref("s1"), At: 1}}))
	must(t, x.Put(ctx, ref("g1"), []store.Discovery{{Device: ref("s2"), At: 2}}))
	list, err = x.List(ctx, ref("g1"), 0, 10)
	must(t, err)
	equal(t, list, []store.Discovery{{Device: ref("s1"), At: 1}, {Device: ref("s2"), At: 2}}, "found")
	list, err = x.List(ctx, ref("g1"), 1, 1)
	must(t, err)
	equal(t, list, []store.Discovery{{Device: ref("s2"), At: 2}}, "second page")
}

func testGatewayLogins(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	login := func(gateway string, at, logins, from int64) {
		t.Helper()
		take := store.Take{Ref: ref("behind"), Node: "n1", At: at}
		if gateway != "" {
			take.Gateway = ref(gateway)
		}
		_, _, errs := x.Take(ctx, []store.Take{take})
		mustAll(t, errs)
		session, err := x.Get(ctx, ref("behind"))
		must(t, err)
		if session.Logins != logins || session.LoginsFrom != from {
			t.Errorf("login at %d: %d logins from %d, want %d from %d", at, session.Logins, session.LoginsFrom, logins, from)
		}
	}
	login("g1", 1000, 1, 1000)
	login("g1", 2000, 2, 1000)
	login("g1", 2000, 2, 1000) // the same again
	login("g2", 60_999, 3, 1000)
	login("g1", 61_000, 1, 61_000)
	login("", 62_000, 0, 0)
	login("g1", 63_000, 1, 63_000)
}
