package fc

import (
	"fmt"
	"net/http"
	"strings"
)

// An Error is an invocation without a result.
type Error struct {
	Status    int    // of the HTTP response; 200 if the function itself failed, 0 if there was no response
	Code      string // the service's code; X-Fc-Error-Type if the function failed
	Message   string
	RequestID string // empty if unknown
	Function  string // full name
	Err       error  // the cause, if there was no (readable) response
}

// codeMalformedResult marks a result that could not be unwrapped: the function's fault as much as a panic.
const codeMalformedResult = "MalformedResult"

func (e *Error) Error() string {
	s := fmt.Sprintf("invoke %s: status %d", e.Function, e.Status)
	if e.Status == 0 {
		s = "invoke " + e.Function
	}
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Unwrap gives the cause: context.Canceled, context.DeadlineExceeded, a network error.
func (e *Error) Unwrap() error { return e.Err }

// Throttled reports whether a quota or the capacity of the service was used up; the function did not run.
func (e *Error) Throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.Code == "ResourceExhausted" || e.Code == "ResourceThrottled" ||
		strings.Contains(e.Code, "Throttling")
}

// FunctionFailed reports whether the function ran, or tried to, and failed: it raised, timed out, exited, could not be
// initialized, or answered what is no answer. The event may be what it cannot digest.
func (e *Error) FunctionFailed() bool {
	return e.Status == http.StatusOK && e.Code != "" || e.Status == http.StatusBadGateway && e.Code == "BadResponse"
}

// Exited reports a FunctionFailed whose process ended under it: out of memory or killed, perhaps for no fault of this event.
func (e *Error) Exited() bool {
	return e.FunctionFailed() && strings.HasPrefix(e.Message, "Process exited unexpectedly")
}

// TooLarge reports that the event is over the service's limit.
func (e *Error) TooLarge() bool {
	return e.Status == http.StatusRequestEntityTooLarge || e.Code == "EntityTooLarge"
}

// Retryable reports whether the same event may succeed a moment later, by no fault of the function: throttling, an error of the
// service, a connection that failed (then the function may have run, so events must be idempotent).
func (e *Error) Retryable() bool {
	switch {
	case e.FunctionFailed():
		return false
	case e.Throttled():
		return true
	}
	return e.Status == 0 || e.Status == http.StatusOK || e.Status == statusClientClosed || e.Status >= 500
}

// statusClientClosed is ClientClosedRequest: the service saw the caller hang up.
const statusClientClosed = 499
