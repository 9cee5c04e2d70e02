package e2e

import (
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
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
		pub, err := api.Pub(&iotapi.PubRequest{ProductKey: &pk, TopicFullName: &custom, MessageContent: tea.String("aGVsbG8=")})
		if err != nil || !tea.BoolValue(pub.Body.Success) {
			t.Fatalf("Pub: %v %v", err, pub)
		}
		select { // the reply to the post would have come before
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
