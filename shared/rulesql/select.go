package rulesql

import (
	"bytes"
	"context"
	"errors"

	"relink/shared/alink"
)

// An Outcome is what a rule decided about a message.
type Outcome uint8

// The outcomes. Only Matched has a body.
const (
	Matched       Outcome = iota
	OtherTopic            // FROM does not fit
	NotMet                // WHERE is false or null
	InvalidFormat         // the payload is not valid for the rule's format; Err says why
	Failed                // evaluation failed: Err is an *EvalError, or a *LookupError if trying again may help
)

// String is the outcome's name in logs.
func (o Outcome) String() string {
	return [...]string{"matched", "other_topic", "not_met", "invalid_format", "failed"}[o]
}

// A Result is what a rule makes of a message.
type Result struct {
	Outcome Outcome
	Body    []byte // the JSON object (of SELECT * the array, of a BINARY * the payload); the caller's
	Err     error
}

// Eval asks the rule about a message. ctx is for Attributes; a nil env is the zero Env.
func (r *Rule) Eval(ctx context.Context, env *Env, m *Message) Result {
	if !r.Wants(m.Topic) {
		return Result{Outcome: OtherTopic}
	}
	if err := r.prepare(m); err != nil {
		return Result{Outcome: InvalidFormat, Err: err}
	}
	c := r.start(ctx, env, m)
	met := r.met(c)
	switch {
	case c.err != nil:
		return Result{Outcome: Failed, Err: c.err}
	case !met:
		return Result{Outcome: NotMet}
	}
	return r.result(c)
}

// met evaluates WHERE. It stops at the first part that is not true, null included, since the whole cannot be met any more: what
// comes behind is neither asked nor can it fail.
func (r *Rule) met(c *run) bool {
	for _, part := range r.where {
		c.spend(1)
		if !part.eval(c).isTrue() || c.err != nil {
			return false
		}
	}
	return true
}

// start begins an evaluation. The run lives in the message, so that it costs no allocation.
func (r *Rule) start(ctx context.Context, env *Env, m *Message) *run {
	m.run = run{ctx: ctx, env: env, msg: m, steps: env.maxSteps()}
	return &m.run
}

// prepare reads the payload.
func (r *Rule) prepare(m *Message) error {
	if r.format == Binary {
		if len(m.Payload) > MaxPayload {
			return &EvalError{Reason: "the payload is too long"}
		}
		return nil
	}
	if _, err := m.document(); err != nil {
		return &EvalError{Where: "payload", Reason: err.Error()}
	}
	return nil
}

func (r *Rule) result(c *run) Result {
	if r.passes {
		return Result{Body: bytes.Clone(c.msg.Payload)}
	}
	out, err := r.appendResult(c, c.msg.out[:0])
	c.msg.out = out
	if err != nil {
		return Result{Outcome: Failed, Err: err}
	}
	return Result{Body: bytes.Clone(out)}
}

var errLongResult = &EvalError{Reason: "the result becomes too long"}

// appendResult evaluates SELECT (rule engine reference, "SELECT result"). Null members are left out.
func (r *Rule) appendResult(c *run, out []byte) ([]byte, error) {
	if r.format == JSON && c.msg.doc.nodes[0].kind == Array && r.hasStar() {
		return r.appendArray(c, out)
	}
	out = append(out, '{')
	if !r.plain {
		return r.appendMembers(c, out)
	}
	for i := range r.fields {
		f := &r.fields[i]
		v := f.value.eval(c)
		if c.err != nil {
			return out, c.err
		}
		if v.kind == Null {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, f.keyJSON...)
		before := len(out)
		out = v.AppendJSON(out)
		if c.spend((len(out) - before) / stepBytes); len(out) > MaxResult {
			return out, errLongResult
		}
	}
	return append(out, '}'), c.err
}

func (r *Rule) hasStar() bool {
	for i := range r.fields {
		if r.fields[i].star {
			return true
		}
	}
	return false
}

// appendArray is SELECT * of a payload that is an array: the array itself, which has no place for other fields.
func (r *Rule) appendArray(c *run, out []byte) ([]byte, error) {
	if len(r.fields) > 1 {
		return out, &EvalError{Where: "*", Reason: "the payload is an array; other fields cannot be added to it"}
	}
	out = c.msg.doc.Root().AppendJSON(out)
	if c.spend(len(out) / stepBytes); len(out) > MaxResult {
		return out, errLongResult
	}
	return out, c.err
}

// A member is one of a result where members may replace each other.
type member struct {
	key   string
	value Value
}

// appendMembers is appendResult where names may occur twice: the later value takes the place of the earlier.
func (r *Rule) appendMembers(c *run, out []byte) ([]byte, error) {
	s := memberSet{c: c, list: c.msg.fields[:0]}
	for i := range r.fields {
		switch f := &r.fields[i]; {
		case f.star:
			s.addAll(&c.msg.doc)
		case f.flat:
			s.addProperties(&c.msg.doc, f.names)
		default:
			s.put(f.key, f.value.eval(c))
		}
		if c.err != nil {
			return out, c.err
		}
	}
	c.msg.fields = s.list
	for i := range s.list {
		m := &s.list[i]
		if m.value.kind == Null {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(alink.AppendString(out, m.key), ':')
		out = m.value.AppendJSON(out)
		if len(out) > MaxResult {
			return out, errLongResult
		}
	}
	c.spend(len(out) / stepBytes)
	return append(out, '}'), c.err
}

// A memberSet keeps members in the order in which their names first came.
type memberSet struct {
	c     *run
	list  []member
	index map[string]int // once there are many
	names int            // bytes of names that flatten made
}

func (s *memberSet) put(key string, v Value) {
	s.c.spend(1)
	const many = 16
	if s.index == nil {
		for i := range s.list {
			if s.list[i].key == key {
				s.list[i].value = v
				return
			}
		}
		if len(s.list) == many {
			s.index = make(map[string]int, 2*many)
			for i := range s.list {
				s.index[s.list[i].key] = i
			}
		}
	}
	if s.index != nil {
		if i, ok := s.index[key]; ok {
			s.list[i].value = v
			return
		}
		s.index[key] = len(s.list)
	}
	s.list = append(s.list, member{key, v})
}

func (s *memberSet) addAll(d *Document) {
	for i := d.first(0); i != 0; i = d.nodes[i].next {
		s.put(d.key(i), d.value(i))
	}
}

// addProperties is thingPropertyFlatMap: the values of items, without their times. A payload without items adds nothing.
func (s *memberSet) addProperties(d *Document, names []string) {
	items, ok := d.find(0, itemsPath, s.c)
	if !ok || d.nodes[items].kind != Object {
		return
	}
	if len(names) == 0 {
		for i := d.first(items); i != 0; i = d.nodes[i].next {
			s.addProperty(d, i, d.key(i))
		}
		return
	}
	for _, name := range names {
		if i, ok := d.find(items, []Step{{Key: name}}, s.c); ok {
			s.addProperty(d, i, name)
		}
	}
}

var itemsPath, valuePath = []Step{{Key: "items"}}, []Step{{Key: "value"}}

func (s *memberSet) addProperty(d *Document, item uint32, name string) {
	if i, ok := d.find(item, valuePath, s.c); ok {
		s.flatten(d, i, name)
	}
}

// flatten adds a value under name, the members of a structure under name_member.
func (s *memberSet) flatten(d *Document, i uint32, name string) {
	if s.names += len(name); d.nodes[i].kind != Object && s.names <= MaxResult {
		s.put(name, d.value(i))
		return
	}
	if s.names > MaxResult {
		s.c.fail(flatMapName, tooLong)
		return
	}
	for child := d.first(i); child != 0 && s.c.err == nil; child = d.nodes[child].next {
		s.flatten(d, child, name+"_"+d.key(child))
	}
}

// IsTemporary reports whether evaluating again may help.
func (r Result) IsTemporary() bool {
	_, ok := errors.AsType[*LookupError](r.Err)
	return ok
}
