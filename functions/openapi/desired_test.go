package main

import (
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/store"
)

func TestDesiredProperties(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	s.thing(t, pk, "thermo-01")
	name := "thermo-01"
	set := func(items, versions string) *sdk.SetDeviceDesiredPropertyResponseBody {
		t.Helper()
		return must[*sdk.SetDeviceDesiredPropertyResponse](t)(s.SetDeviceDesiredProperty(&sdk.SetDeviceDesiredPropertyRequest{ProductKey: &pk, DeviceName: &name, Items: &items, Versions: &versions})).Body
	}
	query := func(ids ...string) string {
		t.Helper()
		r := &sdk.QueryDeviceDesiredPropertyRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.StringSlice(ids)}
		b := must[*sdk.QueryDeviceDesiredPropertyResponse](t)(s.QueryDeviceDesiredProperty(r)).Body
		if !tea.BoolValue(b.Success) {
			return tea.StringValue(b.Code)
		}
		var list []string
		for _, p := range b.Data.List.DesiredPropertyInfo {
			version := "?"
			if p.Version != nil {
				version = string(rune('0' + *p.Version))
			}
			list = append(list, tea.StringValue(p.Identifier)+"="+tea.StringValue(p.Value)+"#"+version)
		}
		return strings.Join(list, " ")
	}
	s.commands.answer(downlink.Outcome{State: downlink.Offline}, nil) // nobody minds
	b := set(`{"power":1}`, `{"power":0}`)
	checkRequestID(t, tea.StringValue(b.Data.MessageId))
	if got := tea.StringValue(b.Data.Versions); got != `{"power":1}` {
		t.Error(got)
	}
	s.commands.take()
	s.commands.answer(downlink.Outcome{State: downlink.Sent}, nil)
	b = set(`{"power":0,"label":"hall"}`, `{}`)
	if got := tea.StringValue(b.Data.Versions); got != `{"power":2,"label":1}` {
		t.Error(got)
	}
	p := s.commands.take()[0].Publish
	if p.Topic != "/sys/"+pk+"/thermo-01/thing/service/property/set" || string(p.Payload) != `{"method":"thing.service.property.set","id":"`+tea.StringValue(b.Data.MessageId)+`","params":{"power":0,"label":"hall"},"version":"1.0.0"}` {
		t.Errorf("pushed %+v %s", p, p.Payload)
	}
	if got := query(); got != "power=0#2 label=hall#1" {
		t.Error(got)
	}
	if got := query("label"); got != "label=hall#1" {
		t.Error(got)
	}
	for _, c := range []struct{ items, versions, code string }{
		{`{"power":1}`, `{"power":1}`, "iot.device.SetDevicePropertyFailed"},
		{`{"power":1}`, `{"label":1}`, "iot.device.SetDevicePropertyFailed"},
		{`{"power":1}`, `{"power":"x"}`, "iot.device.SetDevicePropertyFailed"},
		{`{"power":1}`, `[]`, "iot.device.SetDevicePropertyFailed"},
		{`{"temp":1}`, `{}`, "iot.device.SetDevicePropertyFailed"}, // is only read
		{`{"temp":null}`, `{}`, "iot.device.SetDevicePropertyFailed"},
		{`{"absent":1}`, `{}`, "iot.device.SetDevicePropertyFailed"},
		{`{"power":"on"}`, `{}`, "iot.device.SetDevicePropertyFailed"},
		{`{}`, `{}`, "iot.device.NoneDeviceProperties"},
		{`x`, `{}`, "iot.device.InvalidFormattedDevicePropertiesString"},
		{`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1}`, `{}`, "iot.device.TooManyDevicePropertiesPerTime"},
	} {
		if b := set(c.items, c.versions); tea.StringValue(b.Code) != c.code {
			t.Errorf("%s %s: %v, want %s", c.items, c.versions, b, c.code)
		}
	}
	if c := s.commands.take(); len(c) != 0 {
		t.Errorf("what is refused was sent: %+v", c)
	}
	if got := tea.StringValue(set(`{"power":null}`, `{"power":2}`).Data.Versions); got != `{"power":3}` {
		t.Error(got)
	}
	if c := s.commands.take(); len(c) != 0 {
		t.Errorf("a cleared value was sent: %+v", c)
	}
	clear := func(ids ...string) *sdk.ClearDeviceDesiredPropertyResponseBody {
		t.Helper()
		return must[*sdk.ClearDeviceDesiredPropertyResponse](t)(s.ClearDeviceDesiredProperty(&sdk.ClearDeviceDesiredPropertyRequest{ProductKey: &pk, DeviceName: &name, Identifies: tea.StringSlice(ids)})).Body
	}
	same(t, clear("label", "power", "label"), `{"Success":true,"Data":{"Versions":"{\"label\":2,\"power\":3}"}}`)
	if got := query(); got != "power=#3 label=#2" {
		t.Error(got)
	}
	for _, ids := range [][]string{nil, {"absent"}} {
		if b := clear(ids...); tea.StringValue(b.Code) != "iot.device.NoneDeviceProperties" {
			t.Errorf("clear %v: %v", ids, b)
		}
	}
	if got := query("absent"); got != "iot.device.NoneDeviceProperties" {
		t.Error(got)
	}
}

func TestManyDevices(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	names := []string{"thermo-01", "thermo-02", "thermo-03"}
	for _, n := range names {
		s.thing(t, pk, n)
	}
	set := func(items string, names []string) *sdk.SetDevicesPropertyResponseBody {
		t.Helper()
		return must[*sdk.SetDevicesPropertyResponse](t)(s.SetDevicesProperty(&sdk.SetDevicesPropertyRequest{ProductKey: &pk, DeviceName: tea.StringSlice(names), Items: &items})).Body
	}
	same(t, set(`{"power":1}`, append(names, names[0])), `{"Success":true}`)
	commands := s.commands.take()
	if len(commands) != 3 || commands[0].Publish.MessageID == commands[1].Publish.MessageID {
		t.Errorf("sent %+v", commands)
	}
	invoke := func(service string) *sdk.InvokeThingsServiceResponseBody {
		t.Helper()
		return must[*sdk.InvokeThingsServiceResponse](t)(s.InvokeThingsService(&sdk.InvokeThingsServiceRequest{ProductKey: &pk, DeviceName: tea.StringSlice(names), Identifier: &service, Args: tea.String("{}")})).Body
	}
	same(t, invoke("reboot"), `{"Success":true}`)
	if commands := s.commands.take(); len(commands) != 3 || !strings.HasSuffix(commands[0].Publish.Topic, "/thing/service/reboot") {
		t.Errorf("sent %+v", commands)
	}
	for _, service := range []string{"add", "absent"} { // one is synchronous
		if b := invoke(service); tea.StringValue(b.Code) != "iot.device.InvokeThingServiceFailed" {
			t.Errorf("%s: %v", service, b)
		}
	}
	s.commands.answer(downlink.Outcome{State: downlink.Offline}, nil)
	for code, b := range map[string]*sdk.SetDevicesPropertyResponseBody{
		"iot.messagebroker.OFFLINE":             set(`{"power":1}`, names),
		"iot.device.NotExistedDevice":           set(`{"power":1}`, []string{"thermo-01", "absent-1"}),
		"iot.device.SetDevicePropertyFailed":    set(`{"temp":1}`, names),
		"iot.device.DeviceCountExceeded":        set(`{"power":1}`, make101()),
		"iot.device.InvalidFormattedDeviceName": set(`{"power":1}`, []string{"a b"}),
	} {
		if tea.StringValue(b.Code) != code {
			t.Errorf("%v, want %s", b, code)
		}
	}
}

func make101() []string {
	names := make([]string, 101)
	for i := range names {
		names[i] = "thermo-" + strings.Repeat("x", 1) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	return names
}

func TestQueryDevicePropertiesData(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	const at = int64(1767225600000)
	for i := range int64(7) {
		values := []store.Value{{Identifier: "temp", Time: at + i, JSON: []byte{byte('0' + i)}}}
		if i%3 == 0 {
			values = append(values, store.Value{Identifier: "label", Time: at + i, JSON: []byte(`"l` + string(rune('0'+i)) + `"`)})
		}
		post(t, s, dev, values...)
	}
	for asc, want := range map[int32]string{0: "temp:6543210 label:l6l3l0", 1: "temp:0123456 label:l0l3l6"} {
		from, to := at-1, at+100
		if asc == 0 {
			from, to = to, from
		}
		got := map[string]string{}
		for range 9 {
			b := must[*sdk.QueryDevicePropertiesDataResponse](t)(s.QueryDevicePropertiesData(&sdk.QueryDevicePropertiesDataRequest{ProductKey: &pk, DeviceName: &name,
				Identifier: tea.StringSlice([]string{"temp", "label"}), Asc: &asc, PageSize: tea.Int32(3), StartTime: &from, EndTime: &to})).Body
			if !tea.BoolValue(b.Success) {
				t.Fatal(b)
			}
			for _, d := range b.PropertyDataInfos.PropertyDataInfo {
				for _, v := range d.List.PropertyInfo {
					got[tea.StringValue(d.Identifier)] += tea.StringValue(v.Value)
				}
			}
			if !tea.BoolValue(b.NextValid) {
				break
			}
			from = tea.Int64Value(b.NextTime)
		}
		if all := "temp:" + got["temp"] + " label:" + got["label"]; all != want {
			t.Errorf("Asc %d: %s, want %s", asc, all, want)
		}
	}
	b := must[*sdk.QueryDevicePropertiesDataResponse](t)(s.QueryDevicePropertiesData(&sdk.QueryDevicePropertiesDataRequest{ProductKey: &pk, DeviceName: &name,
		Identifier: tea.StringSlice([]string{"temp"}), Asc: tea.Int32(0), PageSize: tea.Int32(3), StartTime: tea.Int64(1), EndTime: tea.Int64(2)})).Body
	if tea.StringValue(b.Code) != "iot.device.InvalidTimeBucket" {
		t.Error(b)
	}
}
