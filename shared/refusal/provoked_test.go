package refusal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every cause is given by the code somewhere, and provoked by a test: its constant or its text stands in the code of a test of another
// package, or it is a reason in an event file or in what an end-to-end test wants to read.
func TestEveryCauseIsGivenAndProvoked(t *testing.T) {
	t.Parallel()
	causes := constants(t)
	given, provoked := map[Cause]bool{}, map[Cause]bool{}
	root := filepath.Join("..", "..")
	reason := regexp.MustCompile(`"reason": *"(\w+)"`)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && path != root || e.Name() == "dist"):
			return fs.SkipDir
		case e.IsDir() || filepath.Dir(path) == filepath.Join(root, "shared", "refusal"):
			return nil
		case filepath.Ext(path) == ".json" && strings.Contains(filepath.ToSlash(path), "/testdata/"):
			text, err := os.ReadFile(path)
			for _, m := range reason.FindAllSubmatch(text, -1) {
				provoked[Cause(m[1])] = true
			}
			return err
		case filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			mention(file, causes, true, provoked)
		} else {
			mention(file, causes, false, given)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(causes)) {
		cause := causes[name]
		if !given[cause] {
			t.Errorf("%s (%s) is given by nothing: delete it", name, cause)
		}
		if !provoked[cause] {
			t.Errorf("%s (%s) is provoked by no test", name, cause)
		}
	}
}

// mention notes the causes that a file names. Those that are only told apart, in a case of a switch, a comparison or the key of a table,
// do not count in code; in tests they do, because that is how tests look for them.
func mention(file *ast.File, causes map[string]Cause, test bool, into map[Cause]bool) {
	told := map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, x := range n.List {
				told[x] = true
			}
		case *ast.BinaryExpr:
			told[n.X], told[n.Y] = true, true
		case *ast.KeyValueExpr:
			told[n.Key] = true
		case *ast.SelectorExpr:
			if p, ok := n.X.(*ast.Ident); ok && p.Name == "refusal" && (test || !told[n]) {
				into[causes[n.Sel.Name]] = true
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && test {
				for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
					if strings.Contains(word, "_") {
						into[Cause(word)] = true
					}
				}
			}
		}
		return true
	})
}
