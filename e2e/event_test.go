package e2e

import (
	"testing"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// A device reports events of the default and of a custom module, alone and in a batch; an application asks for them page by page, and
// tells the device what it wants, which the device reads after it was away.
func TestEventsAndDesiredValues(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := plainProduct(t, api, "events_and_desired", 0, 1)
	importModel(t, api, pk, "golden_model.json", "")
	importModel(t, api, pk, "golden_module.json", "meter")
	published, err := api.PublishThingModel(&iotapi.PublishThingModelRequest{ProductKey: &pk})
	if err != nil || !tea.BoolValue(published.Body.Success) {
		t.Fatalf("PublishThingModel: %v %v", err, published)
	}
	device := newDevice(t, api, pk, "eventful-001")
	url := "tcp://" + s.env["RELINK_MQTT"]
	l := connect(t, device, lampOptions(device, url, nil))
	thing := "/sys/" + pk + "/eventful-001/thing/"
	post := func(name, id, params, method string) {
		t.Helper()
		l.post(t, thing+name, `{"id":"`+id+`","version":"1.0","params":`+params+`}`)
		want := `{"code":200,"data":{},"id":"` + id + `","message":"success","method":"` + method + `","version":"1.0"}`
		if got := string(l.next(t, thing+name+"_reply")); got != want {
			t.Fatalf("reply %s, want %s", got, want)
		}
	}
	post("event/alarm/post", "1", `{"value":{"code":1},"time":1767225600000}`, "thing.event.alarm.post")
	post("event/meter:trip/post", "2", `{"value":{},"time":1767225600001}`, "thing.event.meter:trip.post")
	post("event/property/batch/post", "3", `{"properties":{"meter:kwh":[{"value":1.5,"time":1767225600000},{"value":2.5,"time":1767225600001}]},"events":{"alarm":[{"value":{"code":2},"time":1767225600002},{"value":{"code":3},"time":1767225600003}]}}`,
		"thing.event.property.batch.post")

	var outputs string
	end := int64(1767225600003)
	for range 9 {
		r, err := api.QueryDeviceEventData(&iotapi.QueryDeviceEventDataRequest{ProductKey: &pk, DeviceName: tea.String("eventful-001"), PageSize: tea.Int32(1),
			StartTime: tea.Int64(1767225600000), EndTime: &end})
		if err != nil || !tea.BoolValue(r.Body.Success) {
			t.Fatalf("QueryDeviceEventData: %v %v", err, r)
		}
		for _, e := range r.Body.Data.List.EventInfo {
			outputs += tea.StringValue(e.Identifier) + "/" + tea.StringValue(e.EventType) + tea.StringValue(e.OutputData) + " "
		}
		if !tea.BoolValue(r.Body.Data.NextValid) {
			break
		}
		end = tea.Int64Value(r.Body.Data.NextTime)
	}
	if want := `alarm/alert{"code":3} alarm/alert{"code":2} meter:trip/error{} alarm/alert{"code":1} `; outputs != want {
		t.Errorf("events %s, want %s", outputs, want)
	}
	status, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: tea.String("eventful-001"), FunctionBlockId: tea.String("meter")})
	if err != nil || !tea.BoolValue(status.Body.Success) || len(status.Body.Data.List.PropertyStatusInfo) != 1 || tea.StringValue(status.Body.Data.List.PropertyStatusInfo[0].Value) != "2.5" {
		t.Errorf("QueryDevicePropertyStatus: %v %v", err, status)
	}

	l.Disconnect(100)
	set, err := api.SetDeviceDesiredProperty(&iotapi.SetDeviceDesiredPropertyRequest{ProductKey: &pk, DeviceName: tea.String("eventful-001"), Items: tea.String(`{"power":1,"label":"hall"}`), Versions: tea.String(`{"power":0}`)})
	if err != nil || tea.StringValue(set.Body.Data.Versions) != `{"power":1,"label":1}` {
		t.Fatalf("SetDeviceDesiredProperty: %v %v", err, set)
	}
	l = connect(t, device, lampOptions(device, url, nil))
	l.post(t, thing+"property/desired/get", `{"id":"4","version":"1.0","params":["label","power","mode"]}`)
	if got, want := string(l.next(t, thing+"property/desired/get_reply")), `{"code":200,"data":{"label":{"value":"hall","version":1},"power":{"value":1,"version":1}},"id":"4","message":"success","method":"thing.property.desired.get","version":"1.0"}`; got != want {
		t.Errorf("desired get: %s", got)
	}
	l.post(t, thing+"property/desired/delete", `{"id":"5","version":"1.0","params":{"power":{"version":1}}}`)
	l.next(t, thing+"property/desired/delete_reply")
	query, err := api.QueryDeviceDesiredProperty(&iotapi.QueryDeviceDesiredPropertyRequest{ProductKey: &pk, DeviceName: tea.String("eventful-001"), Identifier: tea.StringSlice([]string{"power"})})
	if err != nil || !tea.BoolValue(query.Body.Success) || query.Body.Data.List.DesiredPropertyInfo[0].Value != nil || tea.Int64Value(query.Body.Data.List.DesiredPropertyInfo[0].Version) != 1 {
		t.Errorf("QueryDeviceDesiredProperty: %v %v", err, query)
	}
}
