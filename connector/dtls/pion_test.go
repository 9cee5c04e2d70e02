//lint:file-ignore SA1019 one struct says what a client does; its options are as many functions

package dtls

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"
)

// dial connects with pion's client.
func dial(t testing.TB, b *bench, change func(*pion.Config)) (*pion.Conn, error) {
	t.Helper()
	return dialFor(t, b, 8*time.Second, change)
}

// dialFor is dial with a limit of the client.
func dialFor(t testing.TB, b *bench, limit time.Duration, change func(*pion.Config)) (*pion.Conn, error) {
	t.Helper()
	_, pool := authority()
	c := &pion.Config{RootCAs: pool, ServerName: "localhost", FlightInterval: 100 * time.Millisecond}
	change(c)
	conn, err := pion.Dial("udp", net.UDPAddrFromAddrPort(b.addr), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

// echo sends datagrams and wants them back.
func echo(t testing.TB, c net.Conn, sizes ...int) {
	t.Helper()
	for _, n := range sizes {
		sent, got := bytes.Repeat([]byte{'x'}, n), make([]byte, 8192)
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		m, err := c.Read(got)
		if err != nil || !bytes.Equal(got[:m], sent) {
			t.Fatalf("%d bytes came back as %d: %v", n, m, err)
		}
	}
}

func usePSK(identity, key string) func(*pion.Config) {
	return func(c *pion.Config) {
		c.PSK = func([]byte) ([]byte, error) { return []byte(key), nil }
		c.PSKIdentityHint = []byte(identity)
	}
}

// TestSuitesWithPion speaks each suite that pion's client knows, with and without extended master secret and connection ids.
func TestSuitesWithPion(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	certificates := []pion.CipherSuiteID{
		pion.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, pion.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, pion.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	}
	keys := []pion.CipherSuiteID{
		pion.TLS_PSK_WITH_AES_128_GCM_SHA256, pion.TLS_PSK_WITH_AES_128_CCM, pion.TLS_PSK_WITH_AES_128_CCM_8, pion.TLS_PSK_WITH_AES_128_CBC_SHA256,
	}
	variants := map[string]func(*pion.Config){
		"plain":         func(*pion.Config) {},
		"no_ems":        func(c *pion.Config) { c.ExtendedMasterSecret = pion.DisableExtendedMasterSecret },
		"ems":           func(c *pion.Config) { c.ExtendedMasterSecret = pion.RequireExtendedMasterSecret },
		"cid":           func(c *pion.Config) { c.ConnectionIDGenerator = pion.RandomCIDGenerator(6) },
		"cid_of_server": func(c *pion.Config) { c.ConnectionIDGenerator = pion.OnlySendCIDGenerator() },
		"small_mtu":     func(c *pion.Config) { c.MTU = 300 },
	}
	for name, variant := range variants {
		for _, id := range append(certificates, keys...) {
			if strings.HasPrefix(name, "cid") && strings.Contains(pion.CipherSuiteName(id), "CBC") {
				continue // pion 3.1.15 hashes the content twice there; RFC 9146 5.1 wants it once
			}
			t.Run(name+"/"+pion.CipherSuiteName(id), func(t *testing.T) {
				t.Parallel()
				conn, err := dial(t, b, func(c *pion.Config) {
					variant(c)
					c.CipherSuites = []pion.CipherSuiteID{id}
					for _, k := range keys {
						if k == id {
							usePSK(lampIdentity, lampKey)(c)
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				echo(t, conn, 1, 15, 16, 17, 31, 32, 200, 1280)
			})
		}
	}
}

// TestOnePortForBoth serves clients with a key and clients that verify the certificate.
func TestOnePortForBoth(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	if conn, err := dial(t, b, func(*pion.Config) {}); err != nil {
		t.Error(err)
	} else {
		echo(t, conn, 10)
	}
	if conn, err := dial(t, b, func(c *pion.Config) {
		usePSK(lampIdentity, lampKey)(c)
		c.CipherSuites = []pion.CipherSuiteID{pion.TLS_PSK_WITH_AES_128_CCM_8}
	}); err != nil {
		t.Error(err)
	} else {
		echo(t, conn, 10)
	}
}

// TestCertificateIsReloaded shows the certificate of the moment to each handshake.
func TestCertificateIsReloaded(t *testing.T) {
	t.Parallel()
	certificate, _ := authority()
	var shown atomic.Int32
	b := start(t, func(o *Options) { o.Certificate = func() *tls.Certificate { shown.Add(1); return certificate } })
	for range 2 {
		if _, err := dial(t, b, func(*pion.Config) {}); err != nil {
			t.Fatal(err)
		}
	}
	if n := shown.Load(); n != 2 {
		t.Errorf("the certificate was asked for %d times, want 2", n)
	}
}
