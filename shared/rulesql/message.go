package rulesql

import (
	"context"
	"math/rand/v2"
	"time"

	"relink/shared/iot"
)

// A Message is what rules are asked about (rule engine reference, "What happens to a message"). Fill in the exported members,
// ask all rules, then Reset it before the next. It is for one goroutine. The zero Message is ready for use.
type Message struct {
	Topic      string        // forwarding topic: /pk/dn/user/…, /pk/dn/thing/…, /as/mqtt/status/pk/dn; not that of the device
	Device     iot.DeviceRef // the publisher; for deviceName() and productKey()
	IotID      iot.IotID     // the publisher, as Attributes may want it
	ID         string        // message id, decimal digits; for messageId()
	Payload    []byte        // as published, or in its converted form; not changed, and not to be changed until Reset
	Attributes Attributes    // tags; nil if the device has none

	doc    Document
	read   readState
	docErr error
	run    run
	out    []byte
	fields []member
}

type readState uint8

const (
	unread readState = iota
	isJSON
	notJSON
)

// Attributes tells a device's tags. It is asked only when a rule needs one.
type Attributes interface {
	// Attribute returns the value of the tag key; ok is false if the device has no such tag.
	Attribute(ctx context.Context, dev iot.DeviceRef, id iot.IotID, key string) (value string, ok bool, err error)
}

// Env is what a rule's result depends on besides rule and message. The zero Env is that of production in a Chinese region.
type Env struct {
	Now      func() time.Time // for timestamp(); nil: time.Now
	Zone     *time.Location   // of timestamp('pattern'); nil: UTC+8
	Random   rand.Source      // for rand() and newuuid(), safe for concurrent use; nil: the runtime's generator
	MaxSteps int              // what one rule may do for one message: a step is an operation, a member looked at, 64 bytes of text; 0: DefaultMaxSteps
}

var chinaTime = time.FixedZone("CST", 8*60*60)

func (e *Env) now() time.Time {
	if e == nil || e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e *Env) zone() *time.Location {
	if e == nil || e.Zone == nil {
		return chinaTime
	}
	return e.Zone
}

func (e *Env) uint64() uint64 {
	if e == nil || e.Random == nil {
		return rand.Uint64()
	}
	return e.Random.Uint64()
}

func (e *Env) maxSteps() int {
	if e == nil || e.MaxSteps <= 0 {
		return DefaultMaxSteps
	}
	return e.MaxSteps
}

// Reset empties the message and keeps its memory for the next one.
func (m *Message) Reset() {
	m.doc.reset()
	clear(m.fields)
	doc, out, fields := m.doc, m.out, m.fields
	if cap(out) > 64<<10 {
		out = nil
	}
	*m = Message{doc: doc, out: out[:0], fields: fields[:0]}
}

// document reads the payload once.
func (m *Message) document() (*Document, error) {
	if m.read == unread {
		m.read = isJSON
		if m.docErr = m.doc.parse(m.Payload); m.docErr != nil {
			m.read = notJSON
		}
	}
	return &m.doc, m.docErr
}

// stepBytes is how many bytes of text make a step.
const stepBytes = 64

// A run is one evaluation of one rule for one message.
type run struct {
	ctx    context.Context
	env    *Env
	msg    *Message
	sample bool // debugging: no tags
	steps  int  // left
	err    error
}

// spend takes n steps. When none are left the evaluation fails.
func (c *run) spend(n int) {
	if c.steps -= n; c.steps < 0 && c.err == nil {
		c.err = &EvalError{Reason: "the rule takes too much work for this message"}
	}
}

// fail ends the evaluation.
func (c *run) fail(where, reason string) Value {
	if c.err == nil {
		c.err = &EvalError{Where: where, Reason: reason}
	}
	return Value{}
}
