package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"relink/shared/logs"
)

func TestAssignments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pairs []string
		want  string
	}{
		{[]string{"temperature=23.5"}, `{"temperature":23.5}`},
		{[]string{"a=1", "b=true", `c={"d":[1]}`}, `{"a":1,"b":true,"c":{"d":[1]}}`},
		{[]string{"name=living room"}, `{"name":"living room"}`},
		{[]string{`quote=say "hi"`, "empty="}, `{"quote":"say \"hi\"","empty":""}`},
		{[]string{"eq=a=b"}, `{"eq":"a=b"}`},
		{nil, `{}`},
	} {
		got, err := assignments(c.pairs)
		if err != nil || got != c.want {
			t.Errorf("%q: %s (%v), want %s", c.pairs, got, err, c.want)
		}
	}
	for _, bad := range []string{"temperature", "=5", ""} {
		if got, err := assignments([]string{bad}); err == nil {
			t.Errorf("%q gives %s, want an error", bad, got)
		}
	}
}

// What a user types cannot leave its place in the query.
func TestLogExpression(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ device, message, query, want string }{
		{"", "", "", "*"},
		{"a1/lamp", "", "", `product_key: "a1" and device_name: "lamp"`},
		{"", `7" or "`, "", `message_id: "7\" or \""`},
		{"a1/lamp", "", "code > 200 or code: 1", `product_key: "a1" and device_name: "lamp" and (code > 200 or code: 1)`},
	} {
		got, err := logExpression(c.device, c.message, c.query)
		if err != nil || got != c.want {
			t.Errorf("%+v: %s (%v)", c, got, err)
		}
	}
	if _, err := logExpression("lamp", "", ""); err == nil {
		t.Error("a device without a product key is accepted")
	}
}

func TestExplainLines(t *testing.T) {
	t.Parallel()
	line := func(reason, detail string) map[string]string {
		return map[string]string{logs.FieldOperation: "auth", logs.FieldReason: reason, logs.FieldDetail: detail, logs.FieldCode: "4", logs.FieldAt: "1767225600000"}
	}
	got := explainLines([]map[string]string{line("sign_mismatch", "x"), line("device_disabled", ""), line("sign_mismatch", "x"), line("of_the_future", ""), line("", "")}, false)
	if len(got) != 3 || got[0].Cause != "sign_mismatch" || got[0].Times != 2 || got[1].Times != 1 || got[2].Cure == "" {
		t.Fatalf("%+v", got)
	}
	if got[0].What == got[2].What || got[0].Cure == "" {
		t.Errorf("a known cause is not explained: %+v", got[0])
	}
}

func TestEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, []byte("# comment\nRELINK_TEST_A=file\nRELINK_TEST_B=with=sign\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RELINK_TEST_A", "process")
	var e environment
	if err := e.load(path); err != nil {
		t.Fatal(err)
	}
	if a, b := e.get("RELINK_TEST_A"), e.get("RELINK_TEST_NONE", "RELINK_TEST_B"); a != "process" || b != "with=sign" {
		t.Errorf("%q %q", a, b)
	}
	if _, err := e.need("RELINK_TEST_NONE"); err == nil || !strings.Contains(err.Error(), "RELINK_TEST_NONE") {
		t.Errorf("%v does not name the variable", err)
	}
	if err := e.load(path + ".missing"); err != nil {
		t.Errorf("a missing file is an error: %v", err)
	}
}

// Every command explains itself, and wrong words are refused before anything is called.
func TestCommandsHelpAndRefuse(t *testing.T) {
	run := func(args ...string) (string, error) {
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append(args, "--env", os.DevNull))
		err := root.Execute()
		return out.String(), err
	}
	for _, c := range newRoot().Commands() {
		if out, err := run(c.Name(), "--help"); err != nil || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: %v: %s", c.Name(), err, out)
		}
	}
	for _, args := range [][]string{
		{"no-such-command"}, {"product", "create"}, {"device", "create"}, {"device", "show", "pk"}, {"property", "set", "pk", "dn"},
		{"product", "list", "-o", "yaml"}, {"simulate", "--devices", "0"}, {"bench", "--window", "0"}, {"bench", "idle", "--connections", "1"},
		{"faults", "set", "{"}, {"logs", "--device", "lamp"}, {"connector", "--config", "/nowhere"},
	} {
		if out, err := run(args...); err == nil {
			t.Errorf("%v is accepted: %s", args, out)
		}
	}
}
