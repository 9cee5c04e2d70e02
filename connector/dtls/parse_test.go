package dtls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"
	"time"
)

var client = netip.MustParseAddrPort("192.0.2.1:40000")

// TestCookies are good for their address, their hello and their time.
func TestCookies(t *testing.T) {
	t.Parallel()
	k, other := newCookieKey(), newCookieKey()
	now := time.Unix(1_700_000_000, 0)
	d := aHello(nil)
	h, err := parseHello(d[headerLen+messageHeader:])
	if err != nil {
		t.Fatal(err)
	}
	h.cookie = k.cookie(h, client, now)
	for name, c := range map[string]struct {
		key  *cookieKey
		addr netip.AddrPort
		at   time.Time
		want bool
	}{
		"at_once":        {&k, client, now, true},
		"next_period":    {&k, client, now.Add(cookieEvery), true},
		"old":            {&k, client, now.Add(2 * cookieEvery), false},
		"of_the_future":  {&k, client, now.Add(-cookieEvery), false},
		"very_old":       {&k, client, now.Add(256 * cookieEvery), false},
		"other_port":     {&k, netip.AddrPortFrom(client.Addr(), 1), now, false},
		"other_address":  {&k, netip.MustParseAddrPort("192.0.2.2:40000"), now, false},
		"key_of_another": {&other, client, now, false},
	} {
		if got := c.key.good(h, c.addr, c.at); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	changed, err := parseHello(aHello(h.cookie)[headerLen+messageHeader:])
	if err != nil || k.good(changed, client, now) {
		t.Errorf("a cookie is good for another hello (%v)", err)
	}
}

// TestWindow takes each number once, and none that is 64 behind.
func TestWindow(t *testing.T) {
	t.Parallel()
	var w window
	for _, c := range []struct {
		seq    uint64
		fresh  bool
		newest bool
	}{{0, true, true}, {0, false, false}, {5, true, true}, {3, true, false}, {3, false, false}, {68, true, true}, {4, false, false}, {69, true, true}, {6, true, false}, {5, false, false}, {1000, true, true}, {1000, false, false}, {sequence, true, true}, {sequence, false, false}} {
		if got := w.fresh(c.seq); got != c.fresh {
			t.Errorf("%d: fresh is %v, want %v", c.seq, got, c.fresh)
		}
		if c.fresh && w.mark(c.seq) != c.newest {
			t.Errorf("%d: newest is %v, want %v", c.seq, !c.newest, c.newest)
		}
	}
}

// protections gives both directions of each suite, with and without the MAC over the ciphertext.
func protections(t testing.TB, each func(name string, client, server protection)) {
	t.Helper()
	var random [32]byte
	for _, s := range suites {
		for name, then := range map[string]bool{s.name: false, s.name + "/encrypt_then_mac": s.mode == modeCBC} {
			in, out, err := s.keys(make([]byte, masterSize), &random, &random, then)
			if err != nil {
				t.Fatal(err)
			}
			// A client seals with the keys that the server opens with.
			sealer, _, err := s.keys(make([]byte, masterSize), &random, &random, then)
			if err != nil {
				t.Fatal(err)
			}
			_ = out
			each(name, sealer, in)
		}
	}
}

// TestRecordsThatWereChangedDoNotOpen changes each byte of a record of each suite, with and without a connection id.
func TestRecordsThatWereChangedDoNotOpen(t *testing.T) {
	t.Parallel()
	protections(t, func(name string, out, in protection) {
		for _, cid := range [][]byte{nil, newCID()} {
			for _, size := range []int{0, 1, 15, 16, 17, 47, 48, 255, 1280} {
				content := bytes.Repeat([]byte{7}, size)
				sealed := out.seal(nil, typeData, epochOne|9, cid, content)
				r, rest, ok := nextRecord(bytes.Clone(sealed))
				if !ok || len(rest) != 0 {
					t.Fatalf("%s: %d bytes make no record", name, size)
				}
				typ, got, err := in.open(&r)
				if err != nil || typ != typeData || !bytes.Equal(got, content) {
					t.Fatalf("%s: %d bytes come back as %d of type %d: %v", name, size, len(got), typ, err)
				}
				if size > 48 {
					continue
				}
				for i := range sealed {
					if i == 1 || i == 2 {
						continue // the version is compared before
					}
					broken := bytes.Clone(sealed)
					broken[i] ^= 0x01
					if r, _, ok := nextRecord(broken); ok {
						if _, _, err := in.open(&r); !errors.Is(err, errRecord) {
							t.Fatalf("%s: byte %d of %d changed, and the record opens", name, i, len(sealed))
						}
					}
				}
			}
		}
	})
}

// TestRSAPremasterNeverTells gives garbage of the key's length a random secret, another one each time (Bleichenbacher).
func TestRSAPremasterNeverTells(t *testing.T) {
	t.Parallel()
	certificate, _ := authority()
	h := &handshake{certificate: certificate}
	body := append([]byte{1, 0}, make([]byte, 256)...)
	_, _ = rand.Read(body[3:]) // its first byte is 0, so it is less than the modulus
	first, err := h.rsaPremaster(body)
	if err != nil || len(first) != rsaPremaster {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	second, err := h.rsaPremaster(body)
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("the same secret twice, or %v", err)
	}
	for _, b := range [][]byte{nil, {1}, {0, 1}, {0, 1, 2, 3}} {
		if _, err := h.rsaPremaster(b); !errors.Is(err, errKeyExchange) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// TestAssembly puts pieces together in any order, and nothing else.
func TestAssembly(t *testing.T) {
	t.Parallel()
	whole := []byte("0123456789")
	piece := func(from, to int) *fragment {
		return &fragment{typ: 16, length: 10, offset: from, body: whole[from:to]}
	}
	var a assembly
	for _, f := range []*fragment{piece(8, 10), piece(0, 3), piece(0, 3), piece(2, 5), {typ: 16, length: 9, offset: 5, body: whole[5:8]}, {typ: 11, length: 10, offset: 5, body: whole[5:8]}} {
		if a.add(f) {
			t.Fatal("whole too early")
		}
	}
	if !a.add(piece(5, 8)) || !bytes.Equal(a.body, whole) {
		t.Errorf("got %q", a.body)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(aHello(nil)[headerLen+messageHeader:])
	f.Add(aHello(make([]byte, cookieSize), 0, extConnectionID, 0, 2, 1, 9, 0, extExtendedMaster, 0, 0, 0, extMaxFragmentLength, 0, 1, 2)[headerLen+messageHeader:])
	f.Add([]byte{})
	key := newCookieKey()
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		now := time.Unix(1_700_000_000, 0)
		if key.good(h, client, now) {
			t.Errorf("a cookie was guessed: %x", h.cookie)
		}
		if h.cookie = key.cookie(h, client, now); !key.good(h, client, now) {
			t.Error("a cookie is not good")
		}
		if s := choose(h, true, true); s != nil && s.exchange == exchangeECDHE && (h.curve() == nil || h.scheme() == nil) {
			t.Errorf("%s without what it needs", s.name)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(aHello(nil))
	protections(f, func(_ string, out, _ protection) {
		f.Add(out.seal(out.seal(nil, typeData, epochOne, nil, []byte("x")), typeAlert, epochOne|1, newCID(), []byte{1, 0}))
	})
	var opens []protection
	protections(f, func(_ string, _, in protection) { opens = append(opens, in) })
	f.Fuzz(func(t *testing.T, b []byte) {
		total := len(b)
		for len(b) > 0 {
			r, rest, ok := nextRecord(b)
			if !ok {
				return
			}
			if len(r.body) == 0 || len(rest) >= len(b) || len(r.body) > total {
				t.Fatal("a record without end")
			}
			for c := r.body; len(c) > 0; {
				piece, more, ok := nextFragment(c)
				if !ok {
					break
				}
				if piece.offset+len(piece.body) > piece.length {
					t.Fatal("a piece is larger than its message")
				}
				c = more
			}
			for _, in := range opens {
				again := r
				again.body = bytes.Clone(r.body)
				_, content, err := in.open(&again)
				if err == nil && len(content) > len(r.body) {
					t.Fatal("more came out than went in")
				}
			}
			b = rest
		}
	})
}

// FuzzServer gives datagrams to a server with a handshake on its way: it neither panics nor is it established by any.
func FuzzServer(f *testing.F) {
	f.Add(aHello(nil))
	f.Add(append(appendHeader(nil, typeHandshake, version12, 1, nil, messageHeader+4), message(msgClientKeyExchange, 1, []byte{0, 2, 'i', 'd'})...))
	f.Add(appendHeader(nil, typeData, version12, epochOne, nil, 0))
	f.Add([]byte{typeAlert, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := start(t, nil)
		pc := s.sockets[0]
		addr := netip.MustParseAddrPort("127.0.0.1:9")
		d := aHello(nil)
		h, err := parseHello(d[headerLen+messageHeader:])
		if err != nil {
			t.Fatal(err)
		}
		r, _, _ := nextRecord(d)
		piece, _, _ := nextFragment(r.body)
		s.admit(h, &r, &piece, addr, pc)
		panics := s.meter.panics
		s.take(b, addr, pc)
		s.take(bytes.Clone(b), addr, pc)
		if n, _ := s.Len(); n != 0 {
			t.Error("established by a stranger's datagram")
		}
		if n := count(panics); n != 0 {
			t.Errorf("%v panics", n)
		}
	})
}
