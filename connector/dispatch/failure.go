package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"relink/shared/fc"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
)

const (
	backoffFirst = 50 * time.Millisecond
	backoffLast  = 5 * time.Second

	// condemnAfter is how often a record must fail alone, and suspectPause, doubled each time, how far apart: an instance that was
	// killed under a good record is a new one by then.
	condemnAfter = 3
	suspectPause = 400 * time.Millisecond

	// bisectFree is how many failures in a row a lane runs through without a pause. Ten halvings single one record out of the
	// largest usual batch; whatever fails more often is a broken function, and every attempt costs money.
	bisectFree = 12

	deadLetterTimeout = 5 * time.Second
)

// A trouble is the history of a record with which something went wrong.
type trouble struct {
	notBefore int64
	// segment is not 0 while a failure of the function is being narrowed down: records of one segment are invoked together and
	// with no others.
	segment   uint32
	crashed   bool // it has had its second try in company after a process exit
	failures  int  // of the function, with nobody else in the batch
	hangs     int  // attempts without an answer, with nobody else in the batch
	suspectAt int64
	retries   int
	last      error
}

func (it *item) due(now int64) bool { return it.trouble == nil || it.trouble.notBefore <= now }

func (it *item) troubled() *trouble {
	if it.trouble == nil {
		it.trouble = new(trouble)
	}
	return it.trouble
}

// An undecided is the error of a record that got no result.
type undecided struct {
	reason error // ErrUndecided or ErrClosed
	cause  error // of the last attempt, or of the end
}

func (u *undecided) Error() string {
	if u.cause == nil || u.cause == u.reason {
		return u.reason.Error()
	}
	return u.reason.Error() + ": " + u.cause.Error()
}

func (u *undecided) Unwrap() []error {
	if u.cause == nil {
		return []error{u.reason}
	}
	return []error{u.reason, u.cause}
}

// backoff is the pause before attempt n+1, in nanoseconds: exponential, with full jitter over its upper half.
func backoff(n int) int64 {
	d := backoffLast
	if n < 8 {
		d = min(d, backoffFirst<<max(n-1, 0))
	}
	return int64(d/2) + rand.Int64N(int64(d/2))
}

// expire gives up what has passed its deadline.
func (l *lane) expire(now int64) {
	late := 0
	for i := range l.held {
		if l.held[i].deadline <= now {
			late++
		}
	}
	if late > 0 {
		kept := l.spare[:0]
		for i := range l.held {
			if l.held[i].deadline > now {
				kept = append(kept, l.held[i])
			} else {
				l.giveUp(&l.held[i])
			}
		}
		l.swapHeld(kept)
	}
	l.mu.Lock()
	l.heldNow = len(l.held)
	for l.head < len(l.queue) && l.queue[l.head].deadline <= now { // the oldest is the first
		it := l.queue[l.head]
		l.pop(1)
		l.mu.Unlock()
		late++
		l.giveUp(&it)
		l.mu.Lock()
	}
	if late > 0 {
		l.admit()
	}
	l.mu.Unlock()
	if late > 0 {
		l.log(slog.LevelError, "records undecided at their deadline", slog.Int("records", late))
	}
}

func (l *lane) giveUp(it *item) {
	u := &undecided{reason: ErrUndecided}
	if it.trouble != nil {
		u.cause = it.trouble.last
	}
	l.finish(it, record.Result{}, u)
}

// A manner is how a function failed.
type manner int

const (
	raised manner = iota // it said so, or its answer is none
	exited               // its process ended, perhaps for no fault of the batch
	hung                 // no answer within the time of an attempt: the function, or the network
)

// failed deals with an invocation that has no result; late says that the time of the attempt was up.
func (l *lane) failed(ctx context.Context, err error, requestID string, late bool) {
	e, ok := errors.AsType[*fc.Error](err)
	switch {
	case late:
		l.functionFailed(ctx, err, requestID, hung)
		return
	case ok && e.Exited():
		l.functionFailed(ctx, err, requestID, exited)
		return
	case ok && (e.FunctionFailed() || e.TooLarge()):
		l.functionFailed(ctx, err, requestID, raised)
		return
	}
	// The service: everything stays as it is, and the lane pauses. That the function may have done its work does not matter,
	// because all that it does is idempotent. Errors that no waiting cures (a function that does not exist, a signature that is
	// refused) are treated alike: they are cured by an operator, not by dropping records.
	l.service++
	l.resume = l.d.now() + backoff(l.service)
	l.f.counters.serviceErrors.Add(1)
	l.f.counters.retries.Add(uint64(len(l.batch)))
	back := l.spare[:0]
	for i := range l.batch {
		t := l.batch[i].troubled()
		t.last = err
		back = append(back, l.batch[i])
	}
	if n := l.service; n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th …
		l.log(slog.LevelWarn, "invocation not possible", logs.Err(err), slog.String(logs.FieldRequestID, requestID),
			slog.Int("records", len(l.batch)), slog.Int("failures", n))
	}
	l.hold(back)
}

// functionFailed narrows down which record the function cannot digest.
func (l *lane) functionFailed(ctx context.Context, err error, requestID string, how manner) {
	now := l.d.now()
	l.service = 0
	l.streak++
	l.f.counters.functionErrors.Add(1)
	n := len(l.batch)
	l.yield = n == 1 || l.streak > bisectFree
	if s := l.streak; s&(s-1) == 0 {
		l.log(slog.LevelWarn, "function failed", logs.Err(err), slog.String(logs.FieldRequestID, requestID), slog.Int("records", n), slog.Int("failures", s))
	}
	back := l.spare[:0]
	switch {
	case n == 1 && how == hung: // no proof against the record
		t := l.batch[0].troubled()
		t.hangs++
		t.last, t.notBefore = err, now+pause(t.hangs)
		if t.segment == 0 {
			l.segment++
			t.segment = l.segment
		}
		back = append(back, l.batch[0])
	case n == 1:
		if it := &l.batch[0]; !l.suspect(ctx, it, err, now) {
			back = append(back, *it)
		}
	case how == exited && !l.batch[0].troubled().crashed:
		// Once more as it is.
		l.segment++
		again := now + backoff(2)
		for i := range l.batch {
			t := l.batch[i].troubled()
			t.segment, t.crashed, t.last, t.notBefore = l.segment, true, err, again
			back = append(back, l.batch[i])
		}
	default:
		l.f.counters.bisections.Add(1)
		first := l.segment + 1
		l.segment += 2
		for i := range l.batch {
			t := l.batch[i].troubled()
			t.segment, t.last = first, err
			if i >= n/2 {
				t.segment = first + 1
			}
			back = append(back, l.batch[i])
		}
	}
	l.f.counters.retries.Add(uint64(len(back)))
	l.hold(back)
	if over := l.streak - bisectFree; over > 0 {
		l.resume = now + backoff(over)
	}
}

// suspect deals with a record that failed alone; it reports whether the record is decided.
func (l *lane) suspect(ctx context.Context, it *item, err error, now int64) bool {
	t := it.troubled()
	t.last = err
	t.failures++
	if t.failures == 1 {
		l.segment++
		t.segment = l.segment // alone from now on
		t.suspectAt = now
		l.f.health.suspected()
	}
	if t.failures >= condemnAfter && l.f.health.condemns(t.suspectAt, now) && (l.d.deadLetters != nil || l.f.Private) {
		if l.bury(ctx, it, err) {
			return true
		}
	}
	t.notBefore = now + pause(t.failures)
	return false
}

// pause is the time before a record that failed alone for the nth time is tried again, in nanoseconds.
func pause(n int) int64 {
	return int64(suspectPause<<min(n-1, 4)) + rand.Int64N(int64(suspectPause/2))
}

// bury stores a poisonous record as a dead letter, unless it is private, and answers it; it reports whether it could.
func (l *lane) bury(ctx context.Context, it *item, cause error) bool {
	ctx, cancel := context.WithTimeout(ctx, deadLetterTimeout)
	defer cancel()
	r := &it.rec
	attrs := []slog.Attr{logs.Device(r.Device), slog.String(logs.FieldMessageID, r.MessageID), slog.String(logs.FieldTopic, r.Topic),
		slog.Int("attempts", int(r.Attempt)), slog.String("cause", cause.Error())}
	if l.f.Private {
		l.log(slog.LevelError, "record given up and not stored, because it may hold a password", attrs...)
		l.finish(it, record.Result{Code: CodeDeadLetter, Reason: string(refusal.FunctionFailed)}, nil)
		return true
	}
	err := l.d.deadLetters.Put(ctx, &store.DeadLetter{
		Ref:       r.Device,
		MessageID: r.MessageID,
		Function:  l.f.Function,
		Topic:     r.Topic,
		Payload:   r.Payload,
		Reason:    cause.Error(),
		At:        time.Now().UnixMilli(),
	})
	if err != nil {
		it.trouble.last = fmt.Errorf("dead letter not stored: %w", err)
		l.log(slog.LevelError, "dead letter not stored", append(attrs, logs.Err(err))...)
		return false
	}
	l.log(slog.LevelError, "record put aside as dead letter", attrs...)
	l.f.counters.deadLetters.Add(1)
	l.finish(it, record.Result{Code: CodeDeadLetter, Reason: ReasonDeadLetter}, nil)
	return true
}

func (l *lane) log(level slog.Level, message string, attrs ...slog.Attr) {
	l.d.log.LogAttrs(context.Background(), level, message, append(attrs, slog.String("function", l.f.name))...)
}
