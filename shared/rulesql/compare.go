package rulesql

import "cmp"

// A CompareOp is one of = <> < <= > >=.
type CompareOp uint8

// The comparison operators.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// String is the operator as it is written; != is written <>.
func (op CompareOp) String() string { return [...]string{"=", "<>", "<", "<=", ">", ">="}[op] }

// holds reports whether the operator is met by a comparison that gave sign.
func (op CompareOp) holds(sign int) bool {
	switch op {
	case Equal:
		return sign == 0
	case NotEqual:
		return sign != 0
	case Less:
		return sign < 0
	case LessEqual:
		return sign <= 0
	case Greater:
		return sign > 0
	}
	return sign >= 0
}

// compare is a op b: true, false or null (rule engine reference, "Types, null, comparison").
func (c *run) compare(op CompareOp, a, b Value) Value {
	switch {
	case a.kind == Null || b.kind == Null:
		return Value{}
	case a.kind >= Object || b.kind >= Object:
		return onlyEqual(op, func() bool { return a.kind == b.kind && c.deepEqual(a, b) })
	case a.kind == Bool || b.kind == Bool:
		return onlyEqual(op, func() bool {
			x, xok := truthValue(a)
			y, yok := truthValue(b)
			return xok && yok && x == y
		})
	}
	c.spend((len(a.text) + len(b.text)) / stepBytes)
	if a.kind == String && b.kind == String {
		return boolValue(op.holds(compareText(a, b)))
	}
	x, xok := a.numeric()
	y, yok := b.numeric()
	if xok && yok {
		return boolValue(op.holds(compareNumbers(x, y)))
	}
	if a.kind == b.kind || a.kind == Number && !xok || b.kind == Number && !yok {
		return Value{} // a number that is none: too large
	}
	return boolValue(op.holds(compareText(a, b)))
}

// onlyEqual is for values without an order.
func onlyEqual(op CompareOp, equal func() bool) Value {
	switch op {
	case Equal:
		return boolValue(equal())
	case NotEqual:
		return boolValue(!equal())
	}
	return Value{}
}

// truthValue is what a boolean may be compared with: a boolean, 0, 1, 'true', 'false'.
func truthValue(v Value) (value, ok bool) {
	switch v.kind {
	case Bool:
		return v.bits == 1, true
	case Number:
		n, ok := v.number()
		f := n.float()
		return f == 1, ok && (f == 0 || f == 1)
	case String:
		yes := v.is("true")
		return yes, yes || v.is("false")
	}
	return false, false
}

func compareNumbers(a, b number) int {
	if a.whole && b.whole {
		return cmp.Compare(a.i, b.i)
	}
	return cmp.Compare(a.float(), b.float())
}

// deepEqual compares two objects or two arrays: members in any order, numbers by value, strings by text.
func (c *run) deepEqual(a, b Value) bool {
	if a.text == b.text {
		return true
	}
	c.spend((len(a.text) + len(b.text)) / 4)
	if c.err != nil {
		return false
	}
	var x, y Document
	if x.parse([]byte(a.text)) != nil || y.parse([]byte(b.text)) != nil {
		return false
	}
	return c.equalNodes(&x, 0, &y, 0)
}

func (c *run) equalNodes(x *Document, i uint32, y *Document, j uint32) bool {
	if c.spend(1); c.err != nil || x.nodes[i].kind != y.nodes[j].kind {
		return false
	}
	switch x.nodes[i].kind {
	case Null:
		return true
	case Array:
		i, j = x.first(i), y.first(j)
		for i != 0 && j != 0 {
			if !c.equalNodes(x, i, y, j) {
				return false
			}
			i, j = x.nodes[i].next, y.nodes[j].next
		}
		return i == j
	case Object:
		xs, ys := x.members(i), y.members(j)
		if len(xs) != len(ys) {
			return false
		}
		for name, k := range xs {
			l, ok := ys[name]
			if !ok || !c.equalNodes(x, k, y, l) {
				return false
			}
		}
		return true
	case Number:
		v, w := x.value(i), y.value(j)
		n, ok := v.number()
		m, ok2 := w.number()
		if !ok || !ok2 {
			return v.text == w.text
		}
		return compareNumbers(n, m) == 0
	}
	return compareText(x.value(i), y.value(j)) == 0 && x.value(i).bits == y.value(j).bits
}

// members is where an object's members are; of several with one name the last counts.
func (d *Document) members(i uint32) map[string]uint32 {
	m := map[string]uint32{}
	for k := d.first(i); k != 0; k = d.nodes[k].next {
		m[d.key(k)] = k
	}
	return m
}
