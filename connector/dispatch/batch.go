package dispatch

import (
	"context"
	"fmt"
	"time"

	"relink/shared/record"
	"relink/shared/refusal"
)

// fill makes the next batch of what is due: first what is held, then what waits in the queue. Nothing overtakes a record of its
// own device. What belongs to a segment (see trouble) is not mixed with anything else.
func (l *lane) fill(now int64) {
	l.batch, l.batchSize = l.batch[:0], 0
	// What a failure is being narrowed down to takes turns with everything else, or a few records that fail alone could keep a lane
	// that pauses after each failure from the one success that tells them from a broken function.
	segment := l.takeHeld(now, !l.yield)
	if segment == 0 {
		l.takeQueue()
	}
	if len(l.batch) == 0 && l.yield {
		l.takeHeld(now, true)
	}
	if len(l.batch) > 0 {
		l.yield = false
	}
	l.mu.Lock()
	l.heldNow = len(l.held)
	l.admit()
	l.mu.Unlock()
}

// fits reports whether an item has room in the batch.
func (l *lane) fits(it *item) bool {
	return len(l.batch) == 0 || len(l.batch) < l.f.MaxRecords && l.batchSize+it.size <= int64(l.f.MaxBytes)
}

func (l *lane) take(it *item) {
	l.batchSize += it.size
	l.batch = append(l.batch, *it)
}

// takeHeld takes what is due of what is held, all of one segment, and returns that; without segments, what is in none.
func (l *lane) takeHeld(now int64, segments bool) (segment uint32) {
	clear(l.blocked)
	if len(l.held) == 0 {
		return 0
	}
	kept := l.spare[:0]
	for i := range l.held {
		it := &l.held[i]
		own, retry := uint32(0), false
		if t := it.trouble; t != nil {
			own, retry = t.segment, t.retries > 0
		}
		if l.blocked[it.hash] || !it.due(now) || own != 0 && !segments || !l.fits(it) || len(l.batch) > 0 && own != segment {
			l.blocked[it.hash] = true
			kept = append(kept, *it)
			continue
		}
		segment = own
		l.take(it)
		if retry {
			l.blocked[it.hash] = true // it may be refused again: nothing of its device goes with it
		}
	}
	l.swapHeld(kept)
	return segment
}

// takeQueue takes what waits, and holds what must not overtake what is held.
func (l *lane) takeQueue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for waiting := l.queue[l.head:]; n < len(waiting); n++ {
		it := &waiting[n]
		if len(l.blocked) > 0 && l.blocked[it.hash] {
			l.held = append(l.held, *it)
			continue
		}
		if !l.fits(it) {
			break
		}
		l.take(it)
	}
	if n > 0 {
		l.pop(n)
	}
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
	limit := min(l.f.InvokeTimeout, time.Duration(last-start))
	ictx, cancel := context.WithTimeout(ctx, limit)
	res, err := l.d.invoker.Invoke(ictx, l.f.Function, l.event)
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
		for i := range results {
			results[i].RequestID = res.RequestID
		}
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

// codeStored is the code of a record that was taken.
const codeStored = 200

// answered hands out results, and holds what the function could not decide yet.
func (l *lane) answered(start int64, results []record.Result) {
	l.service, l.streak = 0, 0
	retry, stored, own, shared := 0, 0, int64(0), int64(0)
	for i := range results {
		it := &l.batch[i]
		if results[i].Retry {
			retry++
			continue
		}
		if results[i].Code == codeStored {
			stored++
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
		l.f.counters.stored.Add(uint64(stored))
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
		t.last = refusal.New(refusal.Cause(results[i].Reason), fmt.Sprintf("function asks for a retry: code %d", results[i].Code))
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
