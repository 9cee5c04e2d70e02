package downlink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/connector/downlink"
	"relink/shared/device"
	api "relink/shared/downlink"
	"relink/shared/iot"
)

// A flaky node does not answer before some time; with hangs set it does not even refuse.
type flaky struct {
	up    time.Time
	hangs bool

	mu    sync.Mutex
	calls int
	told  map[iot.DeviceName]int64
}

func (f *flaky) Drop(ctx context.Context, _ string, d *api.Drop) (api.Outcome, error) {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	if time.Now().Before(f.up) {
		if f.hangs {
			<-ctx.Done()
		}
		return api.Outcome{}, errors.New("nobody answers")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[d.DeviceName] = d.Epoch
	return api.Outcome{State: api.Dropped}, nil
}

// A node that does not answer for a while is told when it does; one that is dead is given up after half a minute, and counted.
func TestPeersTryForLonger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down     time.Duration
		hangs    bool
		outcome  string
		maxCalls int
	}{
		"refuses_for_20s": {20 * time.Second, false, "told", 2000},
		"hangs_for_10s":   {10 * time.Second, true, "told", 1500},
		"dead":            {time.Hour, false, "failed", 2000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &flaky{up: time.Now().Add(c.down), hangs: c.hangs, told: map[iot.DeviceName]int64{}}
				var mu sync.Mutex
				outcomes := map[string]int{}
				p := downlink.NewPeers(f, slog.New(slog.DiscardHandler), func(o string) {
					mu.Lock()
					defer mu.Unlock()
					outcomes[o]++
				})
				const sessions = 100
				for i := range sessions {
					p.Superseded(&device.Grant{ProductKey: "pk1", DeviceName: iot.DeviceName(fmt.Sprint(i)), Epoch: 9, Previous: &device.Owner{Node: "x", URL: "http://x", Epoch: int64(i)}})
				}
				time.Sleep(40 * time.Second)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if outcomes[c.outcome] != sessions || len(outcomes) != 1 {
					t.Errorf("outcomes %v, want %d %s", outcomes, sessions, c.outcome)
				}
				if f.calls > c.maxCalls {
					t.Errorf("%d calls for %d sessions", f.calls, sessions)
				}
				if c.outcome == "told" && (len(f.told) != sessions || f.told["7"] != 7) {
					t.Errorf("%d devices told", len(f.told))
				}
				p.Close()
			})
		})
	}
}

func TestPeersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{up: time.Now().Add(time.Hour), told: map[iot.DeviceName]int64{}}
		overflow := 0
		p := downlink.NewPeers(f, slog.New(slog.DiscardHandler), func(o string) {
			if o == "overflow" {
				overflow++
			}
		})
		for i := range 5000 {
			p.Superseded(&device.Grant{ProductKey: "pk1", DeviceName: iot.DeviceName(fmt.Sprint(i)), Previous: &device.Owner{URL: "http://x"}})
		}
		if overflow != 5000-4096 {
			t.Errorf("%d found no room", overflow)
		}
		p.Close()
	})
}
