package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

// requestID is the form of an Alink id: digits, at most 2147483647.
func checkRequestID(t *testing.T, id string) {
	t.Helper()
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n < 1 || n > 2147483647 {
		t.Errorf("message id %q", id)
	}
}

func TestSetDeviceProperty(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	set := func(items string) *sdk.SetDevicePropertyResponseBody {
		t.Helper()
		return must[*sdk.SetDevicePropertyResponse](t)(s.SetDeviceProperty(&sdk.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &name, Items: &items, Qos: tea.Int32(1)})).Body
	}
	if b := set(`{"power":1}`); tea.StringValue(b.Code) != "iot.device.InactiveDevice" {
		t.Error(b)
	}
	s.connect(t, dev)
	b := set(`{"power": 1, "label":"hall"}`)
	if !tea.BoolValue(b.Success) {
		t.Fatal(b)
	}
	id := tea.StringValue(b.Data.MessageId)
	checkRequestID(t, id)
	c := s.commands.take()
	if len(c) != 1 || c[0].Publish == nil {
		t.Fatalf("commands %+v", c)
	}
	want := `{"method":"thing.service.property.set","id":"` + id + `","params":{"power":1,"label":"hall"},"version":"1.0.0"}`
	if p := c[0].Publish; p.Topic != "/sys/"+pk+"/thermo-01/thing/service/property/set" || string(p.Payload) != want || p.QoS != 1 || p.MessageID != id || p.WaitMS != 0 || p.Ref() != dev {
		t.Errorf("published %+v\n%s", p, p.Payload)
	}
	if got := s.sink.last(); got["message_id"] != id {
		t.Errorf("audit line %v", got)
	}

	for items, code := range map[string]string{
		"":               "iot.device.NullDevicePropertiesString",
		"{":              "iot.device.InvalidFormattedDevicePropertiesString",
		`["power"]`:      "iot.device.InvalidFormattedDevicePropertiesString",
		"{}":             "iot.device.NoneDeviceProperties",
		`{"absent":1}`:   "iot.device.SetDevicePropertyFailed",
		`{"temp":1.5}`:   "iot.device.SetDevicePropertyFailed", // read-only
		`{"power":"on"}`: "iot.device.SetDevicePropertyFailed",
	} {
		if b := set(items); tea.StringValue(b.Code) != code {
			t.Errorf("%s: %v, want %s", items, b, code)
		}
	}
	if c := s.commands.take(); len(c) != 0 {
		t.Errorf("what is refused was sent: %+v", c)
	}

	// What is published now holds for the next call.
	add := must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, ThingModelJson: tea.String(
		`{"properties":[{"productKey":"` + pk + `","identifier":"fresh","name":"Fresh","dataType":"DATE","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecs":{"dataType":"DATE","custom":true}}]}`)}))
	same(t, add.Body, `{"Success":true}`)
	must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk}))
	if b := set(`{"fresh":"1767225600000"}`); !tea.BoolValue(b.Success) {
		t.Error(b)
	}
	for _, test := range []struct {
		outcome downlink.Outcome
		err     error
		code    string
	}{
		{downlink.Outcome{State: downlink.Offline}, nil, "iot.messagebroker.OFFLINE"},
		{downlink.Outcome{State: downlink.Busy}, nil, "iot.messagebroker.RateLimit"},
		{downlink.Outcome{State: downlink.Unsubscribed}, nil, "iot.messagebroker.PublishMessageFailed"},
		{downlink.Outcome{State: downlink.Refused}, nil, "iot.device.SetDevicePropertyFailed"},
		{downlink.Outcome{State: "new_state"}, nil, "iot.system.SystemException"},
		{downlink.Outcome{}, errors.New("broken"), "iot.system.SystemException"},
		{downlink.Outcome{}, iot.Errorf(iot.Throttled, ""), "iot.messagebroker.RateLimit"},
	} {
		s.commands.answer(test.outcome, test.err)
		if b := set(`{"power":0}`); tea.BoolValue(b.Success) || tea.StringValue(b.Code) != test.code {
			t.Errorf("%+v: %v", test, b)
		}
	}
	s.commands.answer(downlink.Outcome{}, iot.Errorf(iot.Unavailable, "later"))
	_, err := s.SetDeviceProperty(&sdk.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &name, Items: tea.String(`{"power":0}`)})
	if e := sdkError(t, err); tea.StringValue(e.Code) != "ServiceUnavailable" || tea.IntValue(e.StatusCode) != 503 {
		t.Error(err)
	}
}

func TestInvokeThingService(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	s.connect(t, dev)
	invoke := func(service, args string) *sdk.InvokeThingServiceResponseBody {
		t.Helper()
		return must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: &service, Args: &args})).Body
	}
	b := invoke("reboot", `{"delay":5}`)
	id := tea.StringValue(b.Data.MessageId)
	checkRequestID(t, id)
	same(t, b, `{"Success":true,"Data":{"MessageId":"`+id+`"}}`)
	p := s.commands.take()[0].Publish
	if p.Topic != "/sys/"+pk+"/thermo-01/thing/service/reboot" || string(p.Payload) != `{"method":"thing.service.reboot","id":"`+id+`","params":{"delay":5},"version":"1.0.0"}` || p.ReplyTopic != "" {
		t.Errorf("published %+v\n%s", p, p.Payload)
	}

	reply := `{"id":"` + id + `","code":200,"data":{"sum":5}}`
	s.commands.answer(downlink.Outcome{State: downlink.Sent, Reply: []byte(reply)}, nil)
	b = invoke("add", `{}`)
	checkRequestID(t, tea.StringValue(b.Data.MessageId))
	if tea.StringValue(b.Data.Result) != reply {
		t.Error(b)
	}
	p = s.commands.take()[0].Publish
	m := regexp.MustCompile(`^/sys/` + pk + `/thermo-01/rrpc/request/([0-9]{18,19})$`).FindStringSubmatch(p.Topic)
	if m == nil || p.ReplyTopic != "/sys/"+pk+"/thermo-01/rrpc/response/"+m[1] || p.ExtTopic != "/ext/rrpc/"+m[1]+"/sys/"+pk+"/thermo-01/thing/service/add" || p.WaitMS != 8000 || p.QoS != 0 {
		t.Errorf("published %+v", p)
	}
	for state, code := range map[downlink.State]string{
		downlink.Offline: "iot.messagebroker.OFFLINE", downlink.TimedOut: "iot.messagebroker.TIMEOUT", downlink.Unsubscribed: "iot.messagebroker.TIMEOUT",
		downlink.Busy: "iot.messagebroker.RateLimit", downlink.Refused: "iot.device.InvokeThingServiceFailed",
	} {
		s.commands.answer(downlink.Outcome{State: state}, nil)
		if b := invoke("add", `{}`); tea.StringValue(b.Code) != code {
			t.Errorf("%s: %v, want %s", state, b, code)
		}
	}
	s.commands.take()
	for _, bad := range [][2]string{{"absent", "{}"}, {"reboot", `{"delay":"x"}`}, {"reboot", `{"other":1}`}, {"reboot", `[`}, {"set", "{}"}} {
		if b := invoke(bad[0], bad[1]); tea.StringValue(b.Code) != "iot.device.InvokeThingServiceFailed" {
			t.Errorf("%v: %v", bad, b)
		}
	}
	if c := s.commands.take(); len(c) != 0 {
		t.Errorf("what is refused was sent: %+v", c)
	}
}

func TestQueryDevicePropertyStatus(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	post(t, s, dev, store.Value{Identifier: "temp", Time: 1767225600000, JSON: []byte("25.0")}, store.Value{Identifier: "label", Time: 1767225600001, JSON: []byte(`"a\"b"`)})
	r := must[*sdk.QueryDevicePropertyStatusResponse](t)(s.QueryDevicePropertyStatus(&sdk.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name}))
	same(t, r.Body, `{"Success":true,"Data":{"List":{"PropertyStatusInfo":[
		{"DataType":"bool","Identifier":"power","Name":"Power"},
		{"DataType":"float","Identifier":"temp","Name":"Temperature","Unit":"C","Time":"1767225600000","Value":"25.0"},
		{"DataType":"text","Identifier":"label","Name":"Label","Time":"1767225600001","Value":"a\"b"}]}}}`)
	r = must[*sdk.QueryDevicePropertyStatusResponse](t)(s.QueryDevicePropertyStatus(&sdk.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name, FunctionBlockId: tea.String("custom")}))
	if tea.StringValue(r.Body.Code) != "iot.device.QueryDeviceAttrStatusFailed" {
		t.Error(r.Body)
	}
}

func post(t *testing.T, s *system, dev iot.DeviceRef, values ...store.Value) {
	t.Helper()
	if errs := s.store.Properties().Post(context.Background(), []store.Post{{Ref: dev, MessageID: "1", Values: values}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func TestQueryDevicePropertyData(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	const at = 1767225600000
	for i := range 7 {
		post(t, s, dev, store.Value{Identifier: "temp", Time: at + int64(i), JSON: fmt.Appendf(nil, "%d.5", i)})
	}
	for asc, want := range map[int32]string{0: "6.5 5.5 4.5 3.5 2.5 1.5 0.5", 1: "0.5 1.5 2.5 3.5 4.5 5.5 6.5"} {
		request := &sdk.QueryDevicePropertyDataRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("temp"), Asc: &asc, PageSize: tea.Int32(3),
			StartTime: tea.Int64(at), EndTime: tea.Int64(at + 1000)}
		var got []string
		for range 5 {
			b := must[*sdk.QueryDevicePropertyDataResponse](t)(s.QueryDevicePropertyData(request)).Body
			if !tea.BoolValue(b.Success) {
				t.Fatal(b)
			}
			d := b.Data
			for _, v := range d.List.PropertyInfo {
				got = append(got, tea.StringValue(v.Value))
			}
			if !tea.BoolValue(d.NextValid) {
				break
			}
			if asc == 0 {
				request.EndTime = d.NextTime
			} else {
				request.StartTime = d.NextTime
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("asc %d: %v, want %s", asc, got, want)
		}
	}
	request := sdk.QueryDevicePropertyDataRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("temp"), Asc: tea.Int32(0), PageSize: tea.Int32(50), StartTime: tea.Int64(at), EndTime: tea.Int64(at - 1)}
	if b := must[*sdk.QueryDevicePropertyDataResponse](t)(s.QueryDevicePropertyData(&request)).Body; tea.StringValue(b.Code) != "iot.device.InvalidTimeBucket" {
		t.Error(b)
	}
	request.EndTime, request.Identifier = tea.Int64(at+1), tea.String("absent")
	if b := must[*sdk.QueryDevicePropertyDataResponse](t)(s.QueryDevicePropertyData(&request)).Body; tea.StringValue(b.Code) != "iot.device.QueryDeviceAttrDataHistoryFailed" {
		t.Error(b)
	}
	request.PageSize = tea.Int32(51)
	if b := must[*sdk.QueryDevicePropertyDataResponse](t)(s.QueryDevicePropertyData(&request)).Body; tea.StringValue(b.Code) != "iot.common.InvalidPageParams" {
		t.Error(b)
	}
}

func TestPub(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "things")
	s.thing(t, pk, "thermo-01")
	payload := []byte{0, 1, '+', '/', 255}
	pub := func(topic, content string, qos int32) *sdk.PubResponseBody {
		t.Helper()
		return must[*sdk.PubResponse](t)(s.Pub(&sdk.PubRequest{ProductKey: &pk, TopicFullName: &topic, MessageContent: &content, Qos: &qos})).Body
	}
	topic, content := "/"+pk+"/thermo-01/user/get", base64.StdEncoding.EncodeToString(payload)
	b := pub(topic, content, 1)
	id := tea.StringValue(b.MessageId)
	same(t, b, `{"Success":true,"MessageId":"`+id+`"}`)
	if !regexp.MustCompile(`^[0-9]{18,19}$`).MatchString(id) {
		t.Errorf("MessageId %q", id)
	}
	if p := s.commands.take()[0].Publish; p.Topic != topic || string(p.Payload) != string(payload) || p.QoS != 1 || p.MessageID != id {
		t.Errorf("published %+v", p)
	}
	for _, test := range []struct {
		state downlink.State
		qos   int32
		code  string
	}{
		{downlink.Queued, 1, ""}, {downlink.QueueFull, 1, "iot.messagebroker.PublishMessageFailed"}, {downlink.Unsubscribed, 1, ""}, {downlink.Offline, 0, ""}, {downlink.Offline, 1, "iot.messagebroker.OFFLINE"},
		{downlink.Busy, 0, "iot.messagebroker.RateLimit"}, {downlink.Refused, 0, "iot.messagebroker.PublishMessageFailed"},
	} {
		s.commands.answer(downlink.Outcome{State: test.state}, nil)
		if b := pub(topic, content, test.qos); tea.StringValue(b.Code) != test.code {
			t.Errorf("%+v: %v", test, b)
		}
	}
	s.commands.answer(downlink.Outcome{}, nil)
	s.commands.take()
	for _, test := range []struct{ topic, content, code string }{
		{"", content, "iot.messagebroker.NullTopicName"},
		{topic, "", "iot.messagebroker.NullMessageContent"},
		{topic, "***", "iot.messagebroker.MessageContentIsNotBase64Encode"},
		{topic, base64.StdEncoding.EncodeToString(make([]byte, maxPayload+1)), "iot.messagebroker.PublishMessageFailed"},
		{"no/slash", content, "iot.messagebroker.InvalidFormattedTopicName"},
		{"/" + pk + "/thermo-01/user/+", content, "iot.messagebroker.InvalidFormattedTopicName"},
		{"/" + pk + "/thermo-01", content, "iot.messagebroker.InvalidFormattedTopicName"},
		{"/a1Other0000/thermo-01/user/get", content, "iot.messagebroker.InvalidFormattedTopicName"},
		{"/" + pk + "/thermo-01/user/" + strings.Repeat("x", 128), content, "iot.messagebroker.InvalidFormattedTopicName"},
		{"/" + pk + "/thermo-01/user/update", content, "iot.messagebroker.PublishMessageFailed"},
		{"/sys/" + pk + "/thermo-01/thing/service/property/set", content, "iot.messagebroker.PublishMessageFailed"},
	} {
		if b := pub(test.topic, test.content, 0); tea.StringValue(b.Code) != test.code {
			t.Errorf("%s: %v, want %s", test.topic, b, test.code)
		}
	}
	if c := s.commands.take(); len(c) != 0 {
		t.Errorf("what is refused was sent: %+v", c)
	}
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
