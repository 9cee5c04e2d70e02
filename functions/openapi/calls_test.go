package main

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
)

// A device that did what it was asked to has done it, also if its answer could not be stored.
func TestAnswerNotStored(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk, name := s.product(t, "things"), "thermo-01"
	s.connect(t, s.thing(t, pk, name))
	s.store.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "calls.answer" {
			return iot.Errorf(iot.Throttled, "busy")
		}
		return nil
	}
	s.commands.answer(downlink.Outcome{State: downlink.Sent, Reply: []byte(`{"id":"1","code":200,"data":{"sum":5}}`)}, nil)
	r := must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("add"), Args: tea.String(`{}`)})).Body
	if !tea.BoolValue(r.Success) || !strings.Contains(tea.StringValue(r.Data.Result), `"sum":5`) {
		t.Errorf("%v", r)
	}
	if log := s.console.String(); !strings.Contains(log, "answer of a device not stored") {
		t.Errorf("log: %s", log)
	}
}

// Whatever is asked of a device is found afterwards, with the answer if it was synchronous.
func TestCallsAreStored(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk, name := s.product(t, "things"), "thermo-01"
	s.connect(t, s.thing(t, pk, name))
	must[*sdk.SetDevicePropertyResponse](t)(s.SetDeviceProperty(&sdk.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &name, Items: tea.String(`{"power":1}`)}))
	must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("reboot"), Args: tea.String(`{"delay":5}`)}))
	s.call(t, "RelinkRequestDeviceProperty", map[string]string{"ProductKey": pk, "DeviceName": name, "Identifier.1": "power"})
	s.commands.answer(downlink.Outcome{State: downlink.Sent, Reply: []byte(`{"id":"1","code":200,"data":{"sum":5}}`)}, nil)
	must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("add"), Args: tea.String(`{}`)}))
	query := func(identifier string) []*sdk.QueryDeviceServiceDataResponseBodyDataListServiceInfo {
		t.Helper()
		now := time.Now().UnixMilli()
		r := &sdk.QueryDeviceServiceDataRequest{ProductKey: &pk, DeviceName: &name, StartTime: tea.Int64(now - 60_000), EndTime: tea.Int64(now + 60_000), Asc: tea.Int32(1)}
		if identifier != "" {
			r.Identifier = &identifier
		}
		return must[*sdk.QueryDeviceServiceDataResponse](t)(s.QueryDeviceServiceData(r)).Body.Data.List.ServiceInfo
	}
	var got []string
	for _, i := range query("") {
		got = append(got, tea.StringValue(i.Identifier)+" "+tea.StringValue(i.InputData)+" "+tea.StringValue(i.OutputData))
	}
	for _, want := range []string{`set {"power":1} `, `reboot {"delay":5} `, `get ["power"] `, `add {} {"id":"1","code":200,"data":{"sum":5}}`} {
		if !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if only := query("reboot"); len(only) != 1 || tea.StringValue(only[0].Name) != "reboot" {
		t.Errorf("reboot alone: %v", only)
	}
}
