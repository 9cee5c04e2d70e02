package sls

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// A matcher decides whether a log is in the result of a search. It allocates
// nothing and may be used by one goroutine at a time.
type matcher interface{ match(r *record) bool }

type (
	matchAll struct{}
	matchNot struct{ x matcher }
	matchAnd struct{ x, y matcher }
	matchOr  struct{ x, y matcher }
	// matchExists holds for logs that have the key at all (key: *).
	matchExists struct{ key string }
	// matchRange compares the number in a field of a long or double index.
	matchRange struct {
		rangeExpr
	}
	// matchWords holds if every word occurs; a phrase needs them side by side.
	matchWords struct {
		key    string // empty: all fields
		words  []wordPattern
		phrase bool
		tok    *tokenizer
		line   *indexLine // fields of a search without key; nil: text-indexed keys
		keys   map[string]*tokenizer
	}
)

func (matchAll) match(*record) bool     { return true }
func (m matchNot) match(r *record) bool { return !m.x.match(r) }
func (m matchAnd) match(r *record) bool { return m.x.match(r) && m.y.match(r) }
func (m matchOr) match(r *record) bool  { return m.x.match(r) || m.y.match(r) }
func (m matchExists) match(r *record) bool {
	_, ok := r.lookup(m.key)
	return ok
}

func (m matchRange) match(r *record) bool {
	v, ok := r.lookup(m.key)
	if !ok {
		return false
	}
	n, ok := parseNumber(v)
	if !ok {
		return false
	}
	return (n > m.low || m.lowIn && n == m.low) && (n < m.high || m.highIn && n == m.high)
}

// parseNumber reads a decimal number; short integers are read in place.
func parseNumber(v []byte) (float64, bool) {
	v = bytes.TrimSpace(v)
	if len(v) > 0 && len(v) <= 15 {
		n, i := 0, 0
		if v[0] == '-' {
			i = 1
		}
		for j := i; ; j++ {
			if j == len(v) {
				if j == i {
					return 0, false
				}
				if i == 1 {
					n = -n
				}
				return float64(n), true
			}
			if v[j] < '0' || v[j] > '9' {
				break
			}
			n = n*10 + int(v[j]-'0')
		}
	}
	n, err := strconv.ParseFloat(string(v), 64)
	return n, err == nil && !math.IsNaN(n)
}

func (m *matchWords) match(r *record) bool {
	if m.key != "" {
		v, ok := r.lookup(m.key)
		return ok && m.inValue(v, m.tok)
	}
	if m.phrase {
		return r.each(m.selects, func(tok *tokenizer, v []byte) bool { return tok.phrase(v, m.words) })
	}
	for i := range m.words {
		w := &m.words[i]
		if !r.each(m.selects, func(tok *tokenizer, v []byte) bool { return tok.contains(v, w) }) {
			return false
		}
	}
	return true
}

func (m *matchWords) inValue(v []byte, tok *tokenizer) bool {
	if m.phrase {
		return tok.phrase(v, m.words)
	}
	for i := range m.words {
		if !tok.contains(v, &m.words[i]) {
			return false
		}
	}
	return true
}

// selects returns the tokenizer for a field in a search without key, nil if the
// field is not part of it, and whether the name of the field is searched too.
func (m *matchWords) selects(key []byte) (tok *tokenizer, named bool) {
	if m.line == nil {
		return m.keys[string(key)], false
	}
	if !m.line.covers(string(key)) {
		return nil, false
	}
	return m.tok, true
}

// compile binds a search to the index of a logstore. Its errors are *Error with
// ParameterInvalid: a key without index, a text compared with a number.
func compile(e expr, idx *index) (matcher, error) {
	switch e := e.(type) {
	case allExpr:
		return matchAll{}, nil
	case notExpr:
		x, err := compile(e.x, idx)
		return matchNot{x}, err
	case binExpr:
		x, err := compile(e.x, idx)
		if err != nil {
			return nil, err
		}
		y, err := compile(e.y, idx)
		if err != nil {
			return nil, err
		}
		if e.op == "or" {
			return matchOr{x, y}, nil
		}
		return matchAnd{x, y}, nil
	case rangeExpr:
		return compileRange(e, idx)
	case termExpr:
		if e.key == "" {
			return compileLine(e, idx)
		}
		return compileTerm(e, idx)
	}
	return nil, invalid("unknown expression %s", e)
}

func compileRange(e rangeExpr, idx *index) (matcher, error) {
	k, ok := idx.key(e.key)
	if !ok {
		return nil, errNoKeyIndex(e.key)
	}
	if !k.numeric() {
		return nil, invalid("key (%s) is of type %s, numbers are compared on long and double keys only", e.key, k.Type)
	}
	return matchRange{e}, nil
}

func errNoKeyIndex(key string) error {
	return invalid(`key (%s) is not config as key value config,if symbol : is in your log,please wrap : with quotation mark "`, key)
}

func compileTerm(e termExpr, idx *index) (matcher, error) {
	k, ok := idx.key(e.key)
	if !ok {
		return nil, errNoKeyIndex(e.key)
	}
	if !e.quoted && e.text == "*" {
		return matchExists{e.key}, nil
	}
	if k.numeric() {
		n, err := strconv.ParseFloat(e.text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, invalid("key (%s) is of type %s, %q is not a number", e.key, k.Type, e.text)
		}
		return matchRange{rangeExpr{e.key, n, n, true, true}}, nil
	}
	words, err := k.tok.patterns(e)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return matchExists{e.key}, nil
	}
	return &matchWords{key: e.key, words: words, phrase: e.phrase, tok: k.tok}, nil
}

func compileLine(e termExpr, idx *index) (matcher, error) {
	m := &matchWords{phrase: e.phrase, line: idx.Line}
	if idx.Line != nil {
		m.tok = idx.Line.tok
	} else {
		m.keys = idx.textKeys()
		if len(m.keys) == 0 {
			return nil, invalid("neither a full text index nor an index of type text is configured, %q cannot be searched without a key", e.text)
		}
		m.tok = defaultTokenizer
	}
	words, err := m.tok.patterns(e)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return matchAll{}, nil
	}
	m.words = words
	return m, nil
}

// terms lists the words of a search, for highlighting.
func terms(e expr, out []metaTerm) []metaTerm {
	switch e := e.(type) {
	case binExpr:
		return terms(e.y, terms(e.x, out))
	case termExpr:
		return append(out, metaTerm{e.key, e.text})
	}
	return out
}

// needle returns a lower-case text that every matching log contains in any case,
// the longest there is, or "". It lets a scan skip runs without decoding them.
func needle(m matcher) string {
	switch m := m.(type) {
	case matchAnd:
		x, y := needle(m.x), needle(m.y)
		if len(x) >= len(y) {
			return x
		}
		return y
	case *matchWords:
		best := ""
		for _, w := range m.words {
			lit := w.text
			if w.glob {
				lit = lit[:strings.IndexAny(lit, "*?")]
			}
			lit = asciiLower(lit)
			if len(lit) > len(best) {
				best = lit
			}
		}
		return best
	}
	return ""
}
