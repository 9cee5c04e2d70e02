package session

import (
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Operations of events; the field `operation` of the device log.
const (
	OpAuth        = "auth"
	OpRegister    = "register" // dynamic registration
	OpPreAuth     = "preauth"  // pre-authentication and bootstrap
	OpUplink      = "uplink"
	OpDownlink    = "downlink"
	OpReply       = "reply"
	OpOnline      = "online"
	OpOffline     = "offline"
	OpSubscribe   = "subscribe"
	OpUnsubscribe = "unsubscribe"
)

// An Event is something that happened to one device, for the device log. It holds no secret and no payload.
type Event struct {
	Device     iot.DeviceRef // as claimed, for a refused login; may be zero
	IotID      iot.IotID
	Operation  string
	Topic      string
	MessageID  string
	Code       int // 200, or the protocol's code; successes may be sampled
	Reason     refusal.Cause
	Detail     string
	Signed     string // the string that the server signed, of a refused login
	RemoteAddr string
	LatencyMS  int64
	RequestID  string // of the invocation that decided
	Bytes      int    // of the payload
	QoS        byte
}

// A Journal writes events to the device log. It never blocks.
type Journal interface {
	Record(Event)
}
