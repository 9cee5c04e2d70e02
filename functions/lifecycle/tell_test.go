package main

import (
	"errors"
	"strings"
	"testing"

	"relink/shared/device"
	"relink/shared/message/messagetest"
	"relink/shared/record"
)

// TestStatusMessages: begins and ends of sessions are told once each, with the same id when they come again; not the end of an older one.
func TestStatusMessages(t *testing.T) {
	t.Parallel()
	h, _ := newTestHandler(t)
	e := new(messagetest.Engine)
	h.rules = e.Sender()
	online := record.Record{MessageID: "1", Device: lamp, IotID: "iot-lamp", ReceivedAt: 2000, Topic: device.TopicOnline, Payload: []byte(`{"epoch":1001,"node":"n1","remoteAddr":"192.0.2.1:5","at":1002}`)}
	old := record.Record{MessageID: "2", Device: lamp, IotID: "iot-lamp", ReceivedAt: 2000, Topic: device.TopicOffline, Payload: []byte(`{"epoch":1000,"node":"n1","reason":"taken_over","at":1002}`)}
	end := record.Record{MessageID: "3", Device: lamp, IotID: "iot-lamp", ReceivedAt: 2000, Topic: device.TopicOffline, Payload: []byte(`{"epoch":1001,"node":"n1","reason":"closed","at":1003}`)}
	invoke(t, h, online, old)
	list := e.Take()
	if len(list) != 1 || list[0].Topic != "/as/mqtt/status/a1B2c3D4e5F/lamp-001" || !strings.Contains(string(list[0].Payload), `{"status":"online","iotId":"iot-lamp"`) ||
		!strings.Contains(string(list[0].Payload), `"lastTime":"1970-01-01 08:00:01.002"`) || !strings.Contains(string(list[0].Payload), `"clientIp":"192.0.2.1"`) {
		t.Errorf("%+v", list)
	}
	e.Fail(errors.New("down"))
	if r := invoke(t, h, end)[0]; !r.Retry || len(e.Take()) != 0 {
		t.Errorf("%+v", r)
	}
	var id string
	for range 2 {
		if r := invoke(t, h, end)[0]; r.Code != 200 {
			t.Errorf("%+v", r)
		}
		list = e.Take()
		if len(list) != 1 || id != "" && list[0].ID != id || !strings.Contains(string(list[0].Payload), `"status":"offline"`) {
			t.Errorf("%+v", list)
		}
		id = list[0].ID
	}
	e.Unknown = errors.New("table down")
	if r := invoke(t, h, end)[0]; !r.Retry {
		t.Errorf("%+v", r)
	}
}
