package session_test

import (
	"fmt"
	"testing"
	"time"

	"relink/connector/session"
	"relink/shared/iot"
	"relink/shared/refusal"
)

func TestDrops(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	d := session.NewDrops(10 * time.Second)
	one, two := iot.DeviceRef{ProductKey: "p", DeviceName: "1"}, iot.DeviceRef{ProductKey: "p", DeviceName: "2"}
	d.Note(one, refusal.Disabled, now)
	d.Note(one, refusal.Deleted, now.Add(9*time.Second))
	for began, want := range map[int]refusal.Cause{-5: refusal.Deleted, 5: refusal.Deleted, 9: refusal.Deleted, 10: ""} {
		if got := d.Since(one, now.Add(time.Duration(began)*time.Second)); got != want {
			t.Errorf("login that began after %d s: %q, want %q", began, got, want)
		}
	}
	if got := d.Since(two, now); got != "" {
		t.Errorf("another device: %q", got)
	}
	d.Note(two, refusal.Disabled, now.Add(11*time.Second)) // forgets the first
	if d.Since(one, now) != refusal.Deleted || d.Len() != 2 {
		t.Error("the second drop of a device was forgotten with its first")
	}
	d.Note(two, refusal.Disabled, now.Add(time.Minute))
	if d.Since(one, now) != "" || d.Len() != 1 {
		t.Errorf("%d devices remembered after a minute, want 1", d.Len())
	}
	for i := range 100_000 {
		d.Note(iot.DeviceRef{ProductKey: "p", DeviceName: iot.DeviceName(fmt.Sprint("d", i))}, refusal.Disabled, now.Add(time.Minute))
	}
	if d.Len() != 65_536 {
		t.Errorf("%d devices remembered", d.Len())
	}
	var none *session.Drops
	none.Note(one, refusal.Disabled, now)
	if none.Since(one, now) != "" {
		t.Error("something out of nothing")
	}
}
