package iot

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	const hidden = "0123456789abcdef"
	s := Secret(hidden)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S Secret }{s})
	encoded, err := json.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q %s", s, s, s, s, s), log.String(), string(encoded)} {
		if strings.Contains(out, hidden) {
			t.Errorf("%q shows the secret", out)
		}
	}
	if s.Reveal() != hidden {
		t.Error("Reveal does not give the secret")
	}
}

// Stored keys begin with the hash: it must never change.
func TestHashIsStable(t *testing.T) {
	t.Parallel()
	for ref, want := range map[DeviceRef]uint32{
		{"a1B2c3D4e5F", "lamp-001"}: 0xe0100e38,
		{"", ""}:                    0x2a0c975e,
	} {
		if got := ref.Hash(); got != want {
			t.Errorf("%s: %#x, want %#x", ref, got, want)
		}
	}
	if (DeviceRef{"ab", "c"}).Hash() == (DeviceRef{"a", "bc"}).Hash() {
		t.Error("the border between the names does not count")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		fresh, connecting bool
	}{
		{"lamp-001", true, true}, {"a.b:c@d_e", true, true}, {"abc", false, true}, {"", false, false},
		{strings.Repeat("x", 32), true, true}, {strings.Repeat("x", 33), false, false},
		{"with space", false, false}, {"slash/", false, false}, {"plus+", false, false}, {"ümlaut", false, false}, {"nul\x00nul", false, false},
	} {
		if got := ValidNewDeviceName(c.name); got != c.fresh {
			t.Errorf("ValidNewDeviceName(%q) = %t", c.name, got)
		}
		if got := ValidDeviceName(c.name); got != c.connecting {
			t.Errorf("ValidDeviceName(%q) = %t", c.name, got)
		}
	}
	for key, want := range map[string]bool{"a1B2c3D4e5F": true, "": false, "a-b": false, strings.Repeat("x", 33): false} {
		if got := ValidProductKey(key); got != want {
			t.Errorf("ValidProductKey(%q) = %t", key, got)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("outside: %w", Wrap(Throttled, cause, "busy"))
	if KindOf(err) != Throttled || !Is(err, Throttled) || !errors.Is(err, cause) {
		t.Errorf("%v: kind %v", err, KindOf(err))
	}
	if KindOf(cause) != Internal || Is(cause, Internal) {
		t.Error("an unclassified error has no kind, and counts as Internal")
	}
	seen := map[string]bool{}
	for k := range KindCount {
		if s := k.String(); s == "" || seen[s] {
			t.Errorf("kind %d has name %q, which is empty or taken", k, s)
		} else {
			seen[s] = true
		}
	}
}
