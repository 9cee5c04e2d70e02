package sls

import (
	"math"
	"strconv"
	"strings"
)

// Bounds of a query. The service allows 30 terms.
const (
	maxQueryBytes = 64 << 10
	maxTerms      = 30
	maxDepth      = 64
)

// splitQuery separates the search part of a query from the SQL after the first
// "|" outside quotation marks.
func splitQuery(q string) (search, sql string, hasSQL bool) {
	quoted := false
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '|':
			if !quoted {
				return strings.TrimSpace(q[:i]), strings.TrimSpace(q[i+1:]), true
			}
		}
	}
	return strings.TrimSpace(q), "", false
}

// An expr is a node of a parsed search. Its String form parses to itself.
type expr interface{ String() string }

type (
	allExpr struct{}         // *
	notExpr struct{ x expr } // not x
	binExpr struct {         // x and y, x or y
		op   string
		x, y expr
	}
	// termExpr is a word or quoted text, over all fields if key is empty.
	termExpr struct {
		key, text      string
		quoted, phrase bool // "text", #"text"
	}
	// rangeExpr is a numeric comparison; bounds may be infinite.
	rangeExpr struct {
		key           string
		low, high     float64
		lowIn, highIn bool
	}
)

func (allExpr) String() string   { return "*" }
func (n notExpr) String() string { return "not " + n.x.String() }
func (b binExpr) String() string { return "(" + b.x.String() + " " + b.op + " " + b.y.String() + ")" }
func (t termExpr) String() string {
	s := ""
	if t.key != "" {
		s = quote(t.key) + ": "
	}
	switch {
	case t.phrase:
		return s + "#" + quote(t.text)
	case t.quoted:
		return s + quote(t.text)
	}
	return s + t.text
}
func (r rangeExpr) String() string {
	open, end := "(", ")"
	if r.lowIn {
		open = "["
	}
	if r.highIn {
		end = "]"
	}
	return quote(r.key) + " in " + open + formatBound(r.low) + " " + formatBound(r.high) + end
}

func formatBound(f float64) string {
	if math.IsInf(f, 0) {
		return "*"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
