package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func showDesired(list []store.Desired) string {
	slices.SortFunc(list, func(a, b store.Desired) int { return cmp.Compare(a.Identifier, b.Identifier) })
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "%s#%d@%d=%s ", d.Identifier, d.Version, d.Time, d.Value)
	}
	return b.String()
}

func testDesired(t *testing.T, s Stores) {
	ctx, d, dev := t.Context(), s.DesiredProperties(), ref("d1")
	want := func(revision int64, want string) {
		t.Helper()
		list, got, err := d.Get(ctx, dev)
		must(t, err)
		if show := showDesired(list); show != want || got != revision {
			t.Errorf("revision %d, want %d\n got %s\nwant %s", got, revision, show, want)
		}
	}
	want(0, "")
	wantKind(t, d.Update(ctx, dev, 1, nil), iot.Conflict, "Update of what is not there")
	must(t, d.Update(ctx, dev, 0, []store.Desired{{Identifier: "power", Version: 1, Time: 5, Value: []byte("1")}, {Identifier: "meter:name", Version: 1, Time: 5, Value: []byte(`"灯 \" <"`)}}))
	want(1, `meter:name#1@5="灯 \" <" power#1@5=1 `)
	wantKind(t, d.Update(ctx, dev, 0, []store.Desired{{Identifier: "power", Version: 9}}), iot.Conflict, "Update of an older revision")
	must(t, d.Update(ctx, dev, 1, []store.Desired{{Identifier: "power", Version: 2, Time: 6}}))
	want(2, `meter:name#1@5="灯 \" <" power#2@6= `)

	var wg sync.WaitGroup
	won := make([]error, 8)
	for i := range won {
		wg.Go(func() {
			won[i] = d.Update(ctx, dev, 2, []store.Desired{{Identifier: "power", Version: 3, Time: int64(i), Value: []byte("0")}})
		})
	}
	wg.Wait()
	n := 0
	for _, err := range won {
		if err == nil {
			n++
		} else {
			wantKind(t, err, iot.Conflict, "Update in a race")
		}
	}
	equal(t, n, 1, "winners of a race")

	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, dev))
	want(0, "")
}
