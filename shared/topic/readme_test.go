package topic

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of topics in README.md")

const (
	readme = "../../README.md"
	begin  = "<!-- topics: written by go test ./shared/topic -update -->\n"
	end    = "<!-- end of topics -->"
)

// The table of topics in the README is this package's own.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("README.md has no %q … %q", begin, end)
	}
	want := markdown()
	if *update && old != want {
		if err := os.WriteFile(readme, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != want {
		t.Error("the table of topics in README.md is not that of the code: go test ./shared/topic -update")
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString("| | topic | answer | served by | state |\n| --- | --- | --- | --- | --- |\n")
	for _, e := range Table() {
		answer := map[Reply]string{Suffix: "`…_reply`", Same: "same topic", ShadowGet: "`/shadow/get/…`", Response: "`…/response`", RRPCDirection: "`…/rrpc/response/{id}`"}[e.Reply]
		by := e.Function
		if e.Direction == Up && by == "" {
			by = "connector"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", e.Direction, e.Topic, answer, by, e.Status)
	}
	return b.String()
}
