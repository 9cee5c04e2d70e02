package storetest

import (
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func showCalls(list []store.Call) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s:%s@%d %s", c.MessageID, c.Identifier, c.Time, c.Input)
		if c.AnsweredAt != 0 {
			fmt.Fprintf(&b, "=%d %s@%d", c.Code, c.Output, c.AnsweredAt)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func testCalls(t *testing.T, s Stores) {
	ctx, c := t.Context(), s.Calls()
	d1, d2 := ref("d1"), ref("d10")
	list := []store.Call{
		{Ref: d1, MessageID: "7", Time: 1000, Identifier: "reboot", Input: []byte(`{}`)},
		{Ref: d1, MessageID: "8", Time: 1000, Identifier: "set", Input: []byte(`{"a":1}`)},
		{Ref: d1, MessageID: "9", Time: 2000, Identifier: "meter:reset", Input: []byte(`{}`)},
		{Ref: d2, MessageID: "7", Time: 1500, Identifier: "reboot", Input: []byte(`{}`)},
	}
	mustAll(t, c.Put(ctx, list))
	must(t, c.Answer(ctx, &store.Call{Ref: d1, MessageID: "7", Time: 1000, Output: []byte(`{"code":200}`), Code: 200, AnsweredAt: 1100}))
	mustAll(t, c.Put(ctx, list[:1])) // again: the answer stays
	wantKind(t, c.Answer(ctx, &store.Call{Ref: d1, MessageID: "77", Time: 1000, Output: []byte(`{}`), AnsweredAt: 1}), iot.Conflict, "an answer to no call")
	for _, x := range []struct {
		name string
		q    store.CallQuery
		want string
		next int64
	}{
		{"all", store.CallQuery{To: 1 << 62, Ascending: true, Limit: 9}, `7:reboot@1000 {}=200 {"code":200}@1100; 8:set@1000 {"a":1}; 9:meter:reset@2000 {}; `, 0},
		{"newest_first", store.CallQuery{To: 1 << 62, Limit: 1}, `9:meter:reset@2000 {}; `, 1000},
		{"one_time_is_not_split", store.CallQuery{To: 1 << 62, Ascending: true, Limit: 1}, `7:reboot@1000 {}=200 {"code":200}@1100; 8:set@1000 {"a":1}; `, 2000},
		{"identifier", store.CallQuery{Identifier: "set", To: 1 << 62, Limit: 9}, `8:set@1000 {"a":1}; `, 0},
		{"times", store.CallQuery{From: 1001, To: 1999, Limit: 9}, ``, 0},
	} {
		got, next, err := c.List(ctx, d1, x.q)
		must(t, err)
		if show := showCalls(got); show != x.want || next != x.next {
			t.Errorf("%s: next %d, want %d\n got %s\nwant %s", x.name, next, x.next, show, x.want)
		}
	}
	must(t, s.Devices().Create(ctx, newDevice("d1", 1)))
	must(t, s.Devices().Delete(ctx, d1))
	got, _, err := c.List(ctx, d1, store.CallQuery{To: 1 << 62, Limit: 9})
	must(t, err)
	equal(t, len(got), 0, "calls of a device that was deleted")
	got, _, err = c.List(ctx, d2, store.CallQuery{To: 1 << 62, Limit: 9})
	must(t, err)
	equal(t, len(got), 1, "calls of its neighbour")
}
