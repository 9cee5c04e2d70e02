package session

import (
	"testing"

	"relink/shared/record"
	"relink/shared/refusal"
)

// The budget of a source is of those who guess, not of those who know the product's secret, nor of ours.
func TestProvenSendersAreNotBlamed(t *testing.T) {
	t.Parallel()
	for cause, blamed := range map[refusal.Cause]bool{
		refusal.DeviceNotFound: false, refusal.AlreadyActivated: false, refusal.TooManyPhysicalDevices: false, refusal.RegistrationSignMismatch: true,
		refusal.FunctionFailed: false, refusal.BackendUnavailable: false,
	} {
		if got := Blames(OpRegister, cause); got != blamed {
			t.Errorf("a registration refused as %s: blamed %t", cause, got)
		}
	}
	if !Blames(OpAuth, refusal.DeviceNotFound) || !Blames(OpPreAuth, refusal.DeviceNotFound) {
		t.Error("who guesses names of devices is not blamed")
	}
}

func TestRefusalOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, cause, detail string }{
		{`{"cause":"sign_mismatch","detail":"d"}`, "sign_mismatch", "d"}, {`{}`, "dead_letter", "of the dispatcher"}, {``, "dead_letter", "of the dispatcher"}, {`{`, "dead_letter", "of the dispatcher"},
	} {
		got := RefusalOf(&record.Result{Data: []byte(c.data), Reason: "dead_letter", Detail: "of the dispatcher"})
		if got.Cause != c.cause || got.Detail != c.detail {
			t.Errorf("%q: %+v", c.data, got)
		}
	}
}
