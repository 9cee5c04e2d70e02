package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/forward"
	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/rule"
	"relink/shared/store"
	"relink/shared/store/memory"
)

type destination func(items []*forward.Item) []error

func (d destination) Deliver(_ context.Context, items []*forward.Item) []error { return d(items) }

// queue keeps what is handed to forward.
type queue struct {
	mu     sync.Mutex
	fail   bool
	events [][]byte
}

func (q *queue) InvokeAsync(_ context.Context, function string, event []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail {
		return errors.New("throttled")
	}
	q.events = append(q.events, event)
	return nil
}

type bench struct {
	*handler
	store *memory.Store
	queue *queue
}

func newBench(t *testing.T, d map[string]forward.Destination) *bench {
	t.Helper()
	s, q, log := memory.New(), new(queue), slog.New(slog.DiscardHandler)
	watch := interest.NewWatch(s.RuleIndex(), nil)
	return &bench{store: s, queue: q, handler: &handler{rules: rule.NewCache(watch, s.Rules(), s.Subscriptions(), log), tags: s.DeviceInfos(),
		router: &forward.Router{Destinations: d, Patience: 3 * time.Second, Breakers: &forward.Breakers{Slow: slow}},
		fc:     q, ledger: s.Ledger(), deads: s.ForwardDeads(), log: log}}
}

func (b *bench) rule(t *testing.T, id int64, selected, where string, actions ...store.RuleAction) {
	t.Helper()
	for n := range actions {
		actions[n].ID = id*100 + int64(n)
	}
	r := &store.Rule{ID: id, Name: fmt.Sprint("r", id), DataType: "JSON", Select: selected, Where: where, ProductKey: "a1", ShortTopic: "+/user/#", TopicType: 1, Running: true, Actions: actions}
	if err := b.store.Rules().Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := interest.Rebuild(t.Context(), b.store); err != nil {
		t.Fatal(err)
	}
}

func function(name string) store.RuleAction {
	return store.RuleAction{Type: forward.FC, Configuration: json.RawMessage(`{"functionName":"` + name + `"}`)}
}

func batch(id string, payloads ...string) []byte {
	b := &message.Messages{ID: id, CreatedAt: 1_700_000_000_000}
	for n, p := range payloads {
		b.List = append(b.List, message.Message{ID: fmt.Sprintf("%s%d", id, n), Topic: "/a1/d1/user/x", Kind: message.Custom,
			Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "d1"}, GeneratedAt: 1_700_000_000_000, Payload: []byte(p)})
	}
	return message.AppendBatch(nil, b)
}

func (b *bench) sum(t *testing.T) (sum store.LedgerCounts, of map[string]store.LedgerCounts) {
	t.Helper()
	err := b.store.Ledger().Each(t.Context(), 0, 1<<60, func(r *store.LedgerRow) {
		if r.Matched != r.Delivered+r.Handed+r.Dead {
			t.Errorf("row %+v does not balance", r)
		}
		sum.Add(r.LedgerCounts)
		of = r.Of
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum, of
}

func TestTake(t *testing.T) {
	t.Parallel()
	var got []string
	b := newBench(t, map[string]forward.Destination{
		forward.FC: destination(func(items []*forward.Item) []error {
			errs := make([]error, len(items))
			for n, i := range items {
				switch i.Target.Resource {
				case "busy":
					errs[n] = errors.New("busy")
				case "gone":
					errs[n] = &forward.Error{Reason: "no such function", Final: true}
				case "good":
					got = append(got, i.Message.ID+string(i.Body))
				}
			}
			return errs
		}),
		forward.Queue: destination(func(items []*forward.Item) []error { return make([]error, len(items)) }),
	})
	b.rule(t, 1, "a", "a > 1", function("good"))
	b.rule(t, 2, "a", "a > 1", function("busy"))
	b.rule(t, 3, "a", "a > 1", function("gone"))
	failing := function("gone")
	onError := store.RuleAction{Type: forward.MNS, Configuration: json.RawMessage(`{"themeName":"t"}`), ForErrors: true}
	b.rule(t, 4, "a", "a > 1", failing, onError)
	b.rule(t, 5, "abs(c) as b", "a > 1", function("good")) // fails for a text
	if err := b.store.Subscriptions().Put(t.Context(), &store.Subscription{ProductKey: "a1", Type: interest.MNS, Queue: "q", Flags: store.SubscriptionFlags{DeviceStatus: true}}); err != nil {
		t.Fatal(err)
	}
	if err := interest.Rebuild(t.Context(), b.store); err != nil {
		t.Fatal(err)
	}
	e := batch("b", `{"a":2,"c":"x"}`, `{"a":0}`, `no JSON`)
	for range 2 { // delivered again by the service
		if _, err := b.Invoke(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if s := strings.Join(got, " "); s != `b0{"a":2} b0{"a":2}` {
		t.Errorf("delivered %q", got)
	}
	sum, of := b.sum(t)
	want := store.LedgerCounts{Taken: 3, Matched: 4, Unmatched: 2, FailedSQL: 6, Delivered: 1, Handed: 2, Dead: 1}
	if sum != want || of["rule/3"].Dead != 1 || of["rule/4"].Handed != 1 {
		t.Errorf("ledger %+v, want %+v\n%+v", sum, want, of)
	}
	letters, _, err := b.store.ForwardDeads().List(t.Context(), "", "", 10)
	if err != nil || len(letters) != 1 || letters[0].Owner != "rule/3" || letters[0].Reason != "no such function" {
		t.Errorf("letters %+v, %v", letters, err)
	}
	handed, err := forward.ReadEvent(b.queue.events[0])
	if err != nil || len(b.queue.events) != 2 || handed.ID != "b-0" {
		t.Fatalf("%d events, %v", len(b.queue.events), err)
	}
	items, err := handed.Decode()
	if err != nil || len(items) != 2 {
		t.Fatal(len(items), err)
	}
	for _, i := range items {
		if (i.Owner == "rule/4") != (i.Final && i.OnError != nil && string(i.Original) == `{"a":2,"c":"x"}`) {
			t.Errorf("handed %+v", i)
		}
	}
	b.queue.fail = true
	if _, err := b.Invoke(t.Context(), e); !iot.Is(err, iot.Unavailable) {
		t.Errorf("not handed on: %v", err)
	}
	if _, err := b.Invoke(t.Context(), []byte("{}")); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("no batch: %v", err)
	}
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	var bodies []string
	b := newBench(t, map[string]forward.Destination{forward.Queue: destination(func(items []*forward.Item) []error {
		for _, i := range items {
			bodies = append(bodies, i.Target.Resource+" "+string(i.Body))
		}
		return make([]error, len(items))
	})})
	if err := b.store.Subscriptions().Put(t.Context(), &store.Subscription{ProductKey: "a1", Type: interest.MNS, Queue: "q", Flags: store.SubscriptionFlags{DeviceData: true}}); err != nil {
		t.Fatal(err)
	}
	if err := interest.Rebuild(t.Context(), b.store); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Invoke(t.Context(), batch("1", "x")); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 1 || bodies[0] != `q {"messageid":10,"messagetype":"upload","topic":"/a1/d1/user/x","payload":"eA==","timestamp":1700000000}` {
		t.Errorf("%q", bodies)
	}
	if _, of := b.sum(t); of["MNS/a1"].Delivered != 1 {
		t.Errorf("ledger %+v", of)
	}
}

// A destination that hangs takes three seconds of one batch, and none of the next ones; another one gets everything at once.
func TestSlowDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string]forward.Destination{
			forward.FC: destination(func(items []*forward.Item) []error {
				if items[0].Target.Resource == "slow" {
					time.Sleep(10 * time.Second)
				}
				return make([]error, len(items))
			}),
		})
		b.rule(t, 1, "*", "", function("slow"))
		b.rule(t, 2, "*", "", function("good"))
		for n, want := range []time.Duration{3 * time.Second, 0, 0} {
			began := time.Now()
			if _, err := b.Invoke(t.Context(), batch(fmt.Sprint("b", n), `{}`)); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d != want {
				t.Errorf("batch %d took %s, want %s", n, d, want)
			}
		}
		if sum, _ := b.sum(t); sum.Delivered != 3 || sum.Handed != 3 {
			t.Errorf("ledger %+v", sum)
		}
		time.Sleep(time.Minute) // what hangs ends
	})
}

// Whatever fails, each row balances, and everything that matched was delivered, handed on, or is a letter.
func TestLedgerBalances(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	b := newBench(t, map[string]forward.Destination{forward.FC: destination(func(items []*forward.Item) []error {
		errs := make([]error, len(items))
		for n := range errs {
			switch r.IntN(4) {
			case 0:
				errs[n] = errors.New("busy")
			case 1:
				errs[n] = &forward.Error{Reason: "no", Final: true}
			}
		}
		return errs
	})})
	b.router.Breakers = nil
	b.rule(t, 1, "*", "a > 0", function("f"))
	const batches = 100
	matched := int64(0)
	for n := range batches {
		var payloads []string
		for range 20 {
			a := r.IntN(2)
			matched += int64(a)
			payloads = append(payloads, fmt.Sprintf(`{"a":%d}`, a))
		}
		e := batch(fmt.Sprint("b", n, "-"), payloads...)
		for try := 0; ; try++ { // the service delivers it again until it is done
			b.queue.fail = try == 0 && n%3 == 0
			if _, err := b.Invoke(t.Context(), e); err == nil {
				break
			}
		}
	}
	sum, _ := b.sum(t)
	if sum.Taken != 20*batches || sum.Matched != matched || sum.Unmatched != 20*batches-matched || sum.Handed == 0 || sum.Dead == 0 {
		t.Errorf("ledger %+v, matched %d", sum, matched)
	}
}
