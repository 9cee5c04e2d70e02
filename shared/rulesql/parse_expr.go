package rulesql

import "strings"

// enter bounds how deep expressions are inside each other.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(p.peek(), "more than %d parentheses, calls and CASE inside each other", MaxDepth)
	}
	return nil
}

func (p *parser) expr() (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	first, err := p.and()
	if err != nil || !p.is(tokenKeyword, "OR") {
		return first, err
	}
	or := &Or{List: []Expr{first}}
	for p.keyword("OR") {
		e, err := p.and()
		if err != nil {
			return nil, err
		}
		or.List = append(or.List, e)
	}
	return or, nil
}

func (p *parser) and() (Expr, error) {
	first, err := p.not()
	if err != nil || !p.is(tokenKeyword, "AND") {
		return first, err
	}
	and := &And{List: []Expr{first}}
	for p.keyword("AND") {
		e, err := p.not()
		if err != nil {
			return nil, err
		}
		and.List = append(and.List, e)
	}
	return and, nil
}

func (p *parser) not() (Expr, error) {
	if !p.keyword("NOT") {
		return p.comparison()
	}
	e, err := p.comparison()
	if err != nil {
		return nil, err
	}
	return &Not{X: e}, p.count()
}

var compareOps = map[string]CompareOp{
	"=": Equal, "<>": NotEqual, "<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual,
}

func (p *parser) comparison() (Expr, error) {
	x, err := p.sum()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	if op, ok := compareOps[t.text]; ok && t.kind == tokenSymbol {
		p.next()
		y, err := p.sum()
		if err != nil {
			return nil, err
		}
		return &Comparison{Op: op, X: x, Y: y}, p.count()
	}
	negated := p.keyword("NOT")
	switch {
	case p.keyword("LIKE"):
		pattern, err := p.sum()
		if err != nil {
			return nil, err
		}
		return &Like{Not: negated, X: x, Pattern: pattern}, p.count()
	case p.keyword("IN"):
		list, err := p.inList()
		return &In{Not: negated, X: x, List: list}, err
	case negated:
		return nil, p.unexpected("LIKE or IN")
	}
	return x, nil
}

func (p *parser) inList() ([]Expr, error) {
	if !p.symbol("(") {
		return nil, p.unexpected("(")
	}
	var list []Expr
	for {
		if p.is(tokenKeyword, "SELECT") {
			return nil, p.unexpected("")
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		if p.symbol(")") {
			return list, p.count()
		}
		if !p.symbol(",") {
			return nil, p.unexpected("a comma or )")
		}
	}
}

func (p *parser) sum() (Expr, error) { return p.binary("+-", p.term) }

func (p *parser) term() (Expr, error) { return p.binary("*/%", p.unary) }

// binary reads operands with operators of one precedence between them, which bind to the left.
func (p *parser) binary(ops string, operand func() (Expr, error)) (Expr, error) {
	x, err := operand()
	for err == nil {
		t := p.peek()
		if t.kind != tokenSymbol || len(t.text) != 1 || !strings.Contains(ops, t.text) {
			return x, nil
		}
		p.next()
		var y Expr
		if y, err = operand(); err == nil {
			x, err = &Arithmetic{Op: t.text[0], X: x, Y: y}, p.count()
		}
	}
	return nil, err
}

func (p *parser) unary() (Expr, error) {
	if !p.symbol("-") {
		return p.primary()
	}
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	if l, ok := x.(*Literal); ok && l.Value.kind == Number && l.Value.text[0] != '-' {
		return &Literal{Value{kind: Number, form: asWritten, text: "-" + l.Value.text}}, nil
	}
	return &Negate{X: x}, p.count()
}

func (p *parser) primary() (Expr, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	at := p.at
	switch t := p.next(); t.kind {
	case tokenNumber:
		return &Literal{Value{kind: Number, form: asWritten, text: t.text}}, nil
	case tokenString:
		return &Literal{stringValue(t.text)}, nil
	case tokenQuoted:
		steps, array, err := ParsePath(t.text)
		if err != nil {
			return nil, p.fail(t, "%v", err)
		}
		return &Path{Steps: steps, Array: array}, nil
	case tokenName:
		if p.symbol("(") {
			return p.call(t)
		}
		return p.path(t)
	case tokenSymbol:
		if t.text != "(" {
			break
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, p.unexpected(")")
		}
		return e, nil
	case tokenKeyword:
		switch t.text {
		case "TRUE", "FALSE":
			return &Literal{boolValue(t.text == "TRUE")}, nil
		case "NULL":
			return &Literal{}, nil
		case "CASE":
			return p.caseOf(t)
		}
	}
	p.at = at
	return nil, p.unexpected("a value")
}

// path reads a path without quotes.
func (p *parser) path(first token) (Expr, error) {
	if len(first.text) > MaxName {
		return nil, p.fail(first, "the name is longer than %d bytes", MaxName)
	}
	path := &Path{Steps: []Step{{Key: first.text}}}
	for {
		switch {
		case p.symbol("."):
			t := p.peek()
			if t.kind != tokenName && t.kind != tokenKeyword {
				return nil, p.unexpected("a name")
			}
			p.next()
			path.Steps = append(path.Steps, Step{Key: p.text[t.start:t.end]})
		case p.symbol("["):
			t := p.next()
			if t.kind != tokenNumber {
				return nil, p.fail(t, "between [ and ] stands a number from 0")
			}
			i, err := parseIndex(t.text)
			if err != nil {
				return nil, p.fail(t, "%v", err)
			}
			if !p.symbol("]") {
				return nil, p.unexpected("]")
			}
			path.Steps = append(path.Steps, Step{Index: i})
		default:
			return path, nil
		}
	}
}

func (p *parser) call(name token) (Expr, error) {
	f := lookupFunction(name.text)
	if f == nil {
		return nil, p.fail(name, "%s", unknownFunction(name.text))
	}
	c := &Call{Name: f.name}
	if p.is(tokenSymbol, "*") {
		p.next()
		c.Star = true
	}
	for !p.symbol(")") {
		if len(c.Args) > 0 && !p.symbol(",") || c.Star {
			return nil, p.unexpected("a comma or )")
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, e)
	}
	if err := f.check(c); err != "" {
		return nil, p.fail(name, "%s", err)
	}
	return c, nil
}

func (p *parser) caseOf(start token) (Expr, error) {
	if p.inCase {
		return nil, p.fail(start, "CASE inside CASE is not supported")
	}
	p.inCase = true
	defer func() { p.inCase = false }()
	if p.is(tokenKeyword, "WHEN") {
		return nil, p.fail(p.peek(), "CASE needs a value to compare: CASE a WHEN 1 THEN …")
	}
	var c Case
	var err error
	if c.Operand, err = p.expr(); err != nil {
		return nil, err
	}
	for p.keyword("WHEN") {
		var w When
		if w.When, err = p.expr(); err != nil {
			return nil, err
		}
		if !p.keyword("THEN") {
			return nil, p.unexpected("THEN")
		}
		if w.Then, err = p.expr(); err != nil {
			return nil, err
		}
		c.Whens = append(c.Whens, w)
	}
	if len(c.Whens) == 0 {
		return nil, p.unexpected("WHEN")
	}
	if p.keyword("ELSE") {
		if c.Else, err = p.expr(); err != nil {
			return nil, err
		}
	}
	if !p.keyword("END") {
		return nil, p.unexpected("WHEN, ELSE or END")
	}
	return &c, nil
}
