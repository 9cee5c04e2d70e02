package refusal

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestEveryCauseIsExplained(t *testing.T) {
	t.Parallel()
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	seen := map[Cause]bool{}
	for _, e := range All() {
		if seen[e.Cause] {
			t.Errorf("%s is there twice", e.Cause)
		}
		seen[e.Cause] = true
		if !snake.MatchString(string(e.Cause)) {
			t.Errorf("%q is not snake_case", e.Cause)
		}
		for _, text := range []string{e.What, e.Cure} {
			if len(text) < 20 || !strings.HasSuffix(text, ".") || strings.ToUpper(text[:1]) != text[:1] {
				t.Errorf("%s: %q is not a sentence that helps", e.Cause, text)
			}
		}
		if got, ok := Explain(e.Cause); !ok || got != e {
			t.Errorf("Explain(%s) = %v, %v", e.Cause, got, ok)
		}
	}
	for name, cause := range constants(t) {
		if !seen[cause] {
			t.Errorf("%s (%s) is in no list", name, cause)
		}
		delete(seen, cause)
	}
	for cause := range seen {
		t.Errorf("%s has no constant", cause)
	}
}

// constants reads the exported constants of type Cause from the source.
func constants(t *testing.T) map[string]Cause {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Cause{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Cause" {
				return true
			}
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = Cause(text)
			return true
		})
	}
	if len(found) < 70 {
		t.Fatalf("only %d constants found", len(found))
	}
	return found
}

func TestCauseOf(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("login: %w", New(SignMismatch, "hmacsha1"))
	if got := CauseOf(err); got != SignMismatch {
		t.Errorf("CauseOf(%v) = %q", err, got)
	}
	if got, want := err.Error(), "login: sign_mismatch: hmacsha1"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got := CauseOf(errors.New("other")); got != "" {
		t.Errorf("CauseOf(other) = %q", got)
	}
	if _, ok := Explain("no_such_cause"); ok {
		t.Error("an unknown cause is explained")
	}
}

// TestParamsMalformedIsOfAllTopics: every topic with params refuses with this cause, so its cure sends nobody to the thing model.
func TestParamsMalformedIsOfAllTopics(t *testing.T) {
	t.Parallel()
	e, ok := Explain(ParamsMalformed)
	if !ok || strings.Contains(e.Cure, "property post") || !strings.Contains(e.Cure, "detail") {
		t.Errorf("%q does not fit all topics, or does not lead to the detail", e.Cure)
	}
}
