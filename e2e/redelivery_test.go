package e2e

import (
	"bytes"
	"testing"
	"time"

	"relink/scripts/load"
	"relink/shared/iot"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// acknowledged reads the replies until the PUBACK of a packet.
func (c *rawClient) acknowledged(t *testing.T, id uint16) (reply []byte) {
	t.Helper()
	for {
		switch p := c.read(t).(type) {
		case *packets.PublishPacket:
			reply = p.Payload
		case *packets.PubackPacket:
			if p.MessageID == id {
				return reply
			}
		}
	}
}

// rows counts what the history has of a property of a device.
func (s *system) rows(t *testing.T, d load.Device, identifier string) int {
	t.Helper()
	dev := iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}
	values, _, err := s.properties(t).History(t.Context(), dev, identifier, 0, time.Now().Add(time.Hour).UnixMilli(), true, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(values)
}

// A device whose acknowledgement was lost sends its message again in the same session, with DUP and the same packet id: it is stored once
// and answered alike, over connections and a crash of everything. The Alink id says nothing: what has it and is no redelivery is stored.
func TestRedeliveryIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	d := newDevice(t, api, newProduct(t, api), "again-01")
	topic := "/sys/" + d.ProductKey + "/" + d.DeviceName + "/thing/event/property/post"
	const payload = `{"id":"0","version":"1.0","params":{"level":1},"method":"thing.event.property.post"}`
	want := func(n int, when string) {
		t.Helper()
		if got := s.rows(t, d, "level"); got != n {
			t.Errorf("%s: %d rows in the history, want %d", when, got, n)
		}
	}

	first := rawConnect(t, s, d, false)
	first.publish(t, topic, payload, 7, false)
	eventually(t, 10*time.Second, "the post is stored", func() bool { return s.rows(t, d, "level") == 1 })
	first.Close() // PUBACK was not read

	second := rawConnect(t, s, d, false)
	second.publish(t, topic, payload, 7, true)
	reply := second.acknowledged(t, 7)
	want(1, "after the redelivery")
	second.publish(t, topic, payload, 7, true) // once more on the same connection
	if again := second.acknowledged(t, 7); !bytes.Equal(again, reply) {
		t.Errorf("replies differ: %s and %s", reply, again)
	}
	want(1, "after another one")
	second.publish(t, topic, payload, 8, false)
	second.publish(t, topic, payload, 8, true) // before the original is decided
	second.acknowledged(t, 8)
	second.acknowledged(t, 8)
	want(2, "after another packet with the same Alink id")

	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	third := rawConnect(t, s, d, false)
	third.publish(t, topic, payload, 8, true)
	if again := third.acknowledged(t, 8); !bytes.Equal(again, reply) {
		t.Errorf("replies differ: %s and %s", reply, again)
	}
	want(2, "after the crash")
	third.Close()

	clean := rawConnect(t, s, d, true) // a new session, whose packet ids begin anew
	clean.publish(t, topic, payload, 8, true)
	clean.acknowledged(t, 8)
	want(3, "in another session")
}
