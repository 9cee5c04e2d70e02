package fc

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// Values of X-Fc-Error-Type.
const (
	unhandledError  = "UnhandledInvocationError"
	initializeError = "FunctionInitializeError" // unconfirmed name
)

// An invocation is one event on its way to an instance. body is not changed.
type invocation struct {
	requestID string
	body      []byte
	retry     int  // attempts of an asynchronous event before this one
	async     bool // for metrics
	tail      bool // x-fc-log-type: Tail
}

// An outcome is what the function made of an invocation. errorType is empty on success.
type outcome struct {
	inst      *instance
	body      []byte
	pooled    *[]byte // goes back to the pool with putBuffer once body has been used
	errorType string
	duration  time.Duration
	memoryMB  float64
	log       []byte // tail, when asked for
}

// invoke runs an invocation in one of the function's instances.
func (f *function) invoke(ctx context.Context, inv *invocation) (outcome, *apiError) {
	f.counters.invocations.Add(1)
	fault := f.s.faultsFor(f.Name)
	if e := f.s.inject(ctx, fault); e != nil {
		f.counters.countError(e)
		return outcome{}, e
	}
	inst, e := f.acquire(ctx)
	if e != nil {
		f.counters.countError(e)
		if e.Code == initializeError {
			return outcome{errorType: initializeError, body: []byte(e.Message)}, nil
		}
		return outcome{}, e
	}
	defer f.release(inst)
	if f.InstanceConcurrency == 1 {
		inst.out.begin(inv.requestID)
	}
	deadline := time.Now().Add(f.Timeout)
	var out outcome
	if inst.custom != nil {
		out, e = inst.custom.invoke(ctx, inv, deadline)
	} else {
		out, e = inst.api.invoke(ctx, inv, deadline)
	}
	out.inst, out.memoryMB = inst, inst.peakMB()
	if inv.tail && f.InstanceConcurrency == 1 {
		out.log = inst.out.last()
	}
	f.record(inv, &out, e)
	return out, e
}

// record counts an invocation and logs its failure.
func (f *function) record(inv *invocation, out *outcome, e *apiError) {
	switch {
	case e != nil:
		f.counters.countError(e)
		f.s.log.LogAttrs(context.Background(), slog.LevelInfo, "invocation refused", slog.String("function", f.Name),
			slog.String("request_id", inv.requestID), slog.String("code", e.Code), slog.String("reason", e.Message))
	case out.errorType != "":
		f.counters.functionErrors.Add(1)
		f.s.log.LogAttrs(context.Background(), slog.LevelInfo, "invocation failed", slog.String("function", f.Name),
			slog.String("request_id", inv.requestID), slog.String("instance", out.inst.id), slog.String("error_type", out.errorType),
			slog.String("reason", clip(out.body, 500)), slog.Int64("latency_ms", out.duration.Milliseconds()))
	}
	f.s.metrics.add(f, inv, out, e)
}

func clip(b []byte, n int) string { return string(b[:min(len(b), n)]) }

// exited is the outcome of an invocation whose process ended. The instance is out of service before anybody hears of it, so that
// the next invocation does not meet it.
func (i *instance) exited(d time.Duration) outcome {
	i.fn.retire(i)
	text := fmt.Sprintf("Process exited unexpectedly before completing request (duration: %dms, maxMemoryUsage: %.2fMB)", d.Milliseconds(), i.peakMB())
	return i.failed(text, d)
}

// timedOut is the outcome of an invocation that took longer than the function's timeout.
func (i *instance) timedOut(d time.Duration) outcome {
	text := fmt.Sprintf("Function timed out after %d seconds (maxMemoryUsage: %.2fMB)", int(i.fn.Timeout/time.Second), i.peakMB())
	return i.failed(text, d)
}

func (i *instance) failed(text string, d time.Duration) outcome {
	body, err := json.Marshal(struct {
		ErrorMessage string `json:"errorMessage"`
	}{text})
	if err != nil { // a string always marshals
		panic(err)
	}
	i.out.emit([]string{"[ERROR] " + text})
	return outcome{body: body, errorType: unhandledError, duration: d}
}

// exitsSoon tells whether the process ends within a moment: its connections break before it is reaped.
func (i *instance) exitsSoon() bool {
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-i.proc.Load().exited:
		return true
	case <-timer.C:
		return false
	}
}

// initialize runs the initializer hook when it is configured. Its failure is the result of the invocations that
// waited for the instance.
func (i *instance) initialize() *apiError {
	h := i.fn.Initializer
	if h == nil {
		return nil
	}
	id := newRequestID(i.fn.s.opt.Clock.Now())
	i.out.begin(id)
	var err error
	if i.custom != nil {
		err = i.custom.initialize(i.fn.s.ctx, id, h.Timeout)
	} else {
		err = i.api.hook(i.fn.s.ctx, eventInitialize, id, h.Timeout)
	}
	i.fn.counters.hooks.Add(1)
	if err == nil {
		return nil
	}
	i.fn.s.log.Warn("initializer failed", "function", i.fn.Name, "instance", i.id, "request_id", id, "error", err)
	body, jsonErr := json.Marshal(map[string]string{"errorMessage": "initializer failed: " + err.Error(), "errorType": initializeError})
	if jsonErr != nil { // strings always marshal
		panic(jsonErr)
	}
	return &apiError{200, initializeError, string(body)}
}

// preStop runs the preStop hook when it is configured; its failure is only logged.
func (i *instance) preStop() {
	h := i.fn.PreStop
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	defer cancel()
	stop := context.AfterFunc(i.fn.s.hurryCtx, cancel)
	defer stop()
	id := newRequestID(i.fn.s.opt.Clock.Now())
	var err error
	if i.custom != nil {
		err = i.custom.preStop(ctx, id, h.Timeout)
	} else {
		err = i.api.hook(ctx, eventPreStop, id, h.Timeout)
	}
	i.fn.counters.hooks.Add(1)
	if err != nil {
		i.fn.s.log.Warn("preStop hook failed", "function", i.fn.Name, "instance", i.id, "error", err)
	}
}

var ecma = crc64.MakeTable(crc64.ECMA)

// setChecksum computes X-Fc-Code-Checksum once. The service takes it over the uploaded package; here it is that
// of the executable.
func (f *function) setChecksum(path string) {
	f.checksumOnce.Do(func() {
		file, err := os.Open(path)
		if err != nil {
			return // the start fails with a better message
		}
		defer file.Close()
		h := crc64.New(ecma)
		n, err := io.Copy(h, file)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.checksum, f.codeSize = strconv.FormatUint(h.Sum64(), 10), n
		f.mu.Unlock()
	})
}
