package rulesql

import "strings"

// Parse reads a whole statement: SELECT … FROM … [WHERE …]. Errors are *SyntaxError.
func Parse(sql string) (*Statement, error) {
	p, err := newParser(InStatement, sql)
	if err != nil {
		return nil, err
	}
	if !p.keyword("SELECT") {
		return nil, p.unexpected("SELECT")
	}
	s := new(Statement)
	if s.Fields, err = p.fields(); err != nil {
		return nil, err
	}
	if !p.keyword("FROM") {
		return nil, p.unexpected("a comma, AS or FROM")
	}
	s.From = p.next().text
	if p.keyword("WHERE") {
		if s.Where, err = p.expr(); err != nil {
			return nil, err
		}
	}
	return s, p.end("WHERE, AND, OR")
}

// ParseSelect reads what stands after SELECT.
func ParseSelect(text string) ([]Field, error) {
	p, err := newParser(InSelect, text)
	if err != nil {
		return nil, err
	}
	if p.peek().text == "SELECT" && p.peek().kind == tokenKeyword {
		return nil, p.fail(p.peek(), "leave the word SELECT out")
	}
	fields, err := p.fields()
	if err != nil {
		return nil, err
	}
	return fields, p.end("a comma or AS")
}

// ParseWhere reads what stands after WHERE; an empty text gives nil, which is always met.
func ParseWhere(text string) (Expr, error) {
	p, err := newParser(InWhere, text)
	if err != nil {
		return nil, err
	}
	if p.peek().kind == tokenEnd {
		return nil, nil
	}
	if p.peek().text == "WHERE" && p.peek().kind == tokenKeyword {
		return nil, p.fail(p.peek(), "leave the word WHERE out")
	}
	e, err := p.expr()
	if err != nil {
		return nil, err
	}
	return e, p.end("AND, OR or an operator")
}

type parser struct {
	part   Part
	text   string
	tokens []token
	at     int
	depth  int
	nodes  int
	inCase bool
}

func newParser(part Part, text string) (*parser, error) {
	tokens, err := lex(part, text)
	if err != nil {
		return nil, err
	}
	return &parser{part: part, text: text, tokens: tokens}, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

func (p *parser) is(kind tokenKind, text string) bool {
	t := p.peek()
	return t.kind == kind && t.text == text
}

func (p *parser) accept(kind tokenKind, text string) bool {
	if p.is(kind, text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) keyword(word string) bool { return p.accept(tokenKeyword, word) }
func (p *parser) symbol(s string) bool     { return p.accept(tokenSymbol, s) }

func (p *parser) fail(t token, format string, args ...any) error {
	return syntaxError(p.part, p.text, t.start, format, args...)
}

// unsupported are words of other SQL dialects, with what to do instead (rule engine reference, "Grammar", not supported).
var unsupported = map[string]string{
	"GROUP": "GROUP BY is not supported", "ORDER": "ORDER BY is not supported", "BY": "GROUP BY and ORDER BY are not supported",
	"HAVING": "HAVING is not supported", "LIMIT": "LIMIT is not supported", "JOIN": "joins are not supported",
	"UNION": "UNION is not supported", "DISTINCT": "DISTINCT is not supported", "OVER": "window functions are not supported",
	"BETWEEN": "BETWEEN is not supported; write a >= 1 AND a <= 9", "IS": "IS is not supported; nanvl gives null another value",
	"SELECT": "sub-queries are not supported", "EXISTS": "sub-queries are not supported",
}

// unexpected is the error for a token that cannot stand where it stands.
func (p *parser) unexpected(want string) error {
	t := p.peek()
	if t.kind == tokenName || t.kind == tokenKeyword {
		if reason := unsupported[strings.ToUpper(t.text)]; reason != "" {
			return p.fail(t, "%s", reason)
		}
	}
	if p.at > 0 && p.tokens[p.at-1].kind == tokenName {
		if reason := unsupported[strings.ToUpper(p.tokens[p.at-1].text)]; reason != "" {
			return p.fail(p.tokens[p.at-1], "%s", reason)
		}
	}
	return p.fail(t, "%s expected", want)
}

// end accepts semicolons at the end.
func (p *parser) end(want string) error {
	for p.symbol(";") {
	}
	if p.peek().kind != tokenEnd {
		return p.unexpected(want + " or the end")
	}
	return nil
}

// count bounds the statement's size.
func (p *parser) count() error {
	if p.nodes++; p.nodes > MaxNodes {
		return p.fail(p.peek(), "the statement has more than %d operators and operands", MaxNodes)
	}
	return nil
}

func (p *parser) fields() ([]Field, error) {
	var fields []Field
	limit, stars := MaxFields, 0
	for {
		t := p.peek()
		if len(fields) > 0 && (t.kind == tokenEnd || p.is(tokenKeyword, "FROM") || p.is(tokenSymbol, ";")) {
			break // a trailing comma
		}
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		if f.Star {
			if stars++; stars > 1 {
				return nil, p.fail(t, "* stands there twice")
			}
		}
		if c, ok := f.Expr.(*Call); ok && c.Name == flatMapName {
			limit = maxFlatFields
		}
		fields = append(fields, f)
		if !p.symbol(",") {
			break
		}
	}
	if len(fields) > limit {
		return nil, &SyntaxError{Part: p.part, Reason: "SELECT has more fields than the 50 that it may have"}
	}
	return fields, nil
}

func (p *parser) field() (Field, error) {
	if p.is(tokenSymbol, "*") {
		p.next()
		return Field{Star: true}, nil
	}
	start := p.peek()
	e, err := p.expr()
	if err != nil {
		return Field{}, err
	}
	f := Field{Expr: e, Key: p.text[start.start:p.tokens[p.at-1].end]}
	if start.kind == tokenQuoted && p.tokens[p.at-1].start == start.start {
		f.Key = start.text // a path without its quotes
	}
	flat := false
	if c, ok := e.(*Call); ok && c.Name == flatMapName {
		flat, f.Key = true, ""
	}
	named := p.keyword("AS")
	t := p.peek()
	switch {
	case t.kind == tokenName && !(unsupported[strings.ToUpper(t.text)] != "" && !named && p.tokens[p.at+1].kind == tokenName),
		t.kind == tokenQuoted, t.kind == tokenString:
		if flat {
			return Field{}, p.fail(t, "%s takes no alias: it adds several members", flatMapName)
		}
		if t.text == "" {
			return Field{}, p.fail(t, "the alias is empty")
		}
		f.Key = t.text
		p.next()
	case named:
		return Field{}, p.unexpected("an alias")
	}
	if len(f.Key) > MaxKey {
		return Field{}, p.fail(start, "the field's name is longer than %d bytes; give it another with AS", MaxKey)
	}
	return f, nil
}
