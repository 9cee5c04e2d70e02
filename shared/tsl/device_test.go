package tsl

import (
	"encoding/json"
	"strings"
	"testing"

	"relink/shared/iot"
)

var thermo = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

// "Golden examples", G-20: the beginning word for word, and the automatic items with their arguments.
func TestForDevice(t *testing.T) {
	t.Parallel()
	got := string(golden(t).ForDevice(thermo))
	for _, want := range []string{
		`{"schema":"` + Schema + `","link":"/sys/a1GoldenPk1/thermo-01/thing/","profile":{"productKey":"a1GoldenPk1","deviceName":"thermo-01"},"properties":[{"identifier":"power","name":"Power","accessMode":"rw","required":false,"dataType":{"type":"bool","specs":{"0":"off","1":"on"}}},`,
		`"events":[{"identifier":"post","name":"post","type":"info","required":true,"desc":"属性上报","method":"thing.event.property.post","outputData":[{"identifier":"power","name":"Power","dataType":`,
		`{"identifier":"get","name":"get","required":true,"callType":"async","desc":"属性获取","method":"thing.service.property.get","inputData":["power","temp","mode","pos","log","label"],"outputData":[`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s\nin %s", want, got)
		}
	}
	if !json.Valid([]byte(got)) || strings.Contains(got, "kwh") {
		t.Errorf("not JSON, or a custom module in it: %s", got)
	}
}

func TestDynamic(t *testing.T) {
	t.Parallel()
	m := golden(t)
	// G-21 has no answer in the sources; this is ours.
	const profile = `{"profile":{"productKey":"a1GoldenPk1","deviceName":"thermo-01"},`
	got := string(m.Dynamic(thermo, ParseNodes([]string{"type", "identifier", "bogus"}), false))
	if want := profile + `"properties":[{"identifier":"power","type":"bool"},{"identifier":"temp","type":"float"},{"identifier":"mode","type":"enum"},{"identifier":"pos","type":"struct"},{"identifier":"log","type":"array"},{"identifier":"label","type":"text"}],"events":[{"identifier":"alarm","type":"alert"}],"services":[{"identifier":"reboot"},{"identifier":"add"}]}`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	got = string(m.Dynamic(thermo, ParseNodes([]string{"identifier", "method", "callType", "inputData"}), true))
	for _, want := range []string{
		`"events":[{"identifier":"post","method":"thing.event.property.post"},{"identifier":"alarm","method":"thing.event.alarm.post"}]`,
		`"services":[{"identifier":"set","callType":"async","method":"thing.service.property.set","inputData":[{"identifier":"power"},{"identifier":"mode"},{"identifier":"label"}]},{"identifier":"get",`,
		`{"identifier":"add","callType":"sync","method":"thing.service.add","inputData":[{"identifier":"a"},{"identifier":"b"}]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s\nin %s", want, got)
		}
	}
	got = string(m.Dynamic(thermo, nil, false))
	if !strings.HasPrefix(got, profile+`"properties":[{"identifier":"power","dataType":{"type":"bool","specs":{"0":"off","1":"on"}}},`) || strings.Contains(got, `"name"`) {
		t.Errorf("without nodes: %s", got)
	}
	for _, doc := range [][]byte{m.Dynamic(thermo, known, true), (&Model{}).Dynamic(thermo, known, true), (&Model{}).ForDevice(thermo)} {
		if !json.Valid(doc) {
			t.Errorf("not JSON: %s", doc)
		}
	}
}
