package rulesql

import (
	"math"
	"strings"
	"unicode/utf8"
)

// textFunctions are those of strings (rule engine reference, "Functions"). Numbers and booleans are taken as their JSON text;
// objects and arrays are refused except by concat and crypto, which take their compact JSON.
var textFunctions = []function{
	{name: "concat", min: 1, max: -1, fails: true, evalN: func(c *run, where string, args []Value) Value {
		if len(args) == 2 { // the documented form
			return c.text(where, args[0].Text()+args[1].Text())
		}
		var b strings.Builder
		for _, a := range args {
			b.WriteString(a.Text())
			if b.Len() > MaxResult {
				break
			}
		}
		return c.text(where, b.String())
	}},
	{name: "lower", min: 1, max: 1, fails: true, eval1: func(c *run, where string, a Value) Value {
		s, ok := c.needText(where, a)
		if !ok {
			return Value{}
		}
		return c.text(where, strings.ToLower(s))
	}},
	{name: "upper", min: 1, max: 1, fails: true, eval1: func(c *run, where string, a Value) Value {
		s, ok := c.needText(where, a)
		if !ok {
			return Value{}
		}
		return c.text(where, strings.ToUpper(s))
	}},
	{name: "replace", min: 3, max: 3, fails: true, evalN: func(c *run, where string, args []Value) Value {
		s, ok := c.needText(where, args[0])
		old, ok2 := c.needText(where, args[1])
		with, ok3 := c.needText(where, args[2])
		if !ok || !ok2 || !ok3 {
			return Value{}
		}
		if old == "" {
			return stringValue(s)
		}
		c.spend(len(s) / stepBytes)
		if len(s)+strings.Count(s, old)*(len(with)-len(old)) > MaxResult {
			return c.fail(where, tooLong)
		}
		return c.text(where, strings.ReplaceAll(s, old, with))
	}},
	{name: "endswith", min: 2, max: 2, fails: true, eval2: func(c *run, where string, a, b Value) Value {
		s, ok := c.needText(where, a)
		suffix, ok2 := c.needText(where, b)
		if !ok || !ok2 {
			return Value{}
		}
		return boolValue(strings.HasSuffix(s, suffix))
	}},
	{name: "substring", min: 2, max: 3, fails: true, evalN: substring},
	{name: "crypto", min: 2, max: 2, fails: true, verify: func(args []Expr) string {
		if name, ok := constantText(args[1]); !ok || hashNamed(name) == nil {
			return "the second argument of crypto is one of 'MD2', 'MD5', 'SHA1', 'SHA-256', 'SHA-384', 'SHA-512'"
		}
		return ""
	}, build: func(args []Expr) op {
		name, _ := constantText(args[1])
		hash := hashNamed(name)
		return &call1{a: compile(args[0]), f: func(c *run, _ string, a Value) Value {
			s := a.Text()
			c.spend(len(s) / 8)
			return stringValue(hash(s))
		}}
	}},
	{name: "nanvl", min: 2, max: 2, build: func(args []Expr) op { return &nanvlOp{compile(args[0]), compile(args[1])} }},
}

const tooLong = "the text becomes too long"

// text is a computed string, if it is not too long.
func (c *run) text(where, s string) Value {
	c.spend(len(s) / stepBytes)
	if len(s) > MaxResult {
		return c.fail(where, tooLong)
	}
	return stringValue(s)
}

func (c *run) needText(where string, a Value) (string, bool) {
	if a.kind >= Object {
		c.fail(where, "takes a string, not "+a.kind.String())
		return "", false
	}
	return a.Text(), true
}

type nanvlOp struct{ value, other op }

func (o *nanvlOp) eval(c *run) Value {
	c.spend(1)
	if v := o.value.eval(c); v.kind != Null {
		return v
	}
	return o.other.eval(c)
}

// substring takes characters from start to before end. Only strings and integers have some.
func substring(c *run, where string, args []Value) Value {
	target := args[0]
	if _, whole := target.Int64(); target.kind != String && !whole {
		return c.fail(where, "takes a string or an integer, not "+describe(target))
	}
	s := target.Text()
	length := utf8.RuneCountInString(s)
	c.spend(length / stepBytes)
	start, ok := c.position(where, args[1], length)
	if !ok {
		return Value{}
	}
	end := length
	if len(args) == 3 {
		if end, ok = c.position(where, args[2], length); !ok {
			return Value{}
		}
	}
	if start >= end {
		return stringValue("")
	}
	from, to := offsetOf(s, start), offsetOf(s, end)
	return stringValue(s[from:to])
}

func describe(v Value) string {
	if v.kind == Number {
		return "the number " + cutText(v.Text(), MaxNumber)
	}
	return v.kind.String()
}

// position is a character position, truncated towards zero and brought into the text.
func (c *run) position(where string, v Value, length int) (int, bool) {
	n, ok := c.needNumber(where, v)
	if !ok {
		return 0, false
	}
	return int(math.Trunc(max(0, min(n.float(), float64(length))))), true
}

// offsetOf is the byte where the nth character begins.
func offsetOf(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
