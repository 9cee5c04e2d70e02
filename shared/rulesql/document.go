package rulesql

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A Document is a JSON text that was checked and indexed, so that members are found without reading it again. It keeps every
// number and string as it was written. It may be read concurrently.
type Document struct {
	text    string
	nodes   []node // pre-order: the children of i begin at i+1
	compact bool   // no white space between tokens
}

// A node is one value of a Document: text[start:end], quotes included.
type node struct {
	start, end       uint32
	keyStart, keyEnd uint32 // the member's name without its quotes; both 0 in an array
	next             uint32 // next sibling; 0 if none
	kind             Kind
	escaped          bool // a string with a backslash
	keyEscaped       bool
	empty            bool // an object or array without children
}

// ParseDocument reads a JSON object or array, a payload or a result. Bytes that are not UTF-8 are replaced, as the platform's
// decoder does. The errors say at which byte it is wrong.
func ParseDocument(data []byte) (*Document, error) {
	d := new(Document)
	if err := d.parse(data); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Document) parse(data []byte) error {
	if len(data) > MaxPayload {
		return fmt.Errorf("longer than %d bytes", MaxPayload)
	}
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	d.text, d.nodes, d.compact = string(data), d.nodes[:0], true
	if d.nodes == nil {
		d.nodes = make([]node, 0, 24)
	}
	p := docParser{d: d, s: d.text}
	p.space()
	if p.i == len(p.s) {
		return errors.New("empty")
	}
	if c := p.s[p.i]; c != '{' && c != '[' {
		return errors.New("not a JSON object or array")
	}
	if err := p.value(0); err != nil {
		return err
	}
	if p.space(); p.i < len(p.s) {
		return p.fail("something follows")
	}
	return nil
}

// reset makes d ready for another text and keeps its memory, unless that is much.
func (d *Document) reset() {
	d.text = ""
	if cap(d.nodes) > 4096 {
		d.nodes = nil
	}
	d.nodes = d.nodes[:0]
}

// first is the first child of node i; 0 if it has none.
func (d *Document) first(i uint32) uint32 {
	n := &d.nodes[i]
	if n.kind < Object || n.empty {
		return 0
	}
	return i + 1
}

// isKey reports whether the member at i has the name key.
func (d *Document) isKey(i uint32, key string) bool {
	n := &d.nodes[i]
	text := d.text[n.keyStart:n.keyEnd]
	if n.keyEscaped {
		return len(text) <= longestEscape*len(key) && unescape(text) == key
	}
	return text == key
}

// key is the name of the member at i.
func (d *Document) key(i uint32) string {
	n := &d.nodes[i]
	if n.keyEscaped {
		return unescape(d.text[n.keyStart:n.keyEnd])
	}
	return d.text[n.keyStart:n.keyEnd]
}

// value is the value at i.
func (d *Document) value(i uint32) Value {
	n := &d.nodes[i]
	text := d.text[n.start:n.end]
	switch n.kind {
	case Bool:
		return boolValue(text[0] == 't')
	case Number:
		return Value{kind: Number, form: asWritten, text: text}
	case String:
		v := Value{kind: String, form: asWritten, text: text[1 : len(text)-1]}
		if n.escaped {
			v.form = escaped
		}
		return v
	case Object, Array:
		return Value{kind: n.kind, text: text, loose: !d.compact}
	}
	return Value{}
}

// Root is the whole document.
func (d *Document) Root() Value { return d.value(0) }

// Members calls yield with each member of the document, which is an object, in its order, until yield says false. Of members
// with the same name only the last is one. An array has no members.
func (d *Document) Members(yield func(name string, v Value) bool) {
	if len(d.nodes) == 0 || d.nodes[0].kind != Object {
		return
	}
	last := d.members(0)
	for i := d.first(0); i != 0; i = d.nodes[i].next {
		name := d.key(i)
		if last[name] == i && !yield(name, d.value(i)) {
			return
		}
	}
}
