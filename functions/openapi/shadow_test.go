package main

import (
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
)

func TestDeviceShadow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "shadows")
	dev := s.thing(t, pk, "lamp-001")
	name := string(dev.DeviceName)
	get := func() string {
		t.Helper()
		r := must[*sdk.GetDeviceShadowResponse](t)(s.GetDeviceShadow(&sdk.GetDeviceShadowRequest{ProductKey: &pk, DeviceName: &name}))
		if !tea.BoolValue(r.Body.Success) || !json.Valid([]byte(tea.StringValue(r.Body.ShadowMessage))) {
			t.Fatal(r.Body)
		}
		return tea.StringValue(r.Body.ShadowMessage)
	}
	update := func(message string, delta *bool) *sdk.UpdateDeviceShadowResponseBody {
		t.Helper()
		return must[*sdk.UpdateDeviceShadowResponse](t)(s.UpdateDeviceShadow(&sdk.UpdateDeviceShadowRequest{ProductKey: &pk, DeviceName: &name, ShadowMessage: &message, DeltaUpdate: delta})).Body
	}
	if got := get(); got != `{"state":{},"metadata":{},"timestamp":0,"version":0}` {
		t.Errorf("empty: %s", got)
	}
	same(t, update(`{"method":"update","state":{"desired":{"color":"green"}},"version":1}`, nil), `{"Success":true}`)
	commands := s.commands.take()
	if len(commands) != 1 || commands[0].Publish.Topic != "/shadow/get/"+dev.String() || commands[0].Publish.QoS != 1 ||
		!strings.HasPrefix(string(commands[0].Publish.Payload), `{"method":"control","payload":{"state":{"desired":{"color":"green"},"reported":{}},"metadata":`) {
		t.Errorf("commands %+v", commands)
	}
	for _, o := range []downlink.State{downlink.Offline, downlink.Unsubscribed, downlink.Busy} { // stored is stored
		s.commands.answer(downlink.Outcome{State: o}, nil)
		same(t, update(`{"method":"update","state":{"desired":{"size":1}},"version":0}`, tea.Bool(true)), `{"Success":true}`)
	}
	s.commands.answer(downlink.Outcome{}, iot.Errorf(iot.Unavailable, "away"))
	same(t, update(`{"method":"update","state":{"desired":{"size":2}},"version":0}`, tea.Bool(true)), `{"Success":true}`)
	if !strings.Contains(s.console.String(), "device not told of a change") {
		t.Error("a control message that was lost is not logged")
	}
	if got := get(); !strings.HasPrefix(got, `{"method":"update","state":{"desired":{"color":"green","size":2},"reported":{}},"metadata":{`) || !strings.HasSuffix(got, `,"version":5}`) {
		t.Errorf("document %s", got)
	}
	for message, code := range map[string]string{
		``: "NullShadowMessage", `x`: "ShadowMessageIsNotJson",
		`{"method":"update","state":{"desired":{"a":1}},"version":2}`:   "UpdateDeviceShadowMessageFailed",
		`{"method":"update","state":{"desired":{"a":1}}}`:               "NotFoundVersionOrNullVersionValue",
		`{"method":"update","state":{"desired":{}},"version":0}`:        "NoneElementInDesire",
		`{"method":"delete","state":{"desired":{"a":1}},"version":100}`: "MethodValueIsNotUpdate",
	} {
		if got := tea.StringValue(update(message, nil).Code); got != "iot.messagebroker."+code {
			t.Errorf("%s: %s, want %s", message, got, code)
		}
	}
	r := must[*sdk.GetDeviceShadowResponse](t)(s.GetDeviceShadow(&sdk.GetDeviceShadowRequest{ProductKey: &pk, DeviceName: tea.String("nobody")}))
	if got := tea.StringValue(r.Body.Code); got != "iot.device.NotExistedDevice" {
		t.Errorf("unknown device: %s", got)
	}
}
