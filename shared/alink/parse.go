// Package alink is the envelope of the device protocol: requests and replies, both ways, and the table of codes. The format is
// that of "The Alink envelope" and "Interoperability rules", which list what shipped SDKs send and what they cannot digest.
//
// A request that is strict JSON, as nearly all are, is read in one pass without decoding; one that is not is first rewritten,
// because the original platform took single quotes, bare names and surplus commas.
package alink

import (
	"bytes"
	"encoding/json"
)

// A Request is what a device asks.
type Request struct {
	ID      string // as it must be repeated in the reply; a number is its text; "" if absent
	Params  []byte // strict JSON, an object or an array; {} if absent. It may alias the payload
	Ack     bool   // the device wants a reply; sys.ack 0 says that it does not
	Method  string // as sent, often absent; the topic decides
	Version string
}

var emptyObject = []byte("{}")

// envelope is where the members of interest lie.
type envelope struct {
	id, params, sys, method, version, code, data, message member
}

// see notes a member of the envelope.
func (e *envelope) see(data []byte, m member) {
	switch string(data[m.name:m.nameEnd]) {
	case "id":
		e.id = m
	case "params":
		e.params = m
	case "sys":
		e.sys = m
	case "method":
		e.method = m
	case "version":
		e.version = m
	case "code":
		e.code = m
	case "data":
		e.data = m
	case "message":
		e.message = m
	}
}

// open finds the members of an envelope, and the strict JSON that they lie in: payload itself, or a rewritten copy.
func open(payload []byte) ([]byte, envelope, error) {
	if len(bytes.Trim(payload, " \t\r\n\x00")) == 0 {
		return nil, envelope{}, ErrEmpty
	}
	var e envelope
	s := scanner{payload}
	if i := s.space(0); s.at(i) == '{' {
		if end := s.object(i, 0, &e); end >= 0 && s.space(end) == len(payload) {
			return payload, e, nil
		}
	}
	strict, err := Normalize(payload)
	if err != nil {
		return nil, envelope{}, err
	}
	if strict[0] != '{' {
		return nil, envelope{}, ErrNotJSON
	}
	e = envelope{}
	if end := (scanner{strict}).object(0, 0, &e); end != len(strict) {
		return nil, envelope{}, ErrNotJSON
	}
	return strict, e, nil
}

// Parse reads a request. The error is an *Error: ErrEmpty, ErrNotJSON, or, with everything but Params read, ErrParamsMalformed. A
// reply is due even then, unless Ack is false.
func Parse(payload []byte) (Request, error) {
	data, e, err := open(payload)
	if err != nil {
		return Request{Params: emptyObject, Ack: true}, err
	}
	r := Request{
		ID:      text(data[e.id.value:e.id.end]),
		Params:  emptyObject,
		Ack:     wantsReply(data[e.sys.value:e.sys.end]),
		Method:  text(data[e.method.value:e.method.end]),
		Version: text(data[e.version.value:e.version.end]),
	}
	switch raw := data[e.params.value:e.params.end]; {
	case len(raw) == 0 || raw[0] == 'n':
	case raw[0] == '{' || raw[0] == '[':
		r.Params = raw
	case raw[0] == '"': // C4 topo/get sends the string "{}"
		inner, err := Normalize([]byte(text(raw)))
		if err != nil || inner[0] != '{' && inner[0] != '[' {
			return r, ErrParamsMalformed
		}
		r.Params = inner
	default:
		return r, ErrParamsMalformed
	}
	return r, nil
}

// common are texts that need no allocation.
var common = [...]string{"1.0", "1.0.0", "thing.event.property.post", "success"}

// text is a string's content, or any other value's own text; "" for null and for nothing.
func text(raw []byte) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] != '"' {
		return string(raw)
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		return string(Unquote(raw))
	}
	raw = raw[1 : len(raw)-1]
	for _, s := range common {
		if string(raw) == s {
			return s
		}
	}
	return string(raw)
}

// wantsReply reads sys: {"ack":0}, number or string, is the only no.
func wantsReply(sys []byte) bool {
	if len(sys) == 0 || sys[0] != '{' {
		return true
	}
	for name, value := range Members(sys) {
		if string(name) == "ack" {
			return string(value) != "0" && string(value) != `"0"`
		}
	}
	return true
}

// Unquote decodes a JSON string with its quotes. Halves of surrogate pairs become U+FFFD. Without escapes it aliases raw.
func Unquote(raw []byte) []byte {
	if len(raw) < 2 {
		return nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil // raw was not a JSON string
	}
	return []byte(s)
}
