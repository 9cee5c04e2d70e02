package mqtt

import (
	"bytes"
	"io"
	"testing"

	"relink/shared/device"
)

// FuzzHeader: what is read is what would be written.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{"\x10\x00", "\x30\xff\xff\xff\x7f", "\x30\xff\xff\xff\xff\x01", "\xc0", "\x30\x80\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, n, body, err := parseHeader(b)
		if err != nil || n == 0 {
			return
		}
		again, m, size, err := parseHeader(appendHeader(nil, first, body))
		if err != nil || m == 0 || again != first || size != body || m > n {
			t.Errorf("% x: %#x %d %d, again %#x %d %d, %v", b[:n], first, n, body, again, m, size, err)
		}
	})
}

// FuzzFilters: any SUBSCRIBE or UNSUBSCRIBE is read or refused, and what is read lies in it.
func FuzzFilters(f *testing.F) {
	f.Add(byte(5), true, []byte{0, 1, 0, 0, 0}) // crashed mochi-mqtt
	f.Add(byte(4), true, []byte{0, 1, 0, 1, 'x', 1})
	f.Add(byte(5), true, []byte{0, 1, 2, 11, 1, 0, 1, 'x', 1})
	f.Add(byte(4), false, []byte{0, 1, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, version byte, options bool, body []byte) {
		c := &conn{version: 3 + version%3}
		kind := byte(typeUnsubscribe)
		if options {
			kind = typeSubscribe
		}
		id, list, err := c.filters(kind, body, options)
		if err != nil {
			return
		}
		if id == 0 || len(list) == 0 {
			t.Errorf("% x: id %d, %d filters", body, id, len(list))
		}
		for _, f := range list {
			if !bytes.Contains(body, f.text) {
				t.Errorf("% x: filter %q is not in it", body, f.text)
			}
		}
	})
}

// FuzzProperties: the properties of a PUBLISH never panic and never give more aliases than announced.
func FuzzProperties(f *testing.F) {
	f.Add([]byte{3, 35, 0, 1}, []byte("/x"))
	f.Add([]byte{3, 35, 0, 21}, []byte("/x"))
	f.Add([]byte{5, 38, 0, 0, 0, 0}, []byte(""))
	f.Fuzz(func(t *testing.T, block, name []byte) {
		block, _, err := propertiesAt(block, 0)
		if err != nil {
			return
		}
		c := &conn{version: 5}
		if _, _, err := c.properties(block, name); err == nil && len(c.aliases) > maxAlias {
			t.Errorf("%d aliases", len(c.aliases))
		}
	})
}

// FuzzStream: however a stream is cut into reads, the packets in it are the same.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\x30\x03\x00\x01x\xc0\x00\x82\x00"), byte(1))
	f.Add(append([]byte{0x30, 0xd0, 0x0f}, make([]byte, 2000)...), byte(7))
	f.Fuzz(func(t *testing.T, stream []byte, step byte) {
		read := func(step int) (all [][]byte) {
			c := &conn{srv: &Server{meter: quiet{}}, stream: &stepped{stream, step}, grant: &device.Grant{}}
			c.in.limit = 64 << 10
			for {
				first, body, err := c.next()
				if err != nil {
					return all
				}
				all = append(all, append([]byte{first}, body...))
			}
		}
		whole, cut := read(1<<20), read(1+int(step))
		if len(whole) != len(cut) {
			t.Fatalf("%d packets, cut %d", len(whole), len(cut))
		}
		for i := range whole {
			if !bytes.Equal(whole[i], cut[i]) {
				t.Fatalf("packet %d differs", i)
			}
		}
	})
}

type stepped struct {
	b    []byte
	step int
}

func (s *stepped) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b[:min(s.step, len(s.b))])
	s.b = s.b[n:]
	return n, nil
}

func (s *stepped) Write(p []byte) (int, error) { return len(p), nil }

type quiet struct{ Meter }

func (quiet) Received(int) {}

// FuzzWithoutWill: a CONNECT without its will is never longer, and has no will.
func FuzzWithoutWill(f *testing.F) {
	f.Add([]byte("\x00\x04MQTT\x04\xe6\x00\x3c\x00\x01i\x00\x01t\x00\x00\x00\x01u\x00\x01p"))
	f.Add([]byte("\x00\x04MQTT\x04\x06\x00\x3c\x00\x01i\x00\x09t"))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		out := withoutWill(body)
		if !bytes.Equal(before, body) || len(out) > len(body) {
			t.Errorf("% x became % x", before, out)
		}
		if again := withoutWill(out); len(out) < len(body) && !bytes.Equal(again, out) {
			t.Errorf("% x still has a will", out)
		}
	})
}

// An empty password is the same as none; any other stays.
func TestWithoutEmptyPassword(t *testing.T) {
	t.Parallel()
	const head, tail = "\x00\x04MQTT\x04", "\x00\x3c\x00\x01i\x00\x01u"
	for in, want := range map[string]string{
		head + "\xc2" + tail + "\x00\x00":  head + "\x82" + tail,
		head + "\xc2" + tail + "\x00\x01p": head + "\xc2" + tail + "\x00\x01p",
		head + "\xc2" + tail:               head + "\xc2" + tail,
		head + "\x82" + tail:               head + "\x82" + tail,
		head + "\xc2\x00":                  head + "\xc2\x00",
	} {
		if got := string(withoutEmptyPassword([]byte(in))); got != want {
			t.Errorf("% x became % x, want % x", in, got, want)
		}
	}
}
