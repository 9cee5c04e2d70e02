package storetest

import (
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func event(dev iot.DeviceRef, message string, sequence int, at int64, id, kind string) store.Event {
	return store.Event{Ref: dev, MessageID: message, Sequence: sequence, Time: at, Identifier: id, Type: kind, Output: []byte(`{"at":` + fmt.Sprint(at) + `}`)}
}

func showEvents(list []store.Event) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s.%d:%s/%s@%d=%s ", e.MessageID, e.Sequence, e.Identifier, e.Type, e.Time, e.Output)
	}
	return b.String()
}

func testEvents(t *testing.T, s Stores) {
	ctx, e := t.Context(), s.Events()
	d1, d2 := ref("d1"), ref("d10") // one name is the beginning of the other
	list := []store.Event{
		event(d1, "m1", 0, 1000, "alarm", "alert"), event(d1, "m1", 1, 1000, "meter:trip", "error"), event(d1, "m2", 0, 1000, "alarm", "alert"),
		event(d1, "m3", 0, 2000, "boot", "info"), event(d1, "m4", 0, 3000, "alarm", "alert"), event(d2, "m5", 0, 1500, "alarm", "alert"),
		event(d1, "m1", 0, 1000, "alarm", "alert"), // once more in the same call
	}
	mustAll(t, e.Put(ctx, list))
	mustAll(t, e.Put(ctx, list[:3])) // and again
	for _, c := range []struct {
		name string
		q    store.EventQuery
		want string
		next int64
	}{
		{"all", store.EventQuery{To: 1 << 62, Ascending: true, Limit: 100}, `m1.0:alarm/alert@1000={"at":1000} m1.1:meter:trip/error@1000={"at":1000} m2.0:alarm/alert@1000={"at":1000} m3.0:boot/info@2000={"at":2000} m4.0:alarm/alert@3000={"at":3000} `, 0},
		{"newest_first", store.EventQuery{To: 1 << 62, Limit: 2}, `m4.0:alarm/alert@3000={"at":3000} m3.0:boot/info@2000={"at":2000} `, 1000},
		{"one_time_is_not_split", store.EventQuery{To: 1 << 62, Ascending: true, Limit: 1}, `m1.0:alarm/alert@1000={"at":1000} m1.1:meter:trip/error@1000={"at":1000} m2.0:alarm/alert@1000={"at":1000} `, 2000},
		{"identifier", store.EventQuery{Identifier: "alarm", To: 1 << 62, Limit: 2}, `m4.0:alarm/alert@3000={"at":3000} `, 1000},
		{"of_a_module", store.EventQuery{Identifier: "meter:trip", To: 1 << 62, Limit: 2}, `m1.1:meter:trip/error@1000={"at":1000} `, 0},
		{"type", store.EventQuery{Type: "info", To: 1 << 62, Limit: 2}, `m3.0:boot/info@2000={"at":2000} `, 0},
		{"both", store.EventQuery{Type: "info", Identifier: "alarm", To: 1 << 62, Limit: 2}, ``, 0},
		{"both_ends_count", store.EventQuery{From: 2000, To: 3000, Ascending: true, Limit: 9}, `m3.0:boot/info@2000={"at":2000} m4.0:alarm/alert@3000={"at":3000} `, 0},
		{"nothing_between", store.EventQuery{From: 2001, To: 2999, Limit: 9}, ``, 0},
		{"upside_down", store.EventQuery{From: 3000, To: 1000, Limit: 9}, ``, 0},
	} {
		got, next, err := e.List(ctx, d1, c.q)
		must(t, err)
		if show := showEvents(got); show != c.want || next != c.next {
			t.Errorf("%s: next %d, want %d\n got %s\nwant %s", c.name, next, c.next, show, c.want)
		}
	}
	dev := newDevice("d1", 1)
	must(t, s.Devices().Create(ctx, dev))
	must(t, s.Devices().Delete(ctx, d1))
	got, _, err := e.List(ctx, d1, store.EventQuery{To: 1 << 62, Limit: 100})
	must(t, err)
	equal(t, len(got), 0, "events of a device that was deleted")
	got, _, err = e.List(ctx, d2, store.EventQuery{To: 1 << 62, Limit: 100})
	must(t, err)
	equal(t, len(got), 1, "events of its neighbour")
}

// testEventVolume has more events than one request writes or reads.
func testEventVolume(t *testing.T, s Stores) {
	ctx, e, dev := t.Context(), s.Events(), ref("busy")
	var list []store.Event
	for i := range 700 {
		kind := "info"
		if i%100 == 0 {
			kind = "alert"
		}
		list = append(list, event(dev, "m", i, int64(1000+i), "tick", kind))
	}
	mustAll(t, e.Put(ctx, list))
	for _, ascending := range []bool{false, true} {
		q := store.EventQuery{From: 0, To: 1 << 60, Type: "alert", Ascending: ascending, Limit: 3}
		n := 0
		for {
			got, next, err := e.List(ctx, dev, q)
			must(t, err)
			n += len(got)
			if next == 0 {
				break
			}
			if ascending {
				q.From = next
			} else {
				q.To = next
			}
		}
		equal(t, n, 7, "alerts page by page")
	}
}
