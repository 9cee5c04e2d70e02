//lint:file-ignore SA1019 one struct says what a client does; its options are as many functions

package dtls

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"
)

// A relay stands between one client and the server, as a NAT does.
type relay struct {
	front  *net.UDPConn
	server *net.UDPAddr
	pass   func(toServer bool, datagram []byte) int // how often a datagram is passed on
	client atomic.Pointer[net.UDPAddr]
	mu     sync.Mutex
	back   *net.UDPConn
}

func newRelay(t testing.TB, b *bench, pass func(toServer bool, datagram []byte) int) *relay {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{front: front, server: net.UDPAddrFromAddrPort(b.addr), pass: pass}
	r.move(t)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := front.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			r.client.Store(from)
			for range r.pass(true, buffer[:n]) {
				r.mu.Lock()
				_, _ = r.back.Write(buffer[:n])
				r.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = front.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		_ = r.back.Close()
	})
	return r
}

// move gives the client another port, as a NAT does that has forgotten it.
func (r *relay) move(t testing.TB) {
	t.Helper()
	back, err := net.DialUDP("udp", nil, r.server)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	old := r.back
	r.back = back
	r.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := back.Read(buffer)
			if err != nil {
				return
			}
			for range r.pass(false, buffer[:n]) {
				_, _ = r.front.WriteToUDP(buffer[:n], r.client.Load())
			}
		}
	}()
}

func (r *relay) dial(t testing.TB, change func(*pion.Config)) *pion.Conn {
	t.Helper()
	b := &bench{addr: r.front.LocalAddr().(*net.UDPAddr).AddrPort()}
	conn, err := dial(t, b, func(c *pion.Config) {
		useCCM8(c)
		change(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func useCCM8(c *pion.Config) {
	usePSK(lampIdentity, lampKey)(c)
	c.CipherSuites = []pion.CipherSuiteID{pion.TLS_PSK_WITH_AES_128_CCM_8}
}

func once(bool, []byte) int { return 1 }

// TestClientIsFollowedByItsConnectionID gives a client another address: with a connection id it goes on, without one it is not served
// there, and another client's address cannot take its connection over.
func TestClientIsFollowedByItsConnectionID(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	r := newRelay(t, b, once)
	conn := r.dial(t, func(c *pion.Config) { c.ConnectionIDGenerator = pion.OnlySendCIDGenerator() })
	echo(t, conn, 10)
	for range 3 {
		r.move(t)
		echo(t, conn, 10, 20)
	}
	if n, _ := b.Len(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	without := newRelay(t, b, once)
	conn = without.dial(t, func(*pion.Config) {})
	echo(t, conn, 10)
	without.move(t)
	if err := conn.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes came to an address that shook no hands", n)
	}
}

// TestHandshakeSurvivesLoss drops every third datagram of both ways, handshake and certificate included.
func TestHandshakeSurvivesLoss(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	var n atomic.Int32
	var calm atomic.Bool
	r := newRelay(t, b, func(bool, []byte) int {
		if !calm.Load() && n.Add(1)%3 == 0 {
			return 0
		}
		return 1
	})
	b2 := &bench{addr: r.front.LocalAddr().(*net.UDPAddr).AddrPort()}
	conn, err := dialFor(t, b2, 20*time.Second, func(c *pion.Config) {
		c.CipherSuites = []pion.CipherSuiteID{pion.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	})
	if err != nil {
		t.Fatal(err)
	}
	calm.Store(true)
	echo(t, conn, 100)
}

// TestReplayedRecordsAreDropped sends each datagram three times: what is handled, is handled once.
func TestReplayedRecordsAreDropped(t *testing.T) {
	t.Parallel()
	var handled atomic.Int32
	b := start(t, func(o *Options) {
		answer := o.Handle
		o.Handle = func(c *Conn, d []byte) { handled.Add(1); answer(c, d) }
	})
	conn := newRelay(t, b, func(toServer bool, _ []byte) int {
		if toServer {
			return 3
		}
		return 1
	}).dial(t, func(*pion.Config) {})
	for range 20 {
		echo(t, conn, 10)
	}
	if n := handled.Load(); n != 20 {
		t.Errorf("%d datagrams were handled, want 20", n)
	}
}

// TestRebootedClientReplacesItself shakes hands again from the same address without having said goodbye (RFC 6347 4.2.8).
func TestRebootedClientReplacesItself(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	var port int
	for i := range 3 {
		pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		port = pc.LocalAddr().(*net.UDPAddr).Port
		c := &pion.Config{FlightInterval: 100 * time.Millisecond}
		useCCM8(c)
		conn, err := pion.Client(pc, net.UDPAddrFromAddrPort(b.addr), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Handshake(); err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
		echo(t, conn, 10)
		_ = pc.Close() // power off
		_ = conn.Close()
	}
	eventually(t, "one connection is left, and two have ended", func() bool {
		n, pending := b.Len()
		return n == 1 && pending == 0 && len(b.ended) == 2
	})
}
