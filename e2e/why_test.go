package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/scripts/load"
)

// whyFinds waits until relink why tells of a cause, and wants a cure with it, and that the finding contains some words.
func whyFinds(t *testing.T, s *system, cause string, words []string, args ...string) {
	t.Helper()
	type finding struct{ Cause, What, Cure string }
	var found finding
	text := ""
	eventually(t, 10*time.Second, "relink why "+strings.Join(args, " ")+" tells of "+cause, func() bool {
		var answer struct{ Refusals []json.RawMessage }
		if err := json.Unmarshal([]byte(s.relink(t, append([]string{"why", "-o", "json"}, args...)...)), &answer); err != nil {
			t.Fatal(err)
		}
		for _, raw := range answer.Refusals {
			if err := json.Unmarshal(raw, &found); err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				t.Fatal(err)
			}
			if text = compact.String(); found.Cause == cause {
				return true
			}
		}
		return false
	})
	if found.What == "" || found.Cure == "" || strings.Contains(found.What, "no explanation") {
		t.Errorf("%s is not explained: %+v", cause, found)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is not in %s", cause, w, text)
		}
	}
}

// Every kind of refusal is found by whom it concerns.
func TestWhyExplainsEveryKind(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	broker := "tcp://" + s.env["RELINK_MQTT"]

	// A registration with another secret, over HTTP and over MQTT.
	newDevice(t, api, pk, "why-reg")
	form := urlForm(pk, "why-reg", "wrong")
	if _, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form); !strings.Contains(body, "6600") {
		t.Fatalf("registration: %s", body)
	}
	whyFinds(t, s, "registration_sign_mismatch", []string{`"operation":"register"`, "deviceNamewhy-regproductKey" + pk + "random1"}, pk, "why-reg")

	// Messages, values and filters of a connected device.
	d := newDevice(t, api, pk, "why-posts")
	l := connect(t, d, lampOptions(d, broker, nil))
	l.post(t, l.sys("thing/event/property/post"), `{"id":"1","params":{"temperature":"warm"}}`)
	whyFinds(t, s, "value_type_mismatch", []string{"thing/event/property/post"}, pk, "why-posts")
	l.post(t, "/"+pk+"/other/user/update", "x")
	whyFinds(t, s, "topic_not_own", []string{"/other/user/update"}, pk, "why-posts")
	if token := l.Subscribe("/"+pk+"/other/user/get", 1, nil); !token.WaitTimeout(5 * time.Second) {
		t.Fatal("no SUBACK")
	}
	whyFinds(t, s, "filter_not_permitted", []string{`"operation":"subscribe"`}, pk, "why-posts")

	// A message that the device has not subscribed.
	topic := "/" + pk + "/why-posts/user/get"
	if r, err := api.Pub(&iotapi.PubRequest{ProductKey: &pk, TopicFullName: &topic, MessageContent: tea.String("aGVsbG8="), Qos: tea.Int32(0)}); err != nil {
		t.Fatalf("Pub: %v %v", err, r)
	}
	whyFinds(t, s, "not_subscribed", []string{`"operation":"downlink"`}, pk, "why-posts")

	// The end of a session.
	if r, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: &pk, DeviceName: tea.String("why-posts")}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("DisableThing: %v %v", err, r)
	}
	whyFinds(t, s, "disabled", []string{`"operation":"offline"`}, pk, "why-posts")

	// What a gateway was refused for a sub-device is found under the name of either.
	sub := newDevice(t, api, pk, "why-behind")
	gw := newGateway(t, s, api, "why-gateway")
	gw.add(t, []load.Device{sub})
	sub.DeviceSecret = "wrong"
	if r := gw.ask(t, gw.combine("login"), `{"id":"2","params":`+subEntry(sub)+`}`); r.Code != 6287 {
		t.Errorf("login of a sub-device: %+v", r)
	}
	whyFinds(t, s, "sub_sign_mismatch", []string{pk + "/why-behind"}, gw.device.ProductKey, "why-gateway")
	whyFinds(t, s, "sub_sign_mismatch", []string{"combine/login"}, pk, "why-behind")

	// Who does not say who it is, is found by its address.
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 7, 7)}, Timeout: 5 * time.Second}
	for cause, bytes := range map[string]string{"tls_failed": "\x16\x03\x01\x00\x05hello", "first_byte_unknown": "SSH-2.0-scanner\r\n", "connect_expected": "\x30\x02\x00\x00"} {
		c, err := from.Dial("tcp", s.env["RELINK_MQTTS"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(bytes)); err != nil {
			t.Fatal(err)
		}
		whyFinds(t, s, cause, []string{"127.0.7.7:"}, "--address", "127.0.7.7")
		c.Close()
	}
}
