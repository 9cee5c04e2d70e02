package rulesql

import (
	"strings"

	"relink/shared/alink"
	"relink/shared/topic"
)

// A Format is a rule's DataType (rule engine reference, "The rule object").
type Format uint8

// The formats.
const (
	JSON   Format = iota // the payload is JSON; rules ignore one that is not
	Binary               // the payload is bytes: SELECT * or functions
)

// A Definition is a rule's text as the OpenAPI keeps it.
type Definition struct {
	Format Format
	Select string // after SELECT
	From   From   // by ParseFrom or FromParts
	Where  string // after WHERE; empty: always
}

// A Rule is a compiled rule. It is safe for concurrent use.
type Rule struct {
	statement Statement
	from      From
	format    Format
	where     []op // all of them have to be true: an AND is cut into its parts
	fields    []field
	plain     bool // no *, no thingPropertyFlatMap, no name twice: members can be written one after another
	passes    bool // BINARY with SELECT *: the payload is the result
}

// A field is a compiled member of SELECT.
type field struct {
	star    bool
	flat    bool     // thingPropertyFlatMap
	names   []string // of the properties; none: all
	key     string
	keyJSON string // "key":
	value   op
}

// Compile checks and compiles a rule. Errors are *SyntaxError.
func Compile(d Definition) (*Rule, error) {
	if len(d.Select)+len(d.Where)+len(d.From.Pattern) > MaxStatement {
		return nil, &SyntaxError{Part: InStatement, Reason: "the statement is longer than 16 KiB"}
	}
	fields, err := ParseSelect(d.Select)
	if err != nil {
		return nil, err
	}
	where, err := ParseWhere(d.Where)
	if err != nil {
		return nil, err
	}
	return compileStatement(Statement{Fields: fields, From: d.From.Pattern, Where: where}, d.From, d.Format)
}

// CompileSQL compiles a whole statement, SELECT … FROM … WHERE …, of format.
func CompileSQL(sql string, format Format) (*Rule, error) {
	s, err := Parse(sql)
	if err != nil {
		return nil, err
	}
	from, err := ParseFrom(s.From)
	if err != nil {
		return nil, err
	}
	s.From = from.Pattern
	return compileStatement(*s, from, format)
}

func compileStatement(s Statement, from From, format Format) (*Rule, error) {
	r := &Rule{statement: s, from: from, format: format, plain: true}
	if from.Pattern == "" {
		return nil, &SyntaxError{Part: InFrom, Reason: "the topic is missing"}
	}
	if err := r.checkCalls(); err != nil {
		return nil, err
	}
	if format == Binary {
		if err := r.checkBinary(); err != nil {
			return nil, err
		}
		r.passes = s.Fields[0].Star
	}
	seen := map[string]bool{}
	for _, f := range s.Fields {
		out := field{star: f.Star, key: f.Key}
		if c, ok := f.Expr.(*Call); ok && c.Name == flatMapName {
			out.flat = true
			for _, a := range c.Args {
				name, _ := constantText(a)
				out.names = append(out.names, name)
			}
		} else if !f.Star {
			out.value = compile(f.Expr)
			out.keyJSON = string(append(alink.AppendString(nil, f.Key), ':'))
		}
		r.plain = r.plain && !out.star && !out.flat && !seen[f.Key]
		seen[f.Key] = true
		r.fields = append(r.fields, out)
	}
	if and, ok := s.Where.(*And); ok {
		r.where = compileAll(and.List)
	} else if s.Where != nil {
		r.where = []op{compile(s.Where)}
	}
	return r, nil
}

// checkCalls refuses thingPropertyFlatMap where it is no field of its own.
func (r *Rule) checkCalls() error {
	refuse := func(part Part) error {
		return &SyntaxError{Part: part, Near: flatMapName, Reason: "it can only be a field of SELECT by itself"}
	}
	isFlat := func(e Expr) bool { c, ok := e.(*Call); return ok && c.Name == flatMapName }
	for _, f := range r.statement.Fields {
		if f.Expr != nil && anyOf(children(f.Expr), func(e Expr) bool { return holds(e, isFlat) }) {
			return refuse(InSelect)
		}
	}
	if r.statement.Where != nil && holds(r.statement.Where, isFlat) {
		return refuse(InWhere)
	}
	return nil
}

// checkBinary holds a rule to what BINARY allows (rule engine reference, "BINARY rules").
func (r *Rule) checkBinary() error {
	if s := r.from.Source; s != Custom && s != Status {
		return &SyntaxError{Part: InFrom, Reason: "a BINARY rule can only take custom topics and the status of devices"}
	}
	usesPayload := func(e Expr) bool {
		switch e := e.(type) {
		case *Path:
			return true
		case *Call:
			return e.Name == flatMapName
		}
		return false
	}
	for _, f := range r.statement.Fields {
		if f.Star && len(r.statement.Fields) > 1 {
			return &SyntaxError{Part: InSelect, Near: "*", Reason: "in a BINARY rule * stands alone"}
		}
		if f.Expr != nil && holds(f.Expr, usesPayload) {
			return &SyntaxError{Part: InSelect, Near: f.Key, Reason: "a BINARY rule cannot look into the payload: only functions and constants are allowed"}
		}
	}
	if r.statement.Where != nil && holds(r.statement.Where, usesPayload) {
		return &SyntaxError{Part: InWhere, Reason: "a BINARY rule cannot look into the payload: only functions and constants are allowed"}
	}
	return nil
}

// holds reports whether e or an expression inside it is such.
func holds(e Expr, such func(Expr) bool) bool {
	return such(e) || anyOf(children(e), func(e Expr) bool { return holds(e, such) })
}

func anyOf(es []Expr, such func(Expr) bool) bool {
	for _, e := range es {
		if such(e) {
			return true
		}
	}
	return false
}

// From is the topic that the rule takes.
func (r *Rule) From() From { return r.from }

// Format is the rule's DataType.
func (r *Rule) Format() Format { return r.format }

// Statement is what the rule was compiled from. It is not to be changed.
func (r *Rule) Statement() *Statement { return &r.statement }

// Wants reports whether the rule takes messages of a forwarding topic.
func (r *Rule) Wants(forwarding string) bool { return topic.Match(r.from.Pattern, forwarding) }

// compile never fails: the parser has checked what can be wrong.
func compile(e Expr) op {
	switch e := e.(type) {
	case *Literal:
		return constant{e.Value}
	case *Path:
		return &pathOp{steps: e.Steps, array: e.Array}
	case *Call:
		return compileCall(e)
	case *Case:
		o := &caseOp{operand: compile(e.Operand)}
		for _, w := range e.Whens {
			o.whens = append(o.whens, struct{ when, then op }{compile(w.When), compile(w.Then)})
		}
		if e.Else != nil {
			o.other = compile(e.Else)
		}
		return o
	case *Negate:
		return &negateOp{compile(e.X)}
	case *Arithmetic:
		return &arithmeticOp{op: e.Op, x: compile(e.X), y: compile(e.Y)}
	case *Comparison:
		return &compareOp{op: e.Op, x: compile(e.X), y: compile(e.Y)}
	case *Like:
		o := &likeOp{not: e.Not, x: compile(e.X), pattern: compile(e.Pattern)}
		if text, ok := constantText(e.Pattern); ok {
			o.parts = strings.Split(text, "%")
		}
		return o
	case *In:
		return &inOp{not: e.Not, x: compile(e.X), list: compileAll(e.List)}
	case *Not:
		return &notOp{compile(e.X)}
	case *And:
		return &andOp{compileAll(e.List)}
	case *Or:
		return &orOp{compileAll(e.List)}
	}
	return constant{}
}

func compileAll(es []Expr) []op {
	ops := make([]op, len(es))
	for i, e := range es {
		ops[i] = compile(e)
	}
	return ops
}

func compileCall(e *Call) op {
	f, where := lookupFunction(e.Name), e.String()
	switch {
	case f.build != nil:
		return f.build(e.Args)
	case f.eval0 != nil:
		return &call0{f: f.eval0, where: where}
	case f.eval1 != nil:
		return &call1{f: f.eval1, where: where, a: compile(e.Args[0])}
	case f.eval2 != nil:
		return &call2{f: f.eval2, where: where, a: compile(e.Args[0]), b: compile(e.Args[1])}
	case f.evalN != nil:
		return &callN{f: f.evalN, where: where, args: compileAll(e.Args)}
	}
	return constant{} // thingPropertyFlatMap, which is no value
}
