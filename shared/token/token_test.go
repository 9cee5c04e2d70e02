package token

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"relink/shared/config"
	"relink/shared/iot"
)

func sealer(t testing.TB, key byte) *Sealer {
	t.Helper()
	s, err := New(config.Key{key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claims() Claims {
	return Claims{
		Device: iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}, Iot: HashOf("iot1"), Serial: 3,
		IssuedAt: 1_700_000_000, ExpiresAt: 1_700_604_800, Family: HTTP,
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	long := claims()
	long.Device = iot.DeviceRef{ProductKey: iot.ProductKey(strings.Repeat("p", 32)), DeviceName: iot.DeviceName(strings.Repeat("d", 32))}
	short := claims()
	short.Device, short.Family, short.Serial = iot.DeviceRef{ProductKey: "p", DeviceName: "d"}, CoAP, 0
	for name, want := range map[string]Claims{"usual": claims(), "long": long, "short": short} {
		text, err := s.Seal(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(text) != Length || Length > 192 || strings.ContainsAny(text, `"\+/=`) {
			t.Errorf("%s: %d characters, want %d: %s", name, len(text), Length, text)
		}
		if got, err := s.Open(text); err != nil || got != want {
			t.Errorf("%s: Open = %+v, %v, want %+v", name, got, err, want)
		}
		if again, err := s.Seal(want); err != nil || again == text {
			t.Errorf("%s: two tokens are one: %v", name, err)
		}
	}
}

func TestNotOpened(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	text, err := s.Seal(claims())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := sealer(t, 2).Seal(claims())
	if err != nil {
		t.Fatal(err)
	}
	last := "A"
	if strings.HasSuffix(text, last) {
		last = "B"
	}
	for name, bad := range map[string]string{
		"empty": "", "cut": text[:len(text)-1], "longer": text + "A", "changed": "A" + flipped(text[0]) + text[2:], "other_end": text[:len(text)-1] + last,
		"of_another_installation": foreign, "not_base64": strings.Repeat("!", Length), "padding_bits": strings.Repeat("_", Length),
	} {
		if _, err := s.Open(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, ErrMalformed)
		}
	}
}

func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestNotSealed(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	for name, change := range map[string]func(*Claims){
		"no_product":   func(c *Claims) { c.Device.ProductKey = "" },
		"no_device":    func(c *Claims) { c.Device.DeviceName = "" },
		"long_product": func(c *Claims) { c.Device.ProductKey = iot.ProductKey(strings.Repeat("p", 33)) },
		"no_family":    func(c *Claims) { c.Family = 0 },
		"ends_before":  func(c *Claims) { c.ExpiresAt = c.IssuedAt - 1 },
	} {
		c := claims()
		change(&c)
		if text, err := s.Seal(c); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	if _, err := New(config.Key{}, nil); err == nil {
		t.Error("a sealer without a key")
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	for protocol, want := range map[string]Family{"http": HTTP, "https": HTTP, "coap": CoAP, "coaps": CoAP, "mqtt": 0, "": 0} {
		if got, ok := FamilyOf(protocol); got != want || ok != (want != 0) {
			t.Errorf("FamilyOf(%q) = %v, %v", protocol, got, ok)
		}
	}
}

// FuzzOpen: what opens is what was sealed, to the character.
func FuzzOpen(f *testing.F) {
	s, err := New(config.Key{1}, rand.NewChaCha8([32]byte{})) // the fuzzer's processes make the same token
	if err != nil {
		f.Fatal(err)
	}
	text, err := s.Seal(claims())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", text, text[:20], text + "A", strings.Repeat("A", Length), strings.ToUpper(text)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		c, err := s.Open(input)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("Open(%q): %v", input, err)
			}
			return
		}
		if input != text || c != claims() {
			t.Errorf("Open(%q) = %+v: nobody sealed that", input, c)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(b, 1)
	text, err := s.Seal(claims())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(text); err != nil {
			b.Fatal(err)
		}
	}
}
