package mqtt_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// wire is a client that sends any bytes.
type wire struct {
	net.Conn
	t testing.TB
}

func (n *node) dial(t testing.TB) *wire {
	t.Helper()
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &wire{c, t}
}

func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(first byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	out := []byte{first}
	n := len(body)
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(append(out, byte(n)), body...)
}

// connectPacket is a proper CONNECT of a device.
func connectPacket(version byte, dn, params string) []byte {
	id, user, pass := credentials(dn, params)
	return rawConnect(version, 60, id, user, pass)
}

func rawConnect(version byte, keepAlive uint16, id, user, pass string) []byte {
	name := "MQTT"
	if version == 3 {
		name = "MQIsdp"
	}
	var props []byte
	if version == 5 {
		props = []byte{0}
	}
	return packet(0x10, str(name), []byte{version, 0xc2}, binary.BigEndian.AppendUint16(nil, keepAlive), props, str(id), str(user), str(pass))
}

func publishPacket(version byte, qos byte, id uint16, topic, payload string) []byte {
	var pid, props []byte
	if qos > 0 {
		pid = binary.BigEndian.AppendUint16(nil, id)
	}
	if version == 5 {
		props = []byte{0}
	}
	return packet(0x30|qos<<1, str(topic), pid, props, []byte(payload))
}

func (w *wire) send(b ...[]byte) {
	w.t.Helper()
	for _, p := range b {
		if _, err := w.Write(p); err != nil {
			w.t.Fatalf("write: %v", err)
		}
	}
}

// receive reads one packet.
func (w *wire) receive() (first byte, body []byte) {
	w.t.Helper()
	first, body, err := w.tryReceive(5 * time.Second)
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return first, body
}

func (w *wire) tryReceive(wait time.Duration) (first byte, body []byte, err error) {
	if err := w.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, nil, err
	}
	var one [1]byte
	if _, err := io.ReadFull(w, one[:]); err != nil {
		return 0, nil, err
	}
	first = one[0]
	n := 0
	for shift := 0; ; shift += 7 {
		if _, err := io.ReadFull(w, one[:]); err != nil {
			return 0, nil, err
		}
		n |= int(one[0]&0x7f) << shift
		if one[0] < 0x80 {
			break
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(w, body)
	return first, body, err
}

func (w *wire) want(first byte, body ...byte) {
	w.t.Helper()
	f, b := w.receive()
	if f != first || string(b) != string(body) {
		w.t.Fatalf("received %#x % x, want %#x % x", f, b, first, body)
	}
}

// closed waits for the end of the connection, and gives what came before it.
func (w *wire) closed() []byte {
	w.t.Helper()
	if err := w.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	rest, err := io.ReadAll(w)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("connection is still open after 5 s; received % x", rest)
	}
	return rest
}

// login connects a device.
func (n *node) login(t testing.TB, version byte, dn, params string) *wire {
	t.Helper()
	w := n.dial(t)
	w.send(connectPacket(version, dn, params))
	first, body := w.receive()
	if first != 0x20 || body[1] != 0 || version < 5 && len(body) != 2 {
		t.Fatalf("CONNACK %#x % x", first, body)
	}
	return w
}
