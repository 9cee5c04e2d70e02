package ledger

import (
	"strings"
	"testing"

	"relink/shared/device"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const now = 1_000_000

func put(t *testing.T, s *memory.Store, function, batch string, c store.LedgerCounts) {
	t.Helper()
	must(t, s.Ledger().Put(t.Context(), &store.LedgerRow{Function: function, Batch: batch, Time: now - 10, LedgerCounts: c, Of: map[string]store.LedgerCounts{"rule/1": c}}))
}

func report(t *testing.T, s *memory.Store) *Report {
	t.Helper()
	r, err := Make(t.Context(), s, now-1000, now)
	must(t, err)
	return r
}

// A delivery that is handed on, dies, is sent again and arrives, step by step.
func TestLedgerBalances(t *testing.T) {
	s := memory.New()
	if r := report(t, s); !r.Balanced() || r.Matched != 0 {
		t.Errorf("of nothing: %+v", r)
	}
	put(t, s, Rule, "a", store.LedgerCounts{Taken: 4, Matched: 3, Unmatched: 1, Delivered: 1, Handed: 2})
	if r := report(t, s); r.Balanced() || r.Pending != 2 || len(r.Problems) != 0 {
		t.Errorf("handed on: %+v", r)
	}
	put(t, s, Forward, "b", store.LedgerCounts{Taken: 2, Matched: 2, Delivered: 1, Dead: 1})
	put(t, s, Forward, "b", store.LedgerCounts{Taken: 2, Matched: 2, Delivered: 1, Dead: 1}) // the event came again
	if r := report(t, s); !r.Balanced() || r.Matched != 3 || r.Delivered != 2 || r.Dead != 1 || r.Batches != 2 {
		t.Errorf("forwarded: %+v", r)
	}
	put(t, s, Replay, "c", store.LedgerCounts{Handed: 1, Dead: -1})
	if r := report(t, s); r.Balanced() || r.Pending != 1 || r.Dead != 0 {
		t.Errorf("sent again: %+v", r)
	}
	put(t, s, Forward, "d", store.LedgerCounts{Taken: 1, Matched: 1, Delivered: 1})
	r := report(t, s)
	if !r.Balanced() || r.Delivered != 3 || r.Matched != r.Delivered+r.Pending+r.Dead {
		t.Errorf("in the end: %+v", r)
	}
	if of := r.Of["rule/1"]; of.Matched != 3 || of.Delivered != 3 || of.Dead != 0 {
		t.Errorf("of the rule: %+v", of)
	}
}

func TestLedgerProblems(t *testing.T) {
	for name, c := range map[string]struct {
		rows    map[string]store.LedgerCounts
		problem string
	}{
		"row":           {map[string]store.LedgerCounts{Rule: {Taken: 1, Matched: 2, Delivered: 1}}, "2 matched, but 1 delivered"},
		"forward_row":   {map[string]store.LedgerCounts{Rule: {Taken: 1, Matched: 2, Handed: 2}, Forward: {Taken: 2, Matched: 1, Dead: 1}}, "took 2 deliveries and accounts for 1"},
		"from_thin_air": {map[string]store.LedgerCounts{Forward: {Taken: 1, Matched: 1, Delivered: 1}}, "1 more deliveries than were handed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.New()
			for function, counts := range c.rows {
				put(t, s, function, "x", counts)
			}
			r := report(t, s)
			if r.Balanced() || !strings.Contains(strings.Join(r.Problems, "\n"), c.problem) {
				t.Errorf("problems %q, want %q", r.Problems, c.problem)
			}
		})
	}
}

func TestInput(t *testing.T) {
	s := memory.New()
	lanes := func(c device.LaneCounts) map[string]device.LaneCounts {
		return map[string]device.LaneCounts{"property": c}
	}
	for _, n := range []store.Node{
		{ID: "lives", Until: now + 1, Lanes: lanes(device.LaneCounts{In: 10, Stored: 5, Rejected: 1, DeadLettered: 1, Undecided: 1})},
		{ID: "ended", Until: now - 1, Lanes: lanes(device.LaneCounts{In: 5, Stored: 4})},
		{ID: "long_ago", Until: 5, Lanes: lanes(device.LaneCounts{In: 500, Stored: 4})},
	} {
		must(t, s.Nodes().Renew(t.Context(), n))
	}
	r := report(t, s)
	if r.Input["property"] != (device.LaneCounts{In: 15, Stored: 9, Rejected: 1, DeadLettered: 1, Undecided: 1}) || r.InFlight != 2 || r.Cut != 1 || r.Balanced() {
		t.Errorf("%+v", r)
	}
	must(t, s.Nodes().Renew(t.Context(), store.Node{ID: "lives", Until: now + 1, Lanes: lanes(device.LaneCounts{In: 1, Stored: 2})}))
	if r := report(t, s); len(r.Problems) != 1 {
		t.Errorf("problems %q", r.Problems)
	}
}
