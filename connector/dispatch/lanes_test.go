package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/fc"
	"relink/shared/record"
	"relink/shared/refusal"
)

// TestPrivateLane: what holds passwords is never stored as a dead letter; it is answered all the same.
func TestPrivateLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
			if has(b, "poison") {
				return nil, panicked()
			}
			return ok(b), nil
		}}
		var text strings.Builder
		b := start(t, fn, Lane{Private: true}, func(o *Options) { o.Logger = slog.New(slog.NewJSONHandler(&text, nil)) })
		b.post(1, "good")
		b.post(2, "poison password=geheim")
		b.post(3, "good2")
		b.drain(time.Minute)
		b.wantCode("good", 200)
		b.wantCode("good2", 200)
		if o := b.decided("poison"); o.err != nil || o.result.Code != CodeDeadLetter || o.result.Reason != string(refusal.FunctionFailed) {
			t.Errorf("%+v, %v", o.result, o.err)
		}
		if len(b.letters.kept) != 0 || b.letters.tries != 0 {
			t.Error("stored as a dead letter")
		}
		if s := text.String(); !strings.Contains(s, "given up") || strings.Contains(s, "geheim") {
			t.Errorf("log: %s", s)
		}
	})
}

// names notes which functions are invoked, and for how long at most.
type names struct {
	mu    sync.Mutex
	calls map[string]time.Duration
}

func (n *names) Invoke(ctx context.Context, function string, event []byte) (fc.Result, error) {
	until, _ := ctx.Deadline()
	n.mu.Lock()
	n.calls[function] = time.Until(until)
	n.mu.Unlock()
	b, err := record.DecodeBatch(event)
	if err != nil {
		return fc.Result{}, err
	}
	return fc.Result{Body: record.AppendResults(nil, ok(b))}, nil
}

// TestLaneOfItsOwn: two lanes may feed one function, so that neither waits for the other, each with its own patience.
func TestLaneOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &names{calls: make(map[string]time.Duration)}
		d := New(Options{Invoker: n, InvokeTimeout: 20 * time.Second, Lanes: map[string]Lane{
			"lease": {Function: "lifecycle", Deadline: 5 * time.Second, InvokeTimeout: 2 * time.Second}, "property": {},
		}})
		ran := make(chan error, 1)
		go func() { ran <- d.Run(t.Context()) }()
		synctest.Wait()
		for _, name := range []string{"lease", "property"} {
			if err := d.Submit(t.Context(), name, record.Record{}, func(record.Result, error) {}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-ran
		if len(n.calls) != 2 || n.calls["lifecycle"] != 2*time.Second || n.calls["property"] != 20*time.Second {
			t.Errorf("invoked %v", n.calls)
		}
	})
}

// TestUndecidedTellsTheReason: the function's own reason for asking again is the cause of what was not decided.
func TestUndecidedTellsTheReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{script: func(_ int, b record.Batch) ([]record.Result, error) {
			results := ok(b)
			for i := range results {
				results[i] = record.Result{Code: 503, Reason: string(refusal.StoreThrottled), Retry: true}
			}
			return results, nil
		}}
		b := start(t, fn, Lane{}, nil)
		b.post(1, "a")
		b.drain(2 * time.Minute)
		if err := b.decided("a").err; !errors.Is(err, ErrUndecided) || refusal.CauseOf(err) != refusal.StoreThrottled {
			t.Errorf("%v", err)
		}
	})
}
