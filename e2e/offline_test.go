package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"relink/scripts/load"
)

// pub publishes on a device's user/get with QoS 1 and answers the error code, empty if there is none.
func pub(t *testing.T, api *iotapi.Client, d load.Device, text string) string {
	t.Helper()
	r, err := api.Pub(&iotapi.PubRequest{
		ProductKey: &d.ProductKey, TopicFullName: tea.String("/" + d.ProductKey + "/" + d.DeviceName + "/user/get"), Qos: tea.Int32(1),
		MessageContent: tea.String(base64.StdEncoding.EncodeToString([]byte(text))),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tea.StringValue(r.Body.Code)
}

// away waits until the platform knows that the device is not connected.
func away(t *testing.T, api *iotapi.Client, d load.Device) {
	t.Helper()
	eventually(t, 10*time.Second, d.DeviceName+" is offline", func() bool {
		r, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName})
		return err == nil && r.Body.Data != nil && tea.StringValue(r.Body.Data.Status) == "OFFLINE"
	})
}

// What is sent to a device with a persistent session while it is away reaches it when it comes back, in order; a device that asks for a
// clean session does not get it ("MQTT behaviour after CONNECT", CleanSession).
func TestMessagesWaitForAPersistentSession(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	d := newDevice(t, api, newProduct(t, api), "sleeper-01")

	first := rawConnect(t, s, d, false)
	if first.present {
		t.Error("CONNACK says that there was a session before the first")
	}
	sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 9, []string{"/" + d.ProductKey + "/" + d.DeviceName + "/user/get"}, []byte{1}
	first.send(t, sub)
	if _, ok := first.read(t).(*packets.SubackPacket); !ok {
		t.Fatal("no SUBACK")
	}
	first.Close()
	away(t, api, d)

	// More than a page, and after it what the platform itself sends with QoS 1.
	const count = 50
	var want []string
	for i := range count {
		want = append(want, fmt.Sprint("message ", i))
		if code := pub(t, api, d, want[i]); code != "" {
			t.Fatalf("Pub %d: %s", i, code)
		}
	}
	set, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName, Items: tea.String(`{"level":7}`), Qos: tea.Int32(1)})
	if err != nil || !tea.BoolValue(set.Body.Success) {
		t.Fatalf("SetDeviceProperty: %v %v", err, set)
	}
	call, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName, Identifier: tea.String("reboot"), Args: tea.String("{}"), Qos: tea.Int32(1)})
	if err != nil || !tea.BoolValue(call.Body.Success) {
		t.Fatalf("InvokeThingService: %v %v", err, call)
	}

	// The device takes some, acknowledges only three of them, and is gone.
	second := rawConnect(t, s, d, false)
	if !second.present {
		t.Error("CONNACK does not say that there was a session")
	}
	ids := map[string]uint16{}
	for i := range 10 {
		m := second.message(t)
		if string(m.Payload) != want[i] || m.Dup || m.Qos != 1 {
			t.Fatalf("message %d: %v %s", i, m, m.Payload)
		}
		ids[want[i]] = m.MessageID
		if i < 3 {
			second.ack(t, m)
		}
	}
	second.Close()
	away(t, api, d)

	// The others come again, with DUP and their packet ids, and the rest after them.
	third := rawConnect(t, s, d, false)
	for i := 3; i < count; i++ {
		m := third.message(t)
		if string(m.Payload) != want[i] {
			t.Fatalf("message %d: %s, want %s", i, m.Payload, want[i])
		}
		if id := ids[want[i]]; id != 0 && (!m.Dup || m.MessageID != id) {
			t.Errorf("%s again: DUP %v, packet id %d, want %d", want[i], m.Dup, m.MessageID, id)
		}
		third.ack(t, m)
	}
	for _, text := range []string{`"level":7`, "thing.service.reboot"} {
		m := third.message(t)
		if !strings.Contains(string(m.Payload), text) {
			t.Errorf("%s, want one with %s", m.Payload, text)
		}
		third.ack(t, m)
	}
	// It is up to date: what is sent now comes at once.
	if code := pub(t, api, d, "live"); code != "" {
		t.Errorf("Pub: %s", code)
	}
	m := third.message(t)
	if string(m.Payload) != "live" || m.Dup {
		t.Errorf("live message: %v %s", m, m.Payload)
	}
	third.ack(t, m)
	third.Close()
	away(t, api, d)

	if code := pub(t, api, d, "not wanted"); code != "" {
		t.Errorf("Pub: %s", code)
	}
	clean := rawConnect(t, s, d, true)
	if clean.present {
		t.Error("a clean session is said to be present")
	}
	clean.quiet(t)
	clean.Close()
	away(t, api, d)
	if code := pub(t, api, d, "for nobody"); code == "" {
		t.Error("a message for a device that is away and has no persistent session is said to be accepted")
	}
	last := rawConnect(t, s, d, false)
	if last.present {
		t.Error("a session is said to be present after a clean one")
	}
	last.quiet(t)
}
