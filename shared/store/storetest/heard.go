package storetest

import (
	"fmt"
	"testing"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/store"
)

func testHeard(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	get := func(name string) store.Session {
		t.Helper()
		got, err := x.Get(ctx, ref(name))
		must(t, err)
		if got == nil {
			return store.Session{}
		}
		return *got
	}
	// Only a login makes a row: a device that was deleted is not made by what was heard of it before.
	mustAll(t, x.Hear(ctx, []store.Hearing{{Ref: ref("d1"), At: 1000, Until: 1000, Over: "http"}}))
	equal(t, get("d1"), store.Session{}, "heard of without a login")
	login := store.Hearing{Ref: ref("d1"), At: 2000, Until: 602_000, Over: "coap", From: "10.0.0.1:5", Login: true, SecretSerial: 3}
	first := store.Session{Ref: ref("d1"), ActiveAt: 2000, HeardAt: 2000, HeardSince: 2000, HeardUntil: 602_000, HeardOver: "coap", HeardFrom: "10.0.0.1:5", SecretSerial: 3}
	for range 2 {
		mustAll(t, x.Hear(ctx, []store.Hearing{login}))
		equal(t, get("d1"), first, "login")
	}
	// Twice in one batch, an older one last, and a row that is made while another is written.
	mustAll(t, x.Hear(ctx, []store.Hearing{
		{Ref: ref("d1"), At: 100_000, Until: 700_000, Over: "coap", From: "10.0.0.2:5"}, {Ref: ref("d2"), At: 1, Until: 1, Over: "http", Login: true},
		{Ref: ref("d1"), At: 200_000, Until: 800_000, Over: "coap", From: "10.0.0.3:5"}, {Ref: ref("d1"), At: 150_000, Until: 900_000, Over: "coap"},
	}))
	second := first
	second.HeardAt, second.HeardUntil, second.HeardFrom = 200_000, 800_000, "10.0.0.3:5"
	equal(t, get("d1"), second, "several")
	if get("d2").ActiveAt != 1 {
		t.Errorf("d2: %+v", get("d2"))
	}
	// After a silence it is online anew.
	mustAll(t, x.Hear(ctx, []store.Hearing{{Ref: ref("d1"), At: 1_000_000, Until: 1_600_000, Over: "coap"}}))
	if got := get("d1"); got.HeardSince != 1_000_000 || got.ActiveAt != 2000 || got.SecretSerial != 3 {
		t.Errorf("after a silence: %+v", got)
	}
	// A session of MQTT and what is heard beside it leave each other alone.
	heard := get("d1")
	now, before, errs := x.Take(ctx, []store.Take{{Ref: ref("d1"), Node: "n1", At: 1_100_000, RemoteAddr: "10.0.0.9:1"}})
	mustAll(t, errs)
	equal(t, *before[0], heard, "Take, before")
	if got := *now[0]; got.HeardAt != heard.HeardAt || got.HeardUntil != heard.HeardUntil || got.ActiveAt != 2000 || got.Epoch != 1_100_000 {
		t.Errorf("Take: %+v", got)
	}
	equal(t, get("d1"), *now[0], "Take")
	mustAll(t, x.Hear(ctx, []store.Hearing{{Ref: ref("d1"), At: 1_200_000, Until: 1_800_000, Over: "coap"}}))
	if got := get("d1"); got.Node != "n1" || got.Epoch != 1_100_000 || got.RemoteAddr != "10.0.0.9:1" || got.HeardAt != 1_200_000 || got.HeardSince != 1_000_000 {
		t.Errorf("heard of while connected: %+v", got)
	}
	mustAll(t, x.End(ctx, []iot.DeviceRef{ref("d1")}, []int64{1_100_000}, []int64{1_300_000}))
	if got := get("d1"); got.Node != "" || got.HeardUntil != 1_800_000 {
		t.Errorf("after the connection: %+v", got)
	}
	got := get("d1")
	for at, want := range map[int64]string{1_400_000: "ONLINE 1000000", 1_800_000: "OFFLINE 1800000"} {
		status, since := store.StatusOf(false, &got, nil, at)
		if text := fmt.Sprint(status, " ", since); text != want {
			t.Errorf("at %d: %s, want %s", at, text, want)
		}
	}
	// Over HTTP a device is online for no longer than its message takes.
	got = get("d2")
	if status, since := store.StatusOf(false, &got, nil, 1); status != device.StatusOffline || since != 1 {
		t.Errorf("over HTTP: %s since %d", status, since)
	}
}
