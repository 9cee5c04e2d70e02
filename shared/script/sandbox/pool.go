package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Limits of a call; zero values are the defaults.
type Limits struct {
	Steps  int64
	Memory int64 // bytes
	CPU    time.Duration
}

// A Pool runs scripts in a few children, which are started when they are needed and kept. Its zero value is ready. It is safe for
// concurrent use; calls beyond the number of children wait.
type Pool struct {
	Size   int // children; 0: one per CPU, at most two, for each may take some 150 MB while a hostile script runs in it
	Limits Limits
	Now    func() time.Time // of the throttle; time.Now if nil

	once   sync.Once
	idle   chan *worker // nil stands for a child that is not started
	guard  throttle
	closed chan struct{}
}

func (p *Pool) init() {
	p.once.Do(func() {
		if p.Size <= 0 {
			p.Size = min(runtime.NumCPU(), 2)
		}
		if p.Limits.Steps <= 0 {
			p.Limits.Steps = DefaultSteps
		}
		if p.Limits.Memory <= 0 {
			p.Limits.Memory = DefaultMemory
		}
		if p.Limits.CPU <= 0 {
			p.Limits.CPU = DefaultCPU
		}
		if p.Now == nil {
			p.Now = time.Now
		}
		p.closed = make(chan struct{})
		p.idle = make(chan *worker, p.Size)
		for range p.Size {
			p.idle <- nil
		}
	})
}

// ErrClosed is the answer to a call of a closed pool.
var ErrClosed = errors.New("sandbox: closed")

// Call runs one function of a script. topic is for TransformPayload alone. An error that is a *Failure is the script's; others say that it
// did not run, or not to its end: ctx ended, or no child could be started.
func (p *Pool) Call(ctx context.Context, s Script, f Function, topic string, input []byte) (Run, error) {
	p.init()
	switch {
	case len(s.Source) > MaxSource:
		return Run{}, &Failure{Kind: Exception, Message: fmt.Sprintf("the script has %d bytes; at most %d are taken", len(s.Source), MaxSource)}
	case len(input) > MaxInput:
		return Run{}, &Failure{Kind: WrongType, Message: fmt.Sprintf("the input has %d bytes; at most %d are taken", len(input), MaxInput)}
	case len(s.ID) > 255 || len(topic) > 1024:
		return Run{}, errFrame
	case s.Source == "":
		return Run{}, &Failure{Kind: MissingFunction, Message: "the script is empty"}
	}
	if !p.guard.allows(s.ID, p.Now()) {
		return Run{}, &Failure{Kind: Throttled, Message: "the script was stopped by force too often lately"}
	}
	var w *worker
	select {
	case w = <-p.idle:
	case <-p.closed:
		return Run{}, ErrClosed
	case <-ctx.Done():
		return Run{}, context.Cause(ctx)
	}
	var err error
	if w == nil {
		if w, err = start(p.Limits); err != nil {
			p.idle <- nil
			return Run{}, fmt.Errorf("sandbox: %w", err)
		}
	}
	run, failure, err := w.call(ctx, s, f, topic, input)
	if w.spent() {
		w.stop()
		w = nil
	}
	p.idle <- w
	switch {
	case err != nil:
		return Run{}, err
	case failure != nil:
		if failure.Kind == TooMuchCPU || failure.Kind == Crashed || failure.Kind == TooMuchMemory && failure.Steps == 0 {
			p.guard.killed(s.ID, p.Now())
		}
		return Run{}, failure
	}
	return run, nil
}

// Close ends the children, after the calls that they work on.
func (p *Pool) Close() {
	p.init()
	select {
	case <-p.closed:
		return
	default:
		close(p.closed)
	}
	for range p.Size {
		if w := <-p.idle; w != nil {
			w.stop()
		}
	}
}

// A throttle remembers which scripts had to be stopped by force, which costs a process each time.
type throttle struct {
	mu      sync.Mutex
	scripts map[string]kills
}

type kills struct {
	n     int
	since time.Time
}

const (
	maxKills     = 5
	killsFor     = 10 * time.Second
	maxThrottled = 1024
)

func (t *throttle) allows(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, known := t.scripts[id]
	if known && now.Sub(k.since) > killsFor {
		delete(t.scripts, id)
		return true
	}
	return k.n < maxKills
}

func (t *throttle) killed(id string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.scripts == nil || len(t.scripts) >= maxThrottled {
		t.scripts = make(map[string]kills)
	}
	k := t.scripts[id]
	if k.n == 0 || now.Sub(k.since) > killsFor {
		k = kills{since: now}
	}
	if k.n++; k.n == maxKills {
		k.since = now
	}
	t.scripts[id] = k
}
