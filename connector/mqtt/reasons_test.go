package mqtt

import (
	"testing"

	"relink/shared/refusal"
)

// Every cause for which a login can be refused has a CONNACK, or is known to have none.
func TestEveryLoginCauseHasACode(t *testing.T) {
	t.Parallel()
	for _, e := range refusal.All() {
		if e.Cause == refusal.TopicNotOwn {
			break // logins come first
		}
		code, told := connackCodes[e.Cause]
		if told == silentCauses[e.Cause] {
			t.Errorf("%s: has to be in exactly one of connackCodes and silentCauses", e.Cause)
		}
		if told && (code.v3 < 1 || code.v3 > 5 || code.v5 < 0x80) {
			t.Errorf("%s: codes %+v", e.Cause, code)
		}
	}
	if got := connackOf("something new", 4); got != 3 {
		t.Errorf("unknown cause: code %d, want 3", got)
	}
}

// Causes that a function may refuse with do not tell product, device and signature apart.
func TestNothingIsRevealed(t *testing.T) {
	t.Parallel()
	for _, c := range []refusal.Cause{refusal.ProductNotFound, refusal.DeviceNotFound, refusal.SignMismatch, refusal.SignLength} {
		if connackCodes[c] != (connackCode{4, 0x86}) {
			t.Errorf("%s: %+v", c, connackCodes[c])
		}
	}
}
