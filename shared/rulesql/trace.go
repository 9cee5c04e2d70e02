package rulesql

import "context"

// A Trace is a dry run of a rule: what it made of a message and why (rule engine reference, "Debugging").
type Trace struct {
	Outcome Outcome
	Body    []byte // what actions would get; only if Matched
	Err     error  // as in Result
	Where   []Trial
	Fields  []Trial // even if the condition is not met
}

// A Trial is what one expression gave for the message.
type Trial struct {
	Depth int    // 0 for a condition or field as a whole, more for what is inside it
	Text  string // the expression
	Value Value  // null also if Err is set
	Err   error
}

// DryRun asks the rule about a sample message and tells what each expression gives, also those that the rule itself would not
// look at. Without Attributes every tag is the empty string, and without Device so is its name, as on the original's debugging
// page. Sample topics need not fit FROM: OtherTopic then says that they do not, and the rest is told all the same.
func (r *Rule) DryRun(ctx context.Context, env *Env, m *Message) Trace {
	if err := r.prepare(m); err != nil {
		return Trace{Outcome: InvalidFormat, Err: err}
	}
	var t Trace
	c := r.start(ctx, env, m)
	c.sample = true
	try := func(e Expr, depth int) Trial {
		part := run{ctx: ctx, env: env, msg: m, steps: env.maxSteps(), sample: true}
		v := compile(e).eval(&part)
		if part.err != nil {
			v = Value{}
		}
		return Trial{Depth: depth, Text: e.String(), Value: v, Err: part.err}
	}
	if r.statement.Where != nil {
		t.Where = trials(nil, r.statement.Where, 0, try)
	}
	for _, f := range r.fields {
		switch {
		case f.value == nil:
			t.Fields = append(t.Fields, Trial{Text: fieldName(f)})
		default:
			v := f.value.eval(c)
			t.Fields = append(t.Fields, Trial{Text: f.key, Value: v, Err: c.err})
			c.err = nil
		}
	}
	*c = run{ctx: ctx, env: env, msg: m, steps: env.maxSteps(), sample: true}
	t.decide(r, c)
	return t
}

func fieldName(f field) string {
	if f.star {
		return "*"
	}
	return flatMapName
}

// decide does what Eval does.
func (t *Trace) decide(r *Rule, c *run) {
	met := r.met(c)
	switch {
	case c.err != nil:
		t.Outcome, t.Err = Failed, c.err
	case !met:
		t.Outcome = NotMet
	case !r.Wants(c.msg.Topic):
		t.Outcome = OtherTopic
	default:
		res := r.result(c)
		t.Outcome, t.Body, t.Err = res.Outcome, res.Body, res.Err
	}
}

// trials lists an expression and what is inside it, except constants, outermost first.
func trials(list []Trial, e Expr, depth int, try func(Expr, int) Trial) []Trial {
	if _, constant := e.(*Literal); constant && depth > 0 || len(list) == maxTrials {
		return list
	}
	list = append(list, try(e, depth))
	for _, inner := range children(e) {
		list = trials(list, inner, depth+1, try)
	}
	return list
}

const maxTrials = 200
