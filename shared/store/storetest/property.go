package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func value(id string, at int64, json string) store.Value {
	return store.Value{Identifier: id, Time: at, JSON: []byte(json)}
}

func show(values []store.Value) string {
	values = slices.Clone(values)
	slices.SortStableFunc(values, func(a, b store.Value) int { return cmp.Compare(a.Identifier, b.Identifier) })
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%s@%d=%s ", v.Identifier, v.Time, v.JSON)
	}
	return b.String()
}

func wantLatest(t *testing.T, s Stores, dev iot.DeviceRef, want string) {
	t.Helper()
	values, err := s.Properties().Latest(t.Context(), dev)
	must(t, err)
	if got := show(values); got != want {
		t.Errorf("Latest of %s:\n got %s\nwant %s", dev, got, want)
	}
}

func wantHistory(t *testing.T, s Stores, dev iot.DeviceRef, id, want string) {
	t.Helper()
	values, next, err := s.Properties().History(t.Context(), dev, id, 0, 1<<60, true, 1000)
	must(t, err)
	if got := show(values); got != want || next != 0 {
		t.Errorf("History of %s: next %d\n got %s\nwant %s", id, next, got, want)
	}
}

func testProperties(t *testing.T, s Stores) {
	ctx, p := t.Context(), s.Properties()
	wantLatest(t, s, ref("d1"), "")
	wantHistory(t, s, ref("d1"), "a", "")
	post := func(id string, values ...store.Value) {
		t.Helper()
		mustAll(t, p.Post(ctx, []store.Post{{Ref: ref("d1"), MessageID: id, Values: values}}))
	}
	post("m1", value("a", 1000, "25.0"), value("b", 1000, `"灯\"é"`), value("c", 500, `{"x":[1,2]}`))
	wantLatest(t, s, ref("d1"), `a@1000=25.0 b@1000="灯\"é" c@500={"x":[1,2]} `)
	post("m2", value("a", 900, "1"), value("b", 1000, `"same time"`), value("c", 1_700_000_000_000, "3"))
	wantLatest(t, s, ref("d1"), `a@1000=25.0 b@1000="same time" c@1700000000000=3 `)
	wantHistory(t, s, ref("d1"), "a", "a@900=1 a@1000=25.0 ")
	wantHistory(t, s, ref("d1"), "b", `b@1000="灯\"é" b@1000="same time" `)
	post("m2", value("a", 900, "1"), value("b", 1000, `"same time"`), value("c", 1_700_000_000_000, "3")) // a replay
	wantLatest(t, s, ref("d1"), `a@1000=25.0 b@1000="same time" c@1700000000000=3 `)
	wantHistory(t, s, ref("d1"), "a", "a@900=1 a@1000=25.0 ")
	wantHistory(t, s, ref("d1"), "c", `c@500={"x":[1,2]} c@1700000000000=3 `)
	wantLatest(t, s, ref("d2"), "")
	post("m3")
	if errs := p.Post(ctx, nil); len(errs) != 0 {
		t.Errorf("Post of nothing: %v", errs)
	}
}

func testPropertyBatch(t *testing.T, s Stores) {
	ctx, p := t.Context(), s.Properties()
	mustAll(t, p.Post(ctx, []store.Post{
		{Ref: ref("d1"), MessageID: "m1", Values: []store.Value{value("a", 1000, "1"), value("b", 1000, "1")}},
		{Ref: ref("d2"), MessageID: "m2", Values: []store.Value{value("a", 1000, "2")}},
		{Ref: ref("d1"), MessageID: "m3", Values: []store.Value{value("a", 1000, "3"), value("c", 2000, "3")}}, // same time: the later one
		{Ref: ref("d1"), MessageID: "m4", Values: []store.Value{value("a", 999, "4"), value("c", 1999, "4")}},  // older
		{Ref: ref("d1"), MessageID: "m5"},
	}))
	wantLatest(t, s, ref("d1"), "a@1000=3 b@1000=1 c@2000=3 ")
	wantLatest(t, s, ref("d2"), "a@1000=2 ")
	wantHistory(t, s, ref("d1"), "a", "a@999=4 a@1000=1 a@1000=3 ")
	wantHistory(t, s, ref("d1"), "c", "c@1999=4 c@2000=3 ")
}

func testPropertyIdentifiers(t *testing.T, s Stores) {
	ids := []string{"a", "0digit", "_under", "p_x", "m_05_a_b", "block:ident", "b_l:o_ck", "b:l_o_ck", strings.Repeat("x", 50) + ":" + strings.Repeat("y", 50)}
	var values []store.Value
	for i, id := range ids {
		values = append(values, value(id, 1000, fmt.Sprint(i)))
	}
	mustAll(t, s.Properties().Post(t.Context(), []store.Post{{Ref: ref("d1"), MessageID: "m", Values: values}}))
	wantLatest(t, s, ref("d1"), show(values))
	for i, id := range ids {
		wantHistory(t, s, ref("d1"), id, fmt.Sprintf("%s@1000=%d ", id, i))
	}
}

func testPropertyVolume(t *testing.T, s Stores) {
	ctx, p := t.Context(), s.Properties()
	const devices, rounds = 130, 4 // more rows than one request takes
	long := `"` + strings.Repeat("z", 9000) + `"`
	var posts []store.Post
	for r := range rounds {
		for i := range devices {
			values := []store.Value{value("n", int64(1000+r), fmt.Sprint(r)), value("long", int64(1000+r), long)}
			for k := range 40 { // more than is looked up by walking
				values = append(values, value(fmt.Sprint("k", k), 7, fmt.Sprint(k)))
			}
			posts = append(posts, store.Post{Ref: ref(fmt.Sprint("d", i)), MessageID: fmt.Sprint("m", r), Values: values})
		}
	}
	mustAll(t, p.Post(ctx, posts))
	mustAll(t, p.Post(ctx, posts))
	for i := 0; i < devices; i += 43 {
		dev := ref(fmt.Sprint("d", i))
		wantHistory(t, s, dev, "n", "n@1000=0 n@1001=1 n@1002=2 n@1003=3 ")
		latest, err := p.Latest(ctx, dev)
		must(t, err)
		if len(latest) != 42 {
			t.Errorf("Latest of %s: %d values, want 42", dev, len(latest))
		}
		for _, v := range latest {
			if v.Identifier == "n" && (v.Time != 1003 || string(v.JSON) != "3") {
				t.Errorf("Latest of %s: n is %s at %d", dev, v.JSON, v.Time)
			}
		}
	}
}

// testHistoryOnly stores what must not become the latest value, alone and between posts that do.
func testHistoryOnly(t *testing.T, s Stores) {
	only := func(id string, v store.Value) store.Post {
		return store.Post{Ref: ref("d1"), MessageID: id, Values: []store.Value{v}, HistoryOnly: true}
	}
	mustAll(t, s.Properties().Post(t.Context(), []store.Post{only("m1", value("a", 5000, "5"))}))
	wantLatest(t, s, ref("d1"), "")
	mustAll(t, s.Properties().Post(t.Context(), []store.Post{
		only("m2", value("a", 6000, "6")), {Ref: ref("d1"), MessageID: "m3", Values: []store.Value{value("a", 1000, "1")}}, only("m4", value("b", 7000, "7")),
	}))
	wantLatest(t, s, ref("d1"), "a@1000=1 ")
	wantHistory(t, s, ref("d1"), "a", "a@1000=1 a@5000=5 a@6000=6 ")
	wantHistory(t, s, ref("d1"), "b", "b@7000=7 ")
}

func testHistoryPages(t *testing.T, s Stores) {
	ctx, p := t.Context(), s.Properties()
	var posts []store.Post
	for i := range 60 {
		at := int64(1000 + i/3) // three messages in every millisecond
		posts = append(posts, store.Post{Ref: ref("d1"), MessageID: fmt.Sprintf("m%02d", i), Values: []store.Value{value("a", at, fmt.Sprint(i))}})
		posts = append(posts, store.Post{Ref: ref("d1"), MessageID: fmt.Sprintf("n%02d", i), Values: []store.Value{value("b", at, "0")}})
	}
	mustAll(t, p.Post(ctx, posts))
	for _, ascending := range []bool{true, false} {
		for _, limit := range []int{1, 2, 7, 59, 60, 61} {
			seen := make(map[string]bool)
			from, to := int64(1001), int64(1018)
			last := int64(0)
			for range 100 {
				page, next, err := p.History(ctx, ref("d1"), "a", from, to, ascending, limit)
				must(t, err)
				for _, v := range page {
					if seen[string(v.JSON)] || last != 0 && v.Time != last && (v.Time < last) == ascending {
						t.Errorf("ascending %v, limit %d: %s at %d again or out of order", ascending, limit, v.JSON, v.Time)
					}
					seen[string(v.JSON)], last = true, v.Time
				}
				if len(page) > max(limit, 3) {
					t.Errorf("limit %d: a page of %d", limit, len(page))
				}
				if next == 0 {
					break
				}
				if ascending {
					from = next
				} else {
					to = next
				}
			}
			if len(seen) != 18*3 {
				t.Errorf("ascending %v, limit %d: %d values in all, want %d", ascending, limit, len(seen), 18*3)
			}
		}
	}
	none, next, err := p.History(ctx, ref("d1"), "a", 5, 4, true, 10)
	if len(none) != 0 || next != 0 || err != nil {
		t.Errorf("History of an empty span: %v, %d, %v", none, next, err)
	}
}
