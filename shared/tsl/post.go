package tsl

import (
	"bytes"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Limits of a post ("Limits").
const (
	MaxProperties = 200
	maxAhead      = 24 * 3600 * 1000 // milliseconds that a time may lie in the future
)

// errNotObject is made once: a post that is refused costs no more than one that is taken.
var errNotObject = alink.Detailed(alink.ErrParamsMalformed, "params is not an object")

// A Value is one value that passed. JSON is as the device wrote it, and aliases what was checked.
type Value struct {
	Identifier string // module:identifier for one of a custom module
	Time       int64  // Unix milliseconds
	JSON       []byte
}

// A Failure is one value that did not pass.
type Failure struct {
	Identifier string
	Code       int           // for checkFailedData
	Cause      refusal.Cause // for the log
	Message    string
	JSON       []byte // as the device wrote it, without wrapping
	Time       int64  // Unix milliseconds, the platform's if the device sent none or none that is usable
}

// Checked is what became of a post, in the order of the post.
type Checked struct {
	Values []Value
	Failed []Failure
}

// AppendData appends the data of the reply: failed identifier to message, {} if there is none ("Effect on the reply").
func (c *Checked) AppendData(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range c.Failed {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = alink.AppendString(dst, c.Failed[i].Identifier)
		dst = append(dst, ':')
		dst = alink.AppendString(dst, c.Failed[i].Message)
	}
	return append(dst, '}')
}

// CheckPost checks the params of a property post ("Property post", "Validation"). params is strict JSON, as alink.Parse returns it. now, in Unix
// milliseconds, is the time of values that have none, and what times in the future are measured by. In mode None everything is a
// Value, known or not; such values are forwarded, not stored.
//
// The error, if the post fails as a whole, is an *alink.Error (nothing in it: 460; too many properties: 6106) or an *iot.Error
// (ModelNotFound: there is no model). A post of which every item failed is not an error.
func CheckPost(m *Model, params []byte, mode Mode, now int64) (Checked, error) {
	if m == nil && mode != None {
		return Checked{}, iot.Errorf(iot.ModelNotFound, "the product has no published thing model")
	}
	if len(params) == 0 || params[0] != '{' {
		return Checked{}, errNotObject
	}
	n := 0
	c := Checked{Values: make([]Value, 0, min(bytes.Count(params, colon), MaxProperties))} // of nested members there are more, rarely
	for name, item := range alink.Members(params) {
		if n++; n > MaxProperties {
			return Checked{}, errTooMany
		}
		c.property(m, name, item, mode, clock{now, now + maxAhead, false})
	}
	if n == 0 {
		return Checked{}, alink.ErrParamsMissing
	}
	return c, nil
}

var (
	colon      = []byte{':'}
	errTooMany = &alink.Error{Code: alink.CodeTooManyProperties, Cause: refusal.TooManyProperties,
		Message: alink.MessageTooManyProperties, Kind: iot.QuotaExceeded}
)

func (c *Checked) fail(identifier string, code int, cause refusal.Cause, message string, value []byte, at int64) {
	c.Failed = append(c.Failed, Failure{identifier, code, cause, message, value, at})
}

func (c *Checked) property(m *Model, name, item []byte, mode Mode, clock clock) {
	value, when := unwrap(item, clock.history)
	t, timeOK := clock.now, true
	if when != nil {
		t, timeOK = readTime(when)
		if timeOK = timeOK && t <= clock.latest; !timeOK {
			t = clock.now
		}
	}
	var e *entry[Property]
	if m != nil {
		e = m.properties[string(name)]
	}
	switch {
	case e == nil && mode == Weak:
		c.fail(string(name), alink.CodePropertyNotFound, refusal.PropertyNotInModel, "property not found", value, t)
		return
	case e == nil && mode == Strong:
		p := problem{alink.CodeParamNotInModel, "params not exist", string(name)}
		c.fail(string(name), p.code, refusal.PropertyNotInModel, p.message(), value, t)
		return
	case !timeOK:
		c.fail(string(name), alink.CodeTime, refusal.TimeOutOfRange, "tsl parse: time is out of range -> "+string(name), value, t)
		return
	case e == nil: // mode None
		c.Values = append(c.Values, Value{string(name), t, value})
		return
	}
	if mode != None {
		if p := e.item.Type.fits(value, mode, ""); p != nil {
			p.path = e.key + p.path
			c.fail(e.key, p.code, p.cause(), p.message(), value, t)
			return
		}
	}
	c.Values = append(c.Values, Value{e.key, t, value})
}

// cause sorts a problem for the log.
func (p *problem) cause() refusal.Cause {
	for _, n := range notA {
		if n.text == p.text {
			return refusal.ValueTypeMismatch
		}
	}
	if p.code == alink.CodeParamNotInModel {
		return refusal.PropertyNotInModel
	}
	return refusal.ValueOutOfRange
}

// unwrap takes {"value":…,"time":…} apart; an object with any other member is a value itself. when is nil if there is no time.
// With history they may be spelled Value and Time.
func unwrap(item []byte, history bool) (value, when []byte) {
	if len(item) == 0 || item[0] != '{' {
		return item, nil
	}
	for name, v := range alink.Members(item) {
		switch {
		case string(name) == "value" || history && string(name) == "Value":
			value = v
		case string(name) == "time" || history && string(name) == "Time":
			when = v
		default:
			return item, nil
		}
	}
	if value == nil {
		return item, nil
	}
	return value, when
}

// readTime reads milliseconds, a number or a string of digits.
func readTime(raw []byte) (int64, bool) {
	if len(raw) > 2 && raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	if len(raw) == 0 || len(raw) > 18 {
		return 0, false
	}
	t := int64(0)
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		t = t*10 + int64(c-'0')
	}
	return t, true
}
