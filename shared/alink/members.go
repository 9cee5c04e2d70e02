package alink

import "iter"

// Members walks over the members of an object: decoded name, and the value's own bytes, so that numbers keep their text. raw must be
// valid JSON; at what is not, and at anything but an object, the walk ends. Both slices alias raw unless the name has escapes.
func Members(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		s := scanner{raw}
		i := s.space(0)
		if s.at(i) != '{' {
			return
		}
		for i = s.space(i + 1); s.at(i) == '"'; {
			end := skip(raw, i)
			name := raw[i:end]
			if i = s.space(end); s.at(i) != ':' {
				return
			}
			i = s.space(i + 1)
			if end = skip(raw, i); end <= i {
				return
			}
			if !yield(Unquote(name), raw[i:end]) {
				return
			}
			if i = s.space(end); s.at(i) != ',' {
				return
			}
			i = s.space(i + 1)
		}
	}
}

// Elements walks over the elements of an array as Members does over an object.
func Elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s := scanner{raw}
		i := s.space(0)
		if s.at(i) != '[' {
			return
		}
		for i = s.space(i + 1); s.at(i) != ']'; {
			end := skip(raw, i)
			if end <= i || !yield(raw[i:end]) {
				return
			}
			if i = s.space(end); s.at(i) != ',' {
				return
			}
			i = s.space(i + 1)
		}
	}
}

// skip finds the end of the value at i of valid JSON; of other input, some end.
func skip(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch c := data[i]; c {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if i >= len(data) {
				return len(data)
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			if depth == 0 { // a number or a word ends at a delimiter
				for i < len(data) && !delimiter[data[i]] {
					i++
				}
				return i
			}
		}
		i++
		if depth == 0 {
			return i
		}
	}
	return len(data)
}

// delimiter marks the bytes that end a number or a word.
var delimiter = [256]bool{',': true, ':': true, '}': true, ']': true, ' ': true, '\t': true, '\n': true, '\r': true}
