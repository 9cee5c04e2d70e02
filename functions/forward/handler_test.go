package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/forward"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/store/memory"
)

type destination func(items []*forward.Item) []error

func (d destination) Deliver(_ context.Context, items []*forward.Item) []error { return d(items) }

// queue keeps what is handed to forward.
type queue struct {
	mu     sync.Mutex
	events [][]byte
}

func (q *queue) InvokeAsync(_ context.Context, function string, event []byte) error {
	if function != forward.Function {
		return errors.New("another function")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, slices.Clone(event))
	return nil
}

func newHandlerOn(s *memory.Store, q *queue, d map[string]forward.Destination) *handler {
	return &handler{router: &forward.Router{Destinations: d, Patience: 3 * time.Second}, fc: q, ledger: s.Ledger(), deads: s.ForwardDeads(), log: slog.New(slog.DiscardHandler)}
}

func item(kind, id string, onError bool) *forward.Item {
	i := &forward.Item{Owner: "rule/1000", RuleName: "r1", Action: 1, Target: forward.Target{Type: kind, Resource: "x"}, Body: []byte("b"),
		Message: forward.Message{ID: id, Topic: "/a1/d1/user/x", Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "d1"}}}
	if onError {
		i.Original = []byte("o")
		i.OnError = &forward.ErrorAction{ID: 9, Type: forward.MNS, Configuration: json.RawMessage(`{"themeName":"errors"}`)}
	}
	return i
}

func event(t *testing.T, items ...*forward.Item) []byte {
	t.Helper()
	chunks, large, err := forward.Pack("batch", 1_700_000_000_000, items)
	if err != nil || len(large) > 0 || len(chunks) != 1 {
		t.Fatal(len(chunks), len(large), err)
	}
	return chunks[0].Event
}

func rows(t *testing.T, s *memory.Store) (list []*store.LedgerRow) {
	t.Helper()
	if err := s.Ledger().Each(t.Context(), 0, 1<<60, func(r *store.LedgerRow) { list = append(list, r) }); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		began := time.Now()
		var at []time.Duration
		tries := 0
		var told []string
		h := newHandlerOn(s, new(queue), map[string]forward.Destination{
			forward.FC: destination(func(items []*forward.Item) []error {
				at = append(at, time.Since(began))
				errs := make([]error, len(items))
				for n, i := range items {
					if i.Message.ID != "second" || tries == 0 {
						errs[n] = errors.New("busy")
					}
				}
				tries++
				return errs
			}),
			forward.MNS: destination(func(items []*forward.Item) []error {
				for _, i := range items {
					told = append(told, i.Target.Resource+string(i.Body))
				}
				return []error{errors.New("broken too")}
			}),
		})
		final := item(forward.OTS, "never", true)
		final.Failed(&forward.Error{Reason: "no such table", Final: true})
		also := item(forward.FC, "never", true)
		e := event(t, final, also, item(forward.FC, "second", false))
		for range 2 { // the same event again changes nothing in the tables
			tries = 0
			if _, err := h.Invoke(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if want := []time.Duration{1e9, 4e9, 14e9, 15e9, 18e9, 28e9}; !slices.Equal(at, want) {
			t.Errorf("attempts at %v", at)
		}
		want := `errors{"ruleName":"r1","topic":"/a1/d1/user/x","productKey":"a1","deviceName":"d1","messageId":"never","base64OriginalPayload":"bw==",` +
			`"failures":[{"actionType":"OTS","actionRegion":"","actionResource":"x","errorMessage":"no such table"},{"actionType":"FC","actionRegion":"","actionResource":"x","errorMessage":"busy"}]}`
		if len(told) != 2 || told[0] != want {
			t.Errorf("told %d\n%s\nwant\n%s", len(told), told, want)
		}
		letters, _, err := s.ForwardDeads().List(t.Context(), "", "", 10)
		if err != nil || len(letters) != 1 || letters[0].MessageID != "never" { // both are of action 1
			t.Errorf("letters %+v, %v", letters, err)
		}
		list := rows(t, s)
		if len(list) != 1 || list[0].LedgerCounts != (store.LedgerCounts{Taken: 3, Matched: 3, Delivered: 1, Dead: 2}) || list[0].Of["rule/1000"].Dead != 2 {
			t.Errorf("ledger %+v", list)
		}
	})
}

func TestOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		h := newHandlerOn(s, new(queue), map[string]forward.Destination{forward.FC: destination(func([]*forward.Item) []error { return []error{errors.New("busy")} })})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := h.Invoke(ctx, event(t, item(forward.FC, "1", false))); !iot.Is(err, iot.Unavailable) {
			t.Errorf("got %v: the event has to come again", err)
		}
		if list := rows(t, s); len(list) != 0 {
			t.Errorf("ledger %+v", list)
		}
		if _, err := h.Invoke(t.Context(), []byte("{}")); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("got %v", err)
		}
	})
}

// Whatever fails, the ledger balances: everything that was taken was delivered or is a letter, and sending letters again empties them.
func TestLedgerBalances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q := memory.New(), new(queue)
		r := rand.New(rand.NewPCG(1, 2))
		rate := 0.5
		arrived := make(map[string]bool)
		h := newHandlerOn(s, q, map[string]forward.Destination{forward.FC: destination(func(items []*forward.Item) []error {
			errs := make([]error, len(items))
			for n, i := range items {
				switch p := r.Float64(); {
				case p < rate/4:
					errs[n] = &forward.Error{Reason: "no", Final: true}
				case p < rate:
					errs[n] = errors.New("busy")
				default:
					arrived[i.Message.ID] = true
				}
			}
			return errs
		})})
		const batches, each = 20, 30
		for b := range batches {
			var items []*forward.Item
			for n := range each {
				items = append(items, item(forward.FC, fmt.Sprintf("%d-%d", b, n), false))
			}
			chunks, _, err := forward.Pack(fmt.Sprint("b", b), int64(b), items)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range chunks {
				q.events = append(q.events, c.Event)
			}
		}
		handed := int64(batches * each)
		run := func() {
			for len(q.events) > 0 {
				e := q.events[0]
				q.events = q.events[1:]
				if _, err := h.Invoke(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(wantDead int) {
			t.Helper()
			var sum store.LedgerCounts
			sum.Handed = handed // by rule
			for _, row := range rows(t, s) {
				if row.Matched != row.Delivered+row.Handed+row.Dead {
					t.Errorf("row %+v does not balance", row)
				}
				sum.Add(row.LedgerCounts)
			}
			if sum.Handed != sum.Taken {
				t.Errorf("pending %d", sum.Handed-sum.Taken)
			}
			if int(sum.Dead) != wantDead || sum.Delivered+sum.Dead != handed {
				t.Errorf("sum %+v, %d letters", sum, wantDead)
			}
		}
		letters := func() int {
			list, _, err := s.ForwardDeads().List(t.Context(), "", "", 5000)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		run()
		dead := letters()
		if dead == 0 || dead == batches*each {
			t.Fatalf("%d letters", dead)
		}
		check(dead)
		rate = 0
		answer, err := h.Invoke(t.Context(), []byte(`{"replay":{"owner":"rule/1000"}}`))
		if want := fmt.Sprintf(`{"count":%d}`, dead); err != nil || string(answer) != want {
			t.Fatalf("%s, %v, want %s", answer, err, want)
		}
		run()
		if n := letters(); n != 0 {
			t.Errorf("%d letters are left", n)
		}
		check(0)
		if len(arrived) != batches*each {
			t.Errorf("%d arrived", len(arrived))
		}
	})
}
