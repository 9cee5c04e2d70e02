package rulesql

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Step is one step of a path: into a member of an object or, if Key is "", to an element of an array.
type Step struct {
	Key   string
	Index int
}

// ParsePath reads what is between double quotes: a.b[0].c, $.a.b, [0].a, or .a[0] for the array form, which puts what it finds
// into an array (rule engine reference, "Paths and arrays").
func ParsePath(text string) (steps []Step, array bool, err error) {
	if len(text) > MaxName {
		return nil, false, errors.New("a path is at most " + strconv.Itoa(MaxName) + " bytes long")
	}
	rest := text
	switch {
	case text == "":
		return nil, false, errors.New("the name is empty; string constants have single quotes")
	case text == "$":
		return nil, false, nil
	case strings.HasPrefix(text, "$.") || strings.HasPrefix(text, "$["):
		rest = text[1:]
	case text[0] == '.':
		array = true
	case text[0] != '[':
		rest = "." + text
	}
	for rest != "" {
		var s Step
		if rest[0] == '[' {
			n := strings.IndexByte(rest, ']')
			if n < 0 {
				return nil, false, errors.New("] is missing")
			}
			if s.Index, err = parseIndex(rest[1:n]); err != nil {
				return nil, false, err
			}
			rest = rest[n+1:]
			if rest != "" && rest[0] != '.' && rest[0] != '[' {
				return nil, false, errors.New("after ] comes a dot or [")
			}
		} else {
			n := strings.IndexAny(rest[1:], ".[")
			if n < 0 {
				n = len(rest) - 1
			}
			s.Key, rest = rest[1:n+1], rest[n+1:]
			if err := checkKey(s.Key); err != nil {
				return nil, false, err
			}
		}
		steps = append(steps, s)
	}
	return steps, array, nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("a name in the path is empty")
	case '0' <= key[0] && key[0] <= '9':
		return errors.New("a name must not begin with a digit")
	case strings.ContainsAny(key, "]\"") || strings.ContainsFunc(key, unicode.IsControl) || !utf8.ValidString(key):
		return errors.New("a name in the path has a character that it must not have")
	}
	return nil
}

func parseIndex(s string) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" || digits(s) != len(s) {
		return 0, errors.New("between [ and ] stands a number from 0")
	}
	if len(s) > 6 {
		return 0, errors.New("an index is at most 999999")
	}
	return strconv.Atoi(s)
}

// pathText writes steps as they stand between double quotes.
func pathText(steps []Step, array bool) string {
	var b strings.Builder
	switch {
	case len(steps) == 0:
		return "$"
	case array && steps[0].Key == "":
		b.WriteString(".") // not reached by ParsePath, whose array form begins with a name
	}
	for i, s := range steps {
		switch {
		case s.Key == "":
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.Index))
			b.WriteByte(']')
		default:
			if i > 0 || array {
				b.WriteByte('.')
			} else if s.Key[0] == '$' {
				b.WriteString("$.") // the name would be taken for the root
			}
			b.WriteString(s.Key)
		}
	}
	return b.String()
}

// find walks from node i. It spends a step for each member that it looks at. Of several members with one name the last counts.
func (d *Document) find(i uint32, steps []Step, c *run) (uint32, bool) {
	looked := 0
	for s := range steps {
		n := &d.nodes[i]
		child := d.first(i)
		found := uint32(0)
		if key := steps[s].Key; key != "" {
			if n.kind != Object {
				child = 0
			}
			for ; child != 0; child = d.nodes[child].next {
				looked++
				if d.isKey(child, key) {
					found = child
				}
			}
		} else {
			if n.kind != Array {
				child = 0
			}
			for k := steps[s].Index; child != 0; child = d.nodes[child].next {
				looked++
				if k == 0 {
					found = child
					break
				}
				k--
			}
		}
		if i = found; found == 0 {
			c.spend(looked)
			return 0, false
		}
	}
	c.spend(looked)
	return i, true
}

// lookup is the value that steps lead to, null if there is none.
func (d *Document) lookup(steps []Step, array bool, c *run) Value {
	i, ok := d.find(0, steps, c)
	if !ok {
		return Value{}
	}
	v := d.value(i)
	if !array || v.kind == Null {
		return v
	}
	return Value{kind: Array, text: "[" + string(v.AppendJSON(nil)) + "]"}
}

// Lookup is the value at a path that ParsePath read, null if there is none.
func (d *Document) Lookup(steps []Step) Value {
	if len(d.nodes) == 0 {
		return Value{}
	}
	return d.lookup(steps, false, &run{steps: 1 << 40})
}
