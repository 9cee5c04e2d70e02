package downlink_test

import (
	"testing"

	"relink/shared/device"
	api "relink/shared/downlink"
	"relink/shared/iot"
)

func TestBroadcast(t *testing.T) {
	t.Parallel()
	n := start(t)
	subscriber, a := n.device("dn01", false)
	_, b := n.device("dn02", false)
	_, busy := n.device("dn03", false)
	busy.busy = true
	if _, err := subscriber.Subscribe("/broadcast/pk1/+", 0); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		pk, topic string
		count     int
	}{{"pk1", "", 2}, {"pk1", "/broadcast/pk1/news", 1}, {"pk2", "", 0}} {
		o, err := n.client.Broadcast(t.Context(), n.url, &api.Broadcast{ProductKey: iot.ProductKey(x.pk), MessageID: "77", Topic: x.topic, Payload: []byte("hello")})
		if err != nil || o.State != api.Sent || o.Count != x.count {
			t.Errorf("%+v: %+v, %v", x, o, err)
		}
	}
	for want, c := range map[string]*conn{"/sys/pk1/dn01/broadcast/request/77": a, "/sys/pk1/dn02/broadcast/request/77": b} {
		if got := <-c.received; got != want {
			t.Errorf("received %s, want %s", got, want)
		}
	}
	if got := <-a.received; got != "/broadcast/pk1/news" || len(b.received) != 0 {
		t.Errorf("received %s, and dn02 %d more", got, len(b.received))
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	n := start(t)
	want := device.TopicClass{Filter: "user/new", Subscribe: true}
	o, err := n.client.Classes(t.Context(), n.url, &api.Classes{ProductKey: "pk1", Revision: 2, Topics: []device.TopicClass{want}})
	if err != nil || o.State != api.Sent || len(n.classes) != 1 || n.classes[0] != want {
		t.Errorf("%+v, %v, %v", o, err, n.classes)
	}
}
