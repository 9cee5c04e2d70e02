package rulesql

import "strings"

// String writes the statement on one line. Parsing it gives the same statement.
func (s *Statement) String() string {
	var b strings.Builder
	b.WriteString("SELECT ")
	b.WriteString(s.SelectText())
	if s.From != "" {
		b.WriteString(` FROM "` + s.From + `"`)
	}
	if s.Where != nil {
		b.WriteString(" WHERE " + s.Where.String())
	}
	return b.String()
}

// SelectText is the fields, without the keyword.
func (s *Statement) SelectText() string {
	parts := make([]string, len(s.Fields))
	for i := range s.Fields {
		parts[i] = s.Fields[i].String()
	}
	return strings.Join(parts, ", ")
}

// String writes the field, with its name where that is not the expression's text.
func (f *Field) String() string {
	if f.Star {
		return "*"
	}
	text := f.Expr.String()
	if c, ok := f.Expr.(*Call); ok && c.Name == flatMapName {
		return text
	}
	if text == f.Key || text == `"`+f.Key+`"` {
		return text
	}
	return text + " AS " + quote(f.Key)
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// inside writes e so that it binds at least as tight as least.
func inside(e Expr, least int) string {
	if e.precedence() < least {
		return "(" + e.String() + ")"
	}
	return e.String()
}

func list(es []Expr, separator string, least int) string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = inside(e, least)
	}
	return strings.Join(parts, separator)
}

func (e *Or) String() string  { return list(e.List, " OR ", precAnd) }
func (e *And) String() string { return list(e.List, " AND ", precNot) }
func (e *Not) String() string { return "NOT " + inside(e.X, precCompare) }
func (e *Comparison) String() string {
	return inside(e.X, precSum) + " " + e.Op.String() + " " + inside(e.Y, precSum)
}

func (e *Like) String() string {
	return inside(e.X, precSum) + not(e.Not) + " LIKE " + inside(e.Pattern, precSum)
}

func (e *In) String() string {
	return inside(e.X, precSum) + not(e.Not) + " IN (" + list(e.List, ", ", precOr) + ")"
}

func not(negated bool) string {
	if negated {
		return " NOT"
	}
	return ""
}

func (e *Arithmetic) String() string {
	least := e.precedence()
	return inside(e.X, least) + " " + string(e.Op) + " " + inside(e.Y, least+1)
}

func (e *Negate) String() string { return "-" + inside(e.X, precPrimary) }

func (e *Literal) String() string {
	if e.Value.kind == String {
		return quote(e.Value.text)
	}
	if e.Value.kind == Null {
		return "NULL"
	}
	return e.Value.Text()
}

func (e *Path) String() string {
	text := pathText(e.Steps, e.Array)
	if e.Array || len(e.Steps) == 0 || e.Steps[0].Key == "" || keywords[strings.ToUpper(e.Steps[0].Key)] != 0 {
		return `"` + text + `"`
	}
	for _, s := range e.Steps {
		if s.Key != "" && !isIdentifier(s.Key) {
			return `"` + text + `"`
		}
	}
	return text
}

func (e *Call) String() string {
	if e.Star {
		return e.Name + "(*)"
	}
	return e.Name + "(" + list(e.Args, ", ", precOr) + ")"
}

func (e *Case) String() string {
	var b strings.Builder
	b.WriteString("CASE " + e.Operand.String())
	for _, w := range e.Whens {
		b.WriteString(" WHEN " + w.When.String() + " THEN " + w.Then.String())
	}
	if e.Else != nil {
		b.WriteString(" ELSE " + e.Else.String())
	}
	b.WriteString(" END")
	return b.String()
}
