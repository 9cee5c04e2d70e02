package main

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"relink/shared/logs"
	"relink/shared/openapi"
)

// Fields of the logstore audit, beside those that package logs names.
const (
	fieldKeyID      = "access_key_id"
	fieldAction     = "action"
	fieldStatus     = "status"
	fieldSuppressed = "suppressed"
)

// A line is one entry of the audit log.
type line struct {
	at     time.Time
	fields [][2]string
}

// A sink stores lines.
type sink interface {
	Put(lines []line) error // within about a second
}

// auditWait bounds how long an answer waits for its line to be stored.
const auditWait = time.Second

// An auditor writes one line for every call, to the console and to the logstore audit, before the call is answered: afterwards
// the instance freezes. Calls that end at the same time share a request to the log service: whoever comes first sends, and what
// arrives meanwhile goes together with the next. A line that cannot be stored is on the console, and the call does not fail.
type auditor struct {
	log  *slog.Logger
	sink sink
	// refused limits the lines of calls that nobody signed: whoever has no key shall not fill the owner's logstore.
	refused *rate.Limiter

	turn chan struct{} // holds one token: the right to send

	mu         sync.Mutex
	next       *batch
	suppressed int
}

// A batch is lines that are sent together; done is closed when err tells how it went.
type batch struct {
	lines []line
	done  chan struct{}
	err   error
}

// Bounds of the audit log.
const (
	refusedPerSecond = 1
	refusedBurst     = 20
	maxBatchLines    = 2000 // waiting at most; more calls than that at once are answered without waiting, and their lines are on the console
)

func newAuditor(log *slog.Logger, s sink) *auditor {
	a := &auditor{log: log, sink: s, refused: rate.NewLimiter(refusedPerSecond, refusedBurst), turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
}

// observe is the gateway's observer.
func (a *auditor) observe(_ context.Context, c *openapi.Call) {
	suppressed := 0
	if !c.Caller.Verified {
		a.mu.Lock()
		if !a.refused.AllowN(c.At, 1) {
			a.suppressed++
			a.mu.Unlock()
			return
		}
		suppressed, a.suppressed = a.suppressed, 0
		a.mu.Unlock()
	}
	a.console(c, suppressed)
	if err := a.store(auditLine(c, suppressed)); err != nil {
		a.log.LogAttrs(context.Background(), slog.LevelError, "audit line not stored", slog.String(logs.FieldRequestID, c.RequestID), logs.Err(err))
	}
}

// console prints the line. What the platform could not do is an error, what the caller did wrong is not.
func (a *auditor) console(c *openapi.Call, suppressed int) {
	level := slog.LevelInfo
	if c.Code == openapi.CodeSystem || c.Status >= 500 {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String(logs.FieldRequestID, c.RequestID), slog.String(fieldAction, clip(c.Action)), slog.String(fieldKeyID, clip(c.Caller.KeyID)),
		logs.Device(c.Device), slog.String(logs.FieldCode, c.Code), slog.Int(fieldStatus, c.Status),
		slog.Int64(logs.FieldLatency, c.Latency.Milliseconds()), slog.String(logs.FieldRemote, c.Remote),
	}
	if c.MessageID != "" {
		attrs = append(attrs, slog.String(logs.FieldMessageID, c.MessageID))
	}
	if c.Err != nil {
		attrs = append(attrs, logs.Err(errors.New(detail(c))))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int(fieldSuppressed, suppressed))
	}
	a.log.LogAttrs(context.Background(), level, "openapi call", attrs...)
}

// auditLine is what is stored: who called which action on what, and what came of it.
func auditLine(c *openapi.Call, suppressed int) line {
	l := line{at: c.At}
	add := func(name, value string) {
		if value != "" {
			l.fields = append(l.fields, [2]string{name, value})
		}
	}
	add(logs.FieldRequestID, c.RequestID)
	add(fieldKeyID, clip(c.Caller.KeyID))
	add(fieldAction, clip(c.Action))
	add(logs.FieldProductKey, string(c.Device.ProductKey))
	add(logs.FieldDeviceName, string(c.Device.DeviceName))
	add(logs.FieldMessageID, c.MessageID)
	add(logs.FieldCode, c.Code)
	add(fieldStatus, strconv.Itoa(c.Status))
	add(logs.FieldLatency, strconv.FormatInt(c.Latency.Milliseconds(), 10))
	add(logs.FieldRemote, c.Remote)
	if c.Err != nil {
		add(logs.FieldDetail, detail(c))
	}
	if suppressed > 0 {
		add(fieldSuppressed, strconv.Itoa(suppressed))
	}
	return l
}

// detail is a call's error for the log. Of a signature that does not match the code says all: the string to sign holds the
// caller's parameters, and is in the answer.
func detail(c *openapi.Call) string {
	if f, ok := errors.AsType[*openapi.Failure](c.Err); ok && f.Code == "SignatureDoesNotMatch" {
		return f.Code
	}
	const most = 4096
	if s := c.Err.Error(); len(s) > most {
		return s[:most] + "…"
	} else {
		return s
	}
}

// clip bounds what callers without a key can put into a line.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		return s[:most]
	}
	return s
}

var (
	errAuditFull = errors.New("too many lines wait for the log service")
	errAuditSlow = errors.New("the log service takes longer than an answer may wait")
)

// store puts a line into the batch that forms and waits until it is sent, by this call or by another one.
func (a *auditor) store(l line) error {
	a.mu.Lock()
	if a.next == nil {
		a.next = &batch{done: make(chan struct{})}
	}
	b := a.next
	if len(b.lines) >= maxBatchLines {
		a.mu.Unlock()
		return errAuditFull
	}
	b.lines = append(b.lines, l)
	a.mu.Unlock()

	timer := time.NewTimer(auditWait)
	defer timer.Stop()
	select {
	case <-b.done:
		return b.err
	case <-timer.C:
		return errAuditSlow
	case <-a.turn:
	}
	defer func() { a.turn <- struct{}{} }()
	a.mu.Lock()
	if a.next != b { // somebody sent it between its being done and our taking the turn
		a.mu.Unlock()
		<-b.done
		return b.err
	}
	a.next = nil
	a.mu.Unlock()
	defer close(b.done)
	b.err = a.sink.Put(b.lines)
	return b.err
}
