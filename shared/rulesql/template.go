package rulesql

import (
	"fmt"
	"strings"
)

// A Template is a text of an action's configuration with ${…} in it, each of which takes a member of the SQL result: ${device},
// ${a.b} (rule engine reference, "Actions", Common). A text without is a constant. It is safe for concurrent use.
type Template struct {
	text  string
	parts []templatePart
}

type templatePart struct {
	literal string
	name    string // "": literal
	steps   []Step // nil if the name can only be that of a member
}

// A MissingError says that a result has no member that a template needs, or that it is null.
type MissingError struct{ Name string }

func (e *MissingError) Error() string { return fmt.Sprintf("the result has no member %q", e.Name) }

// CompileTemplate reads a text. Errors are *SyntaxError.
func CompileTemplate(text string) (*Template, error) {
	if len(text) > MaxTemplate {
		return nil, &SyntaxError{Part: InTemplate, Reason: fmt.Sprintf("the text is longer than %d bytes", MaxTemplate)}
	}
	t := &Template{text: text}
	for at := 0; at < len(text); {
		n := strings.Index(text[at:], "${")
		if n != 0 {
			if n < 0 {
				n = len(text) - at
			}
			t.parts = append(t.parts, templatePart{literal: text[at : at+n]})
			at += n
			continue
		}
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return nil, syntaxError(InTemplate, text, at, "${ has no }")
		}
		name := strings.TrimSpace(text[at+2 : at+end])
		if name == "" {
			return nil, syntaxError(InTemplate, text, at, "${} names nothing")
		}
		if strings.Contains(name, "${") {
			return nil, syntaxError(InTemplate, text, at, "${ inside ${")
		}
		p := templatePart{name: name}
		if steps, array, err := ParsePath(name); err == nil && !array {
			p.steps = steps
			if len(steps) == 0 { // $: the whole result
				p.steps = []Step{}
			}
		}
		t.parts = append(t.parts, p)
		at += end + 1
	}
	return t, nil
}

// String is the text that the template was compiled from.
func (t *Template) String() string { return t.text }

// Constant reports whether the text has no ${…}.
func (t *Template) Constant() bool {
	for i := range t.parts {
		if t.parts[i].name != "" {
			return false
		}
	}
	return true
}

// Names are what stands between ${ and }, in order.
func (t *Template) Names() []string {
	var names []string
	for i := range t.parts {
		if t.parts[i].name != "" {
			names = append(names, t.parts[i].name)
		}
	}
	return names
}

// Value fills the template from a result. A text that is exactly one ${…} keeps the type of the member and is null if there is
// none; otherwise the value is a string, and the error a *MissingError if a member is missing.
func (t *Template) Value(result *Document) (Value, error) {
	if len(t.parts) == 1 && t.parts[0].name != "" {
		return t.parts[0].value(result), nil
	}
	s, err := t.Text(result, nil)
	return stringValue(s), err
}

// Text fills the template from a result and gives text, in which objects and arrays are compact JSON. If escape is not nil, what
// comes from the result goes through it (url.PathEscape in a path). The error is a *MissingError.
func (t *Template) Text(result *Document, escape func(string) string) (string, error) {
	if len(t.parts) == 1 && t.parts[0].name == "" {
		return t.parts[0].literal, nil
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v := p.value(result)
		if v.kind == Null {
			return "", &MissingError{Name: p.name}
		}
		s := v.Text()
		if escape != nil {
			s = escape(s)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// value is the member that has the whole name (a field without an alias is called a.b, or deviceName()), else what the path finds.
func (p *templatePart) value(result *Document) Value {
	if result == nil {
		return Value{}
	}
	if v := result.Lookup([]Step{{Key: p.name}}); v.kind != Null || p.steps == nil {
		return v
	}
	return result.Lookup(p.steps)
}
