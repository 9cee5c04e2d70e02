// Package refusal is the closed list of reasons for which the platform turns something away: a login, a topic, a message. Each
// has one name, which is the `reason` in every log line, and one text that `relink why` shows: what happened, and what to do
// about it. Nothing is refused for a reason that is not in this list.
package refusal

// A Cause names one reason.
type Cause string

// An Explanation is what an operator is told about a cause.
type Explanation struct {
	Cause Cause
	What  string // what happened, one sentence
	Cure  string // what to do, one or two sentences
}
