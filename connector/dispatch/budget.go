package dispatch

import (
	"context"
	"sync"
	"sync/atomic"
)

// A budget bounds the bytes of all records that are accepted and not decided. A record takes from its function's reserve first,
// then from what all functions share. Whoever finds neither waits, first come first served within a function.
type budget struct {
	shared  reserve
	closing <-chan struct{}

	waiting atomic.Int64 // calls on their way into or in queue
	mu      sync.Mutex
	queue   []*claim
}

// A reserve is a number of bytes of which some are used.
type reserve struct {
	limit int64
	used  atomic.Int64
}

// A claim is a call of take that waits.
type claim struct {
	own     *reserve
	size    int64
	shared  bool
	granted chan struct{} // closed under budget.mu, once
}

func newBudget(shared int64, closing <-chan struct{}) *budget {
	b := &budget{closing: closing}
	b.shared.limit = shared
	return b
}

// take takes size bytes, waiting for them if need be, and reports where from.
func (b *budget) take(ctx context.Context, own *reserve, size int64) (shared bool, err error) {
	if b.waiting.Load() == 0 {
		if own.try(size, false) {
			return false, nil
		}
		if b.shared.try(size, true) {
			return true, nil
		}
	}
	b.waiting.Add(1) // before the next look: who gives bytes back afterwards sees it
	b.mu.Lock()
	c := &claim{own: own, size: size, granted: make(chan struct{})}
	b.queue = append(b.queue, c)
	b.grant()
	b.mu.Unlock()

	select {
	case <-c.granted:
		return c.shared, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-b.closing:
		err = ErrClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == c {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.waiting.Add(-1)
			b.grant() // what stood behind it may fit
			return false, err
		}
	}
	return c.shared, nil // granted meanwhile
}

// give returns bytes.
func (b *budget) give(own *reserve, size int64, shared bool) {
	if shared {
		b.giveAll(own, 0, size)
	} else {
		b.giveAll(own, size, 0)
	}
}

func (b *budget) giveAll(own *reserve, ownSize, sharedSize int64) {
	if ownSize > 0 {
		own.used.Add(-ownSize)
	}
	if sharedSize > 0 {
		b.shared.used.Add(-sharedSize)
	}
	if b.waiting.Load() > 0 {
		b.mu.Lock()
		b.grant()
		b.mu.Unlock()
	}
}

// grant serves the queue: of each function the claims up to the first that does not fit. mu is held.
func (b *budget) grant() {
	kept := b.queue[:0]
	for _, c := range b.queue {
		ahead := false
		for _, k := range kept {
			ahead = ahead || k.own == c.own
		}
		switch {
		case !ahead && c.own.try(c.size, false):
		case !ahead && b.shared.try(c.size, true):
			c.shared = true
		default:
			kept = append(kept, c)
			continue
		}
		b.waiting.Add(-1)
		close(c.granted)
	}
	clear(b.queue[len(kept):])
	b.queue = kept
}

// try takes size bytes if they fit. A record over the limit fits into an empty reserve if alone is set; else it never would.
func (r *reserve) try(size int64, alone bool) bool {
	for {
		used := r.used.Load()
		if used+size > r.limit && !(alone && used == 0) {
			return false
		}
		if r.used.CompareAndSwap(used, used+size) {
			return true
		}
	}
}
