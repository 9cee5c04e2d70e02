package shadow

import (
	"encoding/json"
	"fmt"
	"strconv"

	"relink/shared/alink"
)

// A node is a value in a section of a shadow: an object of members in the order in which they came, or a leaf, which is anything else.
// An array is a leaf: it is replaced whole.
type node struct {
	leaf    []byte // strict, compact JSON; nil for an object
	at      int64  // of a leaf: when it was written last, in seconds
	members []member
}

type member struct {
	name  string
	value node
}

func (n *node) empty() bool { return n.leaf == nil && len(n.members) == 0 }

func (n *node) find(name string) int {
	for i := range n.members {
		if n.members[i].name == name {
			return i
		}
	}
	return -1
}

func (n *node) remove(name string) {
	if i := n.find(name); i >= 0 {
		n.members = append(n.members[:i], n.members[i+1:]...)
	}
}

// null reports whether a value stands for "take this away": JSON null always, the string "null" in a delete and for whole sections.
func null(raw []byte, words bool) bool {
	return string(raw) == "null" || words && string(raw) == `"null"`
}

// merge puts the members of an object into n: objects member by member, anything else whole. A null takes a member away, and with it
// the object that it was the last member of.
func (n *node) merge(object []byte, at int64) {
	for name, value := range alink.Members(object) {
		i := n.find(string(name))
		switch {
		case null(value, false):
			n.remove(string(name))
			continue
		case i < 0:
			i = len(n.members)
			n.members = append(n.members, member{name: string(name)})
		}
		to := &n.members[i].value
		if value[0] != '{' {
			*to = node{leaf: append([]byte(nil), value...), at: at}
			continue
		}
		if to.leaf != nil {
			*to = node{}
		}
		if to.merge(value, at); len(to.members) == 0 && string(value) != "{}" {
			n.remove(string(name))
		}
	}
}

// take removes what an object names with null or "null"; other values in it do nothing.
func (n *node) take(object []byte) {
	for name, value := range alink.Members(object) {
		i := n.find(string(name))
		switch {
		case i < 0:
		case null(value, true):
			n.remove(string(name))
		case value[0] == '{' && n.members[i].value.leaf == nil:
			to := &n.members[i].value
			had := len(to.members)
			if to.take(value); had > 0 && len(to.members) == 0 {
				n.remove(string(name))
			}
		}
	}
}

// appendState appends the value as JSON.
func (n *node) appendState(dst []byte) []byte {
	if n.leaf != nil {
		return append(dst, n.leaf...)
	}
	dst = append(dst, '{')
	for i := range n.members {
		dst = n.members[i].appendName(dst, i)
		dst = n.members[i].value.appendState(dst)
	}
	return append(dst, '}')
}

// appendTimes appends the value with each leaf replaced by its time: {"timestamp":1767225600}.
func (n *node) appendTimes(dst []byte) []byte {
	if n.leaf != nil {
		return appendTime(dst, n.at)
	}
	dst = append(dst, '{')
	for i := range n.members {
		dst = n.members[i].appendName(dst, i)
		dst = n.members[i].value.appendTimes(dst)
	}
	return append(dst, '}')
}

func appendTime(dst []byte, at int64) []byte {
	dst = append(dst, `{"timestamp":`...)
	return append(strconv.AppendInt(dst, at, 10), '}')
}

func (m *member) appendName(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return append(alink.AppendString(dst, m.name), ':')
}

// times lists the times of all leaves in the order of appendState.
func (n *node) times(list []int64) []int64 {
	if n.leaf != nil {
		return append(list, n.at)
	}
	for i := range n.members {
		list = n.members[i].value.times(list)
	}
	return list
}

// load reads what a store keeps of a section: state, and the times of its leaves.
func load(state json.RawMessage, times []int64) (node, error) {
	var n node
	if len(state) == 0 {
		return n, nil
	}
	if state[0] != '{' || !alink.Valid(state) {
		return n, fmt.Errorf("stored section is no object")
	}
	// merge would take away what is null, which only a section that somebody else wrote can hold.
	n.merge(state, 0)
	rest := times
	if rest = n.date(rest); len(rest) != 0 {
		return n, fmt.Errorf("stored section has %d leaves and %d times", len(n.times(nil)), len(times))
	}
	return n, nil
}

// date gives leaves their times in order and answers those that are left; a leaf without one keeps 0.
func (n *node) date(times []int64) []int64 {
	if n.leaf != nil {
		if len(times) == 0 {
			return nil
		}
		n.at = times[0]
		return times[1:]
	}
	for i := range n.members {
		times = n.members[i].value.date(times)
	}
	return times
}

// A measure is how large a section is.
type measure struct {
	leaves, depth int
	badName       string // a name that no attribute may have
	null          bool   // there is a null
}

// measureOf measures an object; depth 1 is that of its own members.
func measureOf(object []byte) measure {
	var m measure
	m.add(object, 0)
	return m
}

func (m *measure) add(raw []byte, depth int) {
	m.depth = max(m.depth, depth)
	switch raw[0] {
	case '{':
		n := 0
		for name, value := range alink.Members(raw) {
			n++
			if !validName(name) && m.badName == "" {
				m.badName = string(name)
				if m.badName == "" {
					m.badName = "(empty)"
				}
			}
			m.add(value, depth+1)
		}
		if n == 0 && depth > 0 {
			m.leaves++
		}
	case '[':
		m.leaves++
		m.array(raw, depth)
	default:
		m.leaves++
		m.null = m.null || string(raw) == "null"
	}
}

// array only looks how deep an array goes: it is one attribute, whatever is in it.
func (m *measure) array(raw []byte, depth int) {
	for item := range alink.Elements(raw) {
		m.inside(item, depth+1)
	}
}

func (m *measure) inside(raw []byte, depth int) {
	m.depth = max(m.depth, depth)
	switch raw[0] {
	case '[':
		m.array(raw, depth)
	case '{':
		for _, value := range alink.Members(raw) {
			m.inside(value, depth+1)
		}
	}
}

// maxName bounds an attribute's name, in bytes; the documentation has no number.
const maxName = 128

func validName(name []byte) bool {
	if len(name) == 0 || len(name) > maxName {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
