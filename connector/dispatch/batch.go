package dispatch

import (
	"context"
	"fmt"
	"time"

	"relink/shared/record"
)

// fill makes the next batch of what is due: first what is held, then what waits in the queue. Nothing overtakes a record of its
// own device. What belongs to a segment (see trouble) is not mixed with anything else.
func (l *lane) fill(now int64) {
	l.batch = l.batch[:0]
	size, segment := int64(0), uint32(0)
	fits := func(it *item) bool {
		return len(l.batch) == 0 || len(l.batch) < l.f.MaxRecords && size+it.size <= int64(l.f.MaxBytes)
	}
	troubled := len(l.held) > 0
	if troubled {
		clear(l.blocked)
		kept := l.spare[:0]
		for i := range l.held {
			it := &l.held[i]
			own := uint32(0)
			if it.trouble != nil {
				own = it.trouble.segment
			}
			if l.blocked[it.hash] || !it.due(now) || !fits(it) || len(l.batch) > 0 && own != segment {
				l.blocked[it.hash] = true
				kept = append(kept, *it)
				continue
			}
			segment = own
			size += it.size
			l.batch = append(l.batch, *it)
			if it.trouble != nil && it.trouble.retries > 0 {
				l.blocked[it.hash] = true // a retry may be refused again: nothing of its device goes with it
			}
		}
		l.swapHeld(kept)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for waiting := l.queue[l.head:]; segment == 0 && n < len(waiting); n++ {
		it := &waiting[n]
		if troubled && l.blocked[it.hash] {
			l.held = append(l.held, *it)
			continue
		}
		if !fits(it) {
			break
		}
		size += it.size
		l.batch = append(l.batch, *it)
	}
	if n > 0 {
		l.pop(n)
	}
	l.heldNow = len(l.held)
	l.admit()
}

// swapHeld makes kept, which uses the spare buffer, the held items.
func (l *lane) swapHeld(kept []item) {
	old := l.held
	clear(old)
	l.held, l.spare = kept, old[:0]
	if len(kept) == 0 && cap(kept)+cap(old) > keepItems {
		l.held, l.spare = nil, nil
	}
}

// invoke sends the batch and deals with the outcome.
func (l *lane) invoke(ctx context.Context) {
	start := l.d.now()
	last := int64(0)
	l.records = l.records[:0]
	for i := range l.batch {
		l.records = append(l.records, l.batch[i].rec)
		l.batch[i].rec.Attempt++ // of the next one
		last = max(last, l.batch[i].deadline)
	}
	b := record.Batch{Node: l.d.node, Records: l.records}
	l.event = record.AppendBatch(l.event[:0], &b)

	// No attempt goes on when all its records have passed their deadlines.
	limit := min(l.f.timeout, time.Duration(last-start))
	ictx, cancel := context.WithTimeout(ctx, limit)
	res, err := l.d.invoker.Invoke(ictx, l.f.name, l.event)
	late := ictx.Err() != nil && ctx.Err() == nil
	cancel()
	if cap(l.event) > keepBytes {
		l.event = nil
	}
	clear(l.records)
	l.f.measures.observe(len(l.batch), l.d.now()-start, start-l.batch[0].queued)
	l.f.counters.batches.Add(1)

	if err != nil {
		l.failed(ctx, err, res.RequestID, late)
	} else if results, err := decode(res.Body, len(l.batch)); err != nil {
		l.functionFailed(ctx, err, res.RequestID, raised)
	} else {
		l.answered(start, results)
	}
	clear(l.batch)
	l.batch = l.batch[:0]
}

// decode reads the results of n records.
func decode(body []byte, n int) ([]record.Result, error) {
	results, err := record.DecodeResults(body)
	if err != nil {
		return nil, err
	}
	if len(results) != n {
		return nil, fmt.Errorf("%d results for %d records", len(results), n)
	}
	return results, nil
}

// answered hands out results, and holds what the function could not decide yet.
func (l *lane) answered(start int64, results []record.Result) {
	l.service, l.streak = 0, 0
	retry, own, shared := 0, int64(0), int64(0)
	for i := range results {
		it := &l.batch[i]
		if results[i].Retry {
			retry++
			continue
		}
		if it.shared {
			shared += it.size
		} else {
			own += it.size
		}
	}
	if done := len(results) - retry; done > 0 {
		l.f.health.succeeded(start)
		l.d.budget.giveAll(&l.f.reserve, own, shared)
		l.f.counters.decided.Add(uint64(done))
	}
	for i := range results {
		if !results[i].Retry {
			l.batch[i].done(results[i], nil)
		}
	}
	if retry > 0 {
		l.again(results)
	}
}

// again holds the records that are to be tried again, each for its own time.
func (l *lane) again(results []record.Result) {
	now := l.d.now()
	kept := l.spare[:0]
	for i := range results {
		if !results[i].Retry {
			continue
		}
		it := &l.batch[i]
		t := it.troubled()
		t.segment, t.crashed = 0, false
		t.retries++
		t.notBefore = now + backoff(t.retries)
		t.last = fmt.Errorf("function asks for a retry: code %d, %s", results[i].Code, results[i].Reason)
		kept = append(kept, *it)
	}
	l.f.counters.retries.Add(uint64(len(kept)))
	l.hold(kept)
}

// hold puts items of the batch, collected in the spare buffer, before what is held: they came first.
func (l *lane) hold(back []item) {
	l.swapHeld(append(back, l.held...))
	l.mu.Lock()
	l.heldNow = len(l.held)
	l.mu.Unlock()
}

// finish decides one item.
func (l *lane) finish(it *item, r record.Result, err error) {
	l.d.budget.give(&l.f.reserve, it.size, it.shared)
	if err != nil {
		l.f.counters.undecided.Add(1)
	} else {
		l.f.counters.decided.Add(1)
	}
	it.done(r, err)
}
