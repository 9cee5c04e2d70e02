package session

import (
	"encoding/json"

	"relink/shared/device"
	"relink/shared/record"
	"relink/shared/refusal"
)

// RefusalOf reads why a function refused. If it did not say, that is what the dispatcher says of the record.
func RefusalOf(r *record.Result) *device.Refusal {
	var why device.Refusal
	if json.Unmarshal(r.Data, &why) != nil || why.Cause == "" {
		return &device.Refusal{Cause: r.Reason, Detail: r.Detail}
	}
	return &why
}

// Blames reports whether a refused login or registration counts against the budget of its source: not if the fault is ours, or the sender has
// proved to know a secret (function auth looks at the signature of a registration before it looks at the device).
func Blames(operation string, cause refusal.Cause) bool {
	switch cause {
	case refusal.DeviceNotFound:
		return operation != OpRegister
	case refusal.BackendUnavailable, refusal.FunctionFailed, refusal.DeadlineExceeded, refusal.StoreThrottled, refusal.InternalError, refusal.Shutdown,
		refusal.NodeFull, refusal.NodeStopping, refusal.RateLimitedSource, refusal.RateLimitedDevice,
		refusal.DeviceDisabled, refusal.AuthMethodNotAllowed, refusal.RegistrationOff, refusal.AlreadyActivated, refusal.TooManyPhysicalDevices:
		return false
	}
	return true
}
