//lint:file-ignore SA1019 one struct says what a client does; its options are as many functions

package dtls

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"relink/connector/limits"
)

// aHello is a datagram with a ClientHello that offers everything.
func aHello(cookie []byte, extensions ...byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, version12)
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	body = append(append(body, random...), 0, byte(len(cookie)))
	body = append(body, cookie...)
	body = binary.BigEndian.AppendUint16(body, uint16(2*len(suites)))
	for _, s := range suites {
		body = binary.BigEndian.AppendUint16(body, s.id)
	}
	body = append(body, 1, 0)
	if len(extensions) > 0 {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(extensions))), extensions...)
	}
	return append(appendHeader(nil, typeHandshake, version10, 0, nil, messageHeader+len(body)), message(msgClientHello, 0, body)...)
}

// TestFloodOfHellos comes from hundreds of ports, none of which shows a cookie: nothing is kept, no answer is larger than its question,
// and honest clients get in meanwhile.
func TestFloodOfHellos(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	var stop atomic.Bool
	var sent, most atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				pc, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.addr))
				if err != nil {
					t.Error(err)
					return
				}
				reply := make([]byte, 4096)
				for i := range 20 {
					h := aHello(make([]byte, i%2*cookieSize)) // without a cookie, and with a wrong one
					_, _ = pc.Write(h)
					sent.Add(1)
					_ = pc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					if n, err := pc.Read(reply); err == nil {
						most.Store(max(most.Load(), int64(n)))
						if n >= len(h) {
							t.Errorf("%d bytes are answered by %d", len(h), n)
						}
					}
				}
				_ = pc.Close()
			}
		})
	}
	eventually(t, "the flood is on", func() bool { return sent.Load() > 2000 })
	for range 10 {
		conn, err := dial(t, b, useCCM8)
		if err != nil {
			t.Fatalf("an honest client during the flood: %v", err)
		}
		echo(t, conn, 50)
	}
	stop.Store(true)
	wg.Wait()
	n, pending := b.Len()
	if n != 10 || pending != 0 || b.openings.Len() != 0 {
		t.Errorf("%d connections, %d pending, %d opening, want the 10 honest ones", n, pending, b.openings.Len())
	}
	t.Logf("%d hellos; the largest answer has %d bytes", sent.Load(), most.Load())
}

// TestAnswerIsSmallerThanAnyHello compares with the shortest hello there can be.
func TestAnswerIsSmallerThanAnyHello(t *testing.T) {
	t.Parallel()
	shortest := headerLen + messageHeader + 2 + 32 + 1 + 1 + 2 + 2 + 2
	if n := len(appendHelloVerify(nil, 0, 0, make([]byte, cookieSize))); n >= shortest {
		t.Errorf("%d bytes answer %d", n, shortest)
	}
}

// TestSilentConnectionsEnd forgets strangers after ProofTimeout, and devices after IdleTimeout only.
func TestSilentConnectionsEnd(t *testing.T) {
	t.Parallel()
	var at atomic.Int64
	at.Store(time.Now().UnixNano())
	b := start(t, func(o *Options) { o.Now = func() time.Time { return time.Unix(0, at.Load()) } })
	if _, err := dial(t, b, useCCM8); err != nil {
		t.Fatal(err)
	}
	stranger, err := dial(t, b, func(*pion.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	echo(t, stranger, 5)
	if b.openings.Len() != 1 {
		t.Errorf("%d count as strangers, want 1", b.openings.Len())
	}
	at.Add(int64(2 * time.Minute))
	eventually(t, "the stranger is gone", func() bool { n, _ := b.Len(); return n == 1 && b.openings.Len() == 0 })
	at.Add(int64(15 * time.Minute))
	eventually(t, "the device is gone", func() bool { n, _ := b.Len(); return n == 0 })
}

// TestProvedStrangerStays is what a token does for a client without a pre-shared key.
func TestProvedStrangerStays(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *Options) {
		answer := o.Handle
		o.Handle = func(c *Conn, d []byte) { c.Proved(); answer(c, d) }
	})
	conn, err := dial(t, b, func(*pion.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, 5)
	b.mu.Lock()
	proven := b.proven.Len()
	b.mu.Unlock()
	if proven != 1 || b.openings.Len() != 0 {
		t.Errorf("%d proven, %d opening, want 1 and 0", proven, b.openings.Len())
	}
}

// TestOldestMakesRoom bounds devices by the one that was silent longest, and strangers by the oldest.
func TestOldestMakesRoom(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *Options) {
		o.MaxConnections = 3
		o.Openings = limits.NewOpenings(2, 100, false)
	})
	var conns []net.Conn
	for range 4 {
		conn, err := dial(t, b, useCCM8)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, conn, 1)
		conns = append(conns, conn)
	}
	eventually(t, "one device made room", func() bool { n, _ := b.Len(); return n == 3 })
	for _, conn := range conns[1:] {
		echo(t, conn, 1)
	}
	for range 4 {
		if _, err := dial(t, b, func(*pion.Config) {}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two strangers made room", func() bool { n, _ := b.Len(); return n == 5 })
}

// TestCostOfConnections measures memory and goroutines of a thousand connections whose clients are gone.
func TestCostOfConnections(t *testing.T) {
	const clients = 1000
	b := start(t, nil)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	var wg sync.WaitGroup
	work := make(chan struct{}, clients)
	for range clients {
		work <- struct{}{}
	}
	close(work)
	var sockets sync.Map
	for range 8 {
		wg.Go(func() {
			for range work {
				pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Error(err)
					return
				}
				c := &pion.Config{}
				useCCM8(c)
				conn, err := pion.Client(pc, net.UDPAddrFromAddrPort(b.addr), c)
				if err == nil {
					err = conn.Handshake()
				}
				if err != nil {
					t.Error(err)
				}
				_ = pc.Close() // without goodbye
				_ = conn.Close()
				sockets.Store(pc.LocalAddr().String(), true)
			}
		})
	}
	wg.Wait()
	n, _ := b.Len()
	if n < clients*9/10 { // the kernel may give a port twice, and then the newer one replaces the older
		t.Fatalf("%d connections, want about %d", n, clients)
	}
	each := (int64(heap()) - int64(before)) / int64(n)
	eventually(t, "clients' goroutines are gone", func() bool { return runtime.NumGoroutine() < goroutines+20 })
	t.Logf("%d connections: %d bytes of heap each, %d goroutines more", n, each, runtime.NumGoroutine()-goroutines)
	if each > 8<<10 {
		t.Errorf("a connection takes %d bytes, more than 8 KB", each)
	}
}
