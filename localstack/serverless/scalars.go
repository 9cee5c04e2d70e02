package serverless

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// str reads a string prop. Numbers and booleans are refused, as the fc3 schema does.
func (r *reader) str(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		r.addf(n.Line, "%s must be a string%s", what, quoteHint(n))
		return ""
	}
	return n.Value
}

func quoteHint(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return `: quote it ("` + n.Value + `")`
	}
	return ""
}

// number reads a numeric prop between lo and hi. Text that came out of an interpolation counts when it
// is a number.
func (r *reader) number(n *yaml.Node, what string, lo, hi float64) float64 {
	ok := n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float" || r.fromText[n])
	v, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
	if !ok || err != nil {
		r.addf(n.Line, "%s must be a number, got %q", what, n.Value)
		return lo
	}
	if v < lo || v > hi {
		r.addf(n.Line, "%s is %s: want %s to %s", what, n.Value, num(lo), num(hi))
		return lo
	}
	return v
}

func num(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (r *reader) integer(n *yaml.Node, what string, lo, hi int) int {
	v := r.number(n, what, float64(lo), float64(hi))
	if v != float64(int(v)) {
		r.addf(n.Line, "%s is %s: want a whole number", what, n.Value)
	}
	return int(v)
}

func (r *reader) boolean(n *yaml.Node, what string) bool {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!bool" || r.fromText[n]) {
		switch n.Value {
		case "true", "True", "TRUE":
			return true
		case "false", "False", "FALSE":
			return false
		}
	}
	r.addf(n.Line, "%s must be true or false, got %q", what, n.Value)
	return false
}

func (r *reader) strings(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		r.addf(n.Line, "%s must be a list of strings", what)
		return nil
	}
	out := make([]string, 0, len(n.Content))
	for _, c := range n.Content {
		out = append(out, r.str(deref(c), what))
	}
	return out
}

// suggest names an allowed key that differs from the given one by letter case or one or two edits.
func suggest(got string, allowed map[string]bool) string {
	best, bestDistance := "", 3
	for name := range allowed {
		d := distance(strings.ToLower(got), strings.ToLower(name))
		if d < bestDistance || d == bestDistance && best != "" && name < best {
			best, bestDistance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
