package fc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const runtimePrefix = "/2020-11-11/runtime/invocation/"

// Kinds of events of the Runtime API (x-fc-function-type).
const (
	eventInvoke     = 0
	eventInitialize = 1
	eventPreStop    = 2
)

// A runtimeAPI is the server that one go1 process polls. Each process has its own, so that an event reaches
// the instance it is meant for, and gets the next event only after it has finished the one before.
// Source: fc-runtime-go-sdk fc/runtime_api_client.go.
type runtimeAPI struct {
	inst   *instance
	addr   string
	server *http.Server
	served chan struct{}
	work   chan *runtimeEvent
	quit   chan struct{} // closed by close
	polled chan struct{} // closed by the first poll
	once   sync.Once

	mu      sync.Mutex
	current *runtimeEvent
}

// A runtimeEvent is handed to the process once. done has room for its answer.
type runtimeEvent struct {
	kind      int
	requestID string
	body      []byte
	retry     int
	timeout   time.Duration
	deadline  time.Time
	done      chan runtimeAnswer
}

type runtimeAnswer struct {
	body   []byte
	failed bool
}

func newRuntimeAPI(i *instance) (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &runtimeAPI{inst: i, addr: l.Addr().String(), served: make(chan struct{}), work: make(chan *runtimeEvent),
		quit: make(chan struct{}), polled: make(chan struct{})}
	a.server = &http.Server{Handler: a, ErrorLog: slog.NewLogLogger(i.fn.s.log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(a.served)
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			i.fn.s.log.Error("runtime API ended", "function", i.fn.Name, "error", err)
		}
	}()
	return a, nil
}

// close is called after the process has ended: the SDK answers a closed port with a busy loop.
func (a *runtimeAPI) close() {
	close(a.quit)
	a.server.Close()
	<-a.served
}

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, runtimePrefix)
	id, verb, answers := strings.Cut(rest, "/")
	switch {
	case ok && r.Method == http.MethodGet && rest == "next":
		a.next(w, r)
	case ok && r.Method == http.MethodPost && answers && (verb == "response" || verb == "error"):
		a.finish(w, r, id, verb == "error")
	default:
		http.NotFound(w, r)
	}
}

// next holds the request open until there is an event.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	a.once.Do(func() { close(a.polled) })
	select {
	case ev := <-a.work:
		h := w.Header()
		h.Set("x-fc-request-id", ev.requestID)
		h.Set("x-fc-function-deadline", strconv.FormatInt(ev.deadline.UnixMilli(), 10))
		h.Set("x-fc-function-timeout", strconv.Itoa(int(ev.timeout/time.Second)))
		h.Set("x-fc-function-type", strconv.Itoa(ev.kind))
		h.Set("x-fc-service-logproject", a.inst.fn.Log.Project)
		h.Set("x-fc-service-logstore", a.inst.fn.Log.Logstore)
		if ev.retry > 0 {
			h.Set("x-fc-retry-count", strconv.Itoa(ev.retry))
		}
		for _, c := range a.inst.fn.commonHeaders() {
			h.Set(c[0], c[1])
		}
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Length", strconv.Itoa(len(ev.body)))
		w.Write(ev.body) // an error means that the process has gone, which fails the invocation
	case <-r.Context().Done():
	case <-a.quit:
	}
}

// finish takes the answer to the current event; answers to others come too late and are dropped.
func (a *runtimeAPI) finish(w http.ResponseWriter, r *http.Request, id string, failed bool) {
	var buf bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxResponseBody {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxResponseBody)); err != nil {
		a.inst.fn.s.log.Warn("runtime answer not read", "function", a.inst.fn.Name, "request_id", id, "error", err)
		buf.Reset()
		buf.WriteString(`{"errorMessage":"the response exceeds the maximum size"}`)
		failed = true
		io.Copy(io.Discard, r.Body) // an error means that the process has gone
	}
	a.mu.Lock()
	ev := a.current
	if ev != nil && ev.requestID == id {
		a.current = nil
		ev.done <- runtimeAnswer{body: buf.Bytes(), failed: failed}
	}
	a.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// run hands one event to the process and waits for its answer. ok is false when there was none: the process
// ended, the deadline passed, or ctx ended before the process took the event.
func (a *runtimeAPI) run(ctx context.Context, ev *runtimeEvent) (answer runtimeAnswer, ok bool) {
	ev.done = make(chan runtimeAnswer, 1)
	a.mu.Lock()
	a.current = ev
	a.mu.Unlock()
	timer := time.NewTimer(time.Until(ev.deadline))
	defer timer.Stop()
	proc := a.inst.proc.Load()
	select {
	case a.work <- ev:
	case <-proc.exited:
		return answer, false
	case <-timer.C:
		return answer, false
	case <-ctx.Done():
		return answer, false
	}
	select {
	case answer = <-ev.done:
		return answer, true
	case <-proc.exited:
	case <-timer.C:
	}
	return answer, false
}

// invoke runs one event. A caller that hangs up does not free the process before it has finished.
func (a *runtimeAPI) invoke(ctx context.Context, inv *invocation, deadline time.Time) (outcome, *apiError) {
	begin := time.Now()
	ev := &runtimeEvent{kind: eventInvoke, requestID: inv.requestID, body: inv.body, retry: inv.retry, timeout: a.inst.fn.Timeout, deadline: deadline}
	answer, ok := a.run(ctx, ev)
	out := outcome{duration: time.Since(begin), body: answer.body}
	switch {
	case ok && answer.failed:
		out.errorType = unhandledError
		return out, nil
	case ok:
		return out, nil
	case a.inst.gone():
		return a.inst.exited(out.duration), nil
	case ctx.Err() != nil && time.Now().Before(deadline):
		return out, errClientClosed
	}
	out = a.inst.timedOut(out.duration)
	a.inst.kill("timeout") // as the service does: the process may be stuck
	a.inst.fn.retire(a.inst)
	return out, nil
}

func (a *runtimeAPI) hook(ctx context.Context, kind int, requestID string, timeout time.Duration) error {
	answer, ok := a.run(ctx, &runtimeEvent{kind: kind, requestID: requestID, timeout: timeout, deadline: time.Now().Add(timeout)})
	switch {
	case ok && answer.failed:
		return errors.New(string(answer.body))
	case !ok && a.inst.gone():
		return errors.New("the process exited")
	case !ok:
		return errors.New("no answer in time")
	}
	return nil
}
