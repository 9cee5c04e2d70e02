package dtls

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"relink/connector/limits"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// What the tests' key server knows.
const (
	lampIdentity = "devicename|hmacsha256|a1B2c3D4e5F&lamp-001|2524608000000"
	lampKey      = "E78BFBEDD5B29266D56551882FDADC22A05613BD61DFA6A82EDBAFF52873E334" // vector P1
)

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

// authority makes, once, a certificate for localhost, and what verifies it.
var authority = sync.OnceValues(func() (*tls.Certificate, *x509.CertPool) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// A bench is a server that echoes, and what it told.
type bench struct {
	*Server
	addr     netip.AddrPort
	openings *limits.Openings
	failures chan Failure
	ended    chan *Conn
}

// start begins a server that echoes; change alters its options.
func start(t testing.TB, change func(*Options)) *bench {
	t.Helper()
	certificate, _ := authority()
	b := &bench{failures: make(chan Failure, 1000), ended: make(chan *Conn, 10_000), openings: limits.NewOpenings(10_000, 10_000, false)}
	o := Options{
		Certificate: func() *tls.Certificate { return certificate },
		Key: func(_ context.Context, identity string, _ netip.AddrPort) (Key, error) {
			switch identity {
			case lampIdentity:
				return Key{Key: []byte(lampKey), Device: lamp}, nil
			case "undecided":
				return Key{}, errors.New("no answer")
			}
			return Key{}, refusal.New(refusal.DeviceNotFound, "")
		},
		Handle:   func(c *Conn, datagram []byte) { c.Send(netip.AddrPort{}, datagram) },
		Failed:   func(f Failure) { b.failures <- f },
		Ended:    func(c *Conn) { b.ended <- c },
		Openings: b.openings,
		Budget:   limits.NewBudget(limits.BudgetOptions{Burst: 1000, PerMinute: 1000, MaxSources: 1000}),
		Logger:   slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	b.addr = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	b.Server = New(o)
	b.Serve(pc)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// failure is the next failure that was told.
func (b *bench) failure(t testing.TB) Failure {
	t.Helper()
	select {
	case f := <-b.failures:
		return f
	case <-time.After(10 * time.Second):
		t.Fatal("no failure was told")
		return Failure{}
	}
}

// spent is a budget that allows nothing to 127.0.0.1.
func spent() *limits.Budget {
	b := limits.NewBudget(limits.BudgetOptions{Burst: 1, PerMinute: 1, MaxSources: 10})
	for range 3 {
		b.Fail(netip.MustParseAddr("127.0.0.1"))
	}
	return b
}

// none is a bound that lets nobody in.
func none() *limits.Openings { return limits.NewOpenings(10, 0, false) }

func count(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m)
	return m.GetCounter().GetValue()
}
