package mqtt_test

import (
	"fmt"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Excess messages are dropped in silence: no PUBACK, no disconnect; QoS 0 and QoS 1 count separately, and the log says so.
func TestMessageRate(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.Rates = limits.Rates{UpQoS0: 30, UpQoS1: 10} })
	w := n.login(t, 4, "fast-01", "")
	topic := "/sys/" + pk + "/fast-01/thing/event/property/post"
	var burst []byte
	for i := range 60 {
		burst = append(burst, publishPacket(4, byte(i%2), uint16(i+1), topic, `{"id":"1","params":{}}`)...)
	}
	began := time.Now()
	w.send(burst, []byte{0xc0, 0})
	acks := 0
	for {
		first, _ := w.receive()
		if first == 0x40 {
			acks++
		}
		if first == 0xd0 {
			break
		}
	}
	eventually(t, "the excess is logged", func() bool { _, found := n.journal.find(session.OpUplink, refusal.RateLimitedMessages); return found })
	if got := len(n.cloud.of(topic)); time.Since(began) < 90*time.Millisecond && got != 40 { // else some more were allowed meanwhile
		t.Errorf("%d messages were taken, want 30 and 10", got)
	}
	w.send([]byte{0xc0, 0}) // the connection lasts
	for first := byte(0); first != 0xd0; {
		if first, _ = w.receive(); first == 0x40 {
			acks++
		}
	}
	if time.Since(began) < 90*time.Millisecond && acks > 10 {
		t.Errorf("%d acknowledgements", acks)
	}
}

func TestByteRate(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.Rates = limits.Rates{Bytes: 100 << 10} })
	w := n.login(t, 4, "fat-01", "")
	topic := "/sys/" + pk + "/fat-01/thing/event/property/post"
	began := time.Now()
	payload := fmt.Sprintf(`{"id":"1","params":{"x":"%050000d"}}`, 1)
	for i := range 3 {
		w.send(publishPacket(4, 1, uint16(i+1), topic, payload))
	}
	for acks := 0; acks < 3; {
		if first, _ := w.receive(); first == 0x40 {
			acks++
		}
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("150 KB were read in %v, at 100 KB a second after the first", took)
	}
}

func TestDownlinkRate(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.Rates = limits.Rates{Down: 5} })
	n.login(t, 4, "slow-01", "")
	ref := iot.DeviceRef{ProductKey: pk, DeviceName: "slow-01"}
	eventually(t, "there is a session", func() bool { return n.registry.Get(ref) != nil })
	s := n.registry.Get(ref)
	began, states := time.Now(), map[downlink.State]int{}
	for range 9 {
		states[s.Publish("/sys/"+pk+"/slow-01/thing/service/property/set", []byte("{}"), 0)]++
	}
	if time.Since(began) < 90*time.Millisecond && (states[downlink.Sent] != 5 || states[downlink.Limited] != 4) {
		t.Errorf("%v", states)
	}
}

// A 5.0 message with properties beyond the limits is not taken; its acknowledgement says so.
func TestPropertiesBeyondTheLimits(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 5, "user-01", "")
	topic := "/sys/" + pk + "/user-01/thing/event/property/post"
	user := func(key, value string) []byte { return append([]byte{0x26}, append(str(key), str(value)...)...) }
	var many []byte
	for range 21 {
		many = append(many, user("k", "v")...)
	}
	for i, c := range []struct {
		properties []byte
		refused    bool
	}{
		{user("k", "v"), false}, {user("_k", "v"), true}, {many[:20*7], false}, {many, true},
		{user("k", fmt.Sprintf("%0127d", 1)), false}, {user("k", fmt.Sprintf("%0128d", 1)), true},
		{append([]byte{0x08}, str(fmt.Sprintf("/%0128d", 1))...), true}, {append([]byte{0x09}, str(fmt.Sprintf("%0129d", 1))...), true},
	} {
		length := []byte{byte(len(c.properties))}
		if len(c.properties) > 127 {
			length = []byte{byte(len(c.properties)) | 0x80, byte(len(c.properties) >> 7)}
		}
		id := uint16(i + 1)
		w.send(packet(0x32, str(topic), []byte{0, byte(id)}, length, c.properties, []byte(`{"id":"1","params":{}}`)))
		for {
			first, body := w.receive()
			if first != 0x40 {
				continue
			}
			if refused := len(body) == 3 && body[2] == 0x83; refused != c.refused {
				t.Errorf("case %d: %x", i, body)
			}
			break
		}
	}
	if _, found := n.journal.find(session.OpUplink, refusal.PropertyNotAllowed); !found {
		t.Error("nothing is logged")
	}
}
