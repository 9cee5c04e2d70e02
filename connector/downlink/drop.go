package downlink

import (
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// reasons are what a Drop may give as its reason; anything else is an operator's kick.
var reasons = map[string]refusal.Cause{
	string(refusal.TakenOver): refusal.TakenOver,
	string(refusal.Disabled):  refusal.Disabled,
	string(refusal.Deleted):   refusal.Deleted,

	string(refusal.TopologyRemoved): refusal.TopologyRemoved,
}

// drop ends a device's session, unless its session is newer than what the caller knows.
func (s *Server) drop(d *downlink.Drop) downlink.Outcome {
	ref := iot.DeviceRef{ProductKey: d.ProductKey, DeviceName: d.DeviceName}
	cause, ok := reasons[d.Reason]
	if !ok {
		cause = refusal.Kicked
	}
	if cause == refusal.Disabled || cause == refusal.Deleted || cause == refusal.Kicked {
		s.Drops.Note(ref, cause, s.Now()) // a login may be under way that read the device, or its certificate, before
		s.forget(ref)
	}
	sess := s.Registry.Get(ref)
	if cause == refusal.TopologyRemoved && sess != nil && sess.Gateway() == nil {
		sess = nil // it has a connection of its own by now, which is no gateway's concern
	}
	if sess == nil {
		return downlink.Outcome{State: downlink.Offline}
	}
	if d.Epoch != 0 && sess.Grant.Epoch > d.Epoch {
		return downlink.Outcome{State: downlink.Offline, Epoch: sess.Grant.Epoch}
	}
	sess.End(cause, "")
	return downlink.Outcome{State: downlink.Dropped, Epoch: sess.Grant.Epoch}
}
