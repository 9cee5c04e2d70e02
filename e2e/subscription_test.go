package e2e

import (
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"relink/scripts/load"
)

// One SUBSCRIBE is valid for ever, and so is an UNSUBSCRIBE of what is automatic: over clean sessions, and over a restart of
// everything.
func TestSubscriptionsBelongToTheDevice(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "subscriber")
	custom := "/" + pk + "/" + d.DeviceName + "/user/get"
	l := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	if token := l.Subscribe(custom, 1, nil); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("subscribe: %v", token.Error())
	}
	if token := l.Unsubscribe(l.sys("thing/event/+/post_reply")); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("unsubscribe: %v", token.Error())
	}
	check := func(l *lamp) {
		t.Helper()
		l.post(t, l.sys("thing/event/property/post"), `{"id":"1","params":{"level":1}}`)
		l.post(t, l.sys("thing/event/none/post"), `{"id":"2","params":{}}`) // answered with an error, but for the UNSUBSCRIBE
		pub, err := api.Pub(&iotapi.PubRequest{ProductKey: &pk, TopicFullName: &custom, MessageContent: tea.String("aGVsbG8=")})
		if err != nil || !tea.BoolValue(pub.Body.Success) {
			t.Fatalf("Pub: %v %v", err, pub)
		}
		select { // the replies to the posts would have come before
		case m := <-l.messages:
			if m.Topic() != custom {
				t.Errorf("%s arrived, though it was unsubscribed", m.Topic())
			}
		case <-time.After(5 * time.Second):
			t.Error("nothing arrived on the custom topic")
		}
	}
	check(l)
	l.Disconnect(0)
	l = connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil)) // with CleanSession 1
	check(l)
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	check(connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil)))
}

// passiveOptions are those of Link SDK C 4.x, which subscribes nothing: clean session, ext=3 (synchronous calls over /ext/rrpc), _ss=1.
func passiveOptions(s *system, d load.Device) *mqtt.ClientOptions {
	o := lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil)
	return o.SetClientID(strings.ReplaceAll(o.ClientID, "_v=sdk-c-3.0.1,securemode=3,signmethod=hmacsha256,lan=C,gw=0,ext=0|",
		"_ss=1,_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,|"))
}

// A device that subscribes nothing gets its replies, property sets and calls of both kinds.
func TestDeviceThatSubscribesNothing(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "passive")
	l := connect(t, d, passiveOptions(s, d))
	l.post(t, l.sys("thing/event/property/post"), `{"id":"1","version":"1.0","params":{"level":1},"sys":{"ack":1}}`)
	if r := parseReply(t, l.next(t, l.sys("thing/event/property/post_reply"))); r.Code != 200 || r.ID != "1" {
		t.Errorf("post: %+v", r)
	}
	l.post(t, l.sys("thing/deviceinfo/update"), `{"id":"2","version":"1.0","params":[{"attrKey":"room","attrValue":"1"}],"sys":{"ack":1}}`)
	if r := parseReply(t, l.next(t, l.sys("thing/deviceinfo/update_reply"))); r.Code != 200 || r.ID != "2" {
		t.Errorf("tags: %+v", r)
	}
	set, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Items: tea.String(`{"level":3}`)})
	if err != nil || !tea.BoolValue(set.Body.Success) {
		t.Fatalf("SetDeviceProperty: %v %v", err, set)
	}
	if got := string(l.next(t, l.sys("thing/service/property/set"))); !strings.Contains(got, `"level":3`) {
		t.Errorf("property set: %s", got)
	}
	async, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Identifier: tea.String("reboot"), Args: tea.String("{}")})
	if err != nil || !tea.BoolValue(async.Body.Success) {
		t.Fatalf("InvokeThingService reboot: %v %v", err, async)
	}
	l.next(t, l.sys("thing/service/reboot"))
	asked := make(chan string, 1)
	go func() {
		for m := range l.messages {
			id, rest, ok := strings.Cut(strings.TrimPrefix(m.Topic(), "/ext/rrpc/"), "/")
			if ok && strings.HasPrefix(m.Topic(), "/ext/rrpc/") {
				asked <- "/" + rest
				l.Publish("/ext/rrpc/"+id+"/"+rest, 0, false, `{"id":"x","code":200,"data":{"mean":21.5}}`)
				return
			}
		}
	}()
	call, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Identifier: tea.String("measure"), Args: tea.String(`{"times":3}`)})
	if err != nil || !tea.BoolValue(call.Body.Success) || !strings.Contains(tea.StringValue(call.Body.Data.Result), "21.5") {
		t.Fatalf("InvokeThingService measure: %v %v", err, call)
	}
	if got := <-asked; got != l.sys("thing/service/measure") {
		t.Errorf("called on /ext/rrpc/ID%s", got)
	}
}
