package token

import (
	"encoding/json"

	"relink/connector/session"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

// A Refused is a refusal with the device that it is of, as claimed. It wraps a *refusal.Error.
type Refused struct {
	Why    *refusal.Error
	Device iot.DeviceRef
	Signed string // the string that the server signed; empty if it signed none
}

func (r *Refused) Error() string { return r.Why.Error() }

// Unwrap gives the *refusal.Error.
func (r *Refused) Unwrap() error { return r.Why }

func refused(cause refusal.Cause, dev iot.DeviceRef) *Refused {
	return &Refused{Why: refusal.New(cause, ""), Device: dev}
}

// An Undecided says that function auth did not answer, or could not tell. The device may try again.
type Undecided struct{ detail string }

func (u *Undecided) Error() string { return "not decided: " + u.detail }

// answered reads the function's result into answer; the error is a *Refused or an *Undecided.
func answered(dev iot.DeviceRef, result record.Result, err error, answer any) error {
	if err != nil {
		return &Undecided{err.Error()}
	}
	if result.Code == 200 {
		if err := json.Unmarshal(result.Data, answer); err != nil {
			return &Undecided{"the answer is not understood: " + err.Error()}
		}
		return nil
	}
	why := session.RefusalOf(&result)
	cause := refusal.Cause(why.Cause)
	if _, known := refusal.Explain(cause); !known || cause == refusal.BackendUnavailable || result.Retry {
		return &Undecided{"answered " + why.Cause}
	}
	if dev.IsZero() {
		dev = iot.DeviceRef{ProductKey: why.ProductKey, DeviceName: why.DeviceName}
	}
	return &Refused{Why: refusal.New(cause, why.Detail), Device: dev, Signed: why.Signed}
}

// codes are those of refusals in the log, after HTTP.
func codeOf(cause refusal.Cause) int {
	switch cause {
	case refusal.DeviceDisabled, refusal.AuthMethodNotAllowed:
		return 403
	case refusal.RateLimitedSource, refusal.RateLimitedDevice:
		return 429
	case refusal.TokenLoginMalformed, refusal.SignMethodUnknown:
		return 400
	case refusal.BackendUnavailable:
		return 500
	}
	return 401
}

// turnAway notes a refusal, or that nothing was decided, and gives the error back.
func (k *Keeper) turnAway(err error, protocol, remoteAddr string) error {
	e := session.Event{Operation: session.OpAuth, Reason: refusal.BackendUnavailable, Detail: protocol + ": " + err.Error(), RemoteAddr: remoteAddr}
	if r, ok := err.(*Refused); ok {
		e.Device, e.Reason, e.Signed, e.Detail = r.Device, r.Why.Cause, r.Signed, protocol
		if r.Why.Detail != "" {
			e.Detail += ": " + r.Why.Detail
		}
		if budget := k.budget(protocol); budget != nil && blames(r.Why.Cause, protocol) {
			budget.Fail(addrOf(remoteAddr))
		}
	}
	e.Code = codeOf(e.Reason)
	if k.opts.Refused != nil {
		k.opts.Refused(e.Reason)
	}
	k.opts.Journal.Record(e)
	return err
}

// blames reports whether a refusal counts against the budget of its source: not if who sent it has proved to know a secret, or did only what
// a device does whose token has come to its end.
func blames(cause refusal.Cause, protocol string) bool {
	switch cause {
	case refusal.TokenExpired, refusal.TokenRevoked, refusal.TokenOtherProtocol:
		return false
	case refusal.TokenMissing, refusal.TokenMalformed:
		return protocol != "coap" // of an address that nobody has verified
	}
	return session.Blames(session.OpAuth, cause)
}
