package session

import (
	"context"
	"log/slog"
	"sync"

	"relink/shared/device"
	"relink/shared/iot"
)

const (
	maxUntold = 50_000 // devices
	tellAgain = 1_000  // of them with each renewal of the lease
)

// An untold is what could not be told: ends of sessions, the latest of each device. Without it such a device would be online for as
// long as this node lives.
type untold struct {
	mu      sync.Mutex
	ends    map[iot.DeviceRef]*end
	dropped uint64 // found no room
}

// An end is one session's.
type end struct {
	iotID   iot.IotID
	offline device.Offline
}

// Untold is how many ends of sessions could not be told yet, and how many are forgotten because these were too many.
func (p *Presence) Untold() (waiting int, forgotten uint64) {
	p.untold.mu.Lock()
	defer p.untold.mu.Unlock()
	return len(p.untold.ends), p.untold.dropped
}

// keepEnd keeps an end that could not be told.
func (p *Presence) keepEnd(ref iot.DeviceRef, e *end, err error) {
	p.lost(ref, device.TopicOffline, err)
	u := &p.untold
	u.mu.Lock()
	defer u.mu.Unlock()
	old, known := u.ends[ref]
	switch {
	case known && old.offline.Epoch >= e.offline.Epoch:
		return
	case !known && len(u.ends) >= maxUntold:
		u.dropped++
		return
	case u.ends == nil:
		u.ends = make(map[iot.DeviceRef]*end)
	}
	u.ends[ref] = e
}

// tellAgain tells what is kept. What fails again is kept again; what a newer session here has made untrue is forgotten.
func (p *Presence) tellAgain(ctx context.Context) {
	again := p.untold.take(tellAgain)
	for ref, e := range again {
		if p.Registry != nil {
			if s := p.Registry.Get(ref); s != nil && s.Grant.Epoch > e.offline.Epoch {
				continue
			}
		}
		p.offline(ctx, ref, e)
	}
	if n := len(again); n > 0 {
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "ends of sessions are told again", slog.Int("records", n))
	}
}

// take takes at most n out.
func (u *untold) take(n int) map[iot.DeviceRef]*end {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ends) <= n {
		all := u.ends
		u.ends = nil
		return all
	}
	some := make(map[iot.DeviceRef]*end, n)
	for ref, e := range u.ends {
		if len(some) == n {
			break
		}
		some[ref] = e
		delete(u.ends, ref)
	}
	return some
}
