package message

import (
	"encoding/json"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/tsl"
)

var (
	dev     = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "d1"}
	gateway = Named{iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw"}, "gwid"}
	about   = About{Device: dev, IotID: "4z81", DeviceType: "Ammeter", RequestID: "123", At: 1510799670074}
)

// TestBodies holds the examples of the rule engine reference, "Message bodies", and of the device protocol, "What the functions hand to
// rules and subscriptions", in the order of members in which they were captured where that is known.
func TestBodies(t *testing.T) {
	t.Parallel()
	failure := &tsl.Failure{Identifier: "PicID", Code: 6304, Message: "tsl parse: params not exist -> PicID", JSON: []byte(`{"PicID":"15194139"}`)}
	upgrade := Upgrade{Device: dev, IotID: "4z81", Module: "default", Status: "SUCCEEDED", Step: 30, SrcVersion: "1.0", DestVersion: "1.1", Desc: "success",
		JobID: "j1", TaskID: "t1", At: 7}
	change := StatusChange{Device: dev, IotID: "4z81", Online: true, At: 1535700748205, LastAt: 1535700748195, RemoteAddr: "192.0.2.1:50000"}
	gone := StatusChange{Device: dev, At: 1767225600000, LastAt: 1767225599000, RemoteAddr: "192.0.2.1"}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"properties": {AppendProperties(nil, &about,
			[]tsl.Value{{Identifier: "Power", Time: 1510799670074, JSON: []byte(`"on"`)}, {Identifier: "Position", Time: 1510292697470, JSON: []byte(`{"latitude":39.9,"longitude":116.38}`)}},
			[]tsl.Failure{{Identifier: "attribute_8", Code: 6304, Message: "tsl parse: params not exist -> attribute_8", JSON: []byte("715665571"), Time: 1510292697470}}),
			`{"deviceType":"Ammeter","iotId":"4z81","requestId":"123","checkFailedData":{"attribute_8":{"code":6304,"message":"tsl parse: params not exist -> attribute_8","time":1510292697470,"value":715665571}},` +
				`"productKey":"a1B2c3D4e5F","gmtCreate":1510799670074,"deviceName":"d1","items":{"Power":{"time":1510799670074,"value":"on"},"Position":{"time":1510292697470,"value":{"latitude":39.9,"longitude":116.38}}}}`},
		"properties, wire": {AppendProperties(nil, &About{Device: dev, IotID: "4z81", At: 5}, []tsl.Value{{Identifier: "temp", Time: 5, JSON: []byte("24.35")}}, nil),
			`{"deviceType":"None","iotId":"4z81","requestId":"null","checkFailedData":{},"productKey":"a1B2c3D4e5F","gmtCreate":5,"deviceName":"d1","items":{"temp":{"time":5,"value":24.35}}}`},
		"properties, the last counts": {AppendProperties(nil, &About{Device: dev}, []tsl.Value{{Identifier: "t", JSON: []byte("1")}, {Identifier: "t", JSON: []byte("2")}}, nil),
			`{"deviceType":"None","requestId":"null","checkFailedData":{},"productKey":"a1B2c3D4e5F","gmtCreate":0,"deviceName":"d1","items":{"t":{"time":0,"value":2}}}`},
		"event": {AppendEvent(nil, &about, &tsl.CheckedEvent{Identifier: "BrokenInfo", Name: "broken", Type: "info", Time: 1510799670074, JSON: []byte(`{"Power":"on"}`)}),
			`{"identifier":"BrokenInfo","name":"broken","type":"info","iotId":"4z81","requestId":"123","checkFailedData":{},"productKey":"a1B2c3D4e5F","gmtCreate":1510799670074,"deviceName":"d1","deviceType":"Ammeter","value":{"Power":"on"},"time":1510799670074}`},
		"event that failed": {AppendEvent(nil, &about, &tsl.CheckedEvent{Identifier: "e", Type: "info", Time: 5, JSON: []byte(`{"PicID":"15194139"}`), Failed: failure}),
			`{"identifier":"e","name":"","type":"info","iotId":"4z81","requestId":"123","checkFailedData":{"value":{"PicID":"15194139"},"code":6304,"message":"tsl parse: params not exist -> PicID"},"productKey":"a1B2c3D4e5F","gmtCreate":1510799670074,"deviceName":"d1","deviceType":"Ammeter","value":{"PicID":"15194139"},"time":5}`},
		"batch of properties": {AppendPropertyBatch(nil, &about, []tsl.Value{{Identifier: "Power", Time: 1524448722000, JSON: []byte(`"on"`)}, {Identifier: "WIFI", Time: 1524448722000, JSON: []byte(`1`)}, {Identifier: "Power", Time: 1524448723000, JSON: []byte(`"off"`)}}),
			`{"deviceType":"Ammeter","iotId":"4z81","requestId":"123","checkFailedData":{},"productKey":"a1B2c3D4e5F","gmtCreate":1510799670074,"deviceName":"d1","payload":{"Power":[{"value":"on","time":1524448722000},{"value":"off","time":1524448723000}],"WIFI":[{"value":1,"time":1524448722000}]}}`},
		"batch of events": {AppendEventBatch(nil, &about, []tsl.CheckedEvent{{Identifier: "bad", Failed: failure}, {Identifier: "alarmEvent", Time: 5, JSON: []byte(`{"Power":"on"}`)}}),
			`{"deviceType":"Ammeter","iotId":"4z81","requestId":"123","checkFailedData":{},"productKey":"a1B2c3D4e5F","gmtCreate":1510799670074,"deviceName":"d1","payload":{"alarmEvent":[{"value":{"Power":"on"},"time":5}]}}`},
		"reply": {AppendAnswer(nil, &Answer{Device: dev, IotID: "4z81", RequestID: "1234", At: 1510292739881, Code: 200, Message: "success", Topic: "/sys/a1B2c3D4e5F/d1/thing/service/property/set_reply"}),
			`{"gmtCreate":1510292739881,"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","requestId":1234,"code":200,"message":"success","topic":"/sys/a1B2c3D4e5F/d1/thing/service/property/set_reply","data":{},"checkFailedData":{}}`},
		"reply to a large id": {AppendAnswer(nil, &Answer{Device: dev, RequestID: "9007199254740993", Code: 9201, Message: "device offline", Topic: "/t", Data: []byte(`{"a":1}`)}),
			`{"gmtCreate":0,"productKey":"a1B2c3D4e5F","deviceName":"d1","requestId":"9007199254740993","code":9201,"message":"device offline","topic":"/t","data":{"a":1},"checkFailedData":{}}`},
		"status": {AppendStatus(nil, &change),
			`{"status":"online","iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","time":"2018-08-31 15:32:28.205","utcTime":"2018-08-31T07:32:28.205Z","lastTime":"2018-08-31 15:32:28.195","utcLastTime":"2018-08-31T07:32:28.195Z","clientIp":"192.0.2.1"}`},
		"offline": {AppendStatus(nil, &gone),
			`{"status":"offline","productKey":"a1B2c3D4e5F","deviceName":"d1","time":"2026-01-01 08:00:00.000","utcTime":"2026-01-01T00:00:00.000Z","lastTime":"2026-01-01 07:59:59.000","utcLastTime":"2025-12-31T23:59:59.000Z","clientIp":"192.0.2.1"}`},
		"lifecycle, create": {NewLifecycle(Create, Named{dev, "4z81"}, "s3cret", 5).Payload,
			`{"action":"create","iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","deviceSecret":"s3cret","messageCreateTime":5}`},
		"lifecycle, disable": {NewLifecycle(Disable, Named{dev, "4z81"}, "s3cret", 5).Payload,
			`{"action":"disable","iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","deviceSecret":"","messageCreateTime":5}`},
		"topology": {NewTopology("1", Delete, gateway, []Named{{dev, "4z81"}, {dev, ""}}, 5).Payload,
			`{"action":"delete","gwIotId":"gwid","gwProductKey":"a1Gateway00","gwDeviceName":"gw","devices":[{"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1"},{"productKey":"a1B2c3D4e5F","deviceName":"d1"}],"messageCreateTime":5}`},
		"found": {NewFound("1", gateway, []Named{{dev, "4z81"}}, 5, 0).Payload,
			`{"gwIotId":"gwid","gwProductKey":"a1Gateway00","gwDeviceName":"gw","devices":[{"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1"}]}`},
		"tags": {NewTags("1", Named{dev, "4z81"}, []Tag{{"k", "v"}, {"q", `"`}}, 5, 0).Payload,
			`{"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","value":[{"attrKey":"k","attrValue":"v"},{"attrKey":"q","attrValue":"\""}],"messageCreateTime":5}`},
		"OTA result": {NewOTAResult("1", &upgrade).Payload,
			`{"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","moduleName":"default","status":"SUCCEEDED","messageCreateTime":7,"srcVersion":"1.0","destVersion":"1.1","desc":"success","jobId":"j1","taskId":"t1"}`},
		"OTA progress": {NewOTAProgress("1", &upgrade).Payload,
			`{"iotId":"4z81","productKey":"a1B2c3D4e5F","deviceName":"d1","moduleName":"default","step":30,"messageCreateTime":7,"srcVersion":"1.0","destVersion":"1.1","desc":"success","jobId":"j1","taskId":"t1"}`},
		"OTA version": {NewOTAVersion("1", Named{dev, "4z81"}, "default", "1.1", 5).Payload,
			`{"iotId":"4z81","deviceName":"d1","productKey":"a1B2c3D4e5F","moduleName":"default","moduleVersion":"1.1","messageCreateTime":5}`},
		"OTA job": {NewOTAJob("a1B2c3D4e5F", "default", "p1", "j1", "COMPLETED", 5).Payload,
			`{"productKey":"a1B2c3D4e5F","moduleName":"default","packageId":"p1","jobId":"j1","status":"COMPLETED","messageCreateTime":5}`},
	} {
		if string(c.got) != c.want || !json.Valid(c.got) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, c.got, c.want)
		}
	}
}

func TestTopics(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]Message{
		"/as/mqtt/status/a1B2c3D4e5F/d1":               NewStatus(&StatusChange{Device: dev}, 3),
		"/a1B2c3D4e5F/d1/thing/lifecycle":              NewLifecycle(Delete, Named{Device: dev}, "", 1),
		"/a1Gateway00/gw/thing/topo/lifecycle":         NewTopology("1", Create, gateway, nil, 1),
		"/a1Gateway00/gw/thing/list/found":             NewFound("1", gateway, nil, 1, 1),
		"/a1B2c3D4e5F/d1/thing/deviceinfo/update":      NewTags("1", Named{Device: dev}, nil, 1, 1),
		"/a1B2c3D4e5F/d1/thing/downlink/reply/message": NewAnswer("1", &Answer{Device: dev}, 1),
		"/a1B2c3D4e5F/d1/ota/upgrade":                  NewOTAResult("1", &Upgrade{Device: dev}),
		"/a1B2c3D4e5F/d1/ota/progress/post":            NewOTAProgress("1", &Upgrade{Device: dev}),
		"/a1B2c3D4e5F/d1/ota/version/post":             NewOTAVersion("1", Named{Device: dev}, "m", "v", 1),
		"/a1B2c3D4e5F/p1/j1/ota/job/status":            NewOTAJob("a1B2c3D4e5F", "m", "p1", "j1", "PLANNED", 1),
	} {
		if got.Topic != want || got.ID == "" || got.Kind == 0 {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	if about.Topic(PropertyTopic) != "/a1B2c3D4e5F/d1/thing/event/property/post" || about.Topic(EventTopic("m:e", true)) != "/a1B2c3D4e5F/d1/thing/event/m:e/history/post" ||
		!strings.HasSuffix(about.Topic(EventTopic("e", false)), "/event/e/post") {
		t.Error("topics of things")
	}
	if StatusID(dev, 3, true) == StatusID(dev, 3, false) || StatusID(dev, 3, true) == StatusID(dev, 4, true) {
		t.Error("status ids")
	}
}
