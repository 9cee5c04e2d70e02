package storetest

import (
	"sync"
	"sync/atomic"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testCredentials(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	wantKind(t, d.SetCredentials(ctx, newDevice("none", 1)), iot.DeviceNotFound, "SetCredentials of nothing")
	dev := newDevice("rotating", 1000)
	must(t, d.Create(ctx, dev))
	if dev.Credentials.Serial != 1 {
		t.Errorf("the first secret has serial %d", dev.Credentials.Serial)
	}
	stale, err := d.Get(ctx, dev.Ref)
	must(t, err)
	first := dev.Secret
	dev.Credentials.OldSecret, dev.Credentials.OldUntil, dev.Secret = dev.Secret, 9000, "another"
	dev.Credentials.Serial, dev.Credentials.IssuedAt, dev.Credentials.ResetAt, dev.UpdatedAt = 2, 1500, 1400, 1500
	dev.Credentials.Tokens = []store.Token{{ClientID: "c1", Digest: "00", IssuedAt: 1}, {ClientID: "c2", Digest: "01", IssuedAt: 2}}
	must(t, d.SetCredentials(ctx, dev))
	got, err := d.Get(ctx, dev.Ref)
	must(t, err)
	equal(t, *got, *dev, "Get after SetCredentials")
	if got.Secret != "another" || got.Credentials.OldSecret != first || got.Nickname == "" {
		t.Error("a secret, or what is not a credential, is another")
	}
	wantKind(t, d.SetCredentials(ctx, stale), iot.Conflict, "SetCredentials of an older revision")
	must(t, d.SetDisabled(ctx, dev.Ref, true, 1600))
	dev.Credentials = store.Credentials{Serial: 2, Revision: dev.Credentials.Revision}
	must(t, d.SetCredentials(ctx, dev))
	got, err = d.Get(ctx, dev.Ref)
	must(t, err)
	equal(t, got.Credentials, dev.Credentials, "Get after the end of a rotation")
	if !got.Disabled || got.Secret != "another" {
		t.Errorf("after the end of a rotation: %+v", *got)
	}
	must(t, d.Delete(ctx, dev.Ref))
	wantKind(t, d.SetCredentials(ctx, dev), iot.DeviceNotFound, "SetCredentials of a deleted device")
}

// testCredentialsRace lets several write at once: each revision is written by one.
func testCredentialsRace(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.Devices()
	dev := newDevice("raced", 1000)
	must(t, d.Create(ctx, dev))
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		mine := dev.Clone()
		mine.Secret = "raced"
		wg.Go(func() {
			if err := d.SetCredentials(ctx, mine); err == nil {
				done.Add(1)
			} else if !iot.Is(err, iot.Conflict) {
				t.Errorf("SetCredentials: %v", err)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d of 8 wrote the same revision", done.Load())
	}
}

// testFlaps lets two addresses push each other out.
func testFlaps(t *testing.T, s Stores) {
	ctx, x := t.Context(), s.Sessions()
	take := func(addr string, at, serial int64) *store.Session {
		now, _, errs := x.Take(ctx, []store.Take{{Ref: ref("flapping"), Node: "n1", RemoteAddr: addr, At: at, SecretSerial: serial}})
		must(t, errs[0])
		got, err := x.Get(ctx, ref("flapping"))
		must(t, err)
		if got.Flaps != now[0].Flaps || got.FlapSince != now[0].FlapSince || got.SecretSerial != now[0].SecretSerial {
			t.Errorf("taken %+v, stored %+v", now[0], got)
		}
		return got
	}
	for i, c := range []struct {
		addr           string
		at, serial     int64
		flaps, serial2 int64
	}{
		{"10.0.0.1:1", 1_000_000, 2, 0, 2},
		{"10.0.0.1:2", 1_001_000, 0, 0, 2},
		{"10.0.0.2:1", 1_002_000, 3, 1, 3},
		{"10.0.0.1:3", 1_003_000, 3, 2, 3},
		{"10.0.0.1:4", 1_004_000, 3, 2, 3},
		{"10.0.0.2:4", 1_062_000, 3, 3, 3},
		{"10.0.0.1:4", 1_062_001, 3, 1, 3},
		{"10.0.0.1:4", 1_200_000, 3, 0, 3},
	} {
		if got := take(c.addr, c.at, c.serial); int64(got.Flaps) != c.flaps || got.SecretSerial != c.serial2 {
			t.Errorf("take %d: %d flaps, serial %d", i, got.Flaps, got.SecretSerial)
		}
	}
	session, err := x.Get(ctx, ref("flapping"))
	must(t, err)
	must(t, x.End(ctx, []iot.DeviceRef{session.Ref}, []int64{session.Epoch}, []int64{1_201_000})[0])
	if got := take("10.0.0.9:1", 1_202_000, 3); got.Flaps != 0 {
		t.Error("a login after an orderly end counts as a flap")
	}
}
