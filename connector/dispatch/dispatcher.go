// Package dispatch carries records from connections to functions in batches. DESIGN.md defines it: "Dispatch", "Deferred
// acknowledgement", "Back-pressure" and "Failure".
//
// For each function there are lanes, for one whose records must not wait for each other under several names; a record goes to the lane that its device hashes to. A lane has one invocation in flight,
// and what arrives meanwhile is the next batch. So the order of one device's records is kept, also across retries, an idle
// system answers at once, and a busy one batches by itself.
//
// Every accepted record is decided exactly once: with the function's result, with the code of a dead letter, or with an error,
// after which nothing may be acknowledged and the device's own retry is the safety net.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/shared/fc"
	"relink/shared/record"
	"relink/shared/store"
)

// CodeDeadLetter and ReasonDeadLetter are the result of a record that no invocation could digest and that is stored as a dead
// letter. (Alink, "Error codes": 500, the system failed.) Of a private lane it has the same code, and function_failed as its reason.
const (
	CodeDeadLetter   = 500
	ReasonDeadLetter = "dead_letter"
)

var (
	// ErrClosed is returned by Submit after Close, and given to done for what could not be decided before the end.
	ErrClosed = errors.New("dispatch: closed")
	// ErrUndecided is wrapped by what done gets for a record whose deadline passed without a result.
	ErrUndecided = errors.New("dispatch: undecided at the deadline")
	// ErrUnknownFunction is wrapped by Submit for a function that Options.Lanes does not name.
	ErrUnknownFunction = errors.New("dispatch: no lanes for function")
)

// An Invoker runs a function with an event, which it must not touch after it has returned. *fc.Client is one. An error that is no
// *fc.Error counts as one of the service.
type Invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// A Lane says how a function is fed under one name: its own, or another that stands for it. Zero values are the defaults.
type Lane struct {
	Function      string        // to invoke, if it is not what the lane is called: what must not wait for other records has lanes of its own
	Lanes         int           // invocations at the same time; 4
	MaxRecords    int           // in one batch; 500
	MaxBytes      int           // in one batch, a larger record goes alone; 4 MB
	Queue         int           // records that wait, per lane; 1,024
	Linger        time.Duration // longest time that a record waits for company; 0
	Deadline      time.Duration // instead of Options.Deadline
	InvokeTimeout time.Duration // instead of Options.InvokeTimeout
	Private       bool          // payloads hold passwords: a poisonous record is answered and logged, and never stored
}

// Options configure a Dispatcher. Invoker and Lanes are required.
type Options struct {
	Node          string // the connector's node id; it is in every batch
	Invoker       Invoker
	Lanes         map[string]Lane       // by function, or whatever else Submit calls them
	DeadLetters   store.DeadLetters     // without it a poisonous record stays undecided
	Deadline      time.Duration         // from Submit to the last attempt; 60 s
	InvokeTimeout time.Duration         // of one attempt; half of the deadline
	MaxBytes      int64                 // of all records accepted and not decided; 256 MB. Half of it is shared, half is split evenly between the functions, so that a broken one cannot starve the others
	Logger        *slog.Logger          // nothing is logged without
	Metrics       prometheus.Registerer // nothing is registered without; New panics if the names are taken
}

// A Dispatcher batches records. Make it with New, then Run it; Submit may be called before.
type Dispatcher struct {
	node        string
	invoker     Invoker
	deadLetters store.DeadLetters
	log         *slog.Logger
	epoch       time.Time // times are nanoseconds since it
	functions   map[string]*function
	budget      *budget

	closing  chan struct{} // closed by the first Close
	finished chan struct{} // closed when every lane has ended

	mu      sync.Mutex
	started bool
	closed  bool
	abort   context.CancelCauseFunc // ends the lanes without draining; set by Run
}

// A function is what its lanes have in common.
type function struct {
	name     string
	Lane     // with defaults filled in
	lanes    []*lane
	reserve  reserve
	health   health
	counters counters
	measures measures
}

// New makes a dispatcher.
func New(o Options) *Dispatcher {
	if o.Deadline <= 0 {
		o.Deadline = 60 * time.Second
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		node:        o.Node,
		invoker:     o.Invoker,
		deadLetters: o.DeadLetters,
		log:         o.Logger,
		epoch:       time.Now(),
		functions:   make(map[string]*function, len(o.Lanes)),
		closing:     make(chan struct{}),
		finished:    make(chan struct{}),
	}
	d.budget = newBudget(o.MaxBytes/2, d.closing)
	for name, l := range o.Lanes {
		f := &function{name: name, Lane: l.withDefaults(o.Deadline), measures: newMeasures(name)}
		if f.Function == "" {
			f.Function = name
		}
		if f.InvokeTimeout <= 0 {
			f.InvokeTimeout = o.InvokeTimeout
		}
		if f.InvokeTimeout <= 0 {
			f.InvokeTimeout = f.Deadline / 2
		}
		f.reserve.limit = o.MaxBytes / 2 / int64(len(o.Lanes))
		for range f.Lanes {
			f.lanes = append(f.lanes, newLane(d, f))
		}
		d.functions[name] = f
	}
	if o.Metrics != nil {
		d.register(o.Metrics)
	}
	return d
}

func (l Lane) withDefaults(deadline time.Duration) Lane {
	if l.Lanes <= 0 {
		l.Lanes = 4
	}
	if l.MaxRecords <= 0 {
		l.MaxRecords = 500
	}
	l.MaxRecords = min(l.MaxRecords, record.MaxRecords)
	if l.MaxBytes <= 0 {
		l.MaxBytes = 4 << 20
	}
	if l.Queue <= 0 {
		l.Queue = 1024
	}
	if l.Deadline <= 0 {
		l.Deadline = deadline
	}
	return l
}

func (d *Dispatcher) now() int64 { return int64(time.Since(d.epoch)) }

// Submit accepts a record for a function. It blocks while the lane's queue or the byte budget is full: that is the back-pressure
// on whoever reads the socket. It returns nil if the record is accepted, else the cause of ctx, ErrClosed or an
// ErrUnknownFunction, and done is not called then.
//
// For an accepted record done is called exactly once, from the lane's goroutine; it must not block, nor call Submit. A nil error
// comes with the result of the record; an error means that nothing was decided, and nothing may be acknowledged. The payload
// belongs to the dispatcher until done. Replies and Data of a result are the caller's.
//
// Order is kept between records of one device whose Submit calls follow each other.
func (d *Dispatcher) Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error {
	f, ok := d.functions[function]
	if !ok {
		return fmt.Errorf("%w %q", ErrUnknownFunction, function)
	}
	hash := r.Device.Hash()
	size := recordSize(&r)
	shared, err := d.budget.take(ctx, &f.reserve, size)
	if err != nil {
		return err
	}
	now := d.now()
	it := item{rec: r, done: done, hash: hash, size: size, shared: shared, queued: now, deadline: now + int64(f.Deadline)}
	l := f.lanes[laneOf(hash, len(f.lanes))]
	if err := l.submit(ctx, &it); err != nil {
		d.budget.give(&f.reserve, size, shared)
		return err
	}
	return nil
}

// laneOf spreads hashes over lanes; mixed once more, because FNV-1a leaves names that differ in their last character close.
func laneOf(hash uint32, lanes int) int {
	return int(uint64(hash*0x9e3779b1) * uint64(lanes) >> 32)
}

// recordSize is what a record counts for in batches and budgets: its bytes, and what it costs to keep them.
func recordSize(r *record.Record) int64 {
	return int64(len(r.Payload)+len(r.Topic)+len(r.MessageID)+len(r.Device.ProductKey)+len(r.Device.DeviceName)+len(r.IotID)) + itemOverhead
}

const itemOverhead = 48

// Run feeds the functions until Close has drained the dispatcher, and returns nil, or until ctx ends: then invocations under way are
// cancelled, what is undecided gets an error, and the cause of ctx is returned. It may be called once.
func (d *Dispatcher) Run(ctx context.Context) error {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	d.mu.Lock()
	if d.started {
		d.mu.Unlock()
		return errors.New("dispatch: already run")
	}
	d.started, d.abort = true, abort
	d.mu.Unlock()

	var lanes sync.WaitGroup
	for _, f := range d.functions {
		for _, l := range f.lanes {
			lanes.Go(func() { l.run(ctx) })
		}
	}
	lanes.Wait()
	err := context.Cause(ctx)
	d.stopAccepting()
	close(d.finished)
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Close accepts nothing more and waits until what was accepted is decided. When ctx ends first, it cancels the invocations
// under way, gives the rest ErrClosed, and returns the cause of ctx. It may be called more than once, and without Run.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.stopAccepting()
	d.mu.Lock()
	started, abort := d.started, d.abort
	d.started = true // it is too late for Run
	d.mu.Unlock()
	if !started {
		for _, f := range d.functions {
			for _, l := range f.lanes {
				l.abandon(ErrClosed)
			}
		}
		close(d.finished)
		return nil
	}
	select {
	case <-d.finished:
		return nil
	case <-ctx.Done():
		if abort != nil {
			abort(ErrClosed)
		}
		<-d.finished
		return context.Cause(ctx)
	}
}

func (d *Dispatcher) stopAccepting() {
	d.mu.Lock()
	first := !d.closed
	d.closed = true
	d.mu.Unlock()
	if !first {
		return
	}
	close(d.closing)
	for _, f := range d.functions {
		for _, l := range f.lanes {
			l.close()
		}
	}
}
