package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/ledger"
	"relink/shared/openapi"
	"relink/shared/rule"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// An invoker runs functions; *fc.Client is one.
type invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// functionForward is the function that delivers what the first attempt did not, and sends dead letters again.
const functionForward = "forward"

// withRuleOperations adds what operators of the rule engine need and the vendor's API has not.
func withRuleOperations(t openapi.Table, a *api) openapi.Table {
	for _, x := range []*openapi.Action{
		{Name: "RelinkTestRule", Limit: 10, Handle: a.testRule},
		{Name: "RelinkListDeadLetters", Limit: 10, Handle: a.listDeadLetters},
		{Name: "RelinkReplayDeadLetters", Limit: 10, Handle: a.replayDeadLetters},
		{Name: "RelinkGetLedger", Limit: 10, Handle: a.getLedger},
	} {
		if t[x.Name] != nil {
			panic("openapi: repeated action " + x.Name)
		}
		x.Codes = openapi.ProductCodes
		t[x.Name] = x
	}
	return t
}

// sampleRule is the rule that a test is about: a stored one, or SELECT, WHERE and FROM of the call.
func (a *api) sampleRule(ctx context.Context, c *openapi.Call) (*store.Rule, error) {
	if c.Params.String("RuleId") != "" {
		id, err := ruleID(c)
		if err != nil {
			return nil, err
		}
		return a.rules.Get(ctx, id)
	}
	change, err := ruleChange(c)
	if err != nil {
		return nil, err
	}
	return rule.Sample(change)
}

// samplePayload reads Payload, a text, or PayloadBase64.
func samplePayload(c *openapi.Call) ([]byte, error) {
	payload := []byte(c.Params.String("Payload"))
	if text := c.Params.String("PayloadBase64"); text != "" {
		var err error
		if payload, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, openapi.Refusef(openapi.CodeFormat, "PayloadBase64 is not Base64")
		}
	}
	if len(payload) > maxPayload {
		return nil, openapi.Refusef(openapi.CodeFormat, "the message has more than %d bytes", maxPayload)
	}
	return payload, nil
}

type trial struct {
	Depth        int
	Text         string
	Value        json.RawMessage `json:",omitempty"`
	ErrorMessage string          `json:",omitempty"`
}

func trials(from []rulesql.Trial) []trial {
	return list(len(from), func(i int) trial {
		t := trial{Depth: from[i].Depth, Text: from[i].Text}
		if err := from[i].Err; err != nil {
			t.ErrorMessage = err.Error()
		} else {
			t.Value = from[i].Value.AppendJSON(nil)
		}
		return t
	})
}

type testedTarget struct {
	Name         string
	Value        string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

type testedAction struct {
	ActionId        int64
	Type            string
	ErrorActionFlag bool
	Target          []testedTarget
}

// testRule runs a rule with a sample message and forwards nothing ("Debugging").
func (a *api) testRule(ctx context.Context, c *openapi.Call) (any, error) {
	r, err := a.sampleRule(ctx, c)
	if err != nil {
		return nil, err
	}
	if r.Select == "" || r.ShortTopic == "" {
		return nil, openapi.Refusef("iot.rule.NullSqlForRule", "the rule has no SELECT or no topic")
	}
	compiled, err := rule.Compile(r)
	if err != nil {
		return nil, openapi.Refusef("iot.messagebroker.IncorrectRuleSql", "%s", err.Error())
	}
	payload, err := samplePayload(c)
	if err != nil {
		return nil, err
	}
	name := c.Params.String("DeviceName")
	m := rulesql.Message{Topic: c.Params.String("MessageTopic"), ID: a.ids.message(), Payload: payload,
		Device: iot.DeviceRef{ProductKey: r.ProductKey, DeviceName: iot.DeviceName(name)}}
	if m.Topic == "" { // a topic that the rule takes
		device := name
		if device == "" {
			device = "device"
		}
		m.Topic = strings.ReplaceAll(strings.Replace(compiled.From().Pattern, "/+", "/"+device, 1), "/+", "/x")
		m.Topic = strings.ReplaceAll(m.Topic, "#", "x")
	}
	trace := compiled.DryRun(ctx, &rulesql.Env{Now: a.now}, &m)
	answer := struct {
		Outcome      string
		Topic        string
		Result       string `json:",omitempty"`
		ResultBase64 string `json:",omitempty"`
		Reason       string `json:",omitempty"`
		Where        []trial
		Fields       []trial
		Actions      []testedAction
	}{Outcome: trace.Outcome.String(), Topic: m.Topic, Where: trials(trace.Where), Fields: trials(trace.Fields), Actions: []testedAction{}}
	if trace.Err != nil {
		answer.Reason = trace.Err.Error()
	}
	if trace.Outcome != rulesql.Matched {
		return answer, nil
	}
	if utf8.Valid(trace.Body) {
		answer.Result = string(trace.Body)
	} else {
		answer.ResultBase64 = base64.StdEncoding.EncodeToString(trace.Body)
	}
	result, err := rulesql.ParseDocument(trace.Body)
	if err != nil {
		result = nil // the bytes of a BINARY rule
	}
	for i := range r.Actions {
		x := &r.Actions[i]
		targets, err := rule.Targets(x, result)
		if err != nil {
			return nil, err
		}
		answer.Actions = append(answer.Actions, testedAction{x.ID, x.Type, x.ForErrors, list(len(targets), func(n int) testedTarget {
			t := testedTarget{Name: targets[n].Name, Value: targets[n].Value}
			if targets[n].Err != nil {
				t.Value, t.ErrorMessage = "", targets[n].Err.Error()
			}
			return t
		})})
	}
	return answer, nil
}

// owner reads whose dead letters are meant: RuleId, or ProductKey for the subscription of a product; "" for all.
func owner(c *openapi.Call) (string, error) {
	if c.Params.String("RuleId") != "" {
		id, err := ruleID(c)
		return "rule/" + strconv.FormatInt(id, 10), err
	}
	if c.Params.String("ProductKey") != "" {
		pk, err := productKey(c)
		return "MNS/" + string(pk), err
	}
	return "", nil
}

// pageOf reads PageSize of lists that go on by a token.
func pageOf(c *openapi.Call, most int) (int, error) {
	size, err := c.Params.Int("PageSize", min(50, most))
	if err == nil && (size < 1 || size > most) {
		err = openapi.Refusef(openapi.CodePage, "PageSize is 1 to %d", most)
	}
	return size, err
}

type deadLetter struct {
	Owner, MessageId     string
	ActionId             int64 `json:",omitempty"`
	ActionType, Resource string
	ProductKey           string
	DeviceName           string `json:",omitempty"`
	Topic, Reason        string
	Attempts             int
	UtcTime              string
	BodyBase64           string
}

func (a *api) listDeadLetters(ctx context.Context, c *openapi.Call) (any, error) {
	of, err := owner(c)
	if err != nil {
		return nil, err
	}
	size, err := pageOf(c, 100)
	if err != nil {
		return nil, err
	}
	letters, next, err := a.engine.ForwardDeads().List(ctx, of, c.Params.String("NextToken"), size)
	if err != nil {
		return nil, err
	}
	return struct {
		Data      struct{ DeadLetter []deadLetter }
		NextToken string `json:",omitempty"`
	}{struct{ DeadLetter []deadLetter }{list(len(letters), func(i int) deadLetter {
		d := letters[i]
		return deadLetter{Owner: d.Owner, MessageId: d.MessageID, ActionId: d.Action, ActionType: d.Type, Resource: d.Resource,
			ProductKey: string(d.Device.ProductKey), DeviceName: string(d.Device.DeviceName), Topic: d.Topic, Reason: d.Reason, Attempts: d.Attempts,
			UtcTime: utc(d.At), BodyBase64: base64.StdEncoding.EncodeToString(d.Body)}
	})}, next}, nil
}

// replayDeadLetters has the function forward deliver dead letters again.
func (a *api) replayDeadLetters(ctx context.Context, c *openapi.Call) (any, error) {
	of, err := owner(c)
	if err != nil {
		return nil, err
	}
	size, err := pageOf(c, 1000)
	if err != nil {
		return nil, err
	}
	type replay struct {
		Owner     string `json:"owner,omitempty"`
		MessageID string `json:"messageId,omitempty"`
		Limit     int    `json:"limit"`
		Cursor    string `json:"cursor,omitempty"`
	}
	event, err := json.Marshal(struct {
		Replay replay `json:"replay"`
	}{replay{of, c.Params.String("MessageId"), size, c.Params.String("NextToken")}})
	if err != nil {
		return nil, err
	}
	result, err := a.functions.Invoke(ctx, functionForward, event)
	if err != nil {
		return nil, iot.Wrap(iot.Unavailable, err, "the function forward does not answer")
	}
	var replayed struct {
		Count  int    `json:"count"`
		Cursor string `json:"cursor"`
	}
	if err := json.Unmarshal(result.Body, &replayed); err != nil {
		return nil, err
	}
	return struct {
		Count     int
		NextToken string `json:",omitempty"`
	}{replayed.Count, replayed.Cursor}, nil
}

// maxLedger is how far back the ledger goes: as long as its rows are kept.
const maxLedger = 7 * 24 * time.Hour

// getLedger gives what became of all messages since StartTime, Unix milliseconds; by default of the last hour.
func (a *api) getLedger(ctx context.Context, c *openapi.Call) (any, error) {
	now := a.now()
	from, err := c.Params.Int64("StartTime", now.Add(-time.Hour).UnixMilli())
	if err != nil {
		return nil, err
	}
	if from > now.UnixMilli() {
		return nil, openapi.Refusef(openapi.CodeFormat, "StartTime is in the future")
	}
	r, err := ledger.Make(ctx, a.books, max(from, now.Add(-maxLedger).UnixMilli()), now.UnixMilli())
	if err != nil {
		return nil, err
	}
	return struct {
		Data struct {
			*ledger.Report
			Balanced bool
		}
	}{struct {
		*ledger.Report
		Balanced bool
	}{r, r.Balanced()}}, nil
}
