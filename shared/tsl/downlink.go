package tsl

import (
	"bytes"

	"relink/shared/alink"
	"relink/shared/iot"
)

// CheckSet checks what an application sets: a JSON object from identifier to value. Answered are the params for the device: strict,
// compact, in the caller's order, floats with a decimal point ("Interoperability rules", 15). The error is an *iot.Error: InvalidParams
// (not JSON, nothing in it, a value that does not fit, a property that is only read), NotInModel, QuotaExceeded, ModelNotFound.
func CheckSet(m *Model, items []byte, mode Mode) ([]byte, error) {
	if m == nil && mode != None {
		return nil, iot.Errorf(iot.ModelNotFound, "the product has no published thing model")
	}
	items, err := object(items)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(items)+8)
	n := 0
	for name, value := range alink.Members(items) {
		if n++; n > MaxProperties {
			return nil, tooMany("items", MaxProperties)
		}
		var t *Type
		if m != nil {
			if p, ok := m.Property(string(name)); ok {
				if !p.Writable() {
					return nil, iot.Errorf(iot.InvalidParams, "property %s cannot be set", name)
				}
				t = &p.Type
			}
		}
		if t == nil && mode != None {
			return nil, iot.Errorf(iot.NotInModel, "property %s is not in the model", name)
		}
		if out, err = appendChecked(out, t, name, value, mode, n); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, iot.Errorf(iot.InvalidParams, "no items")
	}
	return append(out, '}'), nil
}

// CheckServiceInput checks the arguments of a service: a JSON object, {} if empty. Answered are the params for the device, as by
// CheckSet. In mode Strong all arguments of the model must be there; in mode None the service need not be known.
func CheckServiceInput(m *Model, service string, args []byte, mode Mode) ([]byte, error) {
	if m == nil && mode != None {
		return nil, iot.Errorf(iot.ModelNotFound, "the product has no published thing model")
	}
	if len(bytes.TrimSpace(args)) == 0 {
		args = []byte("{}")
	}
	args, err := object(args)
	if err != nil {
		return nil, err
	}
	var s *Service
	if m != nil {
		s, _ = m.Service(service)
	}
	if s == nil && mode != None {
		return nil, iot.Errorf(iot.NotInModel, "service %s is not in the model", service)
	}
	out := make([]byte, 0, len(args)+8)
	n := 0
	for name, value := range alink.Members(args) {
		n++
		var t *Type
		if s != nil {
			if a := (&Type{Members: s.Input}).member(name); a != nil {
				t = &a.Type
			}
		}
		if t == nil && mode != None {
			return nil, iot.Errorf(iot.NotInModel, "service %s has no input %s", service, name)
		}
		if out, err = appendChecked(out, t, name, value, mode, n); err != nil {
			return nil, err
		}
	}
	if mode == Strong && n < len(s.Input) {
		return nil, iot.Errorf(iot.InvalidParams, "service %s has %d inputs, %d are given", service, len(s.Input), n)
	}
	if n == 0 {
		out = append(out, '{')
	}
	return append(out, '}'), nil
}

// object reads what an application sent as strict JSON.
func object(data []byte) ([]byte, error) {
	if len(data) > MaxDocument {
		return nil, iot.Errorf(iot.QuotaExceeded, "more than %d bytes", MaxDocument)
	}
	strict, err := alink.Normalize(data)
	if err != nil || strict[0] != '{' {
		return nil, iot.Errorf(iot.InvalidParams, "not a JSON object")
	}
	return strict, nil
}

// appendChecked appends the n-th member, counted from 1, if its value fits; a nil type fits everything.
func appendChecked(out []byte, t *Type, name, value []byte, mode Mode, n int) ([]byte, error) {
	if t != nil && mode != None {
		if p := t.fits(value, mode, string(name)); p != nil {
			return nil, iot.Errorf(iot.InvalidParams, "%s", p.message())
		}
	}
	out = append(out, "{,"[min(n-1, 1)])
	out = alink.AppendString(out, name)
	out = append(out, ':')
	return t.appendDown(out, value), nil
}

// appendDown appends a value as devices want it: numbers of type float and double with a decimal point or an exponent.
func (t *Type) appendDown(out, value []byte) []byte {
	if t == nil {
		return append(out, value...)
	}
	switch {
	case (t.Kind == Float || t.Kind == Double) && bytes.IndexByte([]byte("-0123456789"), value[0]) >= 0 && !bytes.ContainsAny(value, ".eE"):
		return append(append(out, value...), ".0"...)
	case t.Kind == Struct && value[0] == '{':
		out = append(out, '{')
		first := true
		for name, v := range alink.Members(value) {
			if !first {
				out = append(out, ',')
			}
			first = false
			var mt *Type
			if a := t.member(name); a != nil {
				mt = &a.Type
			}
			out = alink.AppendString(out, name)
			out = mt.appendDown(append(out, ':'), v)
		}
		return append(out, '}')
	case t.Kind == Array && value[0] == '[':
		out = append(out, '[')
		first := true
		for v := range alink.Elements(value) {
			if !first {
				out = append(out, ',')
			}
			first = false
			out = t.Item.appendDown(out, v)
		}
		return append(out, ']')
	}
	return append(out, value...)
}

// CheckedDesired is what an application wants properties to be, checked.
type CheckedDesired struct {
	Values []Value // in the caller's order, as devices want them; JSON nil for what is to be cleared
	Params []byte  // of the property set that says so to the device; nil if everything is to be cleared
}

// CheckDesired checks what CheckSet checks, except that null clears a property, and that there are at most limit of them.
func CheckDesired(m *Model, items []byte, mode Mode, limit int) (CheckedDesired, error) {
	if m == nil && mode != None {
		return CheckedDesired{}, iot.Errorf(iot.ModelNotFound, "the product has no published thing model")
	}
	items, err := object(items)
	if err != nil {
		return CheckedDesired{}, err
	}
	var c CheckedDesired
	set := []byte{'{'}
	for name, value := range alink.Members(items) {
		if len(c.Values) == limit {
			return c, tooMany("items", limit)
		}
		v := Value{Identifier: string(name), JSON: value}
		if string(value) == "null" {
			v.JSON = nil
			if m != nil && mode != None {
				switch p, ok := m.Property(v.Identifier); {
				case !ok:
					return c, iot.Errorf(iot.NotInModel, "property %s is not in the model", name)
				case !p.Writable():
					return c, iot.Errorf(iot.InvalidParams, "property %s cannot be set", name)
				}
			}
		} else {
			if len(set) > 1 {
				set = append(set, ',')
			}
			set = append(append(alink.AppendString(set, name), ':'), value...)
		}
		c.Values = append(c.Values, v)
	}
	if len(c.Values) == 0 {
		return c, iot.Errorf(iot.InvalidParams, "no items")
	}
	if len(set) == 1 {
		return c, nil
	}
	if c.Params, err = CheckSet(m, append(set, '}'), mode); err != nil {
		return c, err
	}
	at := 0
	for _, value := range alink.Members(c.Params) {
		for c.Values[at].JSON == nil {
			at++
		}
		c.Values[at].JSON = value
		at++
	}
	return c, nil
}
