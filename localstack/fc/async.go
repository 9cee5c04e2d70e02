package fc

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A lane runs the asynchronous events of one function, as many at a time as its instances take.
// Source: Function Compute, "Asynchronous invocation".
type lane struct {
	f    *function
	wake chan struct{} // has room for one

	mu      sync.Mutex
	waiting eventHeap // at most Limits.AsyncBacklog together with running
	running int
}

// maxAsyncWorkers bounds the events of one function that run at a time.
const maxAsyncWorkers = 64

func newLane(f *function) *lane { return &lane{f: f, wake: make(chan struct{}, 1)} }

func (l *lane) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) + l.running
}

// accept stores an event; when it returns nil the event survives a crash.
func (l *lane) accept(requestID string, payload []byte) *apiError {
	s := l.f.s
	if l.length() >= s.opt.Limits.AsyncBacklog {
		return errExhausted("function %s: %d asynchronous events wait", l.f.Name, s.opt.Limits.AsyncBacklog)
	}
	ev, err := s.queue.add(eventMeta{RequestID: requestID, Function: l.f.Name, Accepted: s.opt.Clock.Now().UnixMilli()}, payload)
	var e *apiError
	switch {
	case errors.As(err, &e):
		return e
	case err != nil:
		s.log.Error("event not accepted", "function", l.f.Name, "request_id", requestID, "error", err)
		return errInternal
	}
	l.push(ev)
	return nil
}

func (l *lane) push(ev storedEvent) {
	l.mu.Lock()
	heap.Push(&l.waiting, ev)
	l.mu.Unlock()
	l.signal()
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run owns the lane until ctx ends and waits for the events that are running.
func (l *lane) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := min(l.f.capacity(), maxAsyncWorkers)
	tick := l.f.s.opt.Limits.Tick
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		ev, wait := l.next(slots)
		if ev != nil {
			wg.Go(func() {
				l.process(ctx, ev)
				l.mu.Lock()
				l.running--
				l.mu.Unlock()
				l.signal()
			})
			continue
		}
		timer.Reset(min(wait, tick)) // the clock may jump, so no longer than a tick
		if wait < 0 {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// next takes the first event that is due while there is a slot; otherwise it says how long to wait, negative for
// until woken.
func (l *lane) next(slots int) (*storedEvent, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || l.running >= slots || l.f.s.closing.Load() {
		return nil, -1
	}
	if wait := time.UnixMilli(l.waiting[0].NotBefore).Sub(l.f.s.opt.Clock.Now()); wait > 0 {
		return nil, wait
	}
	ev := heap.Pop(&l.waiting).(storedEvent)
	l.running++
	return &ev, 0
}

// process runs one attempt of an event and decides what becomes of it.
func (l *lane) process(ctx context.Context, ev *storedEvent) {
	s := l.f.s
	payload, err := s.queue.payload(ev.seq)
	if err != nil {
		s.log.Error("event not readable", "function", l.f.Name, "request_id", ev.meta.RequestID, "error", err)
		l.retry(ev)
		return
	}
	if age := s.opt.Clock.Now().Sub(time.UnixMilli(ev.meta.Accepted)); age > l.f.Async.MaxAge {
		l.giveUp(ctx, ev, payload, outcome{}, "MaxEventAgeExceeded")
		return
	}
	out, e := l.f.invoke(ctx, &invocation{requestID: ev.meta.RequestID, body: payload, retry: ev.Failures, async: true})
	defer putBuffer(out.pooled)
	lost := e == nil && s.faultsFor(l.f.Name).loses()
	if s.closing.Load() && (e != nil || out.errorType != "") {
		l.push(*ev) // stopping the instances is no failure of the event; it runs again after the restart
		return
	}
	switch {
	case lost, e != nil && (e.Status == http.StatusTooManyRequests || e.Status >= 500):
		ev.Throttles++
		l.retry(ev)
	case e != nil:
		l.giveUp(ctx, ev, payload, outcome{body: []byte(e.Message)}, e.Code)
	case out.errorType != "":
		ev.Failures++
		if ev.Failures > l.f.Async.MaxAttempts {
			l.giveUp(ctx, ev, payload, out, out.errorType)
			return
		}
		l.retry(ev)
	default:
		if l.f.Async.OnSuccess != "" {
			l.deliver(ctx, l.f.Async.OnSuccess, ev, payload, out, "")
		}
		l.remove(ev)
	}
}

// retry puts an event back with a delay that doubles with each attempt.
func (l *lane) retry(ev *storedEvent) {
	limits := l.f.s.opt.Limits
	delay := limits.AsyncRetryMax
	if n := ev.Failures + ev.Throttles - 1; n < 30 {
		delay = min(delay, limits.AsyncRetry<<max(n, 0))
	}
	ev.NotBefore = l.f.s.opt.Clock.Now().Add(delay).UnixMilli()
	if err := l.f.s.queue.update(ev); err != nil {
		l.f.s.log.Error("progress of event not stored", "function", l.f.Name, "request_id", ev.meta.RequestID, "error", err)
	}
	l.push(*ev)
}

// giveUp drops an event after its last attempt: into the log, and to the onFailure destination.
func (l *lane) giveUp(ctx context.Context, ev *storedEvent, payload []byte, out outcome, condition string) {
	l.f.counters.asyncDropped.Add(1)
	l.f.s.log.Error("asynchronous event dropped", "function", l.f.Name, "request_id", ev.meta.RequestID, "condition", condition,
		"failures", ev.Failures, "throttles", ev.Throttles, "bytes", len(payload), "reason", clip(out.body, 500), "destination", l.f.Async.OnFailure)
	if l.f.Async.OnFailure != "" {
		l.deliver(ctx, l.f.Async.OnFailure, ev, payload, out, condition)
	}
	l.remove(ev)
}

func (l *lane) remove(ev *storedEvent) {
	if err := l.f.s.queue.remove(ev); err != nil {
		l.f.s.log.Error("event not removed: it will run again after a restart", "function", l.f.Name, "request_id", ev.meta.RequestID, "error", err)
	}
}

// destinationEvent is what a destination receives. Source: Function Compute, "Result callback".
type destinationEvent struct {
	Timestamp      int64 `json:"timestamp"`
	RequestContext struct {
		RequestID              string `json:"requestId"`
		FunctionArn            string `json:"functionArn"`
		Condition              string `json:"condition"`
		ApproximateInvokeCount int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	RequestPayload  string `json:"requestPayload"`
	ResponseContext struct {
		StatusCode    int    `json:"statusCode"`
		FunctionError string `json:"functionError"`
	} `json:"responseContext"`
	ResponsePayload string `json:"responsePayload"`
}

// deliver hands the result of an event to a destination; a failure is logged, as the service only counts it.
func (l *lane) deliver(ctx context.Context, arn string, ev *storedEvent, payload []byte, out outcome, condition string) {
	s := l.f.s
	var d destinationEvent
	d.Timestamp = s.opt.Clock.Now().UnixMilli()
	d.RequestContext.RequestID, d.RequestContext.FunctionArn = ev.meta.RequestID, l.f.arn()
	d.RequestContext.Condition, d.RequestContext.ApproximateInvokeCount = condition, ev.Failures+ev.Throttles
	if condition == "" {
		d.RequestContext.ApproximateInvokeCount++
	}
	d.RequestPayload, d.ResponsePayload = string(payload), string(out.body)
	d.ResponseContext.StatusCode, d.ResponseContext.FunctionError = http.StatusOK, out.errorType
	body, err := json.Marshal(d)
	if err == nil {
		err = s.deliver(ctx, arn, body)
	}
	if err != nil {
		s.log.Error("destination not reached", "function", l.f.Name, "request_id", ev.meta.RequestID, "destination", arn, "error", err)
	}
}

var errNoDestination = errors.New("no such destination")

// deliver invokes a function destination asynchronously and passes others to Options.Deliver.
func (s *Server) deliver(ctx context.Context, arn string, body []byte) error {
	if _, path, ok := strings.Cut(arn, ":functions/"); ok && strings.HasPrefix(arn, "acs:fc:") {
		name, _, _ := strings.Cut(path, "/")
		f := s.functions[name]
		if f == nil {
			return errNoDestination
		}
		if e := f.lane.accept(newRequestID(s.opt.Clock.Now()), body); e != nil {
			return e
		}
		return nil
	}
	if s.opt.Deliver == nil {
		return errNoDestination
	}
	return s.opt.Deliver(ctx, arn, body)
}

// eventHeap orders events by the time before which they must not run, then by acceptance.
type eventHeap []storedEvent

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].NotBefore != h[j].NotBefore {
		return h[i].NotBefore < h[j].NotBefore
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(v any)   { *h = append(*h, v.(storedEvent)) }
func (h *eventHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = storedEvent{}
	*h = old[:len(old)-1]
	return v
}
