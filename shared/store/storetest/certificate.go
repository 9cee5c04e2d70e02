package storetest

import (
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testCertificates(t *testing.T, s Stores) {
	ctx, c := t.Context(), s.Certificates()
	list, err := c.Authorities(ctx)
	if err != nil || len(list) != 0 {
		t.Errorf("Authorities of nothing: %v, %v", list, err)
	}
	own := &store.Authority{ID: store.PlatformAuthority, Certificate: []byte{1, 2}, Key: store.SecretBytes([]byte{3, 4}), CreatedAt: 5}
	must(t, c.CreateAuthority(ctx, own))
	wantKind(t, c.CreateAuthority(ctx, own), iot.AlreadyExists, "CreateAuthority again")
	must(t, c.CreateAuthority(ctx, &store.Authority{ID: "00ff", Certificate: []byte{9}, CreatedAt: 6}))
	list, err = c.Authorities(ctx)
	must(t, err)
	if len(list) != 2 {
		t.Fatalf("Authorities: %v", list)
	}
	for _, a := range list {
		if a.ID == own.ID {
			equal(t, *a, *own, "the platform's authority")
		}
	}
	must(t, c.DeleteAuthority(ctx, "00ff"))
	must(t, c.DeleteAuthority(ctx, "00ff"))
	if list, err = c.Authorities(ctx); err != nil || len(list) != 1 {
		t.Errorf("Authorities after a deletion: %v, %v", list, err)
	}

	if got, err := c.Get(ctx, "platform", "1a"); got != nil || err != nil {
		t.Errorf("Get of nothing: %v, %v", got, err)
	}
	want := &store.Certificate{Authority: "platform", Serial: "1a", Ref: ref("certified"), IotID: "iot-certified", Certificate: []byte{7},
		Key: store.SecretBytes([]byte{8}), CreatedAt: 10, UpdatedAt: 10}
	must(t, c.Create(ctx, want))
	wantKind(t, c.Create(ctx, want), iot.AlreadyExists, "Create again")
	got, err := c.Get(ctx, "platform", "1a")
	must(t, err)
	equal(t, *got, *want, "Get")
	want.Former, want.UpdatedAt = ref("former"), 11
	wantKind(t, c.Put(ctx, want, 9), iot.Conflict, "Put over another row than was read")
	must(t, c.Put(ctx, want, 10))
	stale := *want
	stale.UpdatedAt = 12
	wantKind(t, c.Put(ctx, &stale, 10), iot.Conflict, "Put over a row that was changed")
	stale.Serial = "1b"
	wantKind(t, c.Put(ctx, &stale, 10), iot.Conflict, "Put over nothing")
	want.Revoked, want.UpdatedAt = true, 12
	must(t, c.Put(ctx, want, 11))
	got, err = c.Get(ctx, "platform", "1a")
	must(t, err)
	equal(t, *got, *want, "Get after Put")
	if got.Key != want.Key {
		t.Error("the key is another")
	}
}
