package session

import (
	"sync"
	"time"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// maxDrops bounds the devices that Drops remembers; beyond, the oldest is forgotten.
const maxDrops = 65_536

// Drops remembers for a while which devices were disabled or deleted, whether or not they had a session here. A login that was
// decided before and becomes a session afterwards is found by it, and ended ("Duplicate connections": a disabled or deleted device
// is disconnected at once). It is safe for concurrent use; nil remembers nothing.
type Drops struct {
	keep time.Duration

	mu       sync.Mutex
	byDevice map[iot.DeviceRef]drop
	order    []dropped // oldest first
}

type drop struct {
	at    time.Time
	cause refusal.Cause
}

type dropped struct {
	ref iot.DeviceRef
	at  time.Time
}

// NewDrops makes a memory of so long: longer than a login takes.
func NewDrops(keep time.Duration) *Drops {
	return &Drops{keep: keep, byDevice: make(map[iot.DeviceRef]drop)}
}

// Note remembers that a device was disabled or deleted. It must be called before the device's session is looked for.
func (d *Drops) Note(ref iot.DeviceRef, cause refusal.Cause, now time.Time) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.order) > 0 && (len(d.order) >= maxDrops || now.Sub(d.order[0].at) > d.keep) {
		first := d.order[0]
		d.order = d.order[1:]
		if d.byDevice[first.ref].at.Equal(first.at) { // else it was dropped again
			delete(d.byDevice, first.ref)
		}
	}
	if len(d.order) == 0 {
		d.order, d.byDevice = nil, make(map[iot.DeviceRef]drop) // a map never shrinks
	}
	d.order = append(d.order, dropped{ref, now})
	d.byDevice[ref] = drop{now, cause}
}

// Since gives the cause if the device was disabled or deleted after a login of it began; else it is empty. It must be called when
// the session can be found.
func (d *Drops) Since(ref iot.DeviceRef, began time.Time) refusal.Cause {
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.byDevice[ref]; ok && !e.at.Before(began) {
		return e.cause
	}
	return ""
}

// Len is how many devices are remembered.
func (d *Drops) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.byDevice)
}
