package alink

import (
	"bytes"
	"unicode/utf8"
)

// Limits of payloads.
const (
	MaxDepth   = 32 // objects and arrays within each other
	manyByHand = 16 // names of one object that are compared one by one; more go into a map
)

// A scanner walks over strict JSON (RFC 8259). It refuses more than the grammar does: duplicate names, names with escapes, invalid
// UTF-8, nesting beyond MaxDepth. Positions are indices into data; a negative one says that data was refused.
type scanner struct {
	data []byte
}

func (s scanner) space(i int) int {
	for i < len(s.data) {
		switch s.data[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// at is the byte at i, 0 behind the end.
func (s scanner) at(i int) byte {
	if i < len(s.data) {
		return s.data[i]
	}
	return 0
}

// value walks over one value that begins at i.
func (s scanner) value(i, depth int) int {
	switch c := s.at(i); c {
	case '"':
		end, _ := s.str(i)
		return end
	case '{':
		return s.object(i, depth, nil)
	case '[':
		return s.array(i, depth)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	default:
		return s.number(i)
	}
}

func (s scanner) word(i int, w string) int {
	if len(s.data)-i >= len(w) && string(s.data[i:i+len(w)]) == w {
		return i + len(w)
	}
	return -1
}

func (s scanner) digits(i int) int {
	for c := s.at(i); c >= '0' && c <= '9'; c = s.at(i) {
		i++
	}
	return i
}

func (s scanner) number(i int) int {
	if s.at(i) == '-' {
		i++
	}
	start := i
	if i = s.digits(i); i == start || s.data[start] == '0' && i > start+1 {
		return -1
	}
	if s.at(i) == '.' {
		start = i + 1
		if i = s.digits(start); i == start {
			return -1
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		start = i
		if i = s.digits(i); i == start {
			return -1
		}
	}
	return i
}

// str walks over a string whose quotation mark is at i, and tells whether it is free of escapes.
func (s scanner) str(i int) (end int, plain bool) {
	start := i
	plain = true
	ascii := true
	for i++; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(s.data[start:i]) {
				return -1, false
			}
			return i + 1, plain
		case c == '\\':
			plain = false
			i++
			switch s.at(i) {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(s.data[i+1:]); !ok {
					return -1, false
				}
				i += 4
			default:
				return -1, false
			}
		case c < ' ':
			return -1, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return -1, false
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s scanner) array(i, depth int) int {
	if depth >= MaxDepth {
		return -1
	}
	if i = s.space(i + 1); s.at(i) == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth+1); i < 0 {
			return -1
		}
		switch i = s.space(i); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// A member is where one member of an object lies: its name without quotes, its value.
type member struct {
	name, nameEnd, value, end int
}

// object walks over an object whose brace is at i; visit, if not nil, is told its members.
func (s scanner) object(i, depth int, visit *envelope) int {
	if depth >= MaxDepth {
		return -1
	}
	if i = s.space(i + 1); s.at(i) == '}' {
		return i + 1
	}
	var names names
	for {
		if s.at(i) != '"' {
			return -1
		}
		end, plain := s.str(i)
		if end < 0 || !plain {
			return -1
		}
		m := member{name: i + 1, nameEnd: end - 1}
		if !names.add(s.data[m.name:m.nameEnd]) {
			return -1
		}
		if i = s.space(end); s.at(i) != ':' {
			return -1
		}
		m.value = s.space(i + 1)
		if m.end = s.value(m.value, depth+1); m.end < 0 {
			return -1
		}
		if visit != nil {
			visit.see(s.data, m)
		}
		switch i = s.space(m.end); s.at(i) {
		case ',':
			i = s.space(i + 1)
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

// names are the names of one object so far.
type names struct {
	few  [manyByHand][]byte
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (s *names) add(name []byte) bool {
	if s.many != nil {
		if _, found := s.many[string(name)]; found {
			return false
		}
		s.many[string(name)] = struct{}{}
		return true
	}
	for i := range s.n {
		if bytes.Equal(s.few[i], name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	s.many = make(map[string]struct{}, 4*manyByHand)
	for _, old := range s.few {
		s.many[string(old)] = struct{}{}
	}
	s.many[string(name)] = struct{}{}
	return true
}

// Valid reports whether data is one JSON value that the strict scanner takes: no duplicate names, no escapes in names, valid UTF-8,
// at most MaxDepth deep.
func Valid(data []byte) bool {
	s := scanner{data}
	i := s.value(s.space(0), 0)
	return i >= 0 && s.space(i) == len(data)
}
