package main

import (
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/store"
)

const pumpModel = `{"properties":[{"identifier":"speed","name":"Speed","dataType":"DOUBLE","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecs":{"dataType":"DOUBLE","min":"0","max":"9","unit":"m/s","custom":true}}],
"services":[{"identifier":"stop","serviceName":"Stop","callType":"ASYNC","required":false,"custom":true,"inputParams":[],"outputParams":[]}],"events":[]}`

// TestFunctionBlocks goes through the life of a custom module.
func TestFunctionBlocks(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	s.connect(t, dev)
	pump := tea.String("pump")
	create := func(id, name *string, want string) {
		t.Helper()
		b := must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, FunctionBlockId: id, FunctionBlockName: name, ThingModelJson: tea.String(pumpModel)})).Body
		if tea.StringValue(b.Code) != want {
			t.Errorf("CreateThingModel: %v, want %q", b, want)
		}
	}
	create(pump, nil, "iot.prod.QueryProductAbilityFailed")
	create(tea.String("a-b"), tea.String("Pump"), "iot.prod.BatchCreateThingModelFailed")
	create(pump, tea.String("Pump"), "")
	create(pump, tea.String("Pump"), "iot.prod.ThingModelNameDuplicated")
	tsl := func(block *string, simple bool) string {
		t.Helper()
		b := must[*sdk.GetThingModelTslResponse](t)(s.GetThingModelTsl(&sdk.GetThingModelTslRequest{ProductKey: &pk, FunctionBlockId: block, Simple: &simple})).Body
		if !tea.BoolValue(b.Success) {
			return tea.StringValue(b.Code)
		}
		return tea.StringValue(b.Data.TslStr)
	}
	if got := tsl(pump, false); !strings.Contains(got, `"functionBlockId":"pump","functionBlockName":"Pump"`) || !strings.Contains(got, `"method":"thing.service.pump:stop"`) {
		t.Errorf("TSL of the module: %s", got)
	}
	if got := tsl(pump, true); strings.Contains(got, "name\"") || !strings.Contains(got, `"speed"`) {
		t.Errorf("simplified TSL of the module: %s", got)
	}
	if got := tsl(nil, false); strings.Contains(got, `"speed"`) {
		t.Errorf("TSL of the default module: %s", got)
	}
	if got := tsl(tea.String("absent"), false); got != "iot.prod.QueryProductAbilityFailed" {
		t.Errorf("TSL of no module: %s", got)
	}
	publish := func(version string) {
		t.Helper()
		same(t, must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk, ModelVersion: &version})).Body, `{"Success":true}`)
	}
	publish("2.0")

	post(t, s, dev, store.Value{Identifier: "pump:speed", Time: 1767225600000, JSON: []byte("1.5")})
	status := must[*sdk.QueryDevicePropertyStatusResponse](t)(s.QueryDevicePropertyStatus(&sdk.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name, FunctionBlockId: pump}))
	same(t, status.Body, `{"Success":true,"Data":{"List":{"PropertyStatusInfo":[{"DataType":"double","Identifier":"pump:speed","Name":"Speed","Unit":"m/s","Time":"1767225600000","Value":"1.5"}]}}}`)
	data := must[*sdk.QueryDevicePropertyDataResponse](t)(s.QueryDevicePropertyData(&sdk.QueryDevicePropertyDataRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("pump:speed"),
		Asc: tea.Int32(1), PageSize: tea.Int32(5), StartTime: tea.Int64(0), EndTime: tea.Int64(1767225600001)}))
	if !tea.BoolValue(data.Body.Success) || len(data.Body.Data.List.PropertyInfo) != 1 {
		t.Error(data.Body)
	}
	set := must[*sdk.SetDevicePropertyResponse](t)(s.SetDeviceProperty(&sdk.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &name, Items: tea.String(`{"pump:speed":2,"power":1}`)}))
	if !tea.BoolValue(set.Body.Success) {
		t.Error(set.Body)
	}
	if got := string(s.commands.take()[0].Publish.Payload); !strings.Contains(got, `"params":{"pump:speed":2.0,"power":1}`) {
		t.Errorf("set: %s", got)
	}
	invoke := must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("pump:stop"), Args: tea.String(`{}`)}))
	if !tea.BoolValue(invoke.Body.Success) {
		t.Error(invoke.Body)
	}
	if p := s.commands.take()[0].Publish; p.Topic != "/sys/"+pk+"/thermo-01/thing/service/pump:stop" || !strings.Contains(string(p.Payload), `"method":"thing.service.pump:stop"`) {
		t.Errorf("service: %+v %s", p, p.Payload)
	}

	document := tsl(pump, false)
	imported := must[*sdk.ImportThingModelTslResponse](t)(s.ImportThingModelTsl(&sdk.ImportThingModelTslRequest{ProductKey: &pk, FunctionBlockId: tea.String("second"), FunctionBlockName: tea.String("Second"), TslStr: &document}))
	same(t, imported.Body, `{"Success":true}`)
	if got := tsl(tea.String("second"), false); !strings.Contains(got, `"method":"thing.service.second:stop"`) {
		t.Errorf("TSL of an imported module: %s", got)
	}
	if b := must[*sdk.ImportThingModelTslResponse](t)(s.ImportThingModelTsl(&sdk.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &document})).Body; tea.BoolValue(b.Success) {
		t.Error("a module's document became the default one's")
	}
	remove := func(r *sdk.DeleteThingModelRequest, want string) {
		t.Helper()
		r.ProductKey = &pk
		if b := must[*sdk.DeleteThingModelResponse](t)(s.DeleteThingModel(r)).Body; tea.StringValue(b.Code) != want {
			t.Errorf("DeleteThingModel: %v, want %q", b, want)
		}
	}
	remove(&sdk.DeleteThingModelRequest{FunctionBlockId: pump, PropertyIdentifier: []*string{tea.String("speed")}}, "")
	remove(&sdk.DeleteThingModelRequest{FunctionBlockId: pump, PropertyIdentifier: []*string{tea.String("speed")}}, "iot.prod.QueryProductAbilitiesFailed")
	if got := tsl(pump, false); strings.Contains(got, `"speed"`) || !strings.Contains(got, `"stop"`) {
		t.Errorf("after a deletion: %s", got)
	}
	remove(&sdk.DeleteThingModelRequest{FunctionBlockId: pump}, "")
	if got := tsl(pump, false); got != "iot.prod.QueryProductAbilityFailed" {
		t.Errorf("after the module's deletion: %s", got)
	}
	remove(&sdk.DeleteThingModelRequest{}, "")
	if got := tsl(nil, false); strings.Contains(got, `"temp"`) {
		t.Errorf("after the deletion of everything: %s", got)
	}
	published := must[*sdk.QueryThingModelPublishedResponse](t)(s.QueryThingModelPublished(&sdk.QueryThingModelPublishedRequest{ProductKey: &pk, FunctionBlockId: pump}))
	if !strings.Contains(tea.StringValue(published.Body.Data.ThingModelJson), `"speed"`) {
		t.Errorf("what is published has changed: %v", published.Body)
	}

	other := s.emptyProduct(t, "others")
	copied := must[*sdk.CopyThingModelResponse](t)(s.CopyThingModel(&sdk.CopyThingModelRequest{SourceProductKey: &pk, TargetProductKey: &other, SourceModelVersion: tea.String("2.0")}))
	same(t, copied.Body, `{"Success":true}`)
	b := must[*sdk.QueryThingModelResponse](t)(s.QueryThingModel(&sdk.QueryThingModelRequest{ProductKey: &other, FunctionBlockId: pump})).Body
	if !strings.Contains(tea.StringValue(b.Data.ThingModelJson), `"productKey":"`+other+`"`) {
		t.Errorf("the copy: %v", b)
	}
}
