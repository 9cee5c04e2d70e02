package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/message"
)

// newRule creates a rule on a custom topic and gives its id.
func (s *system) newRule(t *testing.T, pk, name string) int64 {
	t.Helper()
	r := must[*sdk.CreateRuleResponse](t)(s.CreateRule(&sdk.CreateRuleRequest{Name: &name, ProductKey: &pk, ShortTopic: tea.String("+/user/update"),
		TopicType: tea.Int32(1), Select: tea.String("temperature t, deviceName() d"), Where: tea.String("temperature > 38"), RuleDesc: tea.String("hot")}))
	if !tea.BoolValue(r.Body.Success) {
		t.Fatal(r.Body)
	}
	return tea.Int64Value(r.Body.RuleId)
}

func (s *system) newAction(t *testing.T, rule int64, kind, configuration string) int64 {
	t.Helper()
	r := must[*sdk.CreateRuleActionResponse](t)(s.CreateRuleAction(&sdk.CreateRuleActionRequest{RuleId: &rule, Type: &kind, Configuration: &configuration}))
	if !tea.BoolValue(r.Body.Success) {
		t.Fatal(r.Body)
	}
	return tea.Int64Value(r.Body.ActionId)
}

func republish(pk string) string {
	return `{"topic":"/` + pk + `/${d}/user/get","topicType":1}`
}

func TestRuleLife(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "product")
	id := s.newRule(t, pk, "规则_1")
	get := must[*sdk.GetRuleResponse](t)(s.GetRule(&sdk.GetRuleRequest{RuleId: &id}))
	info := get.Body.RuleInfo
	if _, err := time.Parse("Mon Jan 02 15:04:05 CST 2006", tea.StringValue(info.Created)); err != nil {
		t.Errorf("Created: %v", err)
	}
	info.Created, info.Modified, info.UtcCreated, info.UtcModified = nil, nil, nil, nil
	same(t, get.Body, fmt.Sprintf(`{"Success":true,"RuleInfo":{"CreateUserId":1234567890,"DataType":"JSON","Id":%d,"Name":"规则_1","ProductKey":"%s","RuleDesc":"hot",
		"Select":"temperature t, deviceName() d","ShortTopic":"+/user/update","Status":"STOP","Topic":"/%s/+/user/update","TopicType":1,"Where":"temperature > 38"}}`, id, pk, pk))

	start := func() *sdk.StartRuleResponseBody {
		return must[*sdk.StartRuleResponse](t)(s.StartRule(&sdk.StartRuleRequest{RuleId: &id})).Body
	}
	if c := tea.StringValue(start().Code); c != "iot.rule.NullForwardDestForRule" {
		t.Errorf("start without an action: %s", c)
	}
	action := s.newAction(t, id, "REPUBLISH", republish(pk))
	same(t, start(), `{"Success":true}`)
	if c := tea.StringValue(start().Code); c != "iot.ruleng.RuleAlreadyIsStarted" {
		t.Errorf("start again: %s", c)
	}
	wants := func(topic string) bool {
		w := interest.NewWatch(s.store.RuleIndex(), nil)
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.Wants(message.Custom, iot.ProductKey(pk), topic)
	}
	if !wants("/"+pk+"/dev1/user/update") || wants("/"+pk+"/dev1/user/other") {
		t.Error("the index has not what the rule takes")
	}
	up := must[*sdk.UpdateRuleResponse](t)(s.UpdateRule(&sdk.UpdateRuleRequest{RuleId: &id, Topic: tea.String("/" + pk + "/dev1/user/other"), Name: tea.String("r2")}))
	same(t, up.Body, `{"Success":true}`)
	if wants("/"+pk+"/dev1/user/update") || !wants("/"+pk+"/dev1/user/other") {
		t.Error("the index has not what the changed rule takes")
	}
	if c := must[*sdk.DeleteRuleResponse](t)(s.DeleteRule(&sdk.DeleteRuleRequest{RuleId: &id})); tea.StringValue(c.Body.Code) != "iot.rule.DeleteRuleFailed" {
		t.Errorf("delete a running rule: %v", c.Body)
	}

	conf := fmt.Sprintf(`{\"topic\":\"/%s/${d}/user/get\",\"topicType\":1,\"uid\":\"1234567890\"}`, pk)
	one := must[*sdk.GetRuleActionResponse](t)(s.GetRuleAction(&sdk.GetRuleActionRequest{ActionId: &action}))
	same(t, one.Body, fmt.Sprintf(`{"Success":true,"RuleActionInfo":{"Configuration":"%s","ErrorActionFlag":false,"Id":%d,"RuleId":%d,"Type":"REPUBLISH"}}`, conf, action, id))
	all := must[*sdk.ListRuleActionsResponse](t)(s.ListRuleActions(&sdk.ListRuleActionsRequest{RuleId: &id}))
	same(t, all.Body, fmt.Sprintf(`{"Success":true,"RuleActionList":{"RuleActionInfo":[{"Configuration":"%s","ErrorActionFlag":false,"Id":%d,"RuleId":%d,"Status":"NORMAL","Type":"REPUBLISH"}]}}`, conf, action, id))
	ots := `{"instanceName":"ins","tableName":"t","regionName":"cn-shanghai","primaryKeys":[{"columnType":"STRING","columnName":"d","columnValue":"${d}"},{"columnType":"INTEGER","columnName":"id","option":"AUTO_INCREMENT"}],"x":1}`
	ua := must[*sdk.UpdateRuleActionResponse](t)(s.UpdateRuleAction(&sdk.UpdateRuleActionRequest{ActionId: &action, Type: tea.String("OTS"), Configuration: &ots}))
	same(t, ua.Body, `{"Success":true}`)
	one = must[*sdk.GetRuleActionResponse](t)(s.GetRuleAction(&sdk.GetRuleActionRequest{ActionId: &action}))
	var shown map[string]any
	if err := json.Unmarshal([]byte(tea.StringValue(one.Body.RuleActionInfo.Configuration)), &shown); err != nil || shown["endPoint"] != "https://ins.cn-shanghai.ots.aliyuncs.com" || shown["x"] != 1.0 {
		t.Errorf("configuration of OTS: %v, %v", shown, err)
	}

	for range 2 { // stopping again is no error
		same(t, must[*sdk.StopRuleResponse](t)(s.StopRule(&sdk.StopRuleRequest{RuleId: &id})).Body, `{"Success":true}`)
	}
	if wants("/" + pk + "/dev1/user/other") {
		t.Error("the index has a rule that is stopped")
	}
	same(t, must[*sdk.DeleteRuleActionResponse](t)(s.DeleteRuleAction(&sdk.DeleteRuleActionRequest{ActionId: &action})).Body, `{"Success":true}`)
	same(t, must[*sdk.DeleteRuleResponse](t)(s.DeleteRule(&sdk.DeleteRuleRequest{RuleId: &id})).Body, `{"Success":true}`)
	for name, code := range map[string]*string{
		"GetRule":          must[*sdk.GetRuleResponse](t)(s.GetRule(&sdk.GetRuleRequest{RuleId: &id})).Body.Code,
		"StopRule":         must[*sdk.StopRuleResponse](t)(s.StopRule(&sdk.StopRuleRequest{RuleId: &id})).Body.Code,
		"StartRule":        must[*sdk.StartRuleResponse](t)(s.StartRule(&sdk.StartRuleRequest{RuleId: &id})).Body.Code,
		"DeleteRule":       must[*sdk.DeleteRuleResponse](t)(s.DeleteRule(&sdk.DeleteRuleRequest{RuleId: &id})).Body.Code,
		"UpdateRule":       must[*sdk.UpdateRuleResponse](t)(s.UpdateRule(&sdk.UpdateRuleRequest{RuleId: &id})).Body.Code,
		"ListRuleActions":  must[*sdk.ListRuleActionsResponse](t)(s.ListRuleActions(&sdk.ListRuleActionsRequest{RuleId: &id})).Body.Code,
		"CreateRuleAction": must[*sdk.CreateRuleActionResponse](t)(s.CreateRuleAction(&sdk.CreateRuleActionRequest{RuleId: &id, Type: tea.String("OTS"), Configuration: &ots})).Body.Code,
	} {
		if tea.StringValue(code) != "iot.rule.NotFoundRule" {
			t.Errorf("%s of a deleted rule: %s", name, tea.StringValue(code))
		}
	}
	for name, code := range map[string]*string{
		"GetRuleAction":    must[*sdk.GetRuleActionResponse](t)(s.GetRuleAction(&sdk.GetRuleActionRequest{ActionId: &action})).Body.Code,
		"UpdateRuleAction": must[*sdk.UpdateRuleActionResponse](t)(s.UpdateRuleAction(&sdk.UpdateRuleActionRequest{ActionId: &action, Type: tea.String("OTS"), Configuration: &ots})).Body.Code,
		"DeleteRuleAction": must[*sdk.DeleteRuleActionResponse](t)(s.DeleteRuleAction(&sdk.DeleteRuleActionRequest{ActionId: &action})).Body.Code,
	} {
		if tea.StringValue(code) != "iot.rule.NotFoundRuleAction" {
			t.Errorf("%s of a deleted action: %s", name, tea.StringValue(code))
		}
	}
}

func TestRuleIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "product")
	s.newRule(t, pk, "taken")
	for name, c := range map[string]struct {
		request sdk.CreateRuleRequest
		code    string
	}{
		"name_taken":         {sdk.CreateRuleRequest{Name: tea.String("taken")}, "iot.rule.RuleNameIsAlreadyExisted"},
		"name_too_long":      {sdk.CreateRuleRequest{Name: tea.String(strings.Repeat("规", 16))}, "iot.rule.CreateRuleException"},
		"name_with_space":    {sdk.CreateRuleRequest{Name: tea.String("a b")}, "iot.rule.CreateRuleException"},
		"long_description":   {sdk.CreateRuleRequest{RuleDesc: tea.String(strings.Repeat("d", 101))}, "iot.rule.CreateRuleException"},
		"data_type":          {sdk.CreateRuleRequest{DataType: tea.String("XML")}, "iot.rule.CreateRuleException"},
		"topic_type":         {sdk.CreateRuleRequest{ProductKey: &pk, ShortTopic: tea.String("+/user/x"), TopicType: tea.Int32(7)}, "iot.ruleng.IncorrectType"},
		"binary_thing_model": {sdk.CreateRuleRequest{DataType: tea.String("BINARY"), ProductKey: &pk, ShortTopic: tea.String("+/thing/event/property/post"), TopicType: tea.Int32(0)}, "iot.ruleng.IncorrectType"},
		"system_topic":       {sdk.CreateRuleRequest{ProductKey: &pk, ShortTopic: tea.String("+/thing/nothing"), TopicType: tea.Int32(0)}, "iot.ruleng.IncorrectSysTopic"},
		"no_product":         {sdk.CreateRuleRequest{ProductKey: tea.String("a1missing00"), ShortTopic: tea.String("+/user/x"), TopicType: tea.Int32(1)}, "iot.prod.NotExistedProduct"},
		"select":             {sdk.CreateRuleRequest{ProductKey: &pk, ShortTopic: tea.String("+/user/x"), TopicType: tea.Int32(1), Select: tea.String("a +")}, "iot.messagebroker.IncorrectRuleSql"},
		"where_alone":        {sdk.CreateRuleRequest{Where: tea.String("a between 1 and 2")}, "iot.messagebroker.IncorrectRuleSql"},
	} {
		if c.request.Name == nil {
			c.request.Name = tea.String("n-" + name)
		}
		r := must[*sdk.CreateRuleResponse](t)(s.CreateRule(&c.request))
		if got := tea.StringValue(r.Body.Code); got != c.code {
			t.Errorf("%s: %s, want %s: %s", name, got, c.code, tea.StringValue(r.Body.ErrorMessage))
		}
	}
	empty := must[*sdk.CreateRuleResponse](t)(s.CreateRule(&sdk.CreateRuleRequest{Name: tea.String("empty")}))
	id := empty.Body.RuleId
	if r := must[*sdk.StartRuleResponse](t)(s.StartRule(&sdk.StartRuleRequest{RuleId: id})); tea.StringValue(r.Body.Code) != "iot.rule.NullSqlForRule" {
		t.Errorf("start without SQL: %v", r.Body)
	}
	g := must[*sdk.GetRuleResponse](t)(s.GetRule(&sdk.GetRuleRequest{RuleId: id}))
	if n := tea.Int32Value(g.Body.RuleInfo.TopicType); n != -1 {
		t.Errorf("TopicType without SQL: %d", n)
	}
	u := must[*sdk.UpdateRuleResponse](t)(s.UpdateRule(&sdk.UpdateRuleRequest{RuleId: id, Name: tea.String("taken")}))
	if c := tea.StringValue(u.Body.Code); c != "iot.rule.RuleNameIsAlreadyExisted" {
		t.Errorf("rename to a name that is taken: %s", c)
	}
	g = must[*sdk.GetRuleResponse](t)(s.GetRule(&sdk.GetRuleRequest{RuleId: tea.Int64(-1)}))
	if c := tea.StringValue(g.Body.Code); c != "iot.rule.IncorrentRuleId" {
		t.Errorf("rule -1: %s", c)
	}
	l := must[*sdk.ListRuleResponse](t)(s.ListRule(&sdk.ListRuleRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(101)}))
	if c := tea.StringValue(l.Body.Code); c != "iot.common.InvalidPageParams" {
		t.Errorf("a page of 101: %s", c)
	}
	l = must[*sdk.ListRuleResponse](t)(s.ListRule(&sdk.ListRuleRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(1)}))
	if l.Body.Data == nil || len(l.Body.Data.RuleInfo) != 1 || tea.StringValue(l.Body.Data.RuleInfo[0].Name) != "empty" || tea.Int32Value(l.Body.Total) != 2 {
		t.Errorf("newest rule: %v", l.Body)
	}
}

func TestRuleActionIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "product")
	id := s.newRule(t, pk, "r")
	for i, c := range []struct{ kind, configuration, code string }{
		{"NOTHING", `{}`, "iot.rule.IncorrentRuleActionType"},
		{"REPUBLISH", `[]`, "iot.ruleng.RuleActionConfigurationIsNotJson"},
		{"REPUBLISH", `{`, "iot.ruleng.RuleActionConfigurationIsNotJson"},
		{"REPUBLISH", ` `, "iot.ruleng.NullRuleActionConfig"},
		{"REPUBLISH", `{"topicType":1}`, "iot.messagebroker.NullTopicName"},
		{"REPUBLISH", `{"topic":"/PK/d/user/x"}`, "iot.rule.ParseRuleActionConfigError"},
		{"REPUBLISH", `{"topic":7}`, "iot.rule.ParseRuleActionConfigError"},
		{"REPUBLISH", `{"topic":"/PK/d/use/x","topicType":1}`, "iot.messagebroker.InvalidFormattedTopicName"},
		{"REPUBLISH", `{"topic":"/PK/+/user/x","topicType":1}`, "iot.messagebroker.InvalidFormattedTopicName"},
		{"REPUBLISH", `{"topic":"/PK/${d/user/x","topicType":1}`, "iot.messagebroker.InvalidFormattedTopicName"},
		{"REPUBLISH", `{"topic":"/sys/PK/d/thing/event/x","topicType":0}`, "iot.messagebroker.InvalidFormattedTopicName"},
		{"REPUBLISH", `{"topic":"/a1missing00/d/user/x","topicType":1}`, "iot.prod.NotExistedProduct"},
		{"OTS", `{}`, "iot.ruleng.NullOtsInstanceName"},
		{"OTS", `{"instanceName":"i"}`, "iot.ruleng.NullTableNameInOtsInstance"},
		{"OTS", `{"instanceName":"i","tableName":"t"}`, "iot.ruleng.IncorrectRegionName"},
		{"OTS", `{"instanceName":"i","tableName":"t","regionName":"r"}`, "iot.ruleng.NullPrimaryKeyInOtsTable"},
		{"OTS", `{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnType":"STRING"}]}`, "iot.ruleng.NullPrimaryKeyNameInOts"},
		{"OTS", `{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnName":"c"}]}`, "iot.ruleng.NullPrimaryKeyTypeInOts"},
		{"OTS", `{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnName":"c","columnType":"STRING"}]}`, "iot.ruleng.NullPrimaryKeyValueInOts"},
		{"OTS", `{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnName":"c","columnType":"STRING","option":"AUTO_INCREMENT"}]}`, "iot.ruleng.IncorrectPrimaryKeyValueInOtsTable"},
		{"FC", `{}`, "iot.ruleng.NullServiceNameInFc"},
		{"FC", `{"serviceName":"s"}`, "iot.ruleng.NullFunctionNameInFc"},
		{"MNS", `{}`, "iot.ruleng.NullTopicNameInMns"},
		{"MNS", `{"themeName":"t"}`, "iot.ruleng.IncorrectRegionName"},
		{"DATAHUB", `{}`, "iot.ruleng.NullProjectOfDatahub"},
		{"ONS", `{}`, "iot.ruleng.InstanceNotFound"},
		{"AMQP", `{"tag":"` + strings.Repeat("t", 129) + `"}`, "iot.ruleng.InvalidFormattedTagInConfiguration"},
		{"HTTPS", `{"url":"ftp://x/y"}`, "iot.ruleng.InvalidEndpoint"},
		{"OSS", `{"bucketName":"b"}`, "iot.rule.ParseRuleActionConfigError"},
		{"SLS", `{}`, "iot.rule.ParseRuleActionConfigError"},
	} {
		r := must[*sdk.CreateRuleActionResponse](t)(s.CreateRuleAction(&sdk.CreateRuleActionRequest{RuleId: &id, Type: &c.kind,
			Configuration: tea.String(strings.ReplaceAll(c.configuration, "PK", pk))}))
		if got := tea.StringValue(r.Body.Code); got != c.code {
			t.Errorf("%d %s %s: %s, want %s: %s", i, c.kind, c.configuration, got, c.code, tea.StringValue(r.Body.ErrorMessage))
		}
	}
	create := func(kind, configuration string, forErrors bool) string {
		r := must[*sdk.CreateRuleActionResponse](t)(s.CreateRuleAction(&sdk.CreateRuleActionRequest{RuleId: &id, Type: &kind, Configuration: &configuration, ErrorActionFlag: &forErrors}))
		return tea.StringValue(r.Body.Code)
	}
	fc := func(n int) string {
		return `{"serviceName":"s","functionName":"f` + strconv.Itoa(n) + `","regionName":"r"}`
	}
	mns := `{"themeName":"t","regionName":"r"}`
	for i := range 10 {
		if c := create("FC", fc(i), false); c != "" {
			t.Fatal(c)
		}
	}
	for name, got := range map[string][2]string{
		"eleventh":           {create("FC", fc(10), false), "iot.rule.TooManyRuleAction"},
		"error_of_same_type": {create("FC", fc(11), true), "iot.ruleng.IncorrectActionTypeForError"},
		"error":              {create("MNS", mns, true), ""},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", name, got[0], got[1])
		}
	}
	if c := create("HTTPS", `{"url":"https://x.example/y"}`, true); c != "iot.ruleng.OnlyAllowOneErrorAction" {
		t.Errorf("second error action: %s", c)
	}
	all := must[*sdk.ListRuleActionsResponse](t)(s.ListRuleActions(&sdk.ListRuleActionsRequest{RuleId: &id})).Body.RuleActionList.RuleActionInfo
	if len(all) != 11 {
		t.Fatalf("%d actions", len(all))
	}
	same(t, must[*sdk.DeleteRuleActionResponse](t)(s.DeleteRuleAction(&sdk.DeleteRuleActionRequest{ActionId: all[9].Id})).Body, `{"Success":true}`)
	if c := create("FC", fc(0), false); c != "iot.rule.RuleActionIsAlreadyCreated" {
		t.Errorf("an action twice: %s", c)
	}
	if c := create("MNS", mns, false); c != "iot.ruleng.IncorrectActionTypeForError" {
		t.Errorf("a normal action of the error action's type: %s", c)
	}
}
