// Package refusal is the closed list of reasons for which the platform turns something away: a login, a topic, a message. Each
// has one name, which is the `reason` in every log line, and one text that `relink why` shows: what happened, and what to do
// about it. Nothing is refused for a reason that is not in this list.
package refusal

import "errors"

// A Cause names one reason: lower-case words joined by underscores, never renamed once released.
type Cause string

// An Explanation is what an operator is told about a cause.
type Explanation struct {
	Cause Cause
	What  string // what happened, one sentence
	Cure  string // what to do, one or two sentences
}

// An Error says that something was turned away. Detail is the part that differs from case to case; it holds no secret.
type Error struct {
	Cause  Cause
	Detail string
}

// New makes an *Error.
func New(cause Cause, detail string) *Error { return &Error{Cause: cause, Detail: detail} }

func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Cause)
	}
	return string(e.Cause) + ": " + e.Detail
}

// CauseOf finds the cause of err; empty if nobody gave it one.
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Cause
	}
	return ""
}

// Explain tells about one cause; false if there is no such cause.
func Explain(c Cause) (Explanation, bool) {
	for _, list := range [][]Explanation{logins, publishes, tokens, handshakes, files, packs, subscriptions, gateways, ends, scripts, coaps} {
		for i := range list {
			if list[i].Cause == c {
				return list[i], true
			}
		}
	}
	return Explanation{}, false
}

// All lists every cause: of logins, of messages, of subscriptions, of gateways, of ends of sessions, in this order. The slice is the caller's.
func All() []Explanation {
	var all []Explanation
	for _, list := range [][]Explanation{logins, publishes, tokens, handshakes, files, packs, subscriptions, gateways, ends, scripts, coaps} {
		all = append(all, list...)
	}
	return all
}
