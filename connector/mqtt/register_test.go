package mqtt_test

import (
	"crypto/tls"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/record"
	"relink/shared/refusal"
)

// register answers registrations: the sign "wrong" is wrong.
func (f *fakeCloud) register(r record.Record) record.Result {
	var q device.Registration
	if err := json.Unmarshal(r.Payload, &q); err != nil || q.Sign == "wrong" {
		data, _ := json.Marshal(device.Refusal{Cause: string(refusal.RegistrationSignMismatch), Signed: "what was signed"})
		return record.Result{Code: 401, Reason: string(refusal.RegistrationSignMismatch), Data: data}
	}
	topic := device.TopicRegistered
	if q.New {
		topic = device.TopicRegisteredNew
	}
	return record.Result{Code: 200, Replies: []record.Reply{{Topic: topic, Payload: []byte(`{"deviceName":"` + q.DeviceName + `"}`)}}}
}

func registration(version byte, authType, sign string) []byte {
	return rawConnect(version, 0, "x|securemode=2,authType="+authType+",random=1,signmethod=hmacsha256|", "new-001&"+pk, sign)
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.RegistrationStay = 300 * time.Millisecond })
	for version, authType := range map[byte]string{3: "register", 4: "REGISTER", 5: "regnwl"} {
		w := n.dial(t)
		w.send(registration(version, authType, "right"))
		first, body := w.receive()
		if first != 0x20 || body[1] != 0 {
			t.Fatalf("version %d: CONNACK %x % x", version, first, body)
		}
		topic, props := "/ext/register", ""
		if version == 5 {
			topic, props = "/ext/regnwl", "\x00"
		}
		first, body = w.receive()
		if want := string(str(topic)) + props + `{"deviceName":"new-001"}`; first != 0x30 || string(body) != want {
			t.Errorf("version %d: %x %q, want %q", version, first, body, want)
		}
		w.send(publishPacket(version, 1, 7, "/"+pk+"/new-001/user/update", "{}"), []byte{0xc0, 0})
		w.want(0xd0) // PINGRESP, and no PUBACK before it
		if rest := w.closed(); len(rest) > 0 {
			t.Errorf("version %d: % x before the end", version, rest)
		}
	}
	if n.registry.Len() != 0 || len(n.cloud.of(device.TopicOnline)) != 0 || len(n.cloud.of(device.TopicLogin)) != 0 {
		t.Error("a registration made a session")
	}
	w := n.dial(t)
	w.send(registration(4, "register", "wrong"))
	w.want(0x20, 0, 4)
	w.closed()
	eventually(t, "the refusal in the log", func() bool {
		e, ok := n.journal.find(session.OpRegister, refusal.RegistrationSignMismatch)
		return ok && e.Signed == "what was signed" && e.Device.DeviceName == "new-001"
	})
}

func TestRegistrationNeedsTLS(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.RegisterTLS = true })
	w := n.dial(t)
	w.send(registration(4, "register", "right"))
	w.want(0x20, 0, 2)
	w.closed()
	eventually(t, "the refusal in the log", func() bool { _, ok := n.journal.find(session.OpRegister, refusal.TLSRequired); return ok })
	c, err := tls.Dial("tcp", n.addr, insecure())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &wire{c, t}
	s.send(registration(4, "register", "right"))
	s.want(0x20, 0, 0)
	if first, body := s.receive(); first != 0x30 || !strings.Contains(string(body), "new-001") {
		t.Errorf("%x %q", first, body)
	}
	s.send([]byte{0xe0, 0})
}
