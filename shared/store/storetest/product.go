package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testProducts(t *testing.T, s Stores) {
	ctx, p := t.Context(), s.Products()
	_, err := p.Get(ctx, "a1none")
	wantKind(t, err, iot.ProductNotFound, "Get of nothing")

	want := newProduct("a1first")
	must(t, p.Create(ctx, want))
	wantKind(t, p.Create(ctx, newProduct("a1first")), iot.AlreadyExists, "Create again")
	got, err := p.Get(ctx, "a1first")
	must(t, err)
	if !reflect.DeepEqual(got, want) || got.Revision != 1 {
		t.Errorf("Get:\n got %+v\nwant %+v", got, want)
	}

	// A model and a draft, each as large as an import may be.
	want.Draft = json.RawMessage(`{"draft":"` + strings.Repeat("x", 250<<10) + `"}`)
	for i := range 10 {
		want.Models = append(want.Models, store.Model{
			Version: fmt.Sprint("1.", i), PublishedAt: int64(i), TSL: json.RawMessage(`{"model":"` + strings.Repeat("y", 250<<10) + `"}`),
		})
	}
	must(t, p.Update(ctx, want))
	got, err = p.Get(ctx, "a1first")
	must(t, err)
	if !reflect.DeepEqual(got, want) || got.Revision != 2 {
		t.Errorf("Get after Update: revision %d, %d models, draft of %d bytes", got.Revision, len(got.Models), len(got.Draft))
	}
	stale := newProduct("a1first")
	stale.Revision = 1
	wantKind(t, p.Update(ctx, stale), iot.Conflict, "Update of an older revision")
	wantKind(t, p.Update(ctx, newProduct("a1none")), iot.ProductNotFound, "Update of nothing")

	want.Draft, want.Models = nil, nil
	must(t, p.Update(ctx, want))
	got, err = p.Get(ctx, "a1first")
	must(t, err)
	if got.Draft != nil || got.Models != nil || got.Revision != 3 {
		t.Errorf("Get after the models were taken away: revision %d, %d models, draft of %d bytes", got.Revision, len(got.Models), len(got.Draft))
	}

	must(t, p.Create(ctx, newProduct("a1second")))
	list, err := p.List(ctx)
	must(t, err)
	if len(list) != 2 {
		t.Errorf("List: %d products, want 2", len(list))
	}
	must(t, p.Delete(ctx, "a1second"))
	must(t, p.Delete(ctx, "a1second"))
	_, err = p.Get(ctx, "a1second")
	wantKind(t, err, iot.ProductNotFound, "Get after Delete")
}

func testApplications(t *testing.T, s Stores) {
	ctx, a := t.Context(), s.Applications()
	none, err := a.Get(ctx, 7)
	if none != nil || err != nil {
		t.Errorf("Get of nothing: %v, %v", none, err)
	}
	want := &store.Application{ID: 7, ProductKey: "a1", Names: []iot.DeviceName{"d1", "d2"}, Status: "CREATE", Invalid: []iot.DeviceName{"?"}, CreatedAt: 5}
	must(t, a.Put(ctx, want))
	want.Status = "CREATE_SUCCESS"
	must(t, a.Put(ctx, want))
	got, err := a.Get(ctx, 7)
	must(t, err)
	equal(t, *got, *want, "Get")
}
