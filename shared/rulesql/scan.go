package rulesql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A docParser checks a JSON text (RFC 8259) and indexes it.
type docParser struct {
	d *Document
	s string
	i int
}

func (p *docParser) fail(what string) error { return fmt.Errorf("not JSON at byte %d: %s", p.i, what) }

func (p *docParser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.d.compact = false
			p.i++
		default:
			return
		}
	}
}

// value reads the value at p.i, where there is no white space, and appends its node.
func (p *docParser) value(depth int) error {
	if p.i >= len(p.s) {
		return p.fail("value missing")
	}
	at := len(p.d.nodes)
	p.d.nodes = append(p.d.nodes, node{start: uint32(p.i)})
	n := &p.d.nodes[at]
	switch c := p.s[p.i]; c {
	case '{', '[':
		if depth == MaxPayloadDepth {
			return fmt.Errorf("more than %d objects and arrays inside each other", MaxPayloadDepth)
		}
		n.kind = Object
		if c == '[' {
			n.kind = Array
		}
		if err := p.children(at, depth); err != nil {
			return err
		}
	case '"':
		n.kind = String
		escaped, err := p.string()
		if err != nil {
			return err
		}
		n.escaped = escaped
	case 't':
		n.kind = Bool
		if err := p.word("true"); err != nil {
			return err
		}
	case 'f':
		n.kind = Bool
		if err := p.word("false"); err != nil {
			return err
		}
	case 'n':
		if err := p.word("null"); err != nil {
			return err
		}
	default:
		n.kind = Number
		l := numberLength(p.s[p.i:])
		if l == 0 {
			return p.fail("unexpected character")
		}
		p.i += l
	}
	p.d.nodes[at].end = uint32(p.i)
	return nil
}

// children reads what is between the brackets of the object or array at p.i.
func (p *docParser) children(at, depth int) error {
	object := p.d.nodes[at].kind == Object
	closing := byte(']')
	if object {
		closing = '}'
	}
	p.i++
	p.space()
	if p.i < len(p.s) && p.s[p.i] == closing {
		p.i++
		p.d.nodes[at].empty = true
		return nil
	}
	last := -1
	for {
		var keyStart, keyEnd int
		var keyEscaped bool
		if object {
			if p.i >= len(p.s) || p.s[p.i] != '"' {
				return p.fail("member name missing")
			}
			keyStart = p.i + 1
			escaped, err := p.string()
			if err != nil {
				return err
			}
			keyEnd, keyEscaped = p.i-1, escaped
			p.space()
			if p.i >= len(p.s) || p.s[p.i] != ':' {
				return p.fail("colon missing")
			}
			p.i++
			p.space()
		}
		child := len(p.d.nodes)
		if err := p.value(depth + 1); err != nil {
			return err
		}
		n := &p.d.nodes[child]
		n.keyStart, n.keyEnd, n.keyEscaped = uint32(keyStart), uint32(keyEnd), keyEscaped
		if last >= 0 {
			p.d.nodes[last].next = uint32(child)
		}
		last = child
		p.space()
		if p.i >= len(p.s) {
			return p.fail("closing bracket missing")
		}
		switch p.s[p.i] {
		case closing:
			p.i++
			return nil
		case ',':
			p.i++
			p.space()
		default:
			return p.fail("comma missing")
		}
	}
}

// string skips the string at p.i.
func (p *docParser) string() (escaped bool, err error) {
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return escaped, nil
		case c < ' ':
			return false, p.fail("control character in a string")
		case c == '\\':
			escaped = true
			p.i++
			if p.i == len(p.s) {
				return false, p.fail("string without end")
			}
			switch p.s[p.i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(p.s)-p.i < 5 || !isHex(p.s[p.i+1:p.i+5]) {
					return false, p.fail("wrong \\u escape")
				}
				p.i += 4
			default:
				return false, p.fail("wrong escape")
			}
		}
	}
	return false, p.fail("string without end")
}

func (p *docParser) word(w string) error {
	if !strings.HasPrefix(p.s[p.i:], w) {
		return p.fail("unexpected word")
	}
	p.i += len(w)
	return nil
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

// numberLength is how many bytes at the begin of s are a JSON number; 0 if there is none.
func numberLength(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	whole := digits(s[i:])
	if whole == 0 || whole > 1 && s[i] == '0' {
		return 0
	}
	i += whole
	if i < len(s) && s[i] == '.' {
		n := digits(s[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		n := digits(s[j:])
		if n == 0 {
			return 0
		}
		i = j + n
	}
	return i
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// longestEscape is how many bytes an escaped text has at most for each byte of its meaning.
const longestEscape = 6

// unescape reads what is between the quotes of a JSON string that was checked. Half surrogate pairs become U+FFFD.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r := hex4(s[i+1:])
			i += 4
			if 0xD800 <= r && r < 0xDC00 && len(s)-i > 6 && s[i+1] == '\\' && s[i+2] == 'u' {
				if low := hex4(s[i+3:]); 0xDC00 <= low && low < 0xE000 {
					r = (r-0xD800)<<10 + (low - 0xDC00) + 0x10000
					i += 6
				}
			}
			b.WriteRune(r) // writes U+FFFD for half a pair
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hex4(s string) rune {
	n, err := strconv.ParseUint(s[:4], 16, 32)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
