package rulesql

import "math"

// mathFunctions take numbers, and strings that are numbers; angles are radians (rule engine reference, "Functions").
var mathFunctions = []function{
	{name: "abs", min: 1, max: 1, fails: true, eval1: func(c *run, where string, a Value) Value {
		n, ok := c.needNumber(where, a)
		if !ok {
			return Value{}
		}
		if n.whole && n.i != math.MinInt64 {
			return intValue(max(n.i, -n.i))
		}
		return floatValue(math.Abs(n.float()))
	}},
	ofFloat("asin", math.Asin),
	ofFloat("cos", math.Cos),
	ofFloat("cosh", math.Cosh),
	ofFloat("exp", math.Exp),
	{name: "floor", min: 1, max: 1, fails: true, eval1: func(c *run, where string, a Value) Value {
		n, ok := c.needNumber(where, a)
		if !ok {
			return Value{}
		}
		if n.whole {
			return intValue(n.i)
		}
		return floatValue(math.Floor(n.f))
	}},
	ofFloat("sin", math.Sin),
	ofFloat("sinh", math.Sinh),
	ofFloat("tan", math.Tan),
	ofFloat("tanh", math.Tanh),
	{name: "log", min: 1, max: 2, fails: true, evalN: func(c *run, where string, args []Value) Value {
		n, ok := c.needNumber(where, args[0])
		if !ok {
			return Value{}
		}
		if len(args) == 1 {
			return floatValue(math.Log10(n.float()))
		}
		m, ok := c.needNumber(where, args[1])
		if !ok {
			return Value{}
		}
		return floatValue(logarithm(n.float(), m.float()))
	}},
	{name: "mod", min: 2, max: 2, fails: true, eval2: func(c *run, where string, a, b Value) Value {
		n, ok := c.needNumber(where, a)
		m, ok2 := c.needNumber(where, b)
		if !ok || !ok2 {
			return Value{}
		}
		return arithmetic('%', n, m)
	}},
	{name: "power", min: 2, max: 2, fails: true, eval2: func(c *run, where string, a, b Value) Value {
		n, ok := c.needNumber(where, a)
		m, ok2 := c.needNumber(where, b)
		if !ok || !ok2 {
			return Value{}
		}
		return power(n, m)
	}},
	{name: "rand", eval0: func(c *run) Value {
		return Value{kind: Number, form: float, bits: math.Float64bits(float64(c.env.uint64()>>11) / (1 << 53))}
	}},
}

func ofFloat(name string, f func(float64) float64) function {
	return function{name: name, min: 1, max: 1, fails: true, eval1: func(c *run, where string, a Value) Value {
		n, ok := c.needNumber(where, a)
		if !ok {
			return Value{}
		}
		return floatValue(f(n.float()))
	}}
}

// needNumber fails if a is neither a number nor a string that is one. A number out of range is no failure but null.
func (c *run) needNumber(where string, a Value) (number, bool) {
	n, ok := a.numeric()
	if !ok && a.kind != Number {
		c.fail(where, "takes a number, not "+a.kind.String())
	}
	return n, ok
}

// logarithm is exact for powers of the bases that have a function of their own.
func logarithm(n, base float64) float64 {
	switch base {
	case 2:
		return math.Log2(n)
	case 10:
		return math.Log10(n)
	case math.E:
		return math.Log(n)
	}
	x := math.Log(n) / math.Log(base)
	if r := math.Round(x); math.Pow(base, r) == n {
		return r
	}
	return x
}

// power is exact where the result is an int64.
func power(n, m number) Value {
	if n.whole && m.whole && m.i >= 0 {
		result, base, ok := intValue(1), n.i, true
		for e := m.i; e > 0 && ok; e >>= 1 {
			if e&1 == 1 {
				if result, ok = wholeArithmetic('*', int64(result.bits), base); !ok {
					break
				}
			}
			if e > 1 {
				var square Value
				square, ok = wholeArithmetic('*', base, base)
				base = int64(square.bits)
			}
		}
		if ok {
			return result
		}
	}
	return floatValue(math.Pow(n.float(), m.float()))
}
