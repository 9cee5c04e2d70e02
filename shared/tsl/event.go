package tsl

import (
	"math"

	"relink/shared/alink"
	"relink/shared/refusal"
)

// EventUnknown is the type of an event that the thing model does not have; those that it has are info, alert or error.
const (
	EventInfo    = "info"
	EventUnknown = "unknown"
)

// A CheckedEvent is what became of one event.
type CheckedEvent struct {
	Identifier string // module:identifier for one of a custom module
	Name       string // of the thing model
	Type       string // info, alert, error, EventUnknown
	Time       int64  // Unix milliseconds
	JSON       []byte // the arguments, as the device wrote them
	Failed     *Failure
}

// CheckEvent checks what a device reports of an event ("Event post"): {"value":{…},"time":…}, or the arguments without wrapping. item is
// strict JSON. now is the time of an event that has none, and what times in the future are measured by.
//
// An event that the model does not have passes with the type EventUnknown, except in mode Strong; in mode None everything passes, with
// the type info. An event of which anything does not fit fails as a whole.
func CheckEvent(m *Model, identifier string, item []byte, mode Mode, now int64) CheckedEvent {
	return checkEvent(m, identifier, item, mode, clock{now, now + maxAhead, false})
}

// A clock says what times are good for.
type clock struct {
	now    int64 // of values that have no time
	latest int64 // that is accepted
	// history is the rule for what was gathered long ago: members may be spelled Value and Time ("History post").
	history bool
}

func checkEvent(m *Model, identifier string, item []byte, mode Mode, c clock) CheckedEvent {
	args, when := unwrapEvent(item, c.history)
	e := CheckedEvent{Identifier: identifier, Type: EventUnknown, Time: c.now, JSON: args}
	var def *Event
	if m != nil {
		def, _ = m.Event(identifier)
	}
	if def != nil {
		e.Type, e.Name = def.Type, def.Name
	}
	if mode == None {
		e.Type = EventInfo
	}
	fail := func(code int, cause refusal.Cause, message string) CheckedEvent {
		e.Failed = &Failure{identifier, code, cause, message, args, e.Time}
		return e
	}
	if !validName(identifier) { // it becomes part of topics and rows
		return fail(alink.CodeNotInModel, refusal.EventNotInModel, "event identifier is malformed")
	}
	if when != nil {
		t, ok := readTime(when)
		if !ok || t > c.latest {
			return fail(alink.CodeTime, refusal.TimeOutOfRange, "tsl parse: time is out of range -> "+identifier)
		}
		e.Time = t
	}
	switch {
	case mode == None:
		return e
	case len(args) == 0 || args[0] != '{':
		return fail(alink.CodeStruct, refusal.ValueTypeMismatch, "tsl parse: data type is not struct -> "+identifier)
	case def == nil && mode == Strong:
		return fail(alink.CodeNotInModel, refusal.EventNotInModel, "event not found")
	case def == nil:
		return e
	}
	t := Type{Kind: Struct, Members: def.Output}
	if p := t.fits(args, mode, ""); p != nil {
		p.path = identifier + p.path
		return fail(p.code, p.cause(), p.message())
	}
	return e
}

// unwrapEvent finds an event's arguments and its time, nil if there is none. Without a member value the arguments are all members
// but time, which no argument can be called.
func unwrapEvent(item []byte, history bool) (args, when []byte) {
	if len(item) == 0 || item[0] != '{' {
		return item, nil
	}
	for name, v := range alink.Members(item) {
		switch {
		case string(name) == "value" || history && string(name) == "Value":
			args = v
		case string(name) == "time" || history && string(name) == "Time":
			when = v
		}
	}
	switch {
	case args != nil:
		return args, when
	case when == nil:
		return item, nil
	}
	args = append(args, '{')
	for name, v := range alink.Members(item) {
		if string(name) == "time" || history && string(name) == "Time" {
			continue
		}
		if len(args) > 1 {
			args = append(args, ',')
		}
		args = append(append(alink.AppendString(args, name), ':'), v...)
	}
	return append(args, '}'), when
}

// validName reports whether s is an identifier, or module:identifier.
func validName(s string) bool {
	module, identifier := SplitIdentifier(s)
	return validIdentifier(identifier) && (len(module)+len(identifier) == len(s) || validIdentifier(module))
}

// noLimit is the clock of a history post.
func noLimit(now int64) clock { return clock{now, math.MaxInt64, true} }
