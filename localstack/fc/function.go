package fc

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A function is one deployed function with its instances.
type function struct {
	Function
	s        *Server
	created  time.Time
	limit    int // most instances
	lane     *lane
	counters counters
	wg       sync.WaitGroup // starting and stopping instances

	checksumOnce sync.Once

	mu        sync.Mutex
	closed    bool
	checksum  string // CRC-64/ECMA of the executable, decimal
	codeSize  int64
	instances []*instance // that take invocations, oldest first
	leaving   []*instance // that are being started or stopped
	starting  int
	waiters   []*waiter // callers without an instance, in order of arrival; at most Limits.QueueLength
	failures  int       // starts that failed since the last that did not
	failure   *apiError // of the last
	failUntil time.Time // until when callers get failure without another start
}

// A waiter is a caller that waits for a slot. grant has room for one.
type waiter struct{ grant chan grant }

type grant struct {
	inst *instance
	err  *apiError
}

func newFunction(s *Server, f Function) *function {
	limit := s.opt.Limits.Instances
	if f.ReservedConcurrency > 0 {
		limit = min(limit, f.ReservedConcurrency)
	}
	fn := &function{Function: f, s: s, limit: limit, created: s.opt.Clock.Now()}
	fn.lane = newLane(fn)
	return fn
}

// capacity is how many invocations can run at a time.
func (f *function) capacity() int { return f.limit * f.InstanceConcurrency }

// acquire takes a slot of an instance, starting one when all are full and waiting when there are enough.
// The caller must release it.
func (f *function) acquire(ctx context.Context) (*instance, *apiError) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, errClosing
	}
	if inst := f.free(); inst != nil {
		inst.take()
		f.mu.Unlock()
		return inst, nil
	}
	if len(f.instances)+f.starting == 0 && f.failures > 0 && time.Now().Before(f.failUntil) {
		e := f.failure
		f.mu.Unlock()
		return nil, e
	}
	if len(f.waiters) >= f.s.opt.Limits.QueueLength {
		f.mu.Unlock()
		return nil, errExhausted("function %s: all %d instances are in use and %d callers wait", f.Name, f.limit, f.s.opt.Limits.QueueLength)
	}
	w := &waiter{grant: make(chan grant, 1)}
	f.waiters = append(f.waiters, w)
	f.grow()
	f.mu.Unlock()
	return f.wait(ctx, w)
}

func (f *function) wait(ctx context.Context, w *waiter) (*instance, *apiError) {
	limits := f.s.opt.Limits
	begin := time.Now()
	timer := time.NewTimer(limits.QueueWait)
	defer timer.Stop()
	for {
		e := errClientClosed
		select {
		case g := <-w.grant:
			return g.inst, g.err
		case <-ctx.Done():
		case <-timer.C:
			f.mu.Lock()
			starting := f.starting > 0
			f.mu.Unlock()
			if left := limits.QueueWait + limits.StartTimeout - time.Since(begin); starting && left > 0 {
				timer.Reset(min(left, limits.QueueWait))
				continue
			}
			e = errExhausted("function %s: all %d instances have been in use for %s", f.Name, f.limit, limits.QueueWait)
		}
		f.mu.Lock()
		i := slices.Index(f.waiters, w)
		if i >= 0 {
			f.waiters = slices.Delete(f.waiters, i, i+1)
		}
		f.mu.Unlock()
		if i < 0 { // granted meanwhile
			g := <-w.grant
			if g.inst != nil {
				f.release(g.inst)
			}
		}
		return nil, e
	}
}

// free returns the oldest instance with a slot, so that the youngest ones become idle first. mu is held.
func (f *function) free() *instance {
	for _, inst := range f.instances {
		if inst.inflight < f.InstanceConcurrency {
			return inst
		}
	}
	return nil
}

// grow starts instances for the waiters that those already starting will not take. mu is held.
func (f *function) grow() {
	for f.starting*f.InstanceConcurrency < len(f.waiters) && f.starting+len(f.instances) < f.limit && !f.closed {
		f.starting++
		inst := newInstance(f)
		inst.starting = true
		f.leaving = append(f.leaving, inst)
		f.wg.Go(func() { f.bringUp(inst) })
	}
}

// Pauses after a start that failed.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// bringUp starts an instance and offers it to the waiters, or tells them why it did not start.
func (f *function) bringUp(inst *instance) {
	e := inst.start()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting--
	inst.starting = false
	if e == nil && !f.closed && !inst.gone() {
		f.leaving = remove(f.leaving, inst)
		inst.idleSince = f.s.opt.Clock.Now()
		f.failures = 0
		f.instances = append(f.instances, inst)
		f.wg.Go(func() { f.watch(inst) })
		f.dispatch()
		return
	}
	if e == nil {
		e = errClosing
		if !f.closed {
			e = errNotStarted("the process ended right after its start", inst.out.last())
		}
	}
	f.wg.Go(func() { f.takeDown(inst) })
	// A function that cannot start is not started again for each of its callers.
	f.failure, f.failUntil = e, time.Now().Add(min(firstPause<<min(f.failures, 10), lastPause))
	f.failures++
	if len(f.instances)+f.starting == 0 || f.closed {
		n := len(f.waiters)
		if !f.closed {
			n = min(n, f.InstanceConcurrency)
		}
		for _, w := range f.waiters[:n] {
			w.grant <- grant{err: e}
		}
		f.waiters = slices.Delete(f.waiters, 0, n)
		f.grow()
	}
}

// watch waits for the end of a process and takes its instance out of service.
func (f *function) watch(inst *instance) {
	<-inst.proc.Load().exited
	f.retire(inst)
}

// retire takes an instance out of service, once; what runs in it goes on until takeDown ends the process.
func (f *function) retire(inst *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retireLocked(inst)
}

func (f *function) retireLocked(inst *instance) {
	if !slices.Contains(f.instances, inst) {
		return
	}
	f.instances = remove(f.instances, inst)
	f.leaving = append(f.leaving, inst)
	f.wg.Go(func() { f.takeDown(inst) })
	f.grow()
}

func (f *function) takeDown(inst *instance) {
	inst.stop()
	f.mu.Lock()
	f.leaving = remove(f.leaving, inst)
	f.mu.Unlock()
}

// dispatch gives free slots to waiters. mu is held.
func (f *function) dispatch() {
	for len(f.waiters) > 0 {
		inst := f.free()
		if inst == nil {
			return
		}
		inst.take()
		f.waiters[0].grant <- grant{inst: inst}
		f.waiters = slices.Delete(f.waiters, 0, 1)
	}
}

// release gives a slot back.
func (f *function) release(inst *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	inst.inflight--
	if inst.inflight == 0 {
		inst.idleSince = f.s.opt.Clock.Now()
		f.counters.billed.Add(int64(time.Since(inst.busySince)))
	}
	if len(f.waiters) > 0 {
		f.dispatch()
		f.grow()
	}
}

// stopIdle retires instances that nobody has used since the given time.
func (f *function) stopIdle(before time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, inst := range slices.Clone(f.instances) {
		if inst.inflight == 0 && inst.idleSince.Before(before) {
			f.retireLocked(inst)
		}
	}
}

// all returns every instance with a process.
func (f *function) all() []*instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(slices.Clone(f.instances), f.leaving...)
}

// close stops all instances and waits for them.
func (f *function) close() {
	f.mu.Lock()
	f.closed = true
	for _, w := range f.waiters {
		w.grant <- grant{err: errClosing}
	}
	f.waiters = nil
	for _, inst := range slices.Clone(f.instances) {
		f.retireLocked(inst)
	}
	for _, inst := range f.leaving {
		if inst.starting {
			inst.kill("the service is shutting down")
		}
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func remove(list []*instance, inst *instance) []*instance {
	if i := slices.Index(list, inst); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
