package storetest

import (
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testScripts(t *testing.T, s Stores) {
	ctx, scripts, key := t.Context(), s.Scripts(), iot.ProductKey("a1scripttest")
	got, err := scripts.Get(ctx, key)
	must(t, err)
	if got != nil {
		t.Fatalf("there is a script: %+v", got)
	}
	first := &store.Script{ProductKey: key, Type: "JavaScript", Source: "var 灯 = 1", DraftType: "PHP_72", Draft: "<?php", SubmittedAt: 5, UpdatedAt: 6}
	must(t, scripts.Put(ctx, first))
	wantKind(t, scripts.Put(ctx, &store.Script{ProductKey: key}), iot.Conflict, "create a second time")
	got, err = scripts.Get(ctx, key)
	must(t, err)
	equal(t, *got, *first, "script")
	stale := *first
	first.Source, first.Draft, first.DraftType = "", "", ""
	must(t, scripts.Put(ctx, first))
	if first.Revision != 2 {
		t.Errorf("revision %d, want 2", first.Revision)
	}
	wantKind(t, scripts.Put(ctx, &stale), iot.Conflict, "put an older one")
	got, err = scripts.Get(ctx, key)
	must(t, err)
	equal(t, *got, *first, "changed script")

	for i := range store.FailuresKept + 3 {
		must(t, scripts.PutFailure(ctx, &store.ScriptFailure{
			ProductKey: key, Slot: i % store.FailuresKept, At: int64(100 + i), DeviceName: "d", MessageID: "m", Function: "rawDataToProtocol",
			Input: []byte{0, 0xff}, InputSize: 2, Kind: "exception", Message: "灯", Line: 3, Column: 4, Steps: 5, Memory: 6,
		}))
	}
	failures, err := scripts.Failures(ctx, key)
	must(t, err)
	if len(failures) != store.FailuresKept || failures[0].At != 100+store.FailuresKept+2 || failures[len(failures)-1].At != 103 {
		t.Fatalf("%d failures, %+v to %+v", len(failures), failures[0], failures[len(failures)-1])
	}
	equal(t, *failures[0], store.ScriptFailure{
		ProductKey: key, Slot: 2, At: 100 + store.FailuresKept + 2, DeviceName: "d", MessageID: "m", Function: "rawDataToProtocol",
		Input: []byte{0, 0xff}, InputSize: 2, Kind: "exception", Message: "灯", Line: 3, Column: 4, Steps: 5, Memory: 6,
	}, "failure")
	other, err := scripts.Failures(ctx, key+"2")
	must(t, err)
	if len(other) != 0 {
		t.Errorf("failures of another product: %+v", other)
	}

	cached := store.NewCachedScripts(scripts, nil)
	c, err := cached.Get(ctx, key)
	must(t, err)
	if c.Source != "" || c.Version != "" || c.Revision != 2 {
		t.Errorf("cached %+v", c)
	}
	first.Source = "1"
	must(t, scripts.Put(ctx, first))
	cached.Forget(key)
	c, err = cached.Get(ctx, key)
	must(t, err)
	if c.Source != "1" || c.Version != store.ScriptVersion("1") {
		t.Errorf("cached %+v", c)
	}

	must(t, scripts.Delete(ctx, key))
	must(t, scripts.Delete(ctx, key))
	got, err = scripts.Get(ctx, key)
	must(t, err)
	failures, err = scripts.Failures(ctx, key)
	must(t, err)
	if got != nil || len(failures) != 0 {
		t.Errorf("after the end: %+v, %d failures", got, len(failures))
	}
}
