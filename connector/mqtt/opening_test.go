package mqtt_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"relink/connector/limits"
	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/refusal"
)

func TestTLSOfCSDKs(t *testing.T) {
	t.Parallel()
	n := start(t)
	for name, c := range map[string]*tls.Config{
		"rsa_aes128_sha":    {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
		"rsa_aes256_sha":    {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}},
		"rsa_aes128_sha256": {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA256}},
		"tls10":             {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"tls13":             {MinVersion: tls.VersionTLS13},
	} {
		c.InsecureSkipVerify = true // no ServerName: no SNI is sent
		nc, err := tls.Dial("tcp", n.addr, c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w := &wire{nc, t}
		w.send(connectPacket(4, "lamp-001", ""))
		w.want(0x20, 0, 0)
		w.send(publishPacket(4, 1, 1, postTopic, `{"id":"1","x":"`+strings.Repeat("y", 40_000)+`"}`))
		w.publish()
		w.want(0x40, 0, 1)
		if err := nc.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// socket is a client of MQTT over WebSocket.
type socket struct {
	*websocket.Conn
	t    testing.TB
	rest []byte
}

func (n *node) socket(t testing.TB, scheme, path string) *socket {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"mqtt"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c, _, err := d.Dial(scheme+"://"+n.addr+path, http.Header{"Origin": {"https://example.com"}})
	if err != nil {
		t.Fatalf("%s%s: %v", scheme, path, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if c.Subprotocol() != "mqtt" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	return &socket{Conn: c, t: t}
}

// receive gives n bytes of the stream.
func (s *socket) receive(n int) string {
	s.t.Helper()
	for len(s.rest) < n {
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		kind, p, err := s.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			s.t.Fatalf("message of kind %d: %v", kind, err)
		}
		s.rest = append(s.rest, p...)
	}
	got := string(s.rest[:n])
	s.rest = s.rest[n:]
	return got
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, c := range []struct{ scheme, path string }{{"ws", "/"}, {"ws", "/mqtt"}, {"wss", "/mqtt"}, {"wss", "/?x=1"}} {
		s := n.socket(t, c.scheme, c.path)
		hello := connectPacket(4, "lamp-001", "")
		for _, part := range [][]byte{hello[:1], hello[1:20], hello[20:]} { // packets may be cut anywhere
			if err := s.WriteMessage(websocket.BinaryMessage, part); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.receive(4); got != "\x20\x02\x00\x00" {
			t.Fatalf("CONNACK % x", got)
		}
		w, err := s.NextWriter(websocket.BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // several packets in one message, in fragments
			if _, err := w.Write([]byte{0xc0, 0}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := s.receive(6); got != "\xd0\x00\xd0\x00\xd0\x00" {
			t.Errorf("PINGRESP % x", got)
		}
	}
	s := n.socket(t, "ws", "/mqtt")
	if err := s.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, _, err := s.ReadMessage(); err == nil {
		t.Error("a text message was answered")
	}
}

func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	n := start(t)
	for name, request := range map[string]string{
		"path":     "GET /other HTTP/1.1\r\nHost: x\r\n\r\n",
		"no_ws":    "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n",
		"not_http": "GARBAGE\r\n\r\n",
		"endless":  "GET /mqtt HTTP/1.1\r\nX: " + strings.Repeat("x", 20_000),
	} {
		w := n.dial(t)
		w.send([]byte(request))
		answer := string(w.closed())
		if want := map[string]string{"path": "HTTP/1.1 404", "no_ws": "HTTP/1.1 400"}[name]; !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %q, want %s", name, answer, want)
		}
		if want := map[string]string{"path": "no such path", "no_ws": "websocket"}[name]; want != "" {
			eventually(t, name+" in the log", func() bool { return n.journal.has(session.OpAuth, refusal.WebSocketFailed, want) })
		}
	}
	// A frame that is not masked.
	s := n.socket(t, "ws", "/mqtt")
	if _, err := s.NetConn().Write(append([]byte{0x82, 2}, 0x10, 0)); err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, _, err := s.ReadMessage(); err == nil {
		t.Error("an unmasked frame was taken")
	}
	// A frame that declares 2 GB.
	s = n.socket(t, "ws", "/mqtt")
	head := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 2<<30)
	if _, err := s.NetConn().Write(append(head, 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, _, err := s.ReadMessage(); err == nil {
		t.Error("an oversized frame was taken")
	}
}

func TestFirstBytes(t *testing.T) {
	t.Parallel()
	n := start(t)
	for name, c := range map[string]struct {
		bytes []byte
		cause refusal.Cause
	}{
		"post":             {[]byte("POST / HTTP/1.1\r\n"), refusal.FirstByteUnknown},
		"nothing_known":    {[]byte{0, 1, 2}, refusal.FirstByteUnknown},
		"publish":          {publishPacket(4, 0, 0, postTopic, "x"), refusal.ConnectExpected},
		"five_byte_length": {[]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x7f}, refusal.ConnectMalformed},
		"256_mb_declared":  {[]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, refusal.PacketTooLargeLogin},
		"64_kb_client_id":  {rawConnect(4, 60, strings.Repeat("x", 65_000), "a&b", "c"), refusal.PacketTooLargeLogin},
		"connect_of_0":     {[]byte{0x10, 0}, refusal.ConnectMalformed},
		"tls_garbage":      {append([]byte{0x16, 3, 1, 0, 5}, "hello"...), refusal.TLSFailed},
		"reserved_bit":     {func() []byte { p := connectPacket(4, "lamp-001", ""); p[9+len(p)/128] |= 1; return p }(), ""},
	} {
		w := n.dial(t)
		w.send(c.bytes)
		w.closed()
		if c.cause == "" {
			continue
		}
		eventually(t, name+" in the log as "+string(c.cause), func() bool { _, ok := n.journal.find(session.OpAuth, c.cause); return ok })
	}
}

// Declaring 256 MB moves no memory, before the login and after it.
func TestDeclaredLengthCostsNothing(t *testing.T) {
	n := start(t) // not parallel: it measures
	w := n.login(t, 4, "lamp-001", "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 50 {
		c := n.dial(t)
		c.send([]byte{0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4})
		c.closed()
	}
	w.send([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	w.closed()
	runtime.ReadMemStats(&after)
	if moved := after.TotalAlloc - before.TotalAlloc; moved > 2<<20 {
		t.Errorf("51 connections allocated %d bytes", moved)
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, version := range []byte{3, 4, 5} {
		hello := connectPacket(version, "lamp-001", "")
		session := append(append(append([]byte(nil), publishPacket(version, 1, 1, postTopic, "{}")...), subscribePacket(version, 2, 1, "/x")...), 0xe0, 0)
		for cut := range hello {
			w := n.dial(t)
			w.send(hello[:cut])
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if rest := w.closed(); len(rest) > 0 {
				t.Errorf("version %d cut at %d: % x", version, cut, rest)
			}
			// The same with the length made to fit: a body that ends too early.
			if cut < 4 {
				continue
			}
			w = n.dial(t)
			w.send(packet(0x10, hello[2+len(hello)/130:cut]))
			w.closed()
		}
		for cut := range session {
			w := n.login(t, version, "lamp-002", "")
			w.send(session[:cut])
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			w.closed()
		}
	}
	n.login(t, 4, "lamp-003", "")
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.MaxOpening = 200; o.OpenTimeout = 2 * time.Second })
	for i := range 500 {
		w := n.dial(t)
		if _, err := w.Write([][]byte{{}, {0x10}, {0x16, 3, 1}, []byte("GET /mqtt HTT")}[i%4]); err != nil {
			continue // it had to make room already
		}
	}
	started := time.Now()
	w := n.login(t, 4, "lamp-001", "")
	for i := range byte(20) {
		w.send(publishPacket(4, 1, uint16(i+1), postTopic, `{}`))
		w.publish()
		w.want(0x40, 0, i+1)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("a device beside 500 half-open connections needed %v", took)
	}
	if got := n.Opening(); got > 200 {
		t.Errorf("%d connections are half open, want at most 200", got)
	}
	eventually(t, "half-open connections closed", func() bool { return n.Opening() == 0 })
}

// A client that sends a byte now and then is cut off at the same time as one that sends none.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.OpenTimeout = 300 * time.Millisecond })
	w := n.dial(t)
	hello := connectPacket(4, "lamp-001", "")
	started := time.Now()
	for i := range hello {
		if _, err := w.Write(hello[i : i+1]); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond) // this is the client's slowness
	}
	w.closed()
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("cut off after %v", took)
	}
	eventually(t, "time-out in the log", func() bool { _, ok := n.journal.find(session.OpAuth, refusal.HandshakeTimeout); return ok })
}

func TestFailureBudget(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) {
		o.Budget = limits.NewBudget(limits.BudgetOptions{Burst: 3, PerMinute: 1, MaxSources: 10})
	})
	id, user, _ := credentials("lamp-001", "")
	for i := range 5 {
		w := n.dial(t)
		w.send(rawConnect(4, 60, id, user, strings.Repeat("00", 32)))
		want := byte(4)
		if i >= 3 {
			want = 3
		}
		if _, body := w.receive(); body[1] != want {
			t.Errorf("attempt %d: code %d, want %d", i, body[1], want)
		}
		w.closed() // the failure is counted before the connection is closed
	}
	if got := len(n.cloud.of("auth/login")); got != 3 {
		t.Errorf("function auth was asked %d times, want 3", got)
	}
}

// A device that does not read is disconnected, and holds up nobody.
func TestDeviceThatDoesNotRead(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.WriteTimeout = 300 * time.Millisecond; o.MaxPending = 64 << 10 })
	w := n.login(t, 4, "lamp-001", "")
	if err := w.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	go func() { // posts and never reads
		big := `{"id":"` + strings.Repeat("x", 30_000) + `"}`
		for i := range 10_000 {
			if _, err := w.Write(publishPacket(4, 1, uint16(i%100+1), postTopic, big)); err != nil {
				return
			}
		}
	}()
	eventually(t, "the device disconnected", func() bool { _, ok := n.journal.find(session.OpOffline, refusal.WriteTimeout); return ok })
	other := n.login(t, 4, "lamp-002", "")
	other.send(publishPacket(4, 1, 1, "/sys/"+pk+"/lamp-002/thing/event/property/post", `{}`))
	other.publish()
	other.want(0x40, 0, 1)
}

func TestConnackOfFiveDotZero(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.dial(t)
	w.send(connectPacket(5, "lamp-001", ""))
	_, body := w.receive()
	props := fmt.Sprintf("% x", body[3:])
	for name, want := range map[string]string{
		"receive maximum 100": "21 00 64", "maximum qos 1": "24 01", "no retain": "25 00", "packet size": "27 00 04 00 00", "wildcards": "28 01",
		"no subscription ids": "29 00", "not shared": "2a 00", "alias": "22 00 14", "keep alive": "13 00 3c", "no session": "11 00 00 00 00",
	} {
		if !strings.Contains(props, want) {
			t.Errorf("%s: %s is not in %s", name, want, props)
		}
	}
	if body[0] != 0 {
		t.Error("session present")
	}
}
