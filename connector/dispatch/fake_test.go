package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/store"
)

// A fakeFunction is an Invoker that does what a script says with each batch.
type fakeFunction struct {
	takes  time.Duration // fake time of an invocation
	hangs  string        // with a record of this payload it takes an hour
	script func(call int, b record.Batch) ([]record.Result, error)

	mu    sync.Mutex
	calls []record.Batch
	busy  int // invocations in flight
	peak  int
}

func (f *fakeFunction) Invoke(ctx context.Context, _ string, event []byte) (fc.Result, error) {
	b, err := record.DecodeBatch(slices.Clone(event))
	if err != nil {
		return fc.Result{}, err
	}
	f.mu.Lock()
	call := len(f.calls)
	f.calls = append(f.calls, b)
	f.busy++
	f.peak = max(f.peak, f.busy)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}()
	takes := f.takes
	if f.hangs != "" && has(b, f.hangs) {
		takes = time.Hour
	}
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return fc.Result{}, &fc.Error{Err: ctx.Err()}
		}
	}
	results := ok(b)
	if f.script != nil {
		results, err = f.script(call, b)
	}
	res := fc.Result{RequestID: fmt.Sprintf("request-%d", call)}
	if err == nil {
		res.Body = record.AppendResults(nil, results)
	}
	return res, err
}

func (f *fakeFunction) sizes() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sizes []int
	for _, b := range f.calls {
		sizes = append(sizes, len(b.Records))
	}
	return sizes
}

func (f *fakeFunction) count() int { return len(f.sizes()) }

func ok(b record.Batch) []record.Result {
	results := make([]record.Result, len(b.Records))
	for i := range results {
		results[i].Code = 200
	}
	return results
}

func throttled() error { return &fc.Error{Status: 429, Code: "ResourceExhausted"} }
func lost() error      { return &fc.Error{Err: errors.New("connection reset by peer")} }
func panicked() error {
	return &fc.Error{Status: 200, Code: "UnhandledInvocationError", Message: "index out of range"}
}
func exitedEarly() error {
	return &fc.Error{Status: 200, Code: "UnhandledInvocationError", Message: "Process exited unexpectedly before completing request (duration: 3ms, maxMemoryUsage: 9MB)"}
}

func has(b record.Batch, payload string) bool {
	return slices.ContainsFunc(b.Records, func(r record.Record) bool { return strings.HasPrefix(string(r.Payload), payload) })
}

// fakeLetters stores dead letters, after failing some times.
type fakeLetters struct {
	mu    sync.Mutex
	fail  int
	kept  []store.DeadLetter
	tries int
}

func (f *fakeLetters) Put(_ context.Context, d *store.DeadLetter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tries++; f.tries <= f.fail {
		return errors.New("table is busy")
	}
	f.kept = append(f.kept, *d)
	return nil
}

func (f *fakeLetters) List(context.Context, iot.DeviceRef, int) ([]*store.DeadLetter, error) {
	return nil, nil
}

// A bench is a dispatcher under test, with what its records came to.
type bench struct {
	*Dispatcher
	t       *testing.T
	fn      *fakeFunction
	letters *fakeLetters

	mu       sync.Mutex
	order    []string // payloads, as they were decided
	outcomes map[string][]outcome
}

type outcome struct {
	result record.Result
	err    error
	at     time.Time
}

// start runs a dispatcher with one lane until the test ends. It must be called in a synctest bubble.
func start(t *testing.T, fn *fakeFunction, lane Lane, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, fn: fn, letters: new(fakeLetters), outcomes: make(map[string][]outcome)}
	if lane.Lanes == 0 {
		lane.Lanes = 1
	}
	o := Options{Node: "node-1", Invoker: fn, Lanes: map[string]Lane{"property": lane}, DeadLetters: b.letters}
	if change != nil {
		change(&o)
	}
	b.Dispatcher = New(o)
	ran := make(chan error, 1)
	go func() { ran <- b.Run(t.Context()) }()
	synctest.Wait()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		b.Close(ctx)
		<-ran
		for name, s := range b.Snapshot() {
			if s.Accepted != s.Decided+s.Undecided || s.Decided < s.Stored+s.DeadLetters {
				t.Errorf("%s: the counters do not balance: %+v", name, s)
			}
			if s.Queued != 0 || s.Waiting != 0 || s.Bytes != 0 || s.SharedBytes != 0 {
				t.Errorf("%s: something is left: %+v", name, s)
			}
		}
	})
	return b
}

func device(n int) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: "a1", DeviceName: iot.DeviceName(fmt.Sprintf("d%d", n))}
}

// post submits a record; its payload is its name.
func (b *bench) post(dev int, payload string) {
	b.t.Helper()
	if err := b.submit(b.t.Context(), "property", dev, payload); err != nil {
		b.t.Fatalf("submit %s: %v", payload, err)
	}
}

func (b *bench) submit(ctx context.Context, function string, dev int, payload string) error {
	name, _, _ := strings.Cut(payload, " ")
	return b.Submit(ctx, function, record.Record{MessageID: name, Device: device(dev), Topic: "/t", Payload: []byte(payload)}, func(r record.Result, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.order = append(b.order, name)
		b.outcomes[name] = append(b.outcomes[name], outcome{r, err, time.Now()})
	})
}

// decided gives the one outcome of a record.
func (b *bench) decided(name string) outcome {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.outcomes[name]) != 1 {
		b.t.Fatalf("%s was decided %d times", name, len(b.outcomes[name]))
	}
	return b.outcomes[name][0]
}

func (b *bench) wantCode(name string, code int32) {
	b.t.Helper()
	if o := b.decided(name); o.err != nil || o.result.Code != code {
		b.t.Errorf("%s: code %d, error %v; want code %d", name, o.result.Code, o.err, code)
	}
}

// drain closes the dispatcher within some fake time.
func (b *bench) drain(within time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		b.t.Fatalf("close: %v", err)
	}
}
