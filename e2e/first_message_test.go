package e2e

import (
	"crypto/tls"
	"encoding/json"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A device posts over each transport, and the application reads each value back through the official SDK.
func TestDevicePostsAndApplicationReadsBack(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	authority := s.authority(t)
	for _, c := range []struct {
		name, url string
		tls       *tls.Config
		value     string
	}{
		{"plain_tcp", "tcp://" + s.env["RELINK_MQTT"], nil, "23.5"},
		{"over_tls", "ssl://" + s.env["RELINK_MQTTS"], authority, "24.5"},
		{"tls_on_the_plain_port", "ssl://" + s.env["RELINK_MQTT"], authority, "25.5"},
		{"websocket", s.env["RELINK_WS"], nil, "26.5"},
		{"secure_websocket", s.env["RELINK_WSS"], authority, "27.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := s.api(t) // one client is for one goroutine
			d := newDevice(t, api, pk, c.name)
			l := connect(t, d, lampOptions(d, c.url, c.tls))
			// No SUBSCRIBE: the reply comes all the same, as Link SDK C 4.x expects it.
			l.post(t, l.sys("thing/event/property/post"), `{"id":"17","version":"1.0","params":{"temperature":`+c.value+`},"method":"thing.event.property.post"}`)
			payload := l.next(t, l.sys("thing/event/property/post_reply"))
			want := `{"code":200,"data":{},"id":"17","message":"success","method":"thing.event.property.post","version":"1.0"}`
			if string(payload) != want {
				t.Errorf("reply %s, want %s", payload, want)
			}
			// Acknowledged means stored: no waiting here.
			r, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &c.name})
			if err != nil || !tea.BoolValue(r.Body.Success) {
				t.Fatalf("QueryDevicePropertyStatus: %v %v", err, r)
			}
			var got string
			for _, p := range r.Body.Data.List.PropertyStatusInfo {
				if tea.StringValue(p.Identifier) == "temperature" {
					got = tea.StringValue(p.Value)
				}
			}
			if got != c.value {
				t.Errorf("stored %q, want %q", got, c.value)
			}
			status, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{ProductKey: &pk, DeviceName: &c.name})
			if err != nil || tea.StringValue(status.Body.Data.Status) != "ONLINE" {
				t.Errorf("status %v %v, want ONLINE", err, status)
			}
		})
	}
}

// The application sets a property, calls both kinds of services, and publishes to a custom topic.
func TestApplicationCommandsDevice(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "commanded")
	l := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))

	set, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Items: tea.String(`{"temperature":10,"level":3}`)})
	if err != nil || !tea.BoolValue(set.Body.Success) {
		t.Fatalf("SetDeviceProperty: %v %v", err, set)
	}
	got := string(l.next(t, l.sys("thing/service/property/set")))
	want := `{"method":"thing.service.property.set","id":"` + *set.Body.Data.MessageId + `","params":{"temperature":10.0,"level":3},"version":"1.0.0"}`
	if got != want {
		t.Errorf("property set\n got %s\nwant %s", got, want)
	}

	call, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Identifier: tea.String("reboot"), Args: tea.String("{}")})
	if err != nil || !tea.BoolValue(call.Body.Success) {
		t.Fatalf("InvokeThingService reboot: %v %v", err, call)
	}
	got = string(l.next(t, l.sys("thing/service/reboot")))
	want = `{"method":"thing.service.reboot","id":"` + *call.Body.Data.MessageId + `","params":{},"version":"1.0.0"}`
	if got != want {
		t.Errorf("asynchronous service\n got %s\nwant %s", got, want)
	}

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for m := range l.messages {
			if id, ok := strings.CutPrefix(m.Topic(), l.sys("rrpc/request/")); ok {
				l.Publish(l.sys("rrpc/response/"+id), 0, false, `{"id":"x","code":200,"data":{"mean":21.5}}`)
				return
			}
		}
	}()
	sync, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Identifier: tea.String("measure"), Args: tea.String(`{"times":3}`)})
	<-answered
	if err != nil || !tea.BoolValue(sync.Body.Success) {
		t.Fatalf("InvokeThingService measure: %v %v", err, sync)
	}
	var result struct {
		Data struct{ Mean json.Number }
	}
	if err := json.Unmarshal([]byte(tea.StringValue(sync.Body.Data.Result)), &result); err != nil || result.Data.Mean != "21.5" {
		t.Errorf("result %q (%v), want a mean of 21.5", tea.StringValue(sync.Body.Data.Result), err)
	}

	custom := "/" + pk + "/" + d.DeviceName + "/user/get"
	if token := l.Subscribe(custom, 1, nil); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("subscribe: %v", token.Error())
	}
	pub, err := api.Pub(&iotapi.PubRequest{ProductKey: &pk, TopicFullName: &custom, MessageContent: tea.String("aGVsbG8="), Qos: tea.Int32(1)})
	if err != nil || !tea.BoolValue(pub.Body.Success) {
		t.Fatalf("Pub: %v %v", err, pub)
	}
	if got := string(l.next(t, custom)); got != "hello" {
		t.Errorf("custom topic: got %q, want hello", got)
	}
}

// Disabling and deleting a device cuts its connection within a second, and keeps it out.
func TestDisableAndDeleteCutTheConnection(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	cut := func(l *lamp, what string, call func() error) {
		t.Helper()
		begun := time.Now()
		if err := call(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-l.lost:
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s: cut after %s", what, took)
			}
		case <-time.After(3 * time.Second):
			t.Errorf("%s: the connection lives on", what)
		}
	}
	refused := func(o *mqtt.ClientOptions, what string) {
		t.Helper()
		c := mqtt.NewClient(o)
		if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() == nil {
			t.Errorf("%s: let in", what)
			c.Disconnect(0)
		}
	}
	d := newDevice(t, api, pk, "to-be-cut")
	url := "tcp://" + s.env["RELINK_MQTT"]
	l := connect(t, d, lampOptions(d, url, nil))
	cut(l, "DisableThing", func() error {
		_, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: &pk, DeviceName: &d.DeviceName})
		return err
	})
	refused(lampOptions(d, url, nil), "a disabled device")
	if r, err := api.EnableThing(&iotapi.EnableThingRequest{ProductKey: &pk, DeviceName: &d.DeviceName}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("EnableThing: %v %v", err, r)
	}
	l = connect(t, d, lampOptions(d, url, nil))
	cut(l, "DeleteDevice", func() error {
		_, err := api.DeleteDevice(&iotapi.DeleteDeviceRequest{ProductKey: &pk, DeviceName: &d.DeviceName})
		return err
	})
	refused(lampOptions(d, url, nil), "a deleted device")
}
