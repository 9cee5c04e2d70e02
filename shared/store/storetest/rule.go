package storetest

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testRules(t *testing.T, s Stores) {
	ctx, rules := t.Context(), s.Rules()
	none, err := rules.Get(ctx, 5)
	must(t, err)
	if none != nil {
		t.Errorf("a rule that is not there: %+v", none)
	}
	must(t, rules.Delete(ctx, 5, 1))
	for _, id := range []int64{3, 1, 2} {
		must(t, rules.Put(ctx, &store.Rule{ID: id, Name: fmt.Sprint("r", id), DataType: "JSON", Select: "*", ProductKey: "a1", ShortTopic: "+/user/x",
			TopicType: 1, Running: true, CreatedAt: id, ModifiedAt: 9, LastAction: 1,
			Actions: []store.RuleAction{{ID: 7, Type: "OTS", Configuration: json.RawMessage(`{"a":"ü"}`)}, {ID: 8, Type: "FC", ForErrors: true, Configuration: json.RawMessage(`{}`)}}}))
	}
	r, err := rules.Get(ctx, 2)
	must(t, err)
	want := store.Rule{ID: 2, Name: "r2", DataType: "JSON", Select: "*", ProductKey: "a1", ShortTopic: "+/user/x", TopicType: 1, Running: true, CreatedAt: 2,
		ModifiedAt: 9, LastAction: 1, Revision: 1,
		Actions: []store.RuleAction{{ID: 7, Type: "OTS", Configuration: json.RawMessage(`{"a":"ü"}`)}, {ID: 8, Type: "FC", ForErrors: true, Configuration: json.RawMessage(`{}`)}}}
	equal(t, *r, want, "rule")
	list, err := rules.List(ctx)
	must(t, err)
	if len(list) != 3 || list[0].ID != 3 || list[1].Name != "r2" || list[2].ID != 1 || list[0].Actions != nil || list[0].Revision != 1 {
		t.Errorf("rules: %+v", list)
	}
	many, err := rules.GetMany(ctx, []int64{1, 9, 3})
	must(t, err)
	if len(many) != 3 || many[0].Name != "r1" || many[1] != nil || many[2].Actions[0].ID != 7 {
		t.Errorf("rules by id: %+v", many)
	}

	wantKind(t, rules.Put(ctx, &store.Rule{ID: 2}), iot.Conflict, "create again")
	r.Running, r.Actions = false, nil
	must(t, rules.Put(ctx, r))
	equal(t, r.Revision, int64(2), "revision")
	many[0].Revision = 5
	wantKind(t, rules.Put(ctx, many[0]), iot.Conflict, "put over another revision")
	if r, err = rules.Get(ctx, 2); err != nil || r.Running || len(r.Actions) != 0 || r.Revision != 2 {
		t.Errorf("after put: %+v, %v", r, err)
	}
	wantKind(t, rules.Delete(ctx, 2, 1), iot.Conflict, "delete another revision")
	must(t, rules.Delete(ctx, 2, 2))
	must(t, rules.Delete(ctx, 2, 2))
	if r, err = rules.Get(ctx, 2); err != nil || r != nil {
		t.Errorf("after delete: %+v, %v", r, err)
	}
}

func testRuleIndex(t *testing.T, s Stores) {
	ctx, index := t.Context(), s.RuleIndex()
	version, err := index.Version(ctx)
	must(t, err)
	document, at, err := index.Get(ctx)
	must(t, err)
	if version != 0 || at != 0 || document != nil {
		t.Errorf("of nothing: %d, %d, %q", version, at, document)
	}
	version, err = index.Put(ctx, []byte(`{"a":1}`), 0)
	must(t, err)
	equal(t, version, int64(1), "version")
	_, err = index.Put(ctx, []byte(`{"a":2}`), 0)
	wantKind(t, err, iot.Conflict, "put over what was not there")
	version, err = index.Put(ctx, []byte(`{"a":3}`), 1)
	must(t, err)
	equal(t, version, int64(2), "version")
	_, err = index.Put(ctx, []byte(`{"a":4}`), 1)
	wantKind(t, err, iot.Conflict, "put over an older one")
	if version, err = index.Version(ctx); err != nil || version != 2 {
		t.Errorf("version: %d, %v", version, err)
	}
	document, at, err = index.Get(ctx)
	must(t, err)
	if at != 2 || string(document) != `{"a":3}` {
		t.Errorf("document: %d, %s", at, document)
	}
}

func testProductSubscriptions(t *testing.T, s Stores) {
	ctx, subs := t.Context(), s.Subscriptions()
	none, err := subs.Get(ctx, "a1", "MNS")
	must(t, err)
	if none != nil {
		t.Errorf("a subscription that is not there: %+v", none)
	}
	for _, pk := range []iot.ProductKey{"b1", "a1"} {
		must(t, subs.Put(ctx, &store.Subscription{ProductKey: pk, Type: "MNS", Flags: store.SubscriptionFlags{DeviceData: true, OTAEvent: true},
			MNSConfiguration: "{}", Queue: "q", QueueMade: true, CreatedAt: 1, ModifiedAt: 2}))
	}
	must(t, subs.Put(ctx, &store.Subscription{ProductKey: "a1", Type: "AMQP", ConsumerGroups: []string{"g"}, SubscribeFlags: "x"}))
	sub, err := subs.Get(ctx, "a1", "MNS")
	must(t, err)
	equal(t, *sub, store.Subscription{ProductKey: "a1", Type: "MNS", Flags: store.SubscriptionFlags{DeviceData: true, OTAEvent: true}, MNSConfiguration: "{}",
		Queue: "q", QueueMade: true, CreatedAt: 1, ModifiedAt: 2, Revision: 1}, "subscription")
	list, err := subs.List(ctx)
	must(t, err)
	if len(list) != 3 || list[0].Type != "AMQP" || list[0].ConsumerGroups[0] != "g" || list[1].Revision != 1 || list[2].ProductKey != "b1" {
		t.Errorf("subscriptions: %+v", list)
	}
	wantKind(t, subs.Put(ctx, &store.Subscription{ProductKey: "a1", Type: "MNS"}), iot.Conflict, "create again")
	sub.Flags = store.SubscriptionFlags{ThingHistory: true}
	must(t, subs.Put(ctx, sub))
	for range 2 {
		must(t, subs.Delete(ctx, "b1", "MNS"))
	}
	if list, err = subs.List(ctx); err != nil || len(list) != 2 || !list[1].Flags.ThingHistory || list[1].Flags.DeviceData {
		t.Errorf("after changes: %+v, %v", list, err)
	}
}

func testLedger(t *testing.T, s Stores) {
	ctx, l := t.Context(), s.Ledger()
	for i := range 40 {
		counts := store.LedgerCounts{Taken: 3, Matched: 4, Unmatched: 1, FailedSQL: 1, Delivered: 2, Handed: 1, Dead: 1}
		row := &store.LedgerRow{Function: "rule", Batch: fmt.Sprint("b", i), Time: int64(100 + i), LedgerCounts: counts,
			Of: map[string]store.LedgerCounts{"rule/1": {Matched: 4, Delivered: 4}}}
		must(t, l.Put(ctx, row))
		row.Of["rule/1"] = store.LedgerCounts{Matched: 4, Delivered: 2, Handed: 1, Dead: 1}
		must(t, l.Put(ctx, row)) // again: over its own row
	}
	must(t, l.Put(ctx, &store.LedgerRow{Function: "forward", Batch: "b5", Time: 105, LedgerCounts: store.LedgerCounts{Taken: 1, Matched: 1, Dead: 1}}))
	var sum, of store.LedgerCounts
	rows := map[string]int{}
	must(t, l.Each(ctx, 101, 110, func(r *store.LedgerRow) {
		rows[r.Function+" "+r.Batch]++
		sum.Add(r.LedgerCounts)
		of.Add(r.Of["rule/1"])
	}))
	equal(t, sum, store.LedgerCounts{Taken: 31, Matched: 41, Unmatched: 10, FailedSQL: 10, Delivered: 20, Handed: 10, Dead: 11}, "sum")
	equal(t, of, store.LedgerCounts{Matched: 40, Delivered: 20, Handed: 10, Dead: 10}, "of the rule")
	if len(rows) != 11 || rows["rule b1"] != 1 || rows["rule b10"] != 1 || rows["forward b5"] != 1 {
		t.Errorf("rows: %v", rows)
	}
	n := 0
	must(t, l.Each(ctx, 0, math.MaxInt64-1, func(*store.LedgerRow) { n++ }))
	equal(t, n, 41, "all rows")
}

func testForwardDeads(t *testing.T, s Stores) {
	ctx, dead := t.Context(), s.ForwardDeads()
	var letters []*store.ForwardDead
	for i := range 7 {
		letters = append(letters, &store.ForwardDead{Owner: fmt.Sprint("rule/", i%2), At: int64(100 + i/4), MessageID: fmt.Sprint("m", i), Action: int64(i), Type: "OTS",
			Resource: "t", Device: ref("dev1"), Topic: "/a1/d/user/x", Reason: "no", Attempts: 4, Body: []byte{0, 255}, Item: []byte{1}})
	}
	for range 2 {
		must(t, dead.Put(ctx, letters))
	}
	list, next, err := dead.List(ctx, "rule/1", "", 10)
	must(t, err)
	if len(list) != 3 || next != "" {
		t.Fatalf("of a rule: %+v, %q", list, next)
	}
	equal(t, *list[0], *letters[1], "letter")
	for _, owner := range []string{"", "rule/0"} {
		seen, cursor := map[string]bool{}, ""
		for range 8 {
			page, next, err := dead.List(ctx, owner, cursor, 2)
			must(t, err)
			for _, d := range page {
				seen[d.MessageID] = true
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		if want := map[string]int{"": 7, "rule/0": 4}[owner]; len(seen) != want {
			t.Errorf("pages of %q: %v", owner, seen)
		}
	}
	_, _, err = dead.List(ctx, "", "nonsense", 1)
	wantKind(t, err, iot.InvalidParams, "a cursor that is none")
	for range 2 {
		must(t, dead.Delete(ctx, letters[:6]))
	}
	if list, _, err = dead.List(ctx, "", "", 10); err != nil || len(list) != 1 || list[0].MessageID != "m6" {
		t.Errorf("after delete: %+v, %v", list, err)
	}
}
