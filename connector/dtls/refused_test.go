//lint:file-ignore SA1019 one struct says what a client does; its options are as many functions

package dtls

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"relink/connector/limits"
	"relink/shared/refusal"
)

// TestUnknownIdentityLooksLikeWrongKey compares what clients see, which is nothing, and what the operator sees, which is the cause.
func TestUnknownIdentityLooksLikeWrongKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identity, key string
		want          refusal.Cause
	}{
		"wrong_key": {lampIdentity, strings.ToLower(lampKey), refusal.PSKMismatch},
		"unknown":   {"devicename|hmacsha256|a1B2c3D4e5F&lamp-002|1", lampKey, refusal.DeviceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, func(o *Options) { o.HandshakeTimeout = 500 * time.Millisecond })
			conn, err := dialFor(t, b, time.Second, func(p *pion.Config) {
				usePSK(c.identity, c.key)(p)
				p.CipherSuites = []pion.CipherSuiteID{pion.TLS_PSK_WITH_AES_128_CCM_8}
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the client saw %v, want nothing until its own deadline", err)
			}
			_ = conn
			f := b.failure(t)
			if refusal.CauseOf(f.Err) != c.want || f.Identity != c.identity {
				t.Errorf("told %v of %q, want %s of %q", f.Err, f.Identity, c.want, c.identity)
			}
			eventually(t, "the handshake is forgotten", func() bool { _, pending := b.Len(); return pending == 0 && b.openings.Len() == 0 })
		})
	}
}

// TestUndecidedIsAskedAgain fails the first look for a key: the client sends its key exchange again, and gets in.
func TestUndecidedIsAskedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	b := start(t, func(o *Options) {
		key := o.Key
		o.Key = func(ctx context.Context, identity string, remote netip.AddrPort) (Key, error) {
			if asked.Add(1) == 1 {
				return Key{}, errors.New("throttled")
			}
			return key(ctx, identity, remote)
		}
	})
	conn, err := dial(t, b, func(p *pion.Config) {
		usePSK(lampIdentity, lampKey)(p)
		p.CipherSuites = []pion.CipherSuiteID{pion.TLS_PSK_WITH_AES_128_CCM_8}
	})
	if err != nil {
		t.Fatal(err)
	}
	echo(t, conn, 3)
	if f := b.failure(t); refusal.CauseOf(f.Err) != refusal.BackendUnavailable {
		t.Errorf("told %v", f.Err)
	}
}

// A mute is a client's socket that sends no record under keys.
type mute struct{ net.PacketConn }

func (m mute) WriteTo(b []byte, to net.Addr) (int, error) {
	var kept []byte
	for rest := b; len(rest) > 0; {
		r, after, ok := nextRecord(rest)
		if !ok {
			break
		}
		if r.epoch() == 0 {
			kept = append(kept, rest[:len(rest)-len(after)]...)
		}
		rest = after
	}
	if _, err := m.PacketConn.WriteTo(kept, to); err != nil {
		return 0, err
	}
	return len(b), nil
}

// TestSilenceAfterAnIdentityCounts: each look for a key costs the owner, so who names identities and falls silent uses its budget up.
func TestSilenceAfterAnIdentityCounts(t *testing.T) {
	t.Parallel()
	budget := limits.NewBudget(limits.BudgetOptions{Burst: 1, PerMinute: 1, MaxSources: 10})
	b := start(t, func(o *Options) { o.HandshakeTimeout, o.Budget = 300*time.Millisecond, budget })
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &pion.Config{CipherSuites: []pion.CipherSuiteID{pion.TLS_PSK_WITH_AES_128_CCM_8}}
	usePSK(lampIdentity, lampKey)(config)
	client, err := pion.Client(mute{pc}, net.UDPAddrFromAddrPort(b.addr), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	go func() { _ = client.HandshakeContext(ctx) }() // comes to nothing
	if f := b.failure(t); refusal.CauseOf(f.Err) != refusal.HandshakeTimeout || f.Identity != lampIdentity {
		t.Errorf("told %v of %q", f.Err, f.Identity)
	}
	if n := budget.Sources(); n != 1 {
		t.Errorf("%d addresses have failed", n)
	}
}

// TestHandshakesThatFail tells the cause of each.
func TestHandshakesThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(*pion.Config)
		server func(*Options)
		cause  refusal.Cause
		detail string
	}{
		"no_common_suite": {
			func(p *pion.Config) { p.CipherSuites = []pion.CipherSuiteID{pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8} }, nil,
			refusal.TLSFailed, "no cipher suite in common; the client offers c0ae",
		},
		"no_certificate": {
			func(*pion.Config) {}, func(o *Options) { o.Certificate = nil }, refusal.TLSFailed, "no cipher suite in common",
		},
		"untrusted_certificate": {
			func(p *pion.Config) { p.RootCAs = nil }, nil, refusal.TLSFailed, "the client refused: tls: bad certificate",
		},
		"budget_is_spent": {
			func(*pion.Config) {}, func(o *Options) { o.Budget = spent() }, refusal.RateLimitedSource, "",
		},
		"too_many_opening": {
			func(*pion.Config) {}, func(o *Options) { o.Openings = none() }, refusal.RateLimitedSource, "no device has proved",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, c.server)
			if _, err := dialFor(t, b, time.Second, c.client); err == nil {
				t.Fatal("the handshake succeeded")
			}
			f := b.failure(t)
			if refusal.CauseOf(f.Err) != c.cause || !strings.Contains(f.Err.Error(), c.detail) {
				t.Errorf("told %v, want %s with %q", f.Err, c.cause, c.detail)
			}
			eventually(t, "nothing is kept", func() bool { n, pending := b.Len(); return n+pending == 0 })
		})
	}
}
