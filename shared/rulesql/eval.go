package rulesql

import (
	"math"
	"strings"
)

// An op is a compiled expression. After a failure (run.err) its value does not matter.
type op interface{ eval(c *run) Value }

type constant struct{ v Value }

func (o constant) eval(*run) Value { return o.v }

type pathOp struct {
	steps []Step
	array bool
}

func (o *pathOp) eval(c *run) Value { return c.msg.doc.lookup(o.steps, o.array, c) }

// orOp and andOp are three-valued and stop as soon as the result is known.
type orOp struct{ list []op }

func (o *orOp) eval(c *run) Value {
	null := false
	for _, x := range o.list {
		c.spend(1)
		v := x.eval(c).truth()
		if c.err != nil {
			return Value{}
		}
		if v.Bool() {
			return v
		}
		null = null || v.kind == Null
	}
	if null {
		return Value{}
	}
	return boolValue(false)
}

type andOp struct{ list []op }

func (o *andOp) eval(c *run) Value {
	null := false
	for _, x := range o.list {
		c.spend(1)
		v := x.eval(c).truth()
		if c.err != nil {
			return Value{}
		}
		if v.kind == Bool && v.bits == 0 {
			return v
		}
		null = null || v.kind == Null
	}
	if null {
		return Value{}
	}
	return boolValue(true)
}

type notOp struct{ x op }

func (o *notOp) eval(c *run) Value { return negated(o.x.eval(c).truth(), true) }

func negated(v Value, not bool) Value {
	if v.kind != Bool || !not {
		return v
	}
	return boolValue(v.bits == 0)
}

type compareOp struct {
	op   CompareOp
	x, y op
}

func (o *compareOp) eval(c *run) Value {
	c.spend(1)
	return c.compare(o.op, o.x.eval(c), o.y.eval(c))
}

type inOp struct {
	not  bool
	x    op
	list []op
}

func (o *inOp) eval(c *run) Value {
	x := o.x.eval(c)
	if x.kind == Null {
		return x
	}
	null := false
	for _, y := range o.list {
		c.spend(1)
		v := c.compare(Equal, x, y.eval(c))
		if c.err != nil {
			return Value{}
		}
		if v.Bool() {
			return boolValue(!o.not)
		}
		null = null || v.kind == Null
	}
	if null {
		return Value{}
	}
	return boolValue(o.not)
}

type likeOp struct {
	not        bool
	x, pattern op
	parts      []string // of a constant pattern; nil if it is none
}

func (o *likeOp) eval(c *run) Value {
	x := o.x.eval(c)
	parts := o.parts
	if parts == nil {
		p := o.pattern.eval(c)
		if p.kind == Null || p.kind >= Object {
			return Value{}
		}
		text := p.Text()
		c.spend(1 + len(text)/stepBytes)
		parts = strings.Split(text, "%")
	}
	if x.kind == Null || x.kind >= Object {
		return Value{}
	}
	text := x.Text()
	c.spend(1 + len(text)*len(parts)/stepBytes)
	return boolValue(like(text, parts) != o.not)
}

// like matches a pattern that was split at its percent signs, each of which is any text. Underscores are literal.
func like(s string, parts []string) bool {
	last := len(parts) - 1
	if last == 0 {
		return s == parts[0]
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1:last] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[last])
}

type caseOp struct {
	operand op
	whens   []struct{ when, then op }
	other   op
}

func (o *caseOp) eval(c *run) Value {
	v := o.operand.eval(c)
	for i := range o.whens {
		c.spend(1)
		if c.compare(Equal, v, o.whens[i].when.eval(c)).Bool() && c.err == nil {
			return o.whens[i].then.eval(c)
		}
	}
	if o.other == nil {
		return Value{}
	}
	return o.other.eval(c)
}

type arithmeticOp struct {
	op   byte
	x, y op
}

func (o *arithmeticOp) eval(c *run) Value {
	c.spend(1)
	x, xok := o.x.eval(c).numeric()
	y, yok := o.y.eval(c).numeric()
	if !xok || !yok {
		return Value{} // null, or no number: null
	}
	return arithmetic(o.op, x, y)
}

// arithmetic is exact for integers that fit, else float64; division by zero is null
// (rule engine reference, "Types, null, comparison").
func arithmetic(op byte, x, y number) Value {
	if x.whole && y.whole {
		if v, ok := wholeArithmetic(op, x.i, y.i); ok {
			return v
		}
	}
	a, b := x.float(), y.float()
	switch op {
	case '+':
		return floatValue(a + b)
	case '-':
		return floatValue(a - b)
	case '*':
		return floatValue(a * b)
	case '/':
		if b == 0 {
			return Value{}
		}
		return floatValue(a / b)
	}
	return floatValue(math.Mod(a, b))
}

// wholeArithmetic is false where the result is no int64.
func wholeArithmetic(op byte, a, b int64) (Value, bool) {
	switch op {
	case '+':
		s := a + b
		return intValue(s), (s > a) == (b > 0)
	case '-':
		s := a - b
		return intValue(s), (s < a) == (b > 0)
	case '*':
		if a == 0 || b == 0 {
			return intValue(0), true
		}
		s := a * b
		overflow := s/b != a || a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64
		return intValue(s), !overflow
	}
	if b == 0 {
		return Value{}, true
	}
	if b == -1 {
		if op == '%' {
			return intValue(0), true
		}
		return intValue(-a), a != math.MinInt64
	}
	if op == '%' {
		return intValue(a % b), true
	}
	return intValue(a / b), a%b == 0
}

type negateOp struct{ x op }

func (o *negateOp) eval(c *run) Value {
	c.spend(1)
	n, ok := o.x.eval(c).numeric()
	switch {
	case !ok:
		return Value{}
	case n.whole && n.i != math.MinInt64:
		return intValue(-n.i)
	}
	return floatValue(-n.float())
}
