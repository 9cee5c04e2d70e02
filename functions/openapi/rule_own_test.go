package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/device"
	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/store"
)

// A functionService records invocations and answers each with answer.
type functionService struct {
	mu     sync.Mutex
	events []string
	answer string
}

func (f *functionService) Invoke(_ context.Context, function string, event []byte) (fc.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, function+" "+string(event))
	if f.answer == "" {
		return fc.Result{}, &fc.Error{}
	}
	return fc.Result{Body: []byte(f.answer)}, nil
}

func TestRelinkTestRule(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "product")
	id := s.newRule(t, pk, "r")
	action := s.newAction(t, id, "REPUBLISH", republish(pk))
	s.newAction(t, id, "REPUBLISH", `{"topic":"/`+pk+`/${missing}/user/get","topicType":1}`)
	ask := func(params map[string]string) map[string]any {
		params["RuleId"] = fmt.Sprint(id)
		return s.own(t, "RelinkTestRule", params)
	}
	m := ask(map[string]string{"Payload": `{"temperature":39.5}`, "DeviceName": "dev1"})
	if m["Outcome"] != "matched" || m["Result"] != `{"t":39.5,"d":"dev1"}` || m["Topic"] != "/"+pk+"/dev1/user/update" {
		t.Fatalf("matched: %v", m)
	}
	actions, _ := json.Marshal(m["Actions"])
	want := fmt.Sprintf(`[{"ActionId":%d,"ErrorActionFlag":false,"Target":[{"Name":"topic","Value":"/%s/dev1/user/get"}],"Type":"REPUBLISH"}`, action, pk)
	if got := string(actions); !strings.HasPrefix(got, want) || !strings.Contains(got, "ErrorMessage") || !strings.Contains(got, "missing") {
		t.Errorf("actions\n %s\nwant\n %s", actions, want)
	}
	m = ask(map[string]string{"Payload": `{"temperature":20}`})
	where, _ := json.Marshal(m["Where"])
	if m["Outcome"] == "matched" || m["Result"] != nil || !strings.Contains(string(where), `38","Value":false`) {
		t.Errorf("not met: %v", m)
	}
	if m = ask(map[string]string{"Payload": `{`}); m["Reason"] == nil {
		t.Errorf("no JSON: %v", m)
	}
	m = s.own(t, "RelinkTestRule", map[string]string{"Select": "*", "Topic": "/" + pk + "/+/user/x", "DataType": "BINARY", "PayloadBase64": "Af8="})
	if m["ResultBase64"] != "Af8=" {
		t.Errorf("BINARY: %v", m)
	}
	for code, params := range map[string]map[string]string{
		"iot.messagebroker.IncorrectRuleSql":   {"Select": "a +", "Topic": "/" + pk + "/+/user/x"},
		"iot.rule.NullSqlForRule":              {"Select": "a"},
		"iot.rule.NotFoundRule":                {"RuleId": "7"},
		"iot.common.InvalidFormattedParameter": {"Select": "*", "Topic": "/" + pk + "/+/user/x", "PayloadBase64": "!"},
	} {
		if m := s.own(t, "RelinkTestRule", params); m["Code"] != code {
			t.Errorf("got %v, want %s", m, code)
		}
	}
}

func TestDeadLettersOfRules(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 3 {
		if err := s.store.ForwardDeads().Put(t.Context(), []*store.ForwardDead{{Owner: "rule/7", At: int64(1_700_000_000_000 + i), MessageID: fmt.Sprint("m", i), Action: 9, Type: "OTS",
			Resource: "table1", Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "d"}, Topic: "/a1/d/user/x", Reason: "no such table", Attempts: 4, Body: []byte("hi")}}); err != nil {
			t.Fatal(err)
		}
	}
	m := s.own(t, "RelinkListDeadLetters", map[string]string{"RuleId": "7", "PageSize": "2"})
	token, _ := m["NextToken"].(string)
	got, _ := json.Marshal(m["Data"])
	const first = `{"DeadLetter":[{"ActionId":9,"ActionType":"OTS","Attempts":4,"BodyBase64":"aGk=","DeviceName":"d","MessageId":"m0","Owner":"rule/7","ProductKey":"a1","Reason":"no such table","Resource":"table1","Topic":"/a1/d/user/x","UtcTime":"2023-11-14T22:13:20.000Z"},`
	if !strings.HasPrefix(string(got), first) || token == "" {
		t.Errorf("letters %s, token %q", got, token)
	}
	m = s.own(t, "RelinkListDeadLetters", map[string]string{"NextToken": token})
	if got, _ := json.Marshal(m["Data"]); strings.Count(string(got), "MessageId") != 1 || m["NextToken"] != nil {
		t.Errorf("second page %s", got)
	}
	if m = s.own(t, "RelinkListDeadLetters", map[string]string{"PageSize": "101"}); m["Code"] != "iot.common.InvalidPageParams" {
		t.Errorf("a page of 101: %v", m)
	}

	s.functions.answer = `{"count":3,"cursor":"c"}`
	m = s.own(t, "RelinkReplayDeadLetters", map[string]string{"RuleId": "7", "PageSize": "10", "MessageId": "m1"})
	if fmt.Sprint(m["Count"]) != "3" || m["NextToken"] != "c" || s.functions.events[0] != `forward {"replay":{"owner":"rule/7","messageId":"m1","limit":10}}` {
		t.Errorf("replay: %v, %v", m, s.functions.events)
	}
}

func TestRelinkGetLedger(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	now := time.Now().UnixMilli()
	if err := s.store.Nodes().Renew(t.Context(), store.Node{ID: "n", Until: now + 60_000, Lanes: map[string]device.LaneCounts{"property": {In: 5, Stored: 4, Rejected: 1}}}); err != nil {
		t.Fatal(err)
	}
	row := &store.LedgerRow{Function: "rule", Batch: "b", Time: now - 5, LedgerCounts: store.LedgerCounts{Taken: 4, Matched: 4, Delivered: 3, Dead: 1}}
	if err := s.store.Ledger().Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	m := s.own(t, "RelinkGetLedger", nil)
	data, _ := m["Data"].(map[string]any)
	if data["Balanced"] != true || fmt.Sprint(data["Matched"], data["Delivered"], data["Dead"], data["Pending"]) != "4 3 1 0" {
		t.Errorf("ledger %v", m)
	}
	if m = s.own(t, "RelinkGetLedger", map[string]string{"StartTime": fmt.Sprint(now - 1)}); fmt.Sprint(m["Data"].(map[string]any)["Matched"]) != "0" {
		t.Errorf("ledger of the last millisecond %v", m)
	}
	if m = s.own(t, "RelinkGetLedger", map[string]string{"StartTime": fmt.Sprint(now + 99_000)}); m["Code"] != "iot.common.InvalidFormattedParameter" {
		t.Errorf("ledger of the future %v", m)
	}
}
