package dispatch

import (
	"sync/atomic"
	"time"
)

// A health says whether a function works at all, so that a record that fails can be told from a function that does. All lanes of
// the function write it, once per batch.
type health struct {
	succeededAt atomic.Int64 // start of the last invocation that decided something; 0: never
	suspects    atomic.Int32 // records that failed alone since
}

// provenFor is how long a success speaks for the function when there is no other traffic.
const provenFor = 5 * time.Minute

func (h *health) succeeded(start int64) {
	if h.suspects.Load() != 0 {
		h.suspects.Store(0)
	}
	start = max(start, 1) // 0 is never
	for {
		at := h.succeededAt.Load()
		if at >= start || h.succeededAt.CompareAndSwap(at, start) {
			return
		}
	}
}

func (h *health) suspected() { h.suspects.Add(1) }

// condemns reports whether a record that has failed alone often enough is to blame: other records have succeeded since it first
// failed. Where there is no other traffic, a function that worked a short while ago and has failed on nothing but this record is
// thought to work; then no second record is condemned before something succeeds, so that a broken function does not put the
// world aside.
func (h *health) condemns(suspectAt, now int64) bool {
	at := h.succeededAt.Load()
	if at == 0 {
		return false
	}
	return at > suspectAt || now-at < int64(provenFor) && h.suspects.Load() <= 1
}
