package sls

import "strings"

// Names of the reserved fields.
const (
	fieldTime   = "__time__"
	fieldTimeNs = "__time_ns_part__"
	fieldTopic  = "__topic__"
	fieldSource = "__source__"
	tagPrefix   = "__tag__:"
)

// A record is one log during a scan. It is decoded when first looked into and
// is valid until the scan goes on.
type record struct {
	sec     uint32
	group   *group
	raw     []byte // encoded Log
	decoded bool
	ns      uint32
	fields  []pair
}

func (r *record) reset(raw []byte) { r.raw, r.decoded = raw, false }

// decode fills ns and fields. Stored logs were checked when they were written,
// so what does not decode is damage and leaves the fields read so far.
func (r *record) decode() {
	if !r.decoded {
		_, r.ns, r.fields, _ = decodeLog(r.raw, r.fields[:0])
		r.decoded = true
	}
}

// lookup returns the value of a field, a reserved field or a tag.
func (r *record) lookup(key string) ([]byte, bool) {
	switch {
	case key == fieldTopic:
		return r.group.topic, true
	case key == fieldSource:
		return r.group.source, true
	case strings.HasPrefix(key, tagPrefix):
		name := key[len(tagPrefix):]
		for _, t := range r.group.tags {
			if string(t.key) == name {
				return t.value, true
			}
		}
		return nil, false
	}
	r.decode()
	for _, f := range r.fields {
		if string(f.key) == key {
			return f.value, true
		}
	}
	return nil, false
}

var topicName, sourceName, tagName = []byte(fieldTopic), []byte(fieldSource), []byte(tagPrefix)

// each calls match with the fields that selects chooses until it returns true.
func (r *record) each(selects func(key []byte) (*tokenizer, bool), match func(*tokenizer, []byte) bool) bool {
	r.decode()
	for _, f := range r.fields {
		if tok, named := selects(f.key); tok != nil && (match(tok, f.value) || named && match(tok, f.key)) {
			return true
		}
	}
	if tok, _ := selects(topicName); tok != nil && match(tok, r.group.topic) {
		return true
	}
	if tok, _ := selects(sourceName); tok != nil && match(tok, r.group.source) {
		return true
	}
	if tok, _ := selects(tagName); tok != nil {
		for _, t := range r.group.tags {
			if match(tok, t.value) {
				return true
			}
		}
	}
	return false
}
