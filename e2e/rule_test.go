package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	ali "github.com/aliyun/aliyun-mns-go-sdk"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/fc"
	"relink/shared/iot"
)

const ruleRole = `"regionName":"cn-shanghai","role":{"roleArn":"acs:ram::1:role/r","roleName":"r"}`

// newRule makes a rule that runs; the action of errors is the last one, if its type begins with !.
func newRule(t *testing.T, api *iotapi.Client, req iotapi.CreateRuleRequest, actions ...[2]string) int64 {
	t.Helper()
	r, err := api.CreateRule(&req)
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("CreateRule: %v %v", err, r)
	}
	for _, a := range actions {
		kind, forErrors := strings.CutPrefix(a[0], "!")
		r, err := api.CreateRuleAction(&iotapi.CreateRuleActionRequest{RuleId: r.Body.RuleId, Type: &kind, Configuration: &a[1], ErrorActionFlag: &forErrors})
		if err != nil || !tea.BoolValue(r.Body.Success) {
			t.Fatalf("CreateRuleAction %s: %v %v", kind, err, r)
		}
	}
	started, err := api.StartRule(&iotapi.StartRuleRequest{RuleId: r.Body.RuleId})
	if err != nil || !tea.BoolValue(started.Body.Success) {
		t.Fatalf("StartRule: %v %v", err, started)
	}
	return *r.Body.RuleId
}

// function calls a function of the platform.
func (s *system) function(t *testing.T, name, event string) string {
	t.Helper()
	c, err := fc.New(fc.Config{Endpoint: s.env["FC_ENDPOINT"], Region: "cn-shanghai", AccessKeyID: s.env["RELINK_ACCESS_KEY_ID"],
		Secret: iot.Secret(s.env["RELINK_ACCESS_KEY_SECRET"]), Prefix: "relink-"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Invoke(t.Context(), name, []byte(event))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(r.Body)
}

// TestRuleReachesItsDestinations: post → rule → device, table, topic and subscription, each read with its service's official SDK; then a
// function that does not exist, whose failure the error action tells.
func TestRuleReachesItsDestinations(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	one, two := newDevice(t, api, pk, "rule-one"), newDevice(t, api, pk, "rule-two")

	c := s.mns()
	queues, topic := ali.NewMNSQueueManager(c), ali.NewMNSTopic("rules-"+pk, c)
	if err := ali.NewMNSTopicManager(c).CreateSimpleTopic("rules-" + pk); err != nil {
		t.Fatal(err)
	}
	if err := queues.CreateSimpleQueue("rules-" + pk); err != nil {
		t.Fatal(err)
	}
	if err := topic.Subscribe("s", ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint("rules-" + pk), NotifyContentFormat: ali.SIMPLIFIED}); err != nil {
		t.Fatal(err)
	}
	ots := tablestore.NewClient(s.env["TABLESTORE_ENDPOINT"], s.env["TABLESTORE_INSTANCE"], s.env["RELINK_ACCESS_KEY_ID"], s.env["RELINK_ACCESS_KEY_SECRET"])
	table := "t_" + pk
	meta := &tablestore.TableMeta{TableName: table}
	meta.AddPrimaryKeyColumn("device", tablestore.PrimaryKeyType_STRING)
	meta.AddPrimaryKeyColumn("at", tablestore.PrimaryKeyType_INTEGER)
	if _, err := ots.CreateTable(&tablestore.CreateTableRequest{TableMeta: meta, TableOption: &tablestore.TableOption{TimeToAlive: -1, MaxVersion: 1},
		ReservedThroughput: new(tablestore.ReservedThroughput)}); err != nil {
		t.Fatal(err)
	}
	sub, err := api.CreateSubscribeRelation(&iotapi.CreateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true),
		MnsConfiguration: tea.String(`{"themeName":"aliyun-iot-` + pk + `",` + ruleRole + `}`)})
	if err != nil || !tea.BoolValue(sub.Body.Success) {
		t.Fatalf("CreateSubscribeRelation: %v %v", err, sub)
	}
	newRule(t, api, iotapi.CreateRuleRequest{Name: tea.String("all_" + pk), Select: tea.String("deviceName() as dn, items.temperature.value as t, 42 as at"), ProductKey: &pk,
		ShortTopic: tea.String("+/thing/event/property/post"), TopicType: tea.Int32(0), DataType: tea.String("JSON"), Where: tea.String("items.temperature.value > 10")},
		[2]string{"REPUBLISH", `{"topic":"/` + pk + `/rule-two/user/get","topicType":1}`},
		[2]string{"OTS", `{"instanceName":"` + s.env["TABLESTORE_INSTANCE"] + `","tableName":"` + table + `","primaryKeys":[{"columnType":"STRING","columnName":"device","columnValue":"${dn}"},{"columnType":"INTEGER","columnName":"at","columnValue":"${at}"}],` + ruleRole + `}`},
		[2]string{"MNS", `{"themeName":"rules-` + pk + `",` + ruleRole + `}`})
	newRule(t, api, iotapi.CreateRuleRequest{Name: tea.String("fail_" + pk), Select: tea.String("*"), ProductKey: &pk,
		ShortTopic: tea.String("+/user/update"), TopicType: tea.Int32(1), DataType: tea.String("JSON")},
		[2]string{"FC", `{"serviceName":"s","functionName":"no-such-function",` + ruleRole + `}`},
		[2]string{"!REPUBLISH", `{"topic":"/` + pk + `/rule-two/user/get","topicType":1}`})

	b := connect(t, two, lampOptions(two, "tcp://"+s.env["RELINK_MQTT"], nil))
	get := "/" + pk + "/rule-two/user/get"
	if token := b.Subscribe(get, 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	a := connect(t, one, lampOptions(one, "tcp://"+s.env["RELINK_MQTT"], nil))
	time.Sleep(6 * time.Second) // a change of rules is in force everywhere after 5 s
	a.post(t, a.sys("thing/event/property/post"), `{"id":"7","version":"1.0","params":{"temperature":21.5},"method":"thing.event.property.post"}`)
	const want = `{"dn":"rule-one","t":21.5,"at":42}`
	if got := b.next(t, get); string(got) != want {
		t.Errorf("republished %s", got)
	}
	eventually(t, 10*time.Second, "the row is written", func() bool {
		key := new(tablestore.PrimaryKey)
		key.AddPrimaryKeyColumn("device", "rule-one")
		key.AddPrimaryKeyColumn("at", int64(42))
		row, err := ots.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: table, PrimaryKey: key, MaxVersion: 1}})
		if err != nil {
			t.Fatal(err)
		}
		columns := map[string]any{}
		for _, col := range row.Columns {
			columns[col.ColumnName] = col.Value
		}
		return fmt.Sprint(columns) == "map[dn:rule-one t:21.5]"
	})
	body := ""
	eventually(t, 10*time.Second, "the topic's queue gets the result", func() bool {
		body, _ = receiveMNS(ali.NewMNSQueue("rules-"+pk, c))
		return body != ""
	})
	if body != want {
		t.Errorf("published %s", body)
	}
	eventually(t, 10*time.Second, "the subscription's queue gets the message", func() bool {
		body, _ = receiveMNS(ali.NewMNSQueue("aliyun-iot-"+pk, c))
		return body != ""
	})
	var m struct {
		Messageid            json.Number
		Messagetype, Topic   string
		Payload              []byte
		Timestamp            int64
		Unknown, Unsubcribed *int
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.Messageid == "" || m.Messagetype != "upload" || m.Topic != "/"+pk+"/rule-one/thing/event/property/post" ||
		m.Timestamp == 0 || !strings.Contains(string(m.Payload), `"items":{"temperature":{"time":`) {
		t.Errorf("subscription %s: %v", body, err)
	}

	a.post(t, "/"+pk+"/rule-one/user/update", `{"x":1}`)
	told := string(b.next(t, get))
	for _, part := range []string{`{"ruleName":"fail_` + pk + `","topic":"/` + pk + `/rule-one/user/update","productKey":"` + pk + `","deviceName":"rule-one","messageId":"`,
		`"base64OriginalPayload":"` + base64.StdEncoding.EncodeToString([]byte(`{"x":1}`)) + `","failures":[{"actionType":"FC","actionRegion":"cn-shanghai","actionResource":"no-such-function","errorMessage":"`} {
		if !strings.Contains(told, part) {
			t.Errorf("error action got %s, want in it %s", told, part)
		}
	}
}

// A destination that fails every time makes dead letters, and sending those again empties them.
func TestDeadLettersAreSentAgain(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "dead-one")
	sub, err := api.CreateSubscribeRelation(&iotapi.CreateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true),
		MnsConfiguration: tea.String(`{"themeName":"aliyun-iot-` + pk + `",` + ruleRole + `}`)})
	if err != nil || !tea.BoolValue(sub.Body.Success) {
		t.Fatalf("CreateSubscribeRelation: %v %v", err, sub)
	}
	a := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	s.faults(t, `{"mns":{"throttle":1}}`)
	const posts = 5
	for n := range posts {
		a.post(t, a.sys("thing/event/property/post"), fmt.Sprintf(`{"id":"%d","version":"1.0","params":{"temperature":%d},"method":"thing.event.property.post"}`, n, n))
	}
	replay := `{"replay":{"owner":"MNS/` + pk + `"}}`
	time.Sleep(10 * time.Second) // the retries are still waiting
	if got := s.function(t, "forward", replay); got != `{"count":0}` {
		t.Errorf("letters before the retries are over: %s", got)
	}
	s.faults(t, `{"mns":{"throttle":1}}`)
	sent := 0
	time.Sleep(20 * time.Second)
	s.faults(t, `{}`)
	eventually(t, 30*time.Second, "all letters are there", func() bool {
		var answer struct{ Count int }
		if err := json.Unmarshal([]byte(s.function(t, "forward", replay)), &answer); err != nil {
			t.Fatal(err)
		}
		sent += answer.Count
		return sent == posts
	})
	arrived := map[string]bool{}
	queue := ali.NewMNSQueue("aliyun-iot-"+pk, s.mns())
	eventually(t, 30*time.Second, "all messages have arrived", func() bool {
		if body, handle := receiveMNS(queue); body != "" {
			arrived[body] = true
			if err := queue.DeleteMessage(handle); err != nil {
				t.Error(err)
			}
		}
		return len(arrived) == posts
	})
	if got := s.function(t, "forward", replay); got != `{"count":0}` {
		t.Errorf("letters that are left: %s", got)
	}
}
