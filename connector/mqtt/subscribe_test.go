package mqtt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

func subscribePacket(version byte, id byte, qos byte, filters ...string) []byte {
	body := []byte{0, id}
	if version == 5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(append(body, str(f)...), qos)
	}
	return packet(0x82, body)
}

func unsubscribePacket(id byte, filters ...string) []byte {
	body := []byte{0, id}
	for _, f := range filters {
		body = append(body, str(f)...)
	}
	return packet(0xa2, body)
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	n := start(t)
	filters := []string{"/sys/" + pk + "/lamp-001/thing/service/property/set", "/" + pk + "/lamp-001/user/get", "#", "/sys/" + pk + "/+/thing/service/property/set",
		"/" + pk + "/lamp-001/user/update", "bad/#/x", "$share/g/x", "/sys/" + pk + "/lamp-001/#"}
	w := n.login(t, 4, "lamp-001", "")
	w.send(subscribePacket(4, 5, 2, filters...))
	w.want(0x90, 0, 5, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 1)
	w = n.login(t, 5, "lamp-001", "")
	w.send(subscribePacket(5, 5, 2, filters...))
	w.want(0x90, 0, 5, 0, 1, 1, 0x87, 0x87, 0x87, 0x8f, 0x9e, 1)
	for _, cause := range []refusal.Cause{refusal.FilterNotPermitted, refusal.FilterMalformed, refusal.SharedUnsupported} {
		if e, ok := n.journal.find(session.OpSubscribe, cause); !ok || e.Topic == "" || e.Device.DeviceName != "lamp-001" {
			t.Errorf("%s in the log: %+v", cause, e)
		}
	}
}

func TestSubscriptionLimits(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() {
		n.cloud.grant = func(g *device.Grant) {
			g.Topics = device.NewClasses([]device.TopicClass{{Filter: "user/#", Subscribe: true}})
		}
	})
	w := n.login(t, 4, "lamp-001", "")
	var custom, system []string
	for i := range 150 {
		custom = append(custom, fmt.Sprintf("/%s/lamp-001/user/t%d", pk, i))
		system = append(system, fmt.Sprintf("/sys/%s/lamp-001/thing/service/t%d", pk, i))
	}
	w.send(subscribePacket(4, 1, 0, system...), subscribePacket(4, 2, 0, custom...))
	_, body := w.receive()
	if strings.Count(string(body[2:]), "\x80") != 0 {
		t.Errorf("system topics: % x", body)
	}
	if _, body = w.receive(); strings.Count(string(body[2:]), "\x80") != 50 {
		t.Errorf("custom topics: % x", body)
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("/x/%d", i)
	}
	w.send(subscribePacket(4, 3, 0, many...))
	if _, body = w.receive(); len(body) != 10_002 {
		t.Errorf("SUBACK of %d bytes", len(body))
	}
	for _, cause := range []refusal.Cause{refusal.TooManySubscriptions, refusal.TooManyFilters} {
		if _, ok := n.journal.find(session.OpSubscribe, cause); !ok {
			t.Errorf("%s is not in the log", cause)
		}
	}
	w.send(unsubscribePacket(4, custom[0]))
	w.want(0xb0, 0, 4)
	w.send(subscribePacket(4, 5, 0, custom[149]))
	w.want(0x90, 0, 5, 0)
}

func TestMute(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 4, "lamp-001", "")
	filter := "/sys/" + pk + "/lamp-001/thing/event/+/post_reply"
	post := func(id byte) { w.send(publishPacket(4, 1, uint16(id), postTopic, `{"id":"1"}`)) }
	w.send(unsubscribePacket(1, filter))
	w.want(0xb0, 0, 1)
	if e, ok := n.journal.find(session.OpUnsubscribe, ""); !ok || e.Topic != filter || e.Code != 200 {
		t.Errorf("in the log: %+v", e)
	}
	post(1)
	w.want(0x40, 0, 1) // no reply
	w.send(subscribePacket(4, 2, 0, filter))
	w.want(0x90, 0, 2, 0)
	post(2)
	if topic, id, _ := w.publish(); topic != postTopic+"_reply" || id != 0 {
		t.Errorf("reply on %s with id %d, want QoS 0 as granted", topic, id)
	}
	w.want(0x40, 0, 2)
}

func TestDownlink(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 4, "lamp-001", "")
	eventually(t, "session", func() bool { return n.registry.Len() == 1 })
	s := n.registry.Get(iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"})
	set := "/sys/" + pk + "/lamp-001/thing/service/property/set"
	custom := "/" + pk + "/lamp-001/user/get"
	for _, c := range []struct {
		topic string
		want  downlink.State
	}{
		{set, downlink.Sent},
		{custom, downlink.Unsubscribed},
		{"/" + pk + "/lamp-001/user/update", downlink.Refused},
		{"/sys/" + pk + "/lamp-002/thing/service/property/set", downlink.Refused},
	} {
		if got := s.Publish(c.topic, []byte("{}"), 1); got != c.want {
			t.Errorf("Publish(%s) = %s, want %s", c.topic, got, c.want)
		}
	}
	topic, id, payload := w.publish()
	if topic != set || id == 0 || payload != "{}" {
		t.Errorf("received %s %d %s", topic, id, payload)
	}
	w.send([]byte{0x40, 2, byte(id >> 8), byte(id)}, []byte{0x40, 2, 0x77, 0x77}, packet(0x62, []byte{0, 9}))
	w.want(0x70, 0, 9) // PUBREL of nothing
	w.send(subscribePacket(4, 2, 1, custom, "/"+pk+"/lamp-001/#"))
	w.want(0x90, 0, 2, 1, 1)
	if got := s.Publish(custom, []byte("x"), 0); got != downlink.Sent {
		t.Errorf("Publish after SUBSCRIBE: %s", got)
	}
	if topic, _, _ := w.publish(); topic != custom {
		t.Errorf("received %s", topic)
	}
	w.send([]byte{0xc0, 0})
	w.want(0xd0) // delivered once, though two filters match
	for range 32 {
		if got := s.Publish(custom, []byte("x"), 1); got != downlink.Sent {
			t.Fatalf("Publish: %s", got)
		}
	}
	if got := s.Publish(custom, []byte("x"), 1); got != downlink.Busy {
		t.Errorf("Publish with 32 unacknowledged: %s, want busy", got)
	}
}

func TestUnacknowledgedIsSentAgain(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.ResendAfter = time.Millisecond })
	w := n.login(t, 4, "lamp-001", "")
	eventually(t, "session", func() bool { return n.registry.Len() == 1 })
	set := "/sys/" + pk + "/lamp-001/thing/service/property/set"
	if got := n.registry.Get(iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"}).Publish(set, []byte("{}"), 1); got != downlink.Sent {
		t.Fatalf("Publish: %s", got)
	}
	first, body := w.receive()
	again, same := w.receive()
	if first != 0x32 || again != 0x3a || string(body) != string(same) {
		t.Errorf("received %#x % x, then %#x % x, want the same with DUP", first, body, again, same)
	}
	id := body[2+len(set):]
	w.send([]byte{0x40, 2, id[0], id[1]})
}

// A 5.0 device gets no more QoS 1 than it said it can take.
func TestReceiveMaximum(t *testing.T) {
	t.Parallel()
	n := start(t)
	id, user, pass := credentials("lamp-001", "")
	w := n.dial(t)
	w.send(packet(0x10, str("MQTT"), []byte{5, 0xc2, 0, 60, 3, 33, 0, 2}, str(id), str(user), str(pass)))
	w.receive()
	for i := range byte(4) {
		w.send(publishPacket(5, 1, uint16(i+1), postTopic, `{"id":"1"}`))
		want := byte(0x32)
		if i >= 2 {
			want = 0x30
		}
		if first, _ := w.receive(); first != want {
			t.Errorf("reply %d: %#x, want %#x", i, first, want)
		}
		w.receive()
	}
	w.send([]byte{0x40, 2, 0, 1}, publishPacket(5, 1, 9, postTopic, `{"id":"1"}`))
	if first, _ := w.receive(); first != 0x32 {
		t.Errorf("after a PUBACK: %#x", first)
	}
}
