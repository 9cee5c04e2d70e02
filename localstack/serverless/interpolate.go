package serverless

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	expression = regexp.MustCompile(`\$\{([^}]*)\}`)
	varsExpr   = regexp.MustCompile(`^vars((?:\.[A-Za-z_][A-Za-z0-9_-]*)+)$`)
	envExpr    = regexp.MustCompile(`^env\(\s*(?:'([^']*)'|"([^"]*)")\s*(?:,\s*(?:'([^']*)'|"([^"]*)")\s*)?\)$`)
	configExpr = regexp.MustCompile(`^config\(\s*(?:'([^']*)'|"([^"]*)")\s*\)$`)
)

// resolve returns n with every interpolation replaced, without changing n. Lines are those of the place
// that used the interpolation. A mapping's keys are not interpolated.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		out := *n
		out.Content = make([]*yaml.Node, len(n.Content))
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				out.Content[i] = c
				continue
			}
			out.Content[i] = r.resolve(c)
		}
		return &out
	case yaml.ScalarNode:
		if n.Tag == "!!str" && strings.Contains(n.Value, "${") {
			return r.scalar(n)
		}
	}
	return n
}

// scalar interpolates one string. A string that is a single ${vars.x} takes the variable's type.
func (r *reader) scalar(n *yaml.Node) *yaml.Node {
	if m := expression.FindStringSubmatch(n.Value); m != nil && m[0] == n.Value {
		if v := varsExpr.FindStringSubmatch(strings.TrimSpace(m[1])); v != nil {
			got := r.variable(n, v[1])
			if got == nil {
				return n
			}
			return at(got, n.Line)
		}
	}
	out := *n
	out.Value = expression.ReplaceAllStringFunc(n.Value, func(s string) string {
		return r.evaluate(n, strings.TrimSpace(s[2:len(s)-1]))
	})
	if r.fromText == nil {
		r.fromText = make(map[*yaml.Node]bool)
	}
	r.fromText[&out] = true
	return &out
}

// at copies a tree with every line set to that of its use.
func at(n *yaml.Node, line int) *yaml.Node {
	out := *n
	out.Line = line
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		out.Content[i] = at(c, line)
	}
	return &out
}

// evaluate gives the text of one expression.
func (r *reader) evaluate(n *yaml.Node, expr string) string {
	if m := varsExpr.FindStringSubmatch(expr); m != nil {
		v := r.variable(n, m[1])
		if v == nil {
			return ""
		}
		if v.Kind != yaml.ScalarNode {
			r.addf(n.Line, "${%s} is not a single value and cannot be part of a string", expr)
			return ""
		}
		return v.Value
	}
	if m := envExpr.FindStringSubmatchIndex(expr); m != nil {
		name := group(expr, m, 1, 2)
		if r.opt.LookupEnv != nil {
			if v, ok := r.opt.LookupEnv(name); ok {
				return v
			}
		}
		if m[6] < 0 && m[8] < 0 {
			r.addf(n.Line, "environment variable %s is not set and ${%s} has no default", name, expr)
		}
		return group(expr, m, 3, 4)
	}
	if m := configExpr.FindStringSubmatchIndex(expr); m != nil {
		name := group(expr, m, 1, 2)
		if name == "AccountID" && r.opt.AccountID != "" {
			return r.opt.AccountID
		}
		r.addf(n.Line, "${%s} has no value here: only config('AccountID') is known", expr)
		return ""
	}
	r.addf(n.Line, "${%s} is not supported: use vars.NAME, env('NAME','default') or config('AccountID')", expr)
	return ""
}

// group returns the text of the first of two alternative groups that matched.
func group(s string, m []int, a, b int) string {
	for _, g := range [2]int{a, b} {
		if m[2*g] >= 0 {
			return s[m[2*g]:m[2*g+1]]
		}
	}
	return ""
}

// variable resolves a path like .log.project below vars; nil after reporting why there is none.
func (r *reader) variable(use *yaml.Node, path string) *yaml.Node {
	if r.resolving[path] {
		r.addf(use.Line, "${vars%s} refers to itself", path)
		return nil
	}
	if r.resolving == nil {
		r.resolving = make(map[string]bool)
	}
	r.resolving[path] = true
	defer delete(r.resolving, path)
	n := r.vars
	for _, name := range strings.Split(path[1:], ".") {
		if n = child(n, name); n == nil {
			r.addf(use.Line, "${vars%s} is not declared in vars", path)
			return nil
		}
	}
	return r.resolve(n)
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n == nil {
		return nil
	}
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return deref(n.Content[i+1])
		}
	}
	return nil
}
