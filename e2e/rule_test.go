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

	"relink/shared/config"
	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/store"
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

// forwardDeads is the table of dead letters.
func (s *system) forwardDeads(t *testing.T) store.ForwardDeads {
	t.Helper()
	open, err := store.Open(store.Options{Endpoint: s.env["TABLESTORE_ENDPOINT"], Instance: s.env["TABLESTORE_INSTANCE"], AccessKeyID: s.env["RELINK_ACCESS_KEY_ID"],
		AccessKeySecret: iot.Secret(s.env["RELINK_ACCESS_KEY_SECRET"]), Key: config.Key{1}}) // no secret is read
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(open.Close)
	return open.ForwardDeads()
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

func postOf(id string, temperature float64) string {
	return fmt.Sprintf(`{"id":"%s","version":"1.0","params":{"temperature":%g},"method":"thing.event.property.post"}`, id, temperature)
}

// until publishes again and again until the other device gets what is waited for: a change of rules is in force everywhere after 5 s.
func until(t *testing.T, from *lamp, topic, payload string, to *lamp, want func(string) bool) {
	t.Helper()
	eventually(t, 15*time.Second, "a message on "+topic+" has its effect", func() bool {
		from.post(t, topic, payload)
		for wait := time.After(500 * time.Millisecond); ; {
			select {
			case m := <-to.messages:
				if want(string(m.Payload())) {
					return true
				}
			case <-wait:
				return false
			}
		}
	})
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
	const want = `{"dn":"rule-one","t":21.5,"at":42}`
	until(t, a, a.sys("thing/event/property/post"), postOf("7", 21.5), b, func(m string) bool { return m == want })
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

	told := ""
	until(t, a, "/"+pk+"/rule-one/user/update", `{"x":1}`, b, func(m string) bool { told = m; return m != want })
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
	queue := ali.NewMNSQueue("aliyun-iot-"+pk, s.mns())
	eventually(t, 15*time.Second, "the subscription is in force", func() bool {
		a.post(t, a.sys("thing/event/property/post"), postOf("0", -1))
		body, _ := receiveMNS(queue)
		return body != ""
	})
	letters := s.forwardDeads(t)
	count := func() int {
		list, _, err := letters.List(t.Context(), "MNS/"+pk, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	s.faults(t, `{"mns":{"throttle":1}}`)
	const posts = 5
	for n := range posts {
		a.post(t, a.sys("thing/event/property/post"), postOf(fmt.Sprint(n), float64(50+n)))
	}
	eventually(t, 60*time.Second, "all are given up", func() bool { return count() == posts })
	s.faults(t, `{}`)
	replay := `{"replay":{"owner":"MNS/` + pk + `"}}`
	if got := s.function(t, "forward", replay); got != fmt.Sprintf(`{"count":%d}`, posts) {
		t.Errorf("sent again: %s", got)
	}
	arrived := map[string]bool{}
	eventually(t, 30*time.Second, "all messages have arrived", func() bool {
		if body, handle := receiveMNS(queue); body != "" {
			var m struct{ Payload []byte }
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				t.Error(err)
			}
			if !strings.Contains(string(m.Payload), `"value":-1`) {
				arrived[string(m.Payload)] = true
			}
			if err := queue.DeleteMessage(handle); err != nil {
				t.Error(err)
			}
		}
		return len(arrived) == posts
	})
	if n := count(); n != 0 {
		t.Errorf("%d letters are left", n)
	}
}
