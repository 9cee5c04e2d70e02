package mqtt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/connector/dispatch"
	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/record"
	"relink/shared/refusal"
)

const postTopic = "/sys/" + pk + "/lamp-001/thing/event/property/post"

// receivedPublish takes a PUBLISH of 3.x apart.
func (w *wire) publish() (topic string, id uint16, payload string) {
	w.t.Helper()
	first, body := w.receive()
	if first&0xf0 != 0x30 {
		w.t.Fatalf("received %#x % x, want a PUBLISH", first, body)
	}
	n := int(body[0])<<8 | int(body[1])
	topic, body = string(body[2:2+n]), body[2+n:]
	if first&6 != 0 {
		id, body = uint16(body[0])<<8|uint16(body[1]), body[2:]
	}
	return topic, id, string(body)
}

func TestPost(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 4, "lamp-001", "")
	w.send(publishPacket(4, 1, 17, postTopic+"?_rid=5", `{"id":"5","params":{"a":1}}`))
	topic, id, payload := w.publish() // reply first, without a SUBSCRIBE
	if topic != postTopic+"_reply" || id == 0 || !strings.Contains(payload, `"id":"5"`) {
		t.Errorf("reply %q %d %s", topic, id, payload)
	}
	w.want(0x40, 0, 17)
	w.send(publishPacket(4, 0, 0, postTopic, `{"id":6}`))
	if topic, id, payload := w.publish(); topic != postTopic+"_reply" || id != 0 || !strings.Contains(payload, `"id":"6"`) {
		t.Errorf("reply %q %d %s", topic, id, payload)
	}
	r := n.cloud.of(postTopic)
	if len(r) != 2 || r[0].IotID != "iot-lamp-001" || len(r[0].MessageID) < 18 || r[0].QoS != 1 || r[0].Device.String() != pk+"/lamp-001" {
		t.Errorf("records %+v", r)
	}
}

func TestAcknowledgedOnlyWhenDecided(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() { n.cloud.hold = true })
	w := n.login(t, 4, "lamp-001", "")
	w.send(publishPacket(4, 1, 1, postTopic, `{"id":"1"}`), []byte{0xc0, 0})
	w.want(0xd0) // the reader is not held up, and no PUBACK came before
	n.cloud.release()
	w.publish()
	w.want(0x40, 0, 1)
}

// Clients send a message without PUBACK again only on a new connection; so one that was not decided ends the connection.
func TestUndecidedEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		cause  refusal.Cause
		reason byte
	}{
		"function":  {errors.New("no idea"), refusal.FunctionFailed, 0x83},
		"deadline":  {fmt.Errorf("%w: %w", dispatch.ErrUndecided, errors.New("throttled")), refusal.DeadlineExceeded, 0x89},
		"throttled": {fmt.Errorf("%w: %w", dispatch.ErrUndecided, refusal.New(refusal.StoreThrottled, "")), refusal.StoreThrottled, 0x89},
		"closed":    {dispatch.ErrClosed, refusal.Shutdown, 0x8b},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t)
			n.cloud.set(func() { n.cloud.undecide = c.err })
			for version, want := range map[byte]string{4: "", 5: string([]byte{0xe0, 2, c.reason, 0})} {
				w := n.login(t, version, "lamp-001", "")
				w.send(publishPacket(version, 0, 0, postTopic, `{"id":"1"}`)) // QoS 0 is lost in silence
				eventually(t, "QoS 0 in the log", func() bool { _, ok := n.journal.find(session.OpUplink, c.cause); return ok })
				w.send([]byte{0xc0, 0})
				w.want(0xd0)
				w.send(publishPacket(version, 1, 2, postTopic, `{"id":"2"}`))
				if rest := w.closed(); string(rest) != want {
					t.Errorf("version %d was sent % x, want % x", version, rest, want)
				}
				eventually(t, "the end in the log", func() bool { _, ok := n.journal.find(session.OpOffline, c.cause); return ok })
			}
		})
	}
}

// A message that was put aside is answered, and a 5.0 device is told by its PUBACK too.
func TestDeadLetterIsAnswered(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() {
		n.cloud.result = &record.Result{Code: dispatch.CodeDeadLetter, Reason: dispatch.ReasonDeadLetter}
	})
	w := n.login(t, 4, "lamp-001", "")
	w.send(publishPacket(4, 1, 3, postTopic, `{"id":"5"}`))
	topic, _, payload := w.publish()
	if topic != postTopic+"_reply" || !strings.HasPrefix(payload, `{"code":500,"data":{},"id":"5",`) {
		t.Errorf("reply on %s: %s", topic, payload)
	}
	w.want(0x40, 0, 3)
	five := n.login(t, 5, "lamp-002", "")
	five.send(publishPacket(5, 1, 4, "/sys/"+pk+"/lamp-002/thing/event/property/post", `{"id":"6"}`))
	if first, _ := five.receive(); first&0xf0 != 0x30 {
		t.Errorf("received %#x, want a reply", first)
	}
	five.want(0x40, 0, 4, 0x80)
	five.send(publishPacket(5, 1, 5, "/sys/"+pk+"/lamp-002/thing/event/property/post", `{"id":"7","sys":{"ack":0}}`))
	five.want(0x40, 0, 5, 0x80)
	if _, ok := n.journal.find(session.OpUplink, refusal.DeadLetter); !ok {
		t.Error("not in the log")
	}
}

func TestInFlightIsBounded(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() { n.cloud.hold = true })
	w := n.login(t, 4, "lamp-001", "")
	for i := range 150 {
		w.send(publishPacket(4, 1, uint16(i+1), postTopic, `{}`))
	}
	eventually(t, "100 records", func() bool { return len(n.cloud.of(postTopic)) == 100 })
	other := n.login(t, 4, "lamp-002", "") // nobody else is held up
	other.send([]byte{0xc0, 0})
	other.want(0xd0)
	if got := len(n.cloud.of(postTopic)); got != 100 {
		t.Errorf("%d records taken, want 100", got)
	}
	n.cloud.release()
	acks := 0
	for acks < 150 {
		if first, _ := w.receive(); first == 0x40 {
			acks++
		}
	}
}

func TestFullQueueHoldsTheSocketNotTheServer(t *testing.T) {
	t.Parallel()
	n := start(t)
	full := make(chan struct{})
	n.cloud.set(func() { n.cloud.full = full })
	w := n.login(t, 4, "lamp-001", "")
	w.send(publishPacket(4, 1, 1, postTopic, `{}`), []byte{0xc0, 0})
	other := n.login(t, 4, "lamp-002", "")
	other.send([]byte{0xc0, 0})
	other.want(0xd0)
	if _, _, err := w.tryReceive(50 * time.Millisecond); err == nil {
		t.Error("the connection was read although the queue is full")
	}
	close(full)
	for range 3 {
		w.receive()
	}
	// A takeover frees a reader that waits in a full queue.
	n.cloud.set(func() { n.cloud.full = make(chan struct{}) })
	w.send(publishPacket(4, 1, 2, postTopic, `{}`))
	n.login(t, 4, "lamp-001", "")
	w.closed()
	eventually(t, "the old connection gone", func() bool { return n.Connections() == 2 })
}

func TestForeignTopic(t *testing.T) {
	t.Parallel()
	n := start(t)
	for version, ack := range map[byte][]byte{4: {0x40, 2, 0, 3}, 5: {0x40, 3, 0, 3, 0x87}} {
		w := n.login(t, version, "lamp-001", "")
		w.send(publishPacket(version, 1, 3, "/sys/"+pk+"/lamp-002/thing/event/property/post", `{}`))
		w.want(ack[0], ack[2:]...)
		w.send([]byte{0xc0, 0})
		w.want(0xd0)
	}
	for _, c := range []struct {
		topic string
		cause refusal.Cause
	}{
		{"/sys/" + pk + "/lamp-002/thing/event/property/post", refusal.TopicNotOwn},
		{"/" + pk + "/lamp-001/user/get", refusal.TopicNotPermitted},
		{"/sys/" + pk + "/lamp-001/thing/service/property/set", refusal.TopicNotPermitted},
		{"no/slash", refusal.UnknownTopic},
		{"/" + strings.Repeat("x", 200), refusal.TopicTooLong},
		{"/" + pk + "/lamp-001/user/1/2/3/4/5/6/7", refusal.TopicTooDeep},
		{"$SYS/broker", refusal.UnknownTopic},
	} {
		w := n.login(t, 4, "lamp-001", "")
		w.send(publishPacket(4, 0, 0, c.topic, "x"), []byte{0xc0, 0})
		w.want(0xd0)
		eventually(t, fmt.Sprintf("%s in the log for %s", c.cause, c.topic), func() bool {
			e, ok := n.journal.find(session.OpUplink, c.cause)
			return ok && e.Code != 200
		})
	}
	if got := n.cloud.of("/sys/" + pk + "/lamp-002/thing/event/property/post"); len(got) != 0 {
		t.Errorf("a foreign message was taken: %+v", got)
	}
}

func TestConnectionEndsAt(t *testing.T) {
	t.Parallel()
	n := start(t)
	for name, c := range map[string]struct {
		packet []byte
		v5     byte
	}{
		"wildcard_in_topic":     {publishPacket(4, 0, 0, "/sys/+/x", "x"), 0x90},
		"empty_topic":           {publishPacket(4, 0, 0, "", "x"), 0x90},
		"qos_2":                 {publishPacket(4, 2, 1, postTopic, "x"), 0x9b},
		"qos_3":                 {[]byte{0x36, 2, 0, 0}, 0x82},
		"packet_id_0":           {publishPacket(4, 1, 0, postTopic, "x"), 0x82},
		"second_connect":        {connectPacket(4, "lamp-001", ""), 0x82},
		"payload_too_large":     {publishPacket(4, 0, 0, postTopic, strings.Repeat("x", mqtt.MaxPayload+1)), 0x95},
		"five_byte_length":      {[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, 0x82},
		"256_mb_declared":       {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 0x95},
		"subscribe_no_filter":   {packet(0x82, []byte{0, 1}), 0x82},
		"subscribe_no_options":  {packet(0x82, []byte{0, 1}, str("/x")), 0x82},
		"subscribe_qos_3":       {packet(0x82, []byte{0, 1}, str("/x"), []byte{3}), 0x82},
		"subscribe_flags":       {packet(0x80, []byte{0, 1}, str("/x"), []byte{0}), 0x82},
		"subscribe_id_0":        {packet(0x82, []byte{0, 0}, str("/x"), []byte{0}), 0x82},
		"unsubscribe_no_filter": {packet(0xa2, []byte{0, 1}), 0x82},
		"suback":                {packet(0x90, []byte{0, 1, 0}), 0x82},
		"type_0":                {[]byte{0, 0}, 0x82},
		"publish_body_short":    {[]byte{0x30, 3, 0, 9, 'x'}, 0x82},
	} {
		w := n.login(t, 4, "lamp-001", "")
		w.send(c.packet)
		if rest := w.closed(); len(rest) > 0 {
			t.Errorf("%s: 3.1.1 device was sent % x", name, rest)
		}
	}
	// 5.0 is told why.
	for name, c := range map[string]struct {
		packet []byte
		reason byte
	}{
		"qos_2":                   {publishPacket(5, 2, 1, postTopic, "x"), 0x9b},
		"wildcard":                {publishPacket(5, 0, 0, "/sys/#", "x"), 0x90},
		"too_large":               {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 0x95},
		"seven_bytes":             {[]byte{0x82, 5, 0, 1, 0, 0, 0}, 0x82},
		"alias_0":                 {packet(0x30, str("/x"), []byte{3, 35, 0, 0}), 0x94},
		"alias_21":                {packet(0x30, str("/x"), []byte{3, 35, 0, 21}), 0x94},
		"alias_unknown":           {packet(0x30, str(""), []byte{3, 35, 0, 3}), 0x82},
		"unknown_property":        {packet(0x30, str("/x"), []byte{2, 200, 0}), 0x82},
		"property_of_connect":     {packet(0x30, str("/x"), []byte{5, 17, 0, 0, 0, 1}), 0x82},
		"properties_past_end":     {packet(0x30, str("/x"), []byte{90, 35}), 0x82},
		"subscription_identifier": {packet(0x82, []byte{0, 1, 2, 11, 1}, str("/x"), []byte{0}), 0x82},
		"auth":                    {[]byte{0xf0, 2, 0x18, 0}, 0x82},
		"second_connect":          {connectPacket(5, "lamp-001", ""), 0x82},
	} {
		w := n.login(t, 5, "lamp-001", "")
		w.send(c.packet)
		if rest := w.closed(); string(rest) != string([]byte{0xe0, 2, c.reason, 0}) {
			t.Errorf("%s: 5.0 device was sent % x, want DISCONNECT %#x", name, rest, c.reason)
		}
	}
	w := n.login(t, 4, "lamp-002", "")
	w.send([]byte{0xc0, 0})
	w.want(0xd0)
	for cause, detail := range map[refusal.Cause]string{
		refusal.ProtocolError: "", refusal.QoS2Unsupported: "", refusal.TopicMalformed: "", refusal.PayloadTooLarge: "", refusal.TopicAliasOutOfRange: "21",
	} {
		eventually(t, string(cause)+" in the log", func() bool { return n.journal.has(session.OpOffline, cause, detail) })
	}
}

func TestTopicAlias(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 5, "lamp-001", "")
	w.send(packet(0x30, str(postTopic), []byte{3, 35, 0, 20}, []byte(`{"id":"1"}`)), packet(0x30, str(""), []byte{3, 35, 0, 20}, []byte(`{"id":"2"}`)))
	for range 2 {
		w.receive()
	}
	if got := n.cloud.of(postTopic); len(got) != 2 {
		t.Errorf("%d records, want 2", len(got))
	}
}

func TestWill(t *testing.T) {
	t.Parallel()
	n := start(t)
	id, user, pass := credentials("lamp-001", "")
	connect := func(version byte, topic string) *wire {
		var props []byte
		if version == 5 {
			props = []byte{0}
		}
		w := n.dial(t)
		w.send(packet(0x10, str("MQTT"), []byte{version, 0xc2 | 4 | 2<<3 | 0x20, 0, 60}, props, str(id), props, str(topic), str("gone"), str(user), str(pass)))
		if first, body := w.receive(); first != 0x20 || body[1] != 0 {
			t.Fatalf("CONNACK %#x % x", first, body)
		}
		return w
	}
	own := "/" + pk + "/lamp-001/user/update"
	w := n.dial(t) // empty, to be retained: allowed, if useless
	w.send(packet(0x10, str("MQTT"), []byte{4, 0xc2 | 4 | 0x20, 0, 60}, str(id), str(own), str(""), str(user), str(pass)))
	w.want(0x20, 0, 0)
	w.send([]byte{0xe0, 0})
	w.closed()
	if err := connect(5, "/"+pk+"/lamp-002/user/update").Close(); err != nil { // foreign
		t.Fatal(err)
	}
	eventually(t, "foreign will refused", func() bool { _, ok := n.journal.find(session.OpUplink, refusal.TopicNotOwn); return ok })
	if err := connect(4, own).Close(); err != nil { // 3.x: ignored
		t.Fatal(err)
	}
	w = connect(5, own)
	w.send([]byte{0xe0, 0}) // in order: no will
	w.closed()
	eventually(t, "four ends", func() bool { return n.Connections() == 0 && len(n.cloud.of("lifecycle/offline")) == 4 })
	if e, ok := n.journal.find(session.OpUplink, ""); ok {
		t.Errorf("a will was published: %+v", e)
	}
	if err := connect(5, own).Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "will taken", func() bool { e, ok := n.journal.find(session.OpUplink, ""); return ok && e.Topic == own })
}

func TestAnsweredByTheConnector(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 4, "lamp-001", "")
	for _, c := range []struct{ topic, payload, reply, want string }{
		{"/sys/" + pk + "/lamp-001/thing/awss/enrollee/match", `{"id":"1","params":{}}`, "/sys/" + pk + "/lamp-001/thing/awss/enrollee/match_reply", `{"code":200,"data":{},"id":"1"`},
		{"/sys/" + pk + "/lamp-001/thing/nonsense/ask", `{"id":"2"}`, "/sys/" + pk + "/lamp-001/thing/nonsense/ask_reply", `{"code":6203,"data":{},"id":"2"`},
		{"/sys/" + pk + "/lamp-001/_thing/service/post", `{"id":"3"}`, "/sys/" + pk + "/lamp-001/_thing/service/post_reply", `{"code":200,"data":{},"id":"3"`},
		{"/ext/ntp/" + pk + "/lamp-001/request", `{"deviceSendTime":"1571724098000"}`, "/ext/ntp/" + pk + "/lamp-001/response", `{"deviceSendTime":"1571724098000","serverSendTime":"`},
	} {
		w.send(publishPacket(4, 1, 8, c.topic, c.payload))
		topic, _, payload := w.publish()
		if topic != c.reply || !strings.HasPrefix(payload, c.want) {
			t.Errorf("%s: reply on %s: %s, want %s", c.topic, topic, payload, c.want)
		}
		w.want(0x40, 0, 8)
	}
	for _, name := range []string{"/" + pk + "/lamp-001/user/update", "/sys/" + pk + "/lamp-001/thing/service/property/set_reply"} {
		w.send(publishPacket(4, 1, 9, name, `{"id":"4","code":200}`))
		w.want(0x40, 0, 9)
	}
	w.send(publishPacket(4, 0, 0, "/sys/"+pk+"/lamp-001/_thing/service/post", `{"id":"3","sys":{"ack":0}}`), []byte{0xc0, 0})
	w.want(0xd0)
}
