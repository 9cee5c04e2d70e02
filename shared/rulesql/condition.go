package rulesql

import "slices"

// A condition is one that a rule cannot be met without: value op constant, or value = one of constants.
type condition struct {
	value     Expr
	op        CompareOp
	constants []Value
}

// add enters a rule under the best of its necessary conditions.
func (l *leaf) add(position int, r *Rule) {
	var best *condition
	for _, c := range necessary(r.statement.Where) {
		if c.op == Equal {
			best = &c
			break
		}
		if best == nil {
			best = &c
		}
	}
	if best == nil {
		l.always = append(l.always, position)
		return
	}
	p := l.probe(best.value)
	p.all = append(p.all, position)
	if best.op == Equal {
		var keys []probeKey
		for _, v := range best.constants {
			if key, ok := keyOf(v); ok && !slices.Contains(keys, key) {
				keys = append(keys, key)
				p.equal[key] = append(p.equal[key], position)
			}
		}
		return
	}
	n, _ := best.constants[0].number()
	t := threshold{n.float(), position}
	if best.op == Greater || best.op == GreaterEqual {
		p.greater = append(p.greater, t)
	} else {
		p.less = append(p.less, t)
	}
}

func (l *leaf) probe(value Expr) *probe {
	text := value.String()
	for _, p := range l.probes {
		if p.text == text {
			return p
		}
	}
	_, payload := value.(*Path)
	p := &probe{text: text, value: compile(value), payload: payload, equal: map[probeKey][]int{}}
	l.probes = append(l.probes, p)
	return p
}

// necessary lists conditions of a WHERE, up to the first that can fail: a rule that fails must say so.
func necessary(where Expr) []condition {
	list := []Expr{where}
	if and, ok := where.(*And); ok {
		list = and.List
	}
	var found []condition
	for _, e := range list {
		if e == nil || holds(e, mayFail) {
			break
		}
		switch e := e.(type) {
		case *Comparison:
			if c, ok := comparisonCondition(e); ok {
				found = append(found, c)
			}
		case *In:
			if c, ok := inCondition(e); ok {
				found = append(found, c)
			}
		}
	}
	return found
}

// mayFail allows topic with a constant, which fails only for what is no number.
func mayFail(e Expr) bool {
	c, ok := e.(*Call)
	return ok && lookupFunction(c.Name).fails && !isProbe(c)
}

// isProbe reports whether an expression is cheap and says much.
func isProbe(e Expr) bool {
	switch e := e.(type) {
	case *Path:
		return !e.Array
	case *Call:
		switch e.Name {
		case "deviceName", "deviceId", "productKey":
			return true
		case "topic":
			if len(e.Args) == 0 {
				return true
			}
			l, ok := e.Args[0].(*Literal)
			return ok && l.Value.kind == Number
		}
	}
	return false
}

func comparisonCondition(e *Comparison) (condition, bool) {
	x, op := e.X, e.Op
	v, ok := constantOf(e.Y)
	if !ok {
		if v, ok = constantOf(x); !ok {
			return condition{}, false
		}
		x = e.Y
		op = [...]CompareOp{Equal: Equal, NotEqual: NotEqual, Less: Greater, LessEqual: GreaterEqual, Greater: Less, GreaterEqual: LessEqual}[op]
	}
	if !isProbe(x) || op == NotEqual {
		return condition{}, false
	}
	if _, ok := v.number(); op != Equal && !ok {
		return condition{}, false
	}
	return condition{x, op, []Value{v}}, true
}

func inCondition(e *In) (condition, bool) {
	if e.Not || !isProbe(e.X) {
		return condition{}, false
	}
	c := condition{value: e.X, op: Equal}
	for _, y := range e.List {
		v, ok := constantOf(y)
		if !ok {
			return condition{}, false
		}
		c.constants = append(c.constants, v)
	}
	return c, true
}

// constantOf is the value of an expression that is the same for every message.
func constantOf(e Expr) (Value, bool) {
	varies := func(e Expr) bool {
		switch e.(type) {
		case *Path, *Call:
			return true
		}
		return false
	}
	if holds(e, varies) {
		return Value{}, false
	}
	c := run{steps: DefaultMaxSteps}
	v := compile(e).eval(&c)
	return v, c.err == nil
}
