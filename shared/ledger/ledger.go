// Package ledger adds up what became of messages and says whether it balances: what devices sent, by the counters that connectors put
// into their node rows, and what the rule engine made of it, by the rows of the table `ledger`.
//
//	in      = stored + rejected + dead-lettered + undecided (+ what is in flight)
//	matched = delivered + pending + dead
//
// When nothing moves, nothing is in flight and nothing is pending. The functions rule and forward write a row per batch before their
// invocation ends; a batch that comes again overwrites its own row.
package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"relink/shared/device"
	"relink/shared/store"
)

// Functions of rows.
const (
	Rule    = "rule"
	Forward = "forward"
	Replay  = "replay" // dead letters that an operator has sent again: Handed, and as many fewer Dead
)

// Stores are the tables that a report is made of.
type Stores interface {
	Ledger() store.Ledger
	Nodes() store.Nodes
}

// A Report is the ledger of a span of time. The input side is that of all connectors since each of them started, if its lease ended
// within the span or lasts.
type Report struct {
	From, To int64 // Unix milliseconds

	Input    map[string]device.LaneCounts // by function
	InFlight int64                        // accepted by connectors that live, and not decided at the time of their last lease
	Cut      int64                        // the same of connectors that ended: their devices have heard nothing and send again

	Engine  map[string]store.LedgerCounts // by function: rule, forward, replay
	Of      map[string]store.LedgerCounts // by rule and subscription
	Batches int64

	Matched   int64 // deliveries that rules and subscriptions asked for
	Delivered int64
	Dead      int64 // dead letters that nobody has sent again
	Pending   int64 // handed to forward and not taken by it yet

	Problems []string // what cannot be, however busy the system is
}

// Balanced reports whether everything is accounted for and nothing is on its way.
func (r *Report) Balanced() bool { return len(r.Problems) == 0 && r.Pending == 0 && r.InFlight == 0 }

// maxProblems bounds Report.Problems.
const maxProblems = 20

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Make makes the report of the time from from to now.
func Make(ctx context.Context, s Stores, from, now int64) (*Report, error) {
	r := &Report{From: from, To: now, Input: map[string]device.LaneCounts{}, Engine: map[string]store.LedgerCounts{}, Of: map[string]store.LedgerCounts{}}
	nodes, err := s.Nodes().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.Until >= from {
			r.node(n, now)
		}
	}
	// Clocks of functions differ a little: a batch may have been made in what is the future here.
	if err := s.Ledger().Each(ctx, from, now+60_000, r.row); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

func (r *Report) node(n *store.Node, now int64) {
	for _, function := range slices.Sorted(maps.Keys(n.Lanes)) {
		c := n.Lanes[function]
		sum := r.Input[function]
		sum.In += c.In
		sum.Stored += c.Stored
		sum.Rejected += c.Rejected
		sum.DeadLettered += c.DeadLettered
		sum.Undecided += c.Undecided
		r.Input[function] = sum
		rest := int64(c.In) - int64(c.Stored+c.Rejected+c.DeadLettered+c.Undecided)
		switch {
		case rest < 0:
			r.problem("connector %s: %d more records were decided by %s than came in", n.ID, -rest, function)
		case n.Until > now:
			r.InFlight += rest
		default:
			r.Cut += rest
		}
	}
}

func (r *Report) row(row *store.LedgerRow) {
	r.Batches++
	sum := r.Engine[row.Function]
	sum.Add(row.LedgerCounts)
	r.Engine[row.Function] = sum
	for of, c := range row.Of {
		sum := r.Of[of]
		if row.Function != Rule { // what it matched was matched when rule took it
			c.Matched, c.Handed = 0, 0
		}
		sum.Add(c)
		r.Of[of] = sum
	}
	if c := row.LedgerCounts; c.Matched != c.Delivered+c.Handed+c.Dead {
		r.problem("batch %s of %s: %d matched, but %d delivered, %d handed on and %d dead", row.Batch, row.Function, c.Matched, c.Delivered, c.Handed, c.Dead)
	}
}

func (r *Report) finish() {
	rule, forward, replay := r.Engine[Rule], r.Engine[Forward], r.Engine[Replay]
	r.Matched = rule.Matched
	r.Delivered = rule.Delivered + forward.Delivered
	r.Dead = rule.Dead + forward.Dead + replay.Dead
	r.Pending = rule.Handed + forward.Handed + replay.Handed - forward.Taken
	if r.Pending < 0 {
		r.problem("forward took %d more deliveries than were handed to it", -r.Pending)
	}
	if forward.Taken != forward.Matched {
		r.problem("forward took %d deliveries and accounts for %d", forward.Taken, forward.Matched)
	}
	slices.SortFunc(r.Problems, cmp.Compare[string])
}
