package fc

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
)

// isAsync tells whether an invocation asks to be run later. "Task" is what `s invoke` may send.
func isAsync(h http.Header) bool {
	kind := h.Get("X-Fc-Invocation-Type")
	return kind == "Async" || kind == "Task"
}

var taskID = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,127}$`)

// invokeFunction is InvokeFunction, synchronous and asynchronous.
func (c *call) invokeFunction() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	in := c.r.Header
	switch kind := in.Get("X-Fc-Invocation-Type"); kind {
	case "", "Sync":
	case "Async", "Task":
		return c.accept(f)
	default:
		return errInvalidArgument("x-fc-invocation-type %q: want Sync or Async", kind)
	}
	inv := invocation{requestID: c.id, body: *c.body}
	switch kind := in.Get("X-Fc-Log-Type"); kind {
	case "", "None":
	case "Tail":
		inv.tail = true
	default:
		return errInvalidArgument("x-fc-log-type %q: want None or Tail", kind)
	}
	if !f.Custom() {
		c.body = nil // the Runtime API may still be writing it after the invocation has ended
	}
	var out outcome
	if e = c.s.run(func() (e *apiError) { out, e = f.invoke(c.r.Context(), &inv); return e }); e != nil {
		return e
	}
	defer putBuffer(out.pooled)
	if c.s.faultsFor(f.Name).loses() {
		panic(http.ErrAbortHandler)
	}
	c.answer(f, &out)
	return nil
}

// answer writes the result of a synchronous invocation. A status below 400 does not mean success:
// X-Fc-Error-Type tells.
func (c *call) answer(f *function, out *outcome) {
	f.mu.Lock()
	checksum := f.checksum
	f.mu.Unlock()
	h := c.w.Header()
	h["X-Fc-Request-Id"] = []string{c.id}
	h["X-Fc-Code-Checksum"] = []string{checksum}
	h["X-Fc-Invocation-Duration"] = []string{strconv.FormatInt(out.duration.Milliseconds(), 10)}
	h["X-Fc-Max-Memory-Usage"] = []string{strconv.FormatFloat(out.memoryMB, 'f', 2, 64)}
	h["Content-Type"] = []string{"application/octet-stream"}
	h["Content-Length"] = []string{strconv.Itoa(len(out.body))}
	if out.inst != nil {
		h["X-Fc-Instance-Id"] = []string{out.inst.id}
	}
	if out.errorType != "" {
		h["X-Fc-Error-Type"] = []string{out.errorType}
		h["Content-Type"] = []string{"application/json"}
	}
	if out.log != nil {
		h["X-Fc-Log-Result"] = []string{base64.StdEncoding.EncodeToString(out.log)}
	}
	c.w.Write(out.body) // an error means that the client has gone
}

// accept stores an event and answers 202 once it is durable.
func (c *call) accept(f *function) *apiError {
	if id := c.r.Header.Get("X-Fc-Async-Task-Id"); id != "" && !taskID.MatchString(id) {
		return errInvalidArgument("x-fc-async-task-id: want [A-Za-z_][A-Za-z0-9_-]{0,127}")
	}
	fault := c.s.faultsFor(f.Name)
	if e := c.s.inject(c.r.Context(), Faults{Throttle: fault.Throttle, Fail: fault.Fail}); e != nil {
		f.counters.countError(e)
		return e
	}
	if e := c.s.run(func() *apiError { return f.lane.accept(c.id, *c.body) }); e != nil {
		f.counters.countError(e)
		return e
	}
	if fault.loses() {
		panic(http.ErrAbortHandler)
	}
	h := c.w.Header()
	h.Set("X-Fc-Request-Id", c.id)
	h.Set("Content-Length", "0")
	if f.Async.Task {
		id := c.r.Header.Get("X-Fc-Async-Task-Id")
		if id == "" {
			id = c.id
		}
		h.Set("X-Fc-Async-Task-Id", id)
	}
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}
