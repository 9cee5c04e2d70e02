package mqtt_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/refusal"
)

// A device that asks and never reads is disconnected before its answers fill the memory.
func TestAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string][]byte{
		"pingreq":     {0xc0, 0},
		"subscribe":   packet(0x82, []byte{0, 1}, str("/sys/"+pk+"/lamp-001/thing/service/property/set"), []byte{1}),
		"unsubscribe": packet(0xa2, []byte{0, 1}, str("/none")),
		"pubrel":      {0x62, 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, func(o *mqtt.Options) { o.WriteTimeout, o.MaxPending = time.Hour, 8<<10 })
			w := n.login(t, 4, "lamp-001", "")
			many := bytes.Repeat(ask, 64<<10/len(ask))
			if err := w.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "session", func() bool { return n.Connections() == 1 })
			for range 1 << 13 {
				if _, err := w.Write(many); err != nil || n.Connections() == 0 {
					break
				}
			}
			eventually(t, "the device disconnected", func() bool { _, ok := n.journal.find(session.OpOffline, refusal.WriteTimeout); return ok })
		})
	}
}

// Pongs are left out while the client does not read; it is not disconnected for them, and nothing piles up.
func TestPingsOfWebSocket(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.WriteTimeout, o.MaxPending = time.Hour, 8<<10 })
	s := n.socket(t, "ws", "/mqtt")
	if err := s.WriteMessage(websocket.BinaryMessage, connectPacket(4, "lamp-001", "")); err != nil {
		t.Fatal(err)
	}
	if got := s.receive(4); got != "\x20\x02\x00\x00" {
		t.Fatalf("CONNACK % x", got)
	}
	pongs := 0
	s.SetPongHandler(func(string) error { pongs++; return nil })
	const pings = 100_000
	hello := bytes.Repeat([]byte{'x'}, 120)
	for range pings {
		if err := s.WriteControl(websocket.PingMessage, hello, time.Now().Add(20*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the pings read", func() bool { return n.Connections() == 1 })
	if err := s.WriteMessage(websocket.BinaryMessage, []byte{0xc0, 0}); err != nil {
		t.Fatal(err)
	}
	if got := s.receive(2); got != "\xd0\x00" {
		t.Errorf("PINGRESP % x", got)
	}
	if pongs == 0 || pongs == pings {
		t.Errorf("%d pongs to %d pings that were not read", pongs, pings)
	}
}
