package alink

import (
	"bytes"
	"unicode/utf8"
)

// Normalize rewrites one JSON value as strict, compact JSON. It takes what the original platform took ("Interoperability rules", 8):
// single quotes, names without quotes, surplus commas, NUL bytes and blanks around. Numbers keep their text. Anything else, and what
// Valid would refuse, is ErrNotJSON.
func Normalize(data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	l := lenient{scanner: scanner{bytes.Trim(data, " \t\r\n\x00")}}
	l.out = make([]byte, 0, len(l.data)+16)
	end := l.value(0, 0)
	if end < 0 || l.space(end) != len(l.data) || !Valid(l.out) {
		return nil, ErrNotJSON
	}
	return l.out, nil
}

// A lenient walks over data as the strict scanner does and writes what it read.
type lenient struct {
	scanner
	out []byte
}

func (l *lenient) value(i, depth int) int {
	switch l.at(i) {
	case '"', '\'':
		text, end := l.quoted(i)
		if end >= 0 {
			l.out = AppendString(l.out, text)
		}
		return end
	case '{':
		return l.container(i, depth, '}')
	case '[':
		return l.container(i, depth, ']')
	}
	end := l.scanner.value(i, depth)
	if end >= 0 {
		l.out = append(l.out, l.data[i:end]...)
	}
	return end
}

// container walks over an object or an array whose bracket is at i.
func (l *lenient) container(i, depth int, closing byte) int {
	if depth >= MaxDepth {
		return -1
	}
	l.out = append(l.out, l.data[i])
	for first := true; ; first = false {
		i++ // the opening bracket, or a comma
		for i = l.space(i); l.at(i) == ','; i = l.space(i + 1) {
		}
		if l.at(i) == closing {
			break
		}
		if !first {
			l.out = append(l.out, ',')
		}
		if closing == '}' {
			if i = l.name(i); i < 0 {
				return -1
			}
		}
		if i = l.value(i, depth+1); i < 0 {
			return -1
		}
		if i = l.space(i); l.at(i) == closing {
			break
		} else if l.at(i) != ',' {
			return -1
		}
	}
	l.out = append(l.out, closing)
	return i + 1
}

// name walks over a member's name and its colon.
func (l *lenient) name(i int) int {
	var text []byte
	switch c := l.at(i); {
	case c == '"' || c == '\'':
		if text, i = l.quoted(i); i < 0 {
			return -1
		}
	default:
		start := i
		for c := l.at(i); c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'; c = l.at(i) {
			i++
		}
		if text = l.data[start:i]; len(text) == 0 {
			return -1
		}
	}
	if i = l.space(i); l.at(i) != ':' {
		return -1
	}
	l.out = append(AppendString(l.out, text), ':')
	return l.space(i + 1)
}

// quoted decodes a string in either kind of quotes.
func (l *lenient) quoted(i int) (text []byte, end int) {
	quote := l.data[i]
	text = []byte{}
	for i++; i < len(l.data); i++ {
		c := l.data[i]
		switch {
		case c == quote:
			if !utf8.Valid(text) {
				return nil, -1
			}
			return text, i + 1
		case c == '\\':
			i++
			n := 1
			if text, n = l.escape(text, i); n < 0 {
				return nil, -1
			}
			i += n - 1
		default: // control characters too: the original took them
			text = append(text, c)
		}
	}
	return nil, -1
}

const escapes, escaped = `"'\/bfnrt`, "\"'\\/\b\f\n\r\t"

// escape decodes what follows a backslash at i, n bytes long.
func (l *lenient) escape(text []byte, i int) (_ []byte, n int) {
	c := l.at(i)
	if at := bytes.IndexByte([]byte(escapes), c); at >= 0 && i < len(l.data) {
		return append(text, escaped[at]), 1
	}
	if c != 'u' {
		return nil, -1
	}
	r, ok := hex4(l.data[i+1:])
	if !ok {
		return nil, -1
	}
	n = 5
	if r >= 0xd800 && r < 0xdc00 && l.at(i+5) == '\\' && l.at(i+6) == 'u' {
		if low, ok := hex4(l.data[i+7:]); ok && low >= 0xdc00 && low < 0xe000 {
			r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
			n = 11
		}
	}
	return utf8.AppendRune(text, r), n // half a pair becomes U+FFFD
}
