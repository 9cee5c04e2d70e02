package sls

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A tokenizer cuts values into words as an index is configured to: at its
// delimiters, and with chn at every character that is not ASCII.
type tokenizer struct {
	delim         [256]bool
	chn           bool
	caseSensitive bool
}

// defaultDelimiters are those of the console and of CreateDefaultIndex of the SDK.
const defaultDelimiters = ", '\";=()[]{}?@&<>/:\n\t\r\\^*#~"

var defaultTokenizer = newTokenizer(strings.Split(defaultDelimiters, ""), false, false)

func newTokenizer(delims []string, caseSensitive, chn bool) *tokenizer {
	t := &tokenizer{chn: chn, caseSensitive: caseSensitive}
	for _, d := range delims {
		if len(d) == 1 {
			t.delim[d[0]] = true
		}
	}
	return t
}

// next returns the first token of v and what follows it; nil at the end.
func (t *tokenizer) next(v []byte) (token, rest []byte) {
	i := 0
	for i < len(v) && t.delim[v[i]] {
		i++
	}
	if i == len(v) {
		return nil, nil
	}
	if t.chn && v[i] >= utf8.RuneSelf {
		_, n := utf8.DecodeRune(v[i:])
		return v[i : i+n], v[i+n:]
	}
	j := i + 1
	for j < len(v) && !t.delim[v[j]] && (!t.chn || v[j] < utf8.RuneSelf) {
		j++
	}
	return v[i:j], v[j:]
}

// contains tells whether one token of v is w.
func (t *tokenizer) contains(v []byte, w *wordPattern) bool {
	for {
		token, rest := t.next(v)
		if token == nil {
			return false
		}
		if w.matches(token, t.caseSensitive) {
			return true
		}
		v = rest
	}
}

// phrase tells whether the words stand side by side in v.
func (t *tokenizer) phrase(v []byte, words []wordPattern) bool {
	for {
		token, rest := t.next(v)
		if token == nil {
			return false
		}
		if words[0].matches(token, t.caseSensitive) {
			i, at := 1, rest
			for ; i < len(words); i++ {
				if token, at = t.next(at); token == nil || !words[i].matches(token, t.caseSensitive) {
					break
				}
			}
			if i == len(words) {
				return true
			}
		}
		v = rest
	}
}

// A wordPattern is one word of a search. In a glob "*" stands for any bytes and
// "?" for one; a glob does not begin with either.
type wordPattern struct {
	text string
	glob bool
}

func (w *wordPattern) matches(token []byte, caseSensitive bool) bool {
	if !w.glob {
		if len(token) != len(w.text) {
			return false
		}
		return caseSensitive && string(token) == w.text || !caseSensitive && equalFold(token, w.text)
	}
	return globMatch(w.text, token, caseSensitive)
}

func equalFold(b []byte, s string) bool {
	for i := range b {
		if b[i] != s[i] && lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

// globMatch matches in time proportional to len(p) * len(s).
func globMatch(p string, s []byte, caseSensitive bool) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j] || !caseSensitive && lower(p[i]) == lower(s[j])):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// patterns cuts the text of a term into words. Wild cards count outside quotation
// marks only, and not at the start of a word, as in the service.
func (t *tokenizer) patterns(e termExpr) ([]wordPattern, error) {
	cut := *t
	if !e.quoted {
		cut.delim['*'], cut.delim['?'] = false, false
	}
	var words []wordPattern
	rest := []byte(e.text)
	for len(words) < maxTerms {
		var token []byte
		if token, rest = cut.next(rest); token == nil {
			return words, nil
		}
		w := wordPattern{text: string(token), glob: !e.quoted && bytes.ContainsAny(token, "*?")}
		if w.glob && (token[0] == '*' || token[0] == '?') {
			return nil, invalid("word %q begins with a wild card, which is not supported", token)
		}
		words = append(words, w)
	}
	return nil, invalid("term %q has more than %d words", e.text, maxTerms)
}

// containsFold tells whether data contains the lower-case needle in any case.
// scratch is reused to hold the lower-case copy of data.
func containsFold(data []byte, needle []byte, scratch []byte) (bool, []byte) {
	scratch = append(scratch[:0], data...)
	for i, c := range scratch {
		if c-'A' < 26 {
			scratch[i] = c | 0x20
		}
	}
	return bytes.Contains(scratch, needle), scratch
}
