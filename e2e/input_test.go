package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func healthy(base string) bool {
	resp, err := http.Get(base + "/healthz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// What is not right is answered, or closed, as the specification says; it is logged with its reason; nothing of it is stored.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	for _, c := range []struct {
		name    string
		topic   string // suffix of the device's own system topic, or a whole topic
		payload string
		code    int    // of the reply; 0: none is due
		data    string // of the reply
		closed  bool   // the connection is closed
		reason  string // in the log
	}{
		{name: "invalid_json", payload: `{"id":"1","params":{"temperature":`, code: 6207, data: "{}", reason: "payload_not_json"},
		{name: "invalid_utf8", payload: "{\"id\":\"1\",\"params\":{\"fill\":\"\xff\xfe\"}}", code: 6207, data: "{}", reason: "payload_not_json"},
		{name: "wrong_type", payload: `{"id":"1","params":{"temperature":"warm"}}`, code: 200, data: `{"temperature":"tsl parse: data type is not float -> temperature"}`, reason: "value_type_mismatch"},
		{name: "unknown_identifier", payload: `{"id":"1","params":{"colour":1}}`, code: 200, data: `{"colour":"property not found"}`, reason: "property_not_in_model"},
		{name: "empty_params", payload: `{"id":"1","params":{}}`, code: 460, data: "{}", reason: "params_missing"},
		{name: "foreign_topic", topic: "/sys/a1Foreign001/someone/thing/event/property/post", payload: `{"id":"1","params":{"temperature":1}}`, reason: "topic_not_own"},
		{name: "unknown_method", topic: "thing/no/such/method", payload: `{"id":"1","params":{}}`, code: 6203, data: "{}", reason: "unknown_topic"},
		{name: "payload_of_300_kb", payload: `{"id":"1","params":{"fill":"` + strings.Repeat("x", 300<<10) + `"}}`, closed: true, reason: "payload_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := s.api(t) // a client of the SDK is not for several goroutines
			d := newDevice(t, api, pk, c.name)
			l := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
			topic := c.topic
			if topic == "" {
				topic = "thing/event/property/post"
			}
			if !strings.HasPrefix(topic, "/") {
				topic = l.sys(topic)
			}
			token := l.Publish(topic, 1, false, c.payload)
			if c.closed {
				select {
				case <-l.lost:
				case <-time.After(10 * time.Second):
					t.Error("the connection lives on")
				}
			} else if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
				t.Errorf("not acknowledged: %v", token.Error())
			}
			if c.code != 0 {
				r := parseReply(t, l.next(t, topic+"_reply"))
				if r.Code != c.code || string(r.Data) != c.data {
					t.Errorf("reply %+v with data %s, want code %d and data %s", r, r.Data, c.code, c.data)
				}
			}
			eventually(t, 10*time.Second, "a log line with reason "+c.reason, func() bool {
				return strings.Contains(s.relink(t, "logs", "--device", pk+"/"+d.DeviceName, "--since", "10m"), "reason="+c.reason)
			})
			r, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &c.name})
			if err != nil || !tea.BoolValue(r.Body.Success) {
				t.Fatalf("QueryDevicePropertyStatus: %v %v", err, r)
			}
			for _, p := range r.Body.Data.List.PropertyStatusInfo {
				if tea.StringValue(p.Value) != "" {
					t.Errorf("%s is stored as %s", *p.Identifier, *p.Value)
				}
			}
		})
	}
}

// A refused login is explained by the command line: the cause, what the server signed, and what to do.
func TestWhyExplainsARefusedLogin(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "forgetful")
	wrong := d
	wrong.DeviceSecret = strings.Repeat("0", 32)
	c := mqtt.NewClient(lampOptions(wrong, "tcp://"+s.env["RELINK_MQTT"], nil))
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() == nil {
		t.Fatal("let in with a wrong secret")
	}
	var out string
	eventually(t, 10*time.Second, "relink why knows", func() bool {
		out = s.relink(t, "why", pk, "forgetful")
		return strings.Contains(out, "sign_mismatch")
	})
	signed := "clientId" + pk + ".forgetfuldeviceNameforgetfulproductKey" + pk + "timestamp2524608000000"
	if !strings.Contains(out, signed) || !strings.Contains(out, "what to do") || strings.Contains(out, d.DeviceSecret) {
		t.Errorf("relink why says\n%s\nwant the signed string %s, a cure, and no secret", out, signed)
	}
}

// One message can be followed through the logs by its id.
func TestMessageCanBeFollowed(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "followed")
	l := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	r, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &d.DeviceName, Items: tea.String(`{"level":3}`)})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("SetDeviceProperty: %v %v", err, r)
	}
	l.next(t, l.sys("thing/service/property/set"))
	id := *r.Body.Data.MessageId
	eventually(t, 10*time.Second, "the call and the delivery are logged", func() bool {
		way := s.relink(t, "logs", "--message", id)
		return strings.Contains(way, "SetDeviceProperty") && strings.Contains(way, "operation=downlink")
	})
}
