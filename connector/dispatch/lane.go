package dispatch

import (
	"context"
	"sync"
	"time"

	"relink/shared/record"
)

// An item is a record on its way.
type item struct {
	rec      record.Record
	done     func(record.Result, error)
	trouble  *trouble // nil until something went wrong with it
	queued   int64
	deadline int64
	size     int64
	hash     uint32 // of its device
	shared   bool   // its bytes are of the shared budget
}

// A lane keeps the order of the devices that hash to it: one invocation in flight, the next batch forming meanwhile.
type lane struct {
	d *Dispatcher
	f *function

	mu       sync.Mutex
	queue    []item    // queue[head:] waits, at most f.Queue with what is held; when full, Submit blocks
	head     int       //
	accepted uint64    // ever
	heldNow  int       // len(held) when it was last looked at
	waiting  []*waiter // Submit calls that block, first come first served
	wakeAt   int       // run sleeps and wants to be woken when so many wait; 0: it does not
	closed   bool      // nothing is accepted any more
	wake     chan struct{}

	// Owned by run.
	batch     []item          // of the invocation in flight
	batchSize int64           // bytes of it
	held      []item          // to be tried again, and what must not overtake it; in order within a device
	spare     []item          // the other buffer of held
	blocked   map[uint32]bool // hashes of devices of which nothing more goes into this batch; empty unless something is held
	records   []record.Record // batch, as it is encoded; reused
	event     []byte          // reused
	resume    int64           // the lane pauses until then
	service   int             // errors of the service in a row
	streak    int             // failures of the function in a row
	yield     bool            // what is in no segment has the next turn
	segment   uint32          // the last one that was given
	timer     *time.Timer
}

// A waiter is a call of Submit that blocks. Its fields are guarded by the lane's mu.
type waiter struct {
	it      *item
	decided chan struct{} // closed when it is accepted or refused
	err     error
}

func newLane(d *Dispatcher, f *function) *lane {
	return &lane{d: d, f: f, wake: make(chan struct{}, 1), blocked: make(map[uint32]bool)}
}

// submit puts an item into the queue, waiting for room.
func (l *lane) submit(ctx context.Context, it *item) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	if len(l.waiting) == 0 && l.room() > 0 {
		l.push(it)
		l.mu.Unlock()
		return nil
	}
	own := *it // the caller's may stay on its stack
	w := &waiter{it: &own, decided: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	l.f.counters.blocked.Add(1)

	select {
	case <-w.decided:
		return w.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.waiting {
		if q == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return context.Cause(ctx)
		}
	}
	return w.err // decided meanwhile
}

// room is how many more may wait. mu is held.
func (l *lane) room() int { return l.f.Queue - l.heldNow - (len(l.queue) - l.head) }

// push appends to the queue. mu is held.
func (l *lane) push(it *item) {
	if len(l.queue) == cap(l.queue) && l.head > len(l.queue)/2 {
		n := copy(l.queue, l.queue[l.head:])
		clear(l.queue[n:])
		l.queue, l.head = l.queue[:n], 0
	}
	l.queue = append(l.queue, *it)
	l.accepted++
	if l.wakeAt > 0 && len(l.queue)-l.head >= l.wakeAt {
		l.rouse()
	}
}

// rouse ends run's sleep. mu is held.
func (l *lane) rouse() {
	l.wakeAt = 0
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pop drops n items from the front of the queue, which the caller has copied. mu is held.
func (l *lane) pop(n int) {
	clear(l.queue[l.head : l.head+n])
	l.head += n
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
		if cap(l.queue) > keepItems {
			l.queue = nil // a burst is over
		}
	}
}

// keepItems and keepBytes are what a lane keeps of its buffers when they are empty.
const (
	keepItems = 1024
	keepBytes = 512 << 10
)

// admit lets waiting Submit calls in as far as there is room. mu is held.
func (l *lane) admit() {
	n := 0
	for n < len(l.waiting) && l.room() > 0 {
		w := l.waiting[n]
		l.push(w.it)
		close(w.decided)
		n++
	}
	if n > 0 {
		l.waiting = append(l.waiting[:0], l.waiting[n:]...)
		clear(l.waiting[len(l.waiting) : len(l.waiting)+n])
	}
}

// close accepts nothing more.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, w := range l.waiting {
		w.err = ErrClosed
		close(w.decided)
	}
	l.waiting = nil
	l.rouse()
}

// run owns the lane until it is closed and empty, or until ctx ends.
func (l *lane) run(ctx context.Context) {
	l.timer = time.NewTimer(time.Hour)
	defer l.timer.Stop()
	for {
		if ctx.Err() != nil {
			l.close()
			l.abandon(context.Cause(ctx))
			return
		}
		now := l.d.now()
		l.expire(now)
		if now >= l.resume && !l.linger(ctx, now) {
			l.fill(now)
		}
		switch {
		case len(l.batch) > 0:
			l.invoke(ctx)
		case l.empty():
			return
		default:
			l.sleep(ctx, now)
		}
	}
}

// empty reports whether the lane is closed and has nothing left.
func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed && len(l.held) == 0 && l.head == len(l.queue)
}

// linger waits for company, and reports whether it did, so that time has passed.
func (l *lane) linger(ctx context.Context, now int64) bool {
	if l.f.Linger <= 0 || len(l.held) > 0 {
		return false
	}
	l.mu.Lock()
	waiting := len(l.queue) - l.head
	if l.closed || waiting == 0 || waiting >= min(l.f.MaxRecords, l.f.Queue) {
		l.mu.Unlock()
		return false
	}
	until := l.queue[l.head].queued + int64(l.f.Linger)
	if until <= now {
		l.mu.Unlock()
		return false
	}
	l.wakeAt = min(l.f.MaxRecords, l.f.Queue)
	l.mu.Unlock()
	l.wait(ctx, until-now)
	return true
}

// sleep waits until there is something to do: an arrival, unless the lane pauses, a retry or a deadline.
func (l *lane) sleep(ctx context.Context, now int64) {
	until := now + int64(time.Hour)
	for i := range l.held {
		it := &l.held[i]
		until = min(until, it.deadline)
		if t := it.trouble; t != nil && t.notBefore > now { // what is due already waits for another one, or for the pause
			until = min(until, t.notBefore)
		}
	}
	l.mu.Lock()
	if now < l.resume {
		until = min(until, l.resume)
		if l.head < len(l.queue) {
			until = min(until, l.queue[l.head].deadline)
		}
	} else if l.head < len(l.queue) {
		l.mu.Unlock()
		return // it arrived meanwhile
	} else {
		l.wakeAt = 1
	}
	l.mu.Unlock()
	l.wait(ctx, until-now)
}

// wait ends after some nanoseconds, with the next wake-up, or with ctx.
func (l *lane) wait(ctx context.Context, ns int64) {
	l.timer.Reset(time.Duration(max(ns, 0)))
	select {
	case <-l.wake:
	case <-l.timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	l.wakeAt = 0
	l.mu.Unlock()
}

// abandon decides everything that is left: nothing was decided.
func (l *lane) abandon(cause error) {
	err := &undecided{cause: cause, reason: ErrClosed}
	for i := range l.held {
		l.finish(&l.held[i], record.Result{}, err)
	}
	l.held = nil
	l.mu.Lock()
	left := l.queue[l.head:]
	l.queue, l.head, l.heldNow = nil, 0, 0
	l.mu.Unlock()
	for i := range left {
		l.finish(&left[i], record.Result{}, err)
	}
}
