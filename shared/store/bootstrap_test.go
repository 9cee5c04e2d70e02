package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"relink/shared/store"
)

func TestBootstrap(t *testing.T) {
	t.Parallel()
	_, o := start(t)
	o.Key = [32]byte{}
	plan, err := store.Bootstrap(t.Context(), o, strings.NewReader(`tables: [
		{name: session, primaryKey: [{device: STRING}], ttl: forever},
		{name: node, primaryKey: [{node: STRING}, {more: INTEGER}], ttl: 7d, maxVersions: 2, maxVersionOffset: 100},
		{name: added, primaryKey: [{a: BINARY}, {b: INTEGER}], ttl: 1d}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Change{
		{Table: "session", Action: store.Unchanged},
		{Table: "node", Action: store.Differs, Detail: "primary key is node 2, declared node 2, more 1; ttl is 2592000, declared 604800; maxVersions is 1, declared 2; maxVersionOffset is 86400, declared 100"},
		{Table: "added", Action: store.Created},
	}
	if fmt.Sprint(plan) != fmt.Sprint(want) {
		t.Errorf("plan:\n got %v\nwant %v", plan, want)
	}
	var wg sync.WaitGroup
	for range 4 { // at the same time from several places
		wg.Go(func() {
			if _, err := store.Bootstrap(t.Context(), o, strings.NewReader(`tables: [{name: raced, primaryKey: [{a: STRING}], ttl: forever}]`)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, text := range map[string]string{
		"unknown_member": `tables: [{name: a, primaryKey: [{a: STRING}], ttl: forever, color: red}]`,
		"no_key":         `tables: [{name: a, ttl: forever}]`,
		"key_type":       `tables: [{name: a, primaryKey: [{a: FLOAT}], ttl: forever}]`,
		"no_ttl":         `tables: [{name: a, primaryKey: [{a: STRING}]}]`,
		"short_ttl":      `tables: [{name: a, primaryKey: [{a: STRING}], ttl: 0d}]`,
		"no_yaml":        `tables: {`,
	} {
		if _, err := store.ReadTables(strings.NewReader(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
