package rulesql

// A Statement is a rule's SQL as it was written (rule engine reference, "Grammar").
type Statement struct {
	Fields []Field
	From   string // the topic as it was written, without quotes; "" if the statement has no FROM
	Where  Expr   // nil: always
}

// A Field is one member of SELECT. Star stands alone, or with others beside it.
type Field struct {
	Star bool
	Expr Expr
	Key  string // the member's name in the result: the alias, or the source text of the expression; of thingPropertyFlatMap ""
}

// An Expr is one of the types below. String writes it so that it parses to the same again.
type Expr interface {
	String() string
	precedence() int
}

// A Literal is a constant: a number as it was written, a string, true, false or null.
type Literal struct{ Value Value }

// A Path is a variable: a path into the payload.
type Path struct {
	Steps []Step
	Array bool // the array form .a[0]
}

// A Call calls a function of the chapter "Functions".
type Call struct {
	Name string // canonical spelling
	Star bool   // name(*)
	Args []Expr
}

// A Case is CASE operand WHEN … THEN … ELSE … END; the first equal WHEN wins.
type Case struct {
	Operand Expr
	Whens   []When
	Else    Expr // nil: null
}

// A When is one branch of a Case.
type When struct{ When, Then Expr }

// A Negate is unary minus.
type Negate struct{ X Expr }

// An Arithmetic is X op Y; Op is one of + - * / %.
type Arithmetic struct {
	Op   byte
	X, Y Expr
}

// A Comparison is X op Y.
type Comparison struct {
	Op   CompareOp
	X, Y Expr
}

// A Like is X [NOT] LIKE Pattern; % is any text.
type Like struct {
	Not        bool
	X, Pattern Expr
}

// An In is X [NOT] IN (List).
type In struct {
	Not  bool
	X    Expr
	List []Expr
}

// A Not is NOT X.
type Not struct{ X Expr }

// An And is all of List, which has at least two.
type And struct{ List []Expr }

// An Or is any of List, which has at least two.
type Or struct{ List []Expr }

const (
	precOr = iota
	precAnd
	precNot
	precCompare
	precSum
	precTerm
	precUnary
	precPrimary
)

func (*Or) precedence() int         { return precOr }
func (*And) precedence() int        { return precAnd }
func (*Not) precedence() int        { return precNot }
func (*Comparison) precedence() int { return precCompare }
func (*Like) precedence() int       { return precCompare }
func (*In) precedence() int         { return precCompare }
func (e *Arithmetic) precedence() int {
	if e.Op == '+' || e.Op == '-' {
		return precSum
	}
	return precTerm
}
func (*Negate) precedence() int { return precUnary }
func (e *Literal) precedence() int {
	if e.Value.kind == Number && e.Value.text[0] == '-' {
		return precUnary
	}
	return precPrimary
}
func (*Path) precedence() int { return precPrimary }
func (*Call) precedence() int { return precPrimary }
func (*Case) precedence() int { return precPrimary }

// children are the expressions inside e.
func children(e Expr) []Expr {
	switch e := e.(type) {
	case *Or:
		return e.List
	case *And:
		return e.List
	case *Not:
		return []Expr{e.X}
	case *Comparison:
		return []Expr{e.X, e.Y}
	case *Like:
		return []Expr{e.X, e.Pattern}
	case *In:
		return append([]Expr{e.X}, e.List...)
	case *Arithmetic:
		return []Expr{e.X, e.Y}
	case *Negate:
		return []Expr{e.X}
	case *Call:
		return e.Args
	case *Case:
		all := []Expr{e.Operand}
		for _, w := range e.Whens {
			all = append(all, w.When, w.Then)
		}
		if e.Else != nil {
			all = append(all, e.Else)
		}
		return all
	}
	return nil
}
