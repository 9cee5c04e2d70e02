package main

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/openapi"
)

func TestProductTopics(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "with_topics")
	s.commands.take()
	create := func(name, operation string, automatic *bool) *sdk.CreateProductTopicResponseBody {
		return must[*sdk.CreateProductTopicResponse](t)(s.CreateProductTopic(&sdk.CreateProductTopicRequest{ProductKey: &pk, TopicShortName: &name,
			Operation: &operation, EnableProxySubscribe: automatic, Desc: tea.String("d")})).Body
	}
	made := create("cmd/+", "SUB", tea.Bool(true))
	if !tea.BoolValue(made.Success) || tea.Int64Value(made.TopicId) <= 0 {
		t.Fatal(made)
	}
	told := s.commands.take()
	if len(told) != 1 || told[0].Classes == nil || len(told[0].Classes.Topics) != 4 || !told[0].Classes.Topics[3].Automatic {
		t.Errorf("told %+v", told)
	}
	for _, x := range []struct{ name, operation, code string }{
		{"cmd/+", "SUB", codeTopicExists}, {"get", "PUB", codeTopicExists}, {"a", "BOTH", codeTopicOperation}, {"a/+", "ALL", codeTopicName},
		{"#/a", "SUB", codeTopicName}, {"/a", "PUB", codeTopicName}, {"a-b", "PUB", codeTopicName}, {"a/b/c/d/e", "PUB", codeTopicName},
		{strings.Repeat("a", 128), "PUB", codeTopicName},
	} {
		if b := create(x.name, x.operation, nil); tea.StringValue(b.Code) != x.code {
			t.Errorf("%s %s: %v, want %s", x.name, x.operation, b, x.code)
		}
	}
	if b := create("up", "PUB", tea.Bool(true)); tea.StringValue(b.Code) != codeTopicOperation {
		t.Error(b)
	}
	id := tea.String(tea.Prettify(made.TopicId))
	update := must[*sdk.UpdateProductTopicResponse](t)(s.UpdateProductTopic(&sdk.UpdateProductTopicRequest{TopicId: id, TopicShortName: tea.String("cmd/run"), Operation: tea.String("ALL")}))
	same(t, update.Body, `{"Success":true}`)
	list := must[*sdk.QueryProductTopicResponse](t)(s.QueryProductTopic(&sdk.QueryProductTopicRequest{ProductKey: &pk})).Body.Data.ProductTopicInfo
	if got := list[3]; len(list) != 4 || tea.StringValue(got.Operation) != "2" || tea.StringValue(got.TopicShortName) != "/"+pk+"/${deviceName}/user/cmd/run" ||
		!tea.BoolValue(got.EnableProxySubscribe) || tea.StringValue(got.Desc) != "d" || tea.StringValue(got.Id) != tea.StringValue(id) {
		t.Errorf("listed %v", got)
	}
	again := create("cmd/+", "SUB", nil) // the id of the name that was given up is in use
	if !tea.BoolValue(again.Success) || tea.Int64Value(again.TopicId) == tea.Int64Value(made.TopicId) {
		t.Error(again)
	}
	remove := func(id string) *sdk.DeleteProductTopicResponseBody {
		return must[*sdk.DeleteProductTopicResponse](t)(s.DeleteProductTopic(&sdk.DeleteProductTopicRequest{TopicId: &id})).Body
	}
	same(t, remove(tea.StringValue(id)), `{"Success":true}`)
	for id, code := range map[string]string{tea.StringValue(id): codeTopicMissing, "x": codeTopicID, "": "iot.messagebroker.NullTopicTemplateId"} {
		if b := remove(id); tea.StringValue(b.Code) != code {
			t.Errorf("%q: %v, want %s", id, b, code)
		}
	}
	for i := range 47 {
		if b := create("n"+strings.Repeat("x", i), "PUB", nil); tea.BoolValue(b.Success) != (i < 46) {
			t.Fatalf("%d: %v", i, b)
		}
	}
	if b := create("more", "PUB", nil); tea.StringValue(b.Code) != codeTopicCount {
		t.Error(b)
	}
}

func TestRRpc(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "with_calls")
	s.thing(t, pk, "dev-01")
	call := func(topic *string, timeout int32) *sdk.RRpcResponseBody {
		return must[*sdk.RRpcResponse](t)(s.RRpc(&sdk.RRpcRequest{ProductKey: &pk, DeviceName: tea.String("dev-01"), Timeout: &timeout, Topic: topic,
			RequestBase64Byte: tea.String(base64.StdEncoding.EncodeToString([]byte("ping")))})).Body
	}
	s.commands.answer(downlink.Outcome{State: downlink.Sent, Reply: []byte("pong")}, nil)
	b := call(nil, 1000)
	id := tea.Prettify(b.MessageId)
	if !tea.BoolValue(b.Success) || tea.StringValue(b.RrpcCode) != "SUCCESS" || tea.StringValue(b.PayloadBase64Byte) != "cG9uZw==" {
		t.Error(b)
	}
	p := s.commands.take()[0].Publish
	if p.Topic != "/sys/"+pk+"/dev-01/rrpc/request/"+id || p.ReplyTopic != "/sys/"+pk+"/dev-01/rrpc/response/"+id || string(p.Payload) != "ping" || p.WaitMS != 1000 || p.ExtTopic != "" {
		t.Errorf("%+v", p)
	}
	b = call(tea.String("/"+pk+"/dev-01/user/get"), 8000)
	if p = s.commands.take()[0].Publish; p.Topic != "/ext/rrpc/"+tea.Prettify(b.MessageId)+"/"+pk+"/dev-01/user/get" || p.ReplyTopic != p.Topic {
		t.Errorf("%+v", p)
	}
	for state, code := range map[downlink.State]string{downlink.TimedOut: "TIMEOUT", downlink.Offline: "OFFLINE", downlink.HalfOpen: "HALFCONN",
		downlink.Refused: "UNKNOWN", downlink.Unsubscribed: "TIMEOUT"} {
		s.commands.answer(downlink.Outcome{State: state}, nil)
		if b := call(nil, 1000); tea.BoolValue(b.Success) || tea.StringValue(b.RrpcCode) != code || tea.StringValue(b.Code) != "iot.messagebroker."+code || tea.Int64Value(b.MessageId) == 0 {
			t.Errorf("%s: %v", state, b)
		}
	}
	for _, timeout := range []int32{999, 8001} {
		if b := call(nil, timeout); tea.StringValue(b.Code) != codeRRPCTimeout {
			t.Error(b)
		}
	}
	if b := call(tea.String("user/get"), 1000); tea.StringValue(b.Code) != codeTopicName {
		t.Error(b)
	}
}

func TestBroadcastAndBatchPub(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, openapi.LimitsDocumented)
	s.stopped.Store(time.Now().UnixNano())
	pk := s.emptyProduct(t, "with_broadcast")
	s.thing(t, pk, "dev-01")
	s.thing(t, pk, "dev-02")
	hello := tea.String("aGVsbG8=")
	broadcast := func(topic, content *string) *sdk.PubBroadcastResponseBody {
		s.stopped.Add(int64(2 * time.Second))
		return must[*sdk.PubBroadcastResponse](t)(s.PubBroadcast(&sdk.PubBroadcastRequest{ProductKey: &pk, TopicFullName: topic, MessageContent: content})).Body
	}
	if b := broadcast(nil, hello); !tea.BoolValue(b.Success) || tea.Int64Value(b.MessageId) == 0 {
		t.Error(b)
	}
	if c := s.commands.take(); len(c) != 1 || c[0].Broadcast == nil || c[0].Broadcast.Topic != "" || string(c[0].Broadcast.Payload) != "hello" {
		t.Errorf("%+v", c)
	}
	if b := broadcast(nil, hello); tea.StringValue(b.Code) != openapi.CodeRateLimit {
		t.Errorf("second within a minute: %v", b)
	}
	s.stopped.Add(int64(time.Minute))
	s.commands.answer(downlink.Outcome{State: downlink.Partly, Count: 5, Missed: 1}, nil)
	if b := broadcast(nil, hello); tea.StringValue(b.Code) != openapi.CodePublishFailed || !strings.Contains(tea.StringValue(b.ErrorMessage), "5 devices were reached") {
		t.Error(b)
	}
	s.commands.answer(downlink.Outcome{State: downlink.Sent}, nil)
	for topic, code := range map[string]string{"/broadcast/" + pk + "/news": "", "/broadcast/other/news": codeTopicName, "/broadcast/" + pk + "/+": codeTopicName} {
		if b := broadcast(&topic, hello); tea.StringValue(b.Code) != code {
			t.Errorf("%s: %v", topic, b)
		}
	}
	long := base64.StdEncoding.EncodeToString(make([]byte, downlink.MaxBroadcast+1))
	if b := broadcast(tea.String("/broadcast/"+pk+"/news"), &long); tea.StringValue(b.Code) != openapi.CodePublishFailed {
		t.Error(b)
	}
	s.commands.take()
	pub := must[*sdk.PubResponse](t)(s.Pub(&sdk.PubRequest{ProductKey: &pk, TopicFullName: tea.String("/broadcast/" + pk + "/news"), MessageContent: hello})).Body
	if c := s.commands.take(); !tea.BoolValue(pub.Success) || len(c) != 1 || c[0].Broadcast == nil {
		t.Error(pub, c)
	}
	batch := func(short string, names ...string) *sdk.BatchPubResponseBody {
		return must[*sdk.BatchPubResponse](t)(s.BatchPub(&sdk.BatchPubRequest{ProductKey: &pk, DeviceName: tea.StringSlice(names), TopicShortName: &short, MessageContent: hello})).Body
	}
	same(t, batch("get", "dev-01", "dev-02"), `{"Success":true}`)
	if c := s.commands.take(); len(c) != 2 || !strings.HasSuffix(c[0].Publish.Topic, "/user/get") {
		t.Errorf("%+v", c)
	}
	if b := batch("get", "dev-01", "dev-01"); tea.StringValue(b.Code) != openapi.CodeBadDeviceName {
		t.Error(b)
	}
	if b := batch("update", "dev-01"); tea.StringValue(b.Code) != openapi.CodePublishFailed {
		t.Error(b)
	}
}
