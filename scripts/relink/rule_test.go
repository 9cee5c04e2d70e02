package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command line against a platform that answers with answers, one after the other, the last again and again. It gives what
// was printed and what was asked.
func run(t *testing.T, args []string, answers ...string) (out string, asked []string, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var parts []string
		for _, name := range []string{"RuleId", "ActionId", "Name", "Select", "Topic", "Where", "DataType", "Type", "Configuration", "ErrorActionFlag", "Payload", "DeviceName",
			"ProductKey", "DeviceDataFlag", "DeviceStatusChangeFlag", "MessageId", "PageSize", "NextToken"} {
			if q.Has(name) {
				parts = append(parts, name+"="+q.Get(name))
			}
		}
		asked = append(asked, strings.Join(append([]string{r.Header.Get("x-acs-action")}, parts...), " "))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answers[min(len(asked), len(answers))-1])
	}))
	defer server.Close()
	env := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(env, []byte("RELINK_OPENAPI_ENDPOINT="+server.URL+"\nRELINK_ACCESS_KEY_ID=id\nRELINK_ACCESS_KEY_SECRET=secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	var buffer bytes.Buffer
	root.SetOut(&buffer)
	root.SetErr(&buffer)
	root.SetArgs(append(args, "--env", env))
	err = root.ExecuteContext(t.Context())
	return buffer.String(), asked, err
}

func TestRuleCommands(t *testing.T) {
	t.Parallel()
	const ok = `{"Success":true}`
	for _, c := range []struct {
		args    string // separated by |
		answers []string
		asked   string
		printed string
	}{
		{`rule|create|hot|--sql|SELECT a t FROM "/a1/+/user/x" WHERE a > 1`, []string{`{"Success":true,"RuleId":7}`}, `CreateRule Name=hot Select=a AS 't' Topic=/a1/+/user/x Where=a > 1`, "rule id  7"},
		{`rule|create|raw|--binary|--select|*|--topic|/a1/+/user/x`, []string{`{"Success":true,"RuleId":7}`}, `CreateRule Name=raw Select=* Topic=/a1/+/user/x DataType=BINARY`, "7"},
		{`rule|update|7|--where|a > 2`, []string{ok}, `UpdateRule RuleId=7 Where=a > 2`, "updated"},
		{`rule|start|7`, []string{ok}, `StartRule RuleId=7`, "started"},
		{`rule|stop|7`, []string{ok}, `StopRule RuleId=7`, "stopped"},
		{`rule|delete|7`, []string{ok}, `DeleteRule RuleId=7`, "deleted"},
		{`rule|list`, []string{`{"Success":true,"Data":{"RuleInfo":[{"Id":7,"Name":"hot","Status":"STOP"}]},"Total":1}`}, `ListRule PageSize=100`, "hot"},
		{`rule|action|add|7|FC|{}|--for-errors`, []string{`{"Success":true,"ActionId":9}`}, `CreateRuleAction RuleId=7 Type=FC Configuration={} ErrorActionFlag=true`, "action id  9"},
		{`rule|action|update|9|FC|{}`, []string{ok}, `UpdateRuleAction ActionId=9 Type=FC Configuration={}`, "updated"},
		{`rule|action|delete|9`, []string{ok}, `DeleteRuleAction ActionId=9`, "deleted"},
		{`rule|test|{"a":2}|--rule|7|--device|d1`, []string{`{"Success":true,"Outcome":"matched","Result":"{\"t\":2}","Actions":[{"ActionId":9,"Type":"REPUBLISH","Target":[{"Name":"topic","Value":"/a1/d1/user/get"}]}]}`},
			`RelinkTestRule RuleId=7 Payload={"a":2} DeviceName=d1`, `/a1/d1/user/get`},
		{`rule|dead|7|--limit|5`, []string{`{"Success":true,"Data":{"DeadLetter":[{"MessageId":"m1","Reason":"no such table"}]}}`}, `RelinkListDeadLetters RuleId=7 PageSize=5`, "no such table"},
		{`rule|replay|7|--message|m1`, []string{`{"Success":true,"Count":2,"NextToken":"c"}`, `{"Success":true,"Count":1}`},
			"RelinkReplayDeadLetters RuleId=7 MessageId=m1 PageSize=1000\nRelinkReplayDeadLetters RuleId=7 MessageId=m1 PageSize=1000 NextToken=c", "replayed  3"},
		{`subscribe|create|a1|--data|--status`, []string{ok}, `CreateSubscribeRelation Type=MNS ProductKey=a1 DeviceDataFlag=true DeviceStatusChangeFlag=true`, "subscribed"},
		{`subscribe|update|a1|--status`, []string{ok}, `UpdateSubscribeRelation Type=MNS ProductKey=a1 DeviceStatusChangeFlag=true`, "updated"},
		{`subscribe|show|a1`, []string{`{"Success":true,"DeviceDataFlag":true}`}, `QuerySubscribeRelation Type=MNS ProductKey=a1`, "data       true"},
		{`subscribe|delete|a1`, []string{ok}, `DeleteSubscribeRelation Type=MNS ProductKey=a1`, "deleted"},
		{`ledger`, []string{`{"Success":true,"Data":{"Matched":4,"Delivered":4,"Balanced":true,"Input":{"property":{"in":5,"stored":5}}}}`}, `RelinkGetLedger`, "balanced    yes"},
	} {
		out, asked, err := run(t, strings.Split(c.args, "|"), c.answers...)
		if err != nil || strings.Join(asked, "\n") != c.asked || !strings.Contains(out, c.printed) {
			t.Errorf("%s: %v\nasked\n%s\nwant\n%s\nprinted\n%s", c.args, err, strings.Join(asked, "\n"), c.asked, out)
		}
	}
}

func TestRuleCommandsRefuse(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"rule|create", "rule|create|x|--sql|SELECT FROM", "rule|create|x|--sql|SELECT a FROM b|--where|c", "rule|start", "rule|test|{}",
		"rule|action|add|7|FC", "subscribe|create|a1", "rule|nothing", "ledger|x"} {
		if out, asked, err := run(t, strings.Split(args, "|"), `{"Success":true}`); err == nil || len(asked) != 0 {
			t.Errorf("%s is taken: asked %q, printed %s", args, asked, out)
		}
	}
	if _, _, err := run(t, []string{"rule", "start", "7"}, `{"Success":false,"Code":"iot.rule.NotFoundRule","ErrorMessage":"none"}`); err == nil || !strings.Contains(err.Error(), "iot.rule.NotFoundRule") {
		t.Errorf("got %v", err)
	}
}

// The ledger waits for what is on its way, and fails if something is missing.
func TestLedgerCommand(t *testing.T) {
	t.Parallel()
	const pending, fine = `{"Success":true,"Data":{"Pending":1}}`, `{"Success":true,"Data":{"Balanced":true}}`
	if out, asked, err := run(t, []string{"ledger", "--every", "1ms"}, pending, pending, fine); err != nil || len(asked) != 3 {
		t.Errorf("%v, asked %d times: %s", err, len(asked), out)
	}
	if out, _, err := run(t, []string{"ledger", "--quiet", "0s"}, pending); !errors.Is(err, errUnbalanced) || !strings.Contains(out, "1 pending") {
		t.Errorf("%v: %s", err, out)
	}
	if out, asked, err := run(t, []string{"ledger", "-o", "json"}, `{"Success":true,"Data":{"Problems":["lost"]}}`); !errors.Is(err, errUnbalanced) || len(asked) != 1 || !strings.Contains(out, `"lost"`) {
		t.Errorf("%v: %s", err, out)
	}
}

// Every command of rules says how it is used.
func TestRuleHelp(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s says nothing", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range newRoot().Commands() {
		if c.Name() == "rule" || c.Name() == "subscribe" || c.Name() == "ledger" {
			walk(c)
		}
	}
}
