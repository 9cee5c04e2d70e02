package mqtt_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// A panic anywhere closes one connection.
func TestPanicClosesOneConnection(t *testing.T) {
	t.Parallel()
	n := start(t)
	other := n.login(t, 4, "lamp-002", "")
	w := n.login(t, 4, "lamp-001", "")
	w.send(publishPacket(4, 1, 1, postTopic, "boom"))
	w.closed()
	eventually(t, "the failure in the log", func() bool {
		e, ok := n.journal.find(session.OpOffline, refusal.InternalError)
		return ok && e.Code != 200
	})
	eventually(t, "one session left", func() bool { return n.registry.Len() == 1 && n.Connections() == 1 })
	other.send([]byte{0xc0, 0})
	other.want(0xd0)
	n.login(t, 4, "lamp-001", "")
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() { n.cloud.hold = true })
	three, five := n.login(t, 4, "lamp-001", ""), n.login(t, 5, "lamp-002", "")
	three.send(publishPacket(4, 1, 7, postTopic, `{"id":"1"}`))
	eventually(t, "the post taken", func() bool { return len(n.cloud.of(postTopic)) == 1 })
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- n.Shutdown(ctx)
	}()
	five.want(0xe0, 0x8b, 0) // it has nothing to wait for
	five.closed()
	n.cloud.release()
	three.publish() // the answer that was due still comes
	three.want(0x40, 0, 7)
	if rest := three.closed(); len(rest) > 0 {
		t.Errorf("3.1.1 device was sent % x at the end", rest)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	ends := n.cloud.of(device.TopicOffline)
	if len(ends) != 2 || n.registry.Len() != 0 || n.Connections() != 0 {
		t.Errorf("%d ends told, %d sessions left", len(ends), n.registry.Len())
	}
	for _, r := range ends {
		var o device.Offline
		if err := json.Unmarshal(r.Payload, &o); err != nil || o.Reason != string(refusal.Shutdown) {
			t.Errorf("%s: %v", r.Payload, err)
		}
	}
}

func TestAnswerToACall(t *testing.T) {
	t.Parallel()
	n := start(t)
	var s *session.Session
	for _, c := range []struct{ params, topic string }{
		{"", "/sys/" + pk + "/lamp-001/rrpc/response/123"},
		{",ext=1", "/ext/rrpc/123/" + pk + "/lamp-001/user/get"},
		{",ext=1", "/ext/rrpc/123//" + pk + "/lamp-001/user/get"},
	} {
		w := n.login(t, 4, "lamp-001", c.params)
		earlier := s
		eventually(t, "session", func() bool {
			s = n.registry.Get(iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"})
			return s != nil && s != earlier
		})
		call := s.Expect("123")
		w.send(publishPacket(4, 0, 0, c.topic, "pong"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if got, ok := call.Wait(ctx); !ok || string(got) != "pong" {
			t.Errorf("%s: answer %q", c.topic, got)
		}
		cancel()
		w.send(publishPacket(4, 1, 2, c.topic, "pong")) // again: nobody waits
		w.want(0x40, 0, 2)
	}
	if _, ok := n.journal.find(session.OpUplink, refusal.RRPCUnexpected); !ok {
		t.Error("an answer that nobody waits for is not in the log")
	}
}

func TestDropIsQuick(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.login(t, 5, "lamp-001", "")
	eventually(t, "session", func() bool { return n.registry.Len() == 1 })
	n.registry.Get(iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"}).End(refusal.Disabled, "")
	w.want(0xe0, 0x98, 0)
	w.closed()
}

// Whoever has not logged in does not hold up the end: neither who says nothing, nor who waits for function auth.
func TestShutdownClosesOpenings(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() { n.cloud.down = true })
	idle, half, waiting := n.dial(t), n.dial(t), n.dial(t)
	half.send(connectPacket(4, "lamp-001", "")[:20])
	waiting.send(connectPacket(4, "lamp-001", ""))
	eventually(t, "three openings, one of them at auth", func() bool { return n.Opening() == 3 && len(n.cloud.of(device.TopicLogin)) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, w := range []*wire{idle, half, waiting} {
		w.closed()
	}
	if n.Opening() != 0 {
		t.Errorf("%d openings left", n.Opening())
	}
	if _, ok := n.journal.find(session.OpAuth, refusal.NodeStopping); !ok {
		t.Error("the refused login is not in the log")
	}
}
