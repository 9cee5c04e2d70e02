package sls

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parser is a recursive descent over the bytes of a search.
type parser struct {
	s     string
	i     int
	depth int
	terms int
}

// parseSearch parses the part of a query before "|". An empty search is "*".
// Its errors are *Error with ParameterInvalid.
func parseSearch(s string) (expr, error) {
	if len(s) > maxQueryBytes {
		return nil, invalid("query of %d bytes is too long, at most %d", len(s), maxQueryBytes)
	}
	p := &parser{s: s}
	p.space()
	if p.i == len(p.s) {
		return allExpr{}, nil
	}
	e, err := p.or("")
	if err != nil {
		return nil, err
	}
	if p.space(); p.i < len(p.s) {
		return nil, p.errorf("unexpected %q", p.s[p.i])
	}
	return e, nil
}

func (p *parser) errorf(format string, args ...any) error {
	return invalid("ErrorPosition,line:0,column:%d,message:%s", p.i, fmt.Sprintf(format, args...))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isWordByte tells the bytes of a word that need no escape.
func isWordByte(c byte) bool {
	return !isSpace(c) && !strings.ContainsRune(`()":<>=|\`, rune(c))
}

func (p *parser) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

// peek returns the next byte after white space, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

// keyword consumes the word w if it stands next, in any case.
func (p *parser) keyword(w string) bool {
	p.space()
	end := p.i + len(w)
	if end > len(p.s) || !strings.EqualFold(p.s[p.i:end], w) || end < len(p.s) && (isWordByte(p.s[end]) || p.s[end] == '\\') {
		return false
	}
	if next := strings.TrimLeft(p.s[end:], " \t\r\n"); next != "" && (next[0] == ':' || next[0] == '<' || next[0] == '>' || next[0] == '=') {
		return false // a key of that name
	}
	p.i = end
	return true
}

// or := and { "or" and }. key applies to bare values inside key:(…).
func (p *parser) or(key string) (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("more than %d levels of parentheses or not", maxDepth)
	}
	defer func() { p.depth-- }()
	x, err := p.and(key)
	for err == nil && p.keyword("or") {
		var y expr
		if y, err = p.and(key); err == nil {
			x = binExpr{"or", x, y}
		}
	}
	return x, err
}

// and := unary { ["and"] unary }; two terms side by side are joined by and.
func (p *parser) and(key string) (expr, error) {
	x, err := p.unary(key)
	for err == nil {
		if !p.keyword("and") {
			save := p.i
			if c := p.peek(); c == 0 || c == ')' || c == '|' {
				return x, nil
			}
			if p.keyword("or") {
				p.i = save
				return x, nil
			}
		}
		var y expr
		if y, err = p.unary(key); err == nil {
			x = binExpr{"and", x, y}
		}
	}
	return x, err
}

func (p *parser) unary(key string) (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("more than %d levels of parentheses or not", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.keyword("not") {
		x, err := p.unary(key)
		if err != nil {
			return nil, err
		}
		return notExpr{x}, nil
	}
	if p.peek() == '(' {
		return p.group(key)
	}
	return p.leaf(key)
}

func (p *parser) group(key string) (expr, error) {
	p.i++
	x, err := p.or(key)
	if err != nil {
		return nil, err
	}
	if p.peek() != ')' {
		return nil, p.errorf("missing )")
	}
	p.i++
	return x, nil
}

// leaf := text | text ":" value | text op number | text "in" range.
func (p *parser) leaf(key string) (expr, error) {
	if p.terms++; p.terms > maxTerms {
		return nil, p.errorf("more than %d terms", maxTerms)
	}
	t, err := p.text()
	if err != nil {
		return nil, err
	}
	if w := strings.ToLower(t.text); !t.quoted && (w == "and" || w == "or" || w == "not") {
		if c := p.peek(); c != ':' && c != '<' && c != '>' && c != '=' {
			return nil, p.errorf("a term is expected, not %q", t.text)
		}
	}
	if key != "" { // inside key:(…)
		t.key = key
		return t, nil
	}
	switch p.peek() {
	case ':':
		p.i++
		return p.value(t.text)
	case '>', '<', '=':
		return p.comparison(t.text)
	}
	save := p.i
	if p.keyword("in") {
		if c := p.peek(); c == '[' || c == '(' {
			return p.interval(t.text)
		}
		p.i = save
	}
	if !t.quoted && t.text == "*" {
		return allExpr{}, nil
	}
	return t, nil
}

func (p *parser) value(key string) (expr, error) {
	if key == "" {
		return nil, p.errorf("empty key before :")
	}
	switch p.peek() {
	case '(':
		return p.group(key)
	case '>', '<', '=':
		return p.comparison(key)
	case '[':
		return p.interval(key)
	}
	v, err := p.text()
	if err != nil {
		return nil, err
	}
	v.key = key
	return v, nil
}

// text reads a word, a "quoted text" or a #"phrase". The key __tag__:x contains
// a colon and is one word. A word with a backslash counts as quoted.
func (p *parser) text() (termExpr, error) {
	c := p.peek()
	if c == '#' && p.i+1 < len(p.s) && p.s[p.i+1] == '"' {
		p.i++
		s, err := p.quoted()
		return termExpr{text: s, quoted: true, phrase: true}, err
	}
	if c == '"' {
		s, err := p.quoted()
		return termExpr{text: s, quoted: true}, err
	}
	const tag = "__tag__:"
	var b strings.Builder
	escaped := false
	if strings.HasPrefix(p.s[p.i:], tag) {
		b.WriteString(tag)
		p.i += len(tag)
	}
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c == '\\' && p.i+1 < len(p.s) {
			p.i++
			b.WriteByte(p.s[p.i])
			escaped = true
		} else if isWordByte(c) {
			b.WriteByte(c)
		} else {
			break
		}
		p.i++
	}
	if b.Len() == 0 {
		if p.i == len(p.s) {
			return termExpr{}, p.errorf("a term is expected at the end of the query")
		}
		return termExpr{}, p.errorf("a term is expected before %q", p.s[p.i])
	}
	return termExpr{text: b.String(), quoted: escaped}, nil
}

func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '\\' && p.i+1 < len(p.s):
			p.i++
			b.WriteByte(p.s[p.i])
		case c == '"':
			p.i++
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorf("missing quotation mark")
}

// comparison := key (">" | ">=" | "<" | "<=" | "=") number.
func (p *parser) comparison(key string) (expr, error) {
	op := p.s[p.i]
	p.i++
	orEqual := false
	if op != '=' && p.i < len(p.s) && p.s[p.i] == '=' {
		orEqual = true
		p.i++
	}
	n, err := p.number(key, isWordByte)
	if err != nil {
		return nil, err
	}
	r := rangeExpr{key: key, low: math.Inf(-1), high: math.Inf(1), lowIn: true, highIn: true}
	switch op {
	case '>':
		r.low, r.lowIn = n, orEqual
	case '<':
		r.high, r.highIn = n, orEqual
	default:
		r.low, r.high = n, n
	}
	return r, nil
}

// interval := ("[" | "(") bound bound ("]" | ")"); "*" is an open bound.
func (p *parser) interval(key string) (expr, error) {
	r := rangeExpr{key: key, lowIn: p.peek() == '['}
	p.i++
	inside := func(c byte) bool { return isWordByte(c) && c != ']' && c != ',' }
	var err error
	if r.low, err = p.bound(key, inside, math.Inf(-1)); err != nil {
		return nil, err
	}
	if p.peek() == ',' {
		p.i++
	}
	if r.high, err = p.bound(key, inside, math.Inf(1)); err != nil {
		return nil, err
	}
	switch p.peek() {
	case ']':
		r.highIn = true
	case ')':
	default:
		return nil, p.errorf("range of %s is not closed by ] or )", key)
	}
	p.i++
	return r, nil
}

func (p *parser) bound(key string, inside func(byte) bool, open float64) (float64, error) {
	if p.peek() == '*' {
		p.i++
		return open, nil
	}
	return p.number(key, inside)
}

func (p *parser) number(key string, inside func(byte) bool) (float64, error) {
	p.space()
	start := p.i
	for p.i < len(p.s) && inside(p.s[p.i]) {
		p.i++
	}
	n, err := strconv.ParseFloat(p.s[start:p.i], 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, p.errorf("%q is not a number, %s is compared with numbers only", p.s[start:p.i], key)
	}
	return n, nil
}
