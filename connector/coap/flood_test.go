package coap_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/connector/coap"
	"relink/connector/session"
	devicetoken "relink/connector/token"
	"relink/shared/iot"
	"relink/shared/record"
)

// A flood of random datagrams, of requests with guessed tokens and of authentications leaves a healthy device served, and nothing of it
// remembered beyond the bounds.
func TestFlood(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	for i := range 2 {
		conn, err := net.Dial("udp", f.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		guess := c.request("/topic"+postTopic, make([]byte, 96), message.Options{{ID: 2088, Value: []byte(c.token)}, {ID: 2089, Value: make([]byte, 16)}})
		auth := c.request("/auth", []byte(`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-009","sign":"00"}`), nil)
		go func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			b := make([]byte, 2048)
			n := 0
			for ; ctx.Err() == nil; n++ {
				size := 0
				switch n % 4 {
				case 0: // bytes
					size = r.IntN(600)
					for j := range size {
						b[j] = byte(r.Uint32())
					}
				case 1: // a token that is known, a number that is not
					guess.MessageID = int32(r.IntN(1 << 16))
					for j := range guess.Options[len(guess.Options)-1].Value {
						guess.Options[len(guess.Options)-1].Value[j] = byte(r.Uint32())
					}
					size, _ = coder.DefaultCoder.Encode(guess, b)
				case 2: // a request that is cut and changed
					size, _ = coder.DefaultCoder.Encode(guess, b)
					b[r.IntN(size)] ^= 1 << r.IntN(8)
					size = r.IntN(size)
				case 3:
					auth.MessageID = int32(r.IntN(1 << 16))
					size, _ = coder.DefaultCoder.Encode(auth, b)
				}
				_, _ = conn.Write(b[:size]) // that some are lost is in the nature of a flood
				if n%50 == 0 {
					time.Sleep(10 * time.Millisecond) // the flood leaves the machine to other tests
				}
			}
			done <- n
		}()
	}
	served, lost := 0, 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		m := c.sealed(postTopic, postBody)
		for try := 0; ; try++ { // as firmware does, only sooner
			c.send(m)
			if b := c.receive(300 * time.Millisecond); b != nil {
				if got := c.parse(b); got.Code != codes.Content {
					t.Fatalf("%v", got.Code)
				}
				served++
				break
			}
			if lost++; try == 8 {
				t.Fatal("a healthy device is not served")
			}
		}
	}
	goroutines := runtime.NumGoroutine()
	cancel()
	sent := <-done + <-done
	t.Logf("%d datagrams of a flood; %d posts were served, %d tries lost, %d goroutines", sent, served, lost, goroutines)
	if served < 10 || goroutines > 1500 {
		t.Errorf("%d posts served, %d goroutines", served, goroutines)
	}
	if logins, _ := f.backend.asked(); logins > 100 {
		t.Errorf("the flood cost %d logins", logins)
	}
	f.log.mu.Lock()
	lines := len(f.log.events)
	f.log.mu.Unlock()
	if lines > served+3000 {
		t.Errorf("%d lines in the device log", lines)
	}
}

// sink is a transport that sends nowhere.
type sink struct{ sent chan struct{} }

func (s *sink) Send(netip.AddrPort, []byte) { s.sent <- struct{}{} }
func (s *sink) Protocol() string            { return coap.ProtocolCoAP }
func (s *sink) Device() iot.DeviceRef       { return iot.DeviceRef{} }
func (s *sink) Verified() bool              { return false }

// An instant is a dispatcher that answers within Submit.
type instant struct {
	*backend
	reply []record.Reply
}

func (i instant) Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error {
	if function != "property" {
		return i.backend.Submit(ctx, function, r, done)
	}
	done(record.Result{Code: 200, Replies: i.reply}, nil)
	return nil
}

// BenchmarkPost is a post from its datagram to the datagram of its reply, without socket and functions.
func BenchmarkPost(b *testing.B) {
	s := &sink{sent: make(chan struct{}, 16)}
	f := start(b, func(o *coap.Options, _ *devicetoken.Options) {
		o.Router.Dispatcher = instant{o.Dispatcher.(*backend), []record.Reply{{
			Topic:   postTopic + "_reply",
			Payload: []byte(`{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`),
		}}}
		o.Router.Journal = silent{}
	})
	c := benchClient(b, f)
	peer := coap.Peer{Transport: s, Addr: netip.MustParseAddrPort("192.0.2.1:5")}
	datagrams := make([][]byte, b.N)
	for i := range datagrams {
		m := c.sealed(postTopic, postBody)
		datagrams[i] = make([]byte, 600)
		n, err := coder.DefaultCoder.Encode(m, datagrams[i])
		if err != nil {
			b.Fatal(err)
		}
		datagrams[i] = datagrams[i][:n]
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		f.Receive(peer, datagrams[i])
		<-s.sent
	}
}

// BenchmarkStranger is a request with a guessed token.
func BenchmarkStranger(b *testing.B) {
	s := &sink{sent: make(chan struct{}, 16)}
	f := start(b, nil)
	c := benchClient(b, f)
	c.token = "guess"
	m := c.sealed(postTopic, postBody)
	buffer := make([]byte, 600)
	n, err := coder.DefaultCoder.Encode(m, buffer)
	if err != nil {
		b.Fatal(err)
	}
	peer := coap.Peer{Transport: s, Addr: netip.MustParseAddrPort("192.0.2.1:5")}
	b.ReportAllocs()
	for range b.N {
		f.Receive(peer, buffer[:n])
		<-s.sent
	}
}

type silent struct{}

func (silent) Record(session.Event) {}

func benchClient(b *testing.B, f *fixture) *client {
	c := dial(b, f.address)
	c.login()
	return c
}
