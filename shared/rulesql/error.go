package rulesql

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Part is where in a rule's text something is wrong.
type Part string

// The parts of a rule. InStatement is a text that holds all of them.
const (
	InStatement Part = "statement"
	InSelect    Part = "SELECT"
	InFrom      Part = "FROM"
	InWhere     Part = "WHERE"
	InTemplate  Part = "template"
)

// A SyntaxError says why a rule's text is refused. The OpenAPI calls it iot.messagebroker.IncorrectRuleSql, or
// iot.ruleng.IncorrectSysTopic if Topic is set.
type SyntaxError struct {
	Part   Part
	Column int    // in characters, from 1; 0 if the whole part is meant
	Near   string // what stands there
	Reason string // for people
	Topic  bool   // the FROM part names a system topic that does not exist
}

// Error is like: WHERE, column 17, near "tumble": unknown function.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Part))
	if e.Column > 0 {
		fmt.Fprintf(&b, ", column %d", e.Column)
	}
	if e.Near != "" {
		fmt.Fprintf(&b, ", near %q", e.Near)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// syntaxError makes an error at a byte offset of text.
func syntaxError(part Part, text string, offset int, format string, args ...any) *SyntaxError {
	e := &SyntaxError{Part: part, Reason: fmt.Sprintf(format, args...)}
	if offset > len(text) {
		offset = len(text)
	}
	e.Column = utf8.RuneCountInString(text[:offset]) + 1
	e.Near = near(text[offset:])
	if e.Near == "" {
		e.Near = "the end"
	}
	return e
}

// near is the word at the begin of s, shortened.
func near(s string) string {
	const longest = 20
	s = strings.ToValidUTF8(s, "\uFFFD")
	n := 0
	for i, r := range s {
		word := r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
		if n == longest || !word {
			if i == 0 {
				i = utf8.RuneLen(r)
			}
			return s[:i]
		}
		n++
	}
	return s
}

// cutText shortens a text at a character.
func cutText(s string, n int) string { return strings.ToValidUTF8(s[:min(n, len(s))], "") }

// An EvalError says why a rule could not be evaluated for a message; the rule drops the message (rule engine reference, "What
// happens to a message"). Trying again does not help.
type EvalError struct {
	Where  string // source text of the expression; "" if the message as a whole is meant
	Reason string
}

func (e *EvalError) Error() string {
	if e.Where == "" {
		return e.Reason
	}
	return e.Where + ": " + e.Reason
}

// A LookupError says that a device's tags could not be read. Trying again may help.
type LookupError struct {
	Key string
	Err error
}

func (e *LookupError) Error() string { return fmt.Sprintf("attribute(%q): %v", e.Key, e.Err) }
func (e *LookupError) Unwrap() error { return e.Err }
