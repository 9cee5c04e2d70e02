package rulesql

import (
	"fmt"
	"strings"
)

// A function is one of the chapter "Functions". Exactly one of the eval members is set, except where build is.
type function struct {
	name     string // canonical spelling
	min, max int    // arguments; max -1: any number
	star     bool   // called with *, and only so
	fails    bool   // may end the evaluation
	verify   func(args []Expr) string
	build    func(args []Expr) op // for functions that look at their arguments at compile time
	eval0    func(c *run) Value
	eval1    func(c *run, where string, a Value) Value
	eval2    func(c *run, where string, a, b Value) Value
	evalN    func(c *run, where string, args []Value) Value
}

const flatMapName = "thingPropertyFlatMap"

// functions are all functions by their names in lower case.
var functions = map[string]*function{}

func init() {
	for _, list := range [][]function{mathFunctions, textFunctions, messageFunctions, timeFunctions} {
		for i := range list {
			functions[strings.ToLower(list[i].name)] = &list[i]
		}
	}
}

// lookupFunction finds a function in any letter case; nil if there is none.
func lookupFunction(name string) *function { return functions[strings.ToLower(name)] }

var foreignFunctions = map[string]string{
	"count": "aggregate functions", "sum": "aggregate functions", "avg": "aggregate functions", "max": "aggregate functions",
	"min": "aggregate functions", "tumble": "window functions", "hop": "window functions", "session": "window functions",
}

func unknownFunction(name string) string {
	if kind := foreignFunctions[strings.ToLower(name)]; kind != "" {
		return kind + " are not supported"
	}
	return "there is no such function"
}

// check is what is wrong with a call; "" if nothing.
func (f *function) check(c *Call) string {
	switch n := len(c.Args); {
	case f.star && !c.Star:
		return fmt.Sprintf("write %s(*): it takes the whole payload", f.name)
	case !f.star && c.Star:
		return fmt.Sprintf("%s does not take *", f.name)
	case n < f.min || f.max >= 0 && n > f.max:
		return fmt.Sprintf("%s takes %s, not %d", f.name, f.arguments(), n)
	}
	if f.verify != nil {
		return f.verify(c.Args)
	}
	return ""
}

func (f *function) arguments() string {
	switch {
	case f.max == 0:
		return "no arguments"
	case f.max < 0:
		return fmt.Sprintf("at least %d arguments", f.min)
	case f.min == f.max && f.max == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.max)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

// constantText is the value of a string constant.
func constantText(e Expr) (string, bool) {
	l, ok := e.(*Literal)
	if !ok || l.Value.kind != String {
		return "", false
	}
	return l.Value.text, true
}

type call0 struct {
	f     func(c *run) Value
	where string
}

func (o *call0) eval(c *run) Value { c.spend(1); return o.f(c) }

type call1 struct {
	f     func(c *run, where string, a Value) Value
	where string
	a     op
}

func (o *call1) eval(c *run) Value {
	c.spend(1)
	a := o.a.eval(c)
	if a.kind == Null || c.err != nil {
		return Value{} // functions of null are null
	}
	return o.f(c, o.where, a)
}

type call2 struct {
	f     func(c *run, where string, a, b Value) Value
	where string
	a, b  op
}

func (o *call2) eval(c *run) Value {
	c.spend(1)
	a, b := o.a.eval(c), o.b.eval(c)
	if a.kind == Null || b.kind == Null || c.err != nil {
		return Value{}
	}
	return o.f(c, o.where, a, b)
}

type callN struct {
	f     func(c *run, where string, args []Value) Value
	where string
	args  []op
}

func (o *callN) eval(c *run) Value {
	c.spend(1 + len(o.args))
	args := make([]Value, len(o.args))
	for i, a := range o.args {
		if args[i] = a.eval(c); args[i].kind == Null || c.err != nil {
			return Value{}
		}
	}
	return o.f(c, o.where, args)
}
