package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/shared/record"
)

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		lane Lane
		want []int
	}{
		{"all_that_waits", Lane{}, []int{1, 99}},
		{"bounded_in_records", Lane{MaxRecords: 40}, []int{1, 40, 40, 19}},
		{"bounded_in_bytes", Lane{MaxBytes: 60 * 80}, []int{1, 60, 39}}, // a record counts for 56 to 64 bytes and its payload
		{"larger_than_a_batch", Lane{MaxBytes: 10}, slices.Repeat([]int{1}, 100)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fn := &fakeFunction{takes: 10 * time.Millisecond}
				b := start(t, fn, c.lane, nil)
				b.post(0, "first")
				synctest.Wait()
				for i := range 99 {
					name := fmt.Sprintf("n%02d", i)
					size := recordSize(&record.Record{MessageID: name, Device: device(10 + i%9), Topic: "/t"})
					b.post(10+i%9, name+" "+strings.Repeat("x", 80-int(size)-len(name)-1))
				}
				b.drain(2 * time.Second)
				if got := fn.sizes(); !slices.Equal(got, c.want) {
					t.Errorf("batches of %v records, want %v", got, c.want)
				}
				if fn.peak != 1 {
					t.Errorf("%d invocations at a time in one lane", fn.peak)
				}
				b.wantCode("first", 200)
				b.wantCode("n98", 200)
				if fn.calls[0].Node != "node-1" {
					t.Errorf("batch is of node %q", fn.calls[0].Node)
				}
			})
		})
	}
}

func TestIdleLaneAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &fakeFunction{}, Lane{}, nil)
		before := time.Now()
		b.post(1, "a")
		synctest.Wait()
		if o := b.decided("a"); !o.at.Equal(before) {
			t.Errorf("took %v", o.at.Sub(before))
		}
	})
}

func TestLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{}
		b := start(t, fn, Lane{Linger: 5 * time.Millisecond, MaxRecords: 4}, nil)
		begin := time.Now()
		b.post(1, "a")
		time.Sleep(3 * time.Millisecond)
		b.post(2, "b")
		time.Sleep(3 * time.Millisecond)
		if o := b.decided("b"); o.at.Sub(begin) != 5*time.Millisecond {
			t.Errorf("lingered %v", o.at.Sub(begin))
		}
		begin = time.Now()
		for i := range 4 { // a full batch does not wait
			b.post(i, fmt.Sprintf("c%d", i))
		}
		synctest.Wait()
		if o := b.decided("c3"); o.at.Sub(begin) != 0 {
			t.Errorf("a full batch lingered %v", o.at.Sub(begin))
		}
		if got := fn.sizes(); !slices.Equal(got, []int{2, 4}) {
			t.Errorf("batches of %v", got)
		}
	})
}

func TestLanesRunBesideEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Second}
		b := start(t, fn, Lane{Lanes: 4}, nil)
		for i := range 200 {
			b.post(i, fmt.Sprintf("r%d", i))
		}
		b.drain(10 * time.Second)
		if fn.peak != 4 {
			t.Errorf("%d invocations at a time, want one per lane", fn.peak)
		}
	})
}

func TestLanesAreEven(t *testing.T) {
	t.Parallel()
	const lanes, devices = 8, 1600
	var load [lanes]int
	for i := range devices {
		load[laneOf(device(i).Hash(), lanes)]++
	}
	for i, n := range load {
		if n < devices/lanes*3/4 || n > devices/lanes*5/4 {
			t.Errorf("lane %d has %d of %d devices", i, n, devices)
		}
	}
}

func TestResultsGoByIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
			results := ok(b)
			for i, r := range b.Records {
				results[i] = record.Result{Code: 460, Reason: r.MessageID, Data: r.Payload, Replies: []record.Reply{{Topic: r.Topic + "_reply", Payload: r.Payload}}}
			}
			return results, nil
		}}
		b := start(t, fn, Lane{}, nil)
		for i := range 20 {
			b.post(i, fmt.Sprintf("r%d", i))
		}
		b.drain(time.Second)
		for i := range 20 {
			name := fmt.Sprintf("r%d", i)
			o := b.decided(name)
			if o.result.Reason != name || string(o.result.Data) != name || string(o.result.Replies[0].Payload) != name || o.result.Replies[0].Topic != "/t_reply" {
				t.Errorf("%s got %+v", name, o.result)
			}
		}
	})
}

func TestFullQueueBlocksAndReleases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Second}
		b := start(t, fn, Lane{Queue: 4, MaxRecords: 2}, nil)
		for i := range 5 { // one in flight, four wait
			b.post(1, fmt.Sprintf("r%d", i))
			synctest.Wait()
		}
		entered := make(chan string, 3)
		for i := range 3 {
			go func() {
				name := fmt.Sprintf("w%d", i)
				if err := b.submit(t.Context(), "property", 1, name); err != nil {
					t.Error(err)
				}
				entered <- name
			}()
			synctest.Wait()
		}
		if s := b.Snapshot()["property"]; s.Waiting != 3 || s.Queued != 4 {
			t.Fatalf("%d wait, %d queued; want 3 and 4", s.Waiting, s.Queued)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.submit(ctx, "property", 1, "impatient"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("submit into a full lane: %v", err)
		}
		time.Sleep(time.Second) // the first batch of two is taken: two places
		if got := []string{<-entered, <-entered}; !slices.Contains(got, "w0") || !slices.Contains(got, "w1") || len(entered) != 0 {
			t.Errorf("%v entered, and %d more", got, len(entered))
		}
		<-entered
		b.drain(time.Minute)
		want := []string{"r0", "r1", "r2", "r3", "r4", "w0", "w1", "w2"}
		if !slices.Equal(b.order, want) {
			t.Errorf("order %v, want %v", b.order, want)
		}
		if len(b.outcomes["impatient"]) != 0 {
			t.Error("done was called for a record that was not accepted")
		}
	})
}

func TestByteBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeFunction{takes: time.Second}
		b := start(t, slow, Lane{}, func(o *Options) {
			o.Lanes["auth"] = Lane{Lanes: 1}
			o.MaxBytes = 8000 // 4,000 shared, 2,000 for each function
		})
		big := strings.Repeat("x", 900)
		accepted := 0
		for i := range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
			if b.submit(ctx, "property", 1, fmt.Sprintf("p%d %s", i, big)) == nil {
				accepted++
			}
			cancel()
		}
		if accepted != 6 { // two of the reserve, four shared
			t.Errorf("%d records of 1 KB accepted", accepted)
		}
		if err := b.submit(t.Context(), "auth", 1, "login "+big); err != nil {
			t.Errorf("another function starves: %v", err)
		}
		released := make(chan error)
		go func() { released <- b.submit(t.Context(), "property", 1, "late "+big) }()
		synctest.Wait()
		if err := <-released; err != nil {
			t.Error(err)
		}
		huge := strings.Repeat("x", 20_000) // over every limit: alone
		if err := b.submit(t.Context(), "property", 1, "huge "+huge); err != nil {
			t.Error(err)
		}
		b.drain(time.Minute)
		b.wantCode("huge", 200)
		b.wantCode("late", 200)
		b.wantCode("login", 200)
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Second}
		b := start(t, fn, Lane{Queue: 10}, nil)
		for i := range 11 {
			b.post(i, fmt.Sprintf("r%d", i))
			synctest.Wait()
		}
		refused := make(chan error)
		go func() { refused <- b.submit(t.Context(), "property", 1, "blocked") }()
		synctest.Wait()
		b.drain(time.Minute)
		if err := <-refused; !errors.Is(err, ErrClosed) {
			t.Errorf("a submit that blocked: %v", err)
		}
		for i := range 11 {
			b.wantCode(fmt.Sprintf("r%d", i), 200)
		}
		if err := b.submit(t.Context(), "property", 1, "after"); !errors.Is(err, ErrClosed) {
			t.Errorf("submit after close: %v", err)
		}
	})
}

func TestCloseGivesUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Hour}
		b := start(t, fn, Lane{}, func(o *Options) { o.Deadline = 24 * time.Hour })
		b.post(1, "flying")
		synctest.Wait()
		b.post(1, "queued")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		for _, name := range []string{"flying", "queued"} {
			if o := b.decided(name); !errors.Is(o.err, ErrClosed) {
				t.Errorf("%s: %v", name, o.err)
			}
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Hour}
		d := New(Options{Invoker: fn, Lanes: map[string]Lane{"f": {Lanes: 1}}})
		var got []error
		for i := range 2 {
			if err := d.Submit(t.Context(), "f", record.Record{Device: device(i)}, func(_ record.Result, err error) { got = append(got, err) }); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		power := errors.New("power failure")
		time.AfterFunc(time.Second, func() { cancel(power) })
		if err := d.Run(ctx); !errors.Is(err, power) {
			t.Errorf("run: %v", err)
		}
		if len(got) != 2 || !errors.Is(got[0], power) || !errors.Is(got[1], ErrClosed) {
			t.Errorf("outcomes %v", got)
		}
		if err := d.Submit(t.Context(), "f", record.Record{}, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("submit: %v", err)
		}
	})
}

func TestCloseWithoutRun(t *testing.T) {
	t.Parallel()
	d := New(Options{Invoker: &fakeFunction{}, Lanes: map[string]Lane{"f": {}}})
	var got error
	if err := d.Submit(t.Context(), "f", record.Record{}, func(_ record.Result, err error) { got = err }); err != nil {
		t.Fatal(err)
	}
	if err := d.Submit(t.Context(), "g", record.Record{}, nil); !errors.Is(err, ErrUnknownFunction) {
		t.Errorf("unknown function: %v", err)
	}
	if err := errors.Join(d.Close(t.Context()), d.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if !errors.Is(got, ErrClosed) {
		t.Errorf("outcome %v", got)
	}
	if err := d.Run(t.Context()); err == nil {
		t.Error("a closed dispatcher runs")
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond}
		b := start(t, fn, Lane{}, func(o *Options) { o.Metrics, o.Lanes["auth"] = registry, Lane{} })
		for i := range 10 {
			b.post(i, fmt.Sprintf("r%d", i))
		}
		b.drain(time.Second)
	})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var decided, batches float64
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "relink_dispatch_records_total":
				decided += m.Counter.GetValue()
			case "relink_dispatch_batches_total":
				batches += m.Counter.GetValue()
			}
		}
	}
	if decided != 10 || batches < 1 || batches > 10 {
		t.Errorf("metrics tell %v records in %v batches", decided, batches)
	}
}
