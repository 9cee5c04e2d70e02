// Package downlink is the internal API of a connector as its callers see it: the functions that have something for one device,
// and another connector that took a session over. It is plain HTTP with JSON, signed with a key that every part of one
// installation shares, on a port that devices cannot reach.
//
//	POST /v1/publish    Publish   → Outcome
//	POST /v1/drop       Drop      → Outcome
//	POST /v1/broadcast  Broadcast → Outcome
//	POST /v1/classes    Classes   → Outcome
//	POST /v1/forget     Forget    → Outcome
//
// A device is addressed by its name; a connector only ever writes to that device's own connection, which for a sub-device is its
// gateway's. Broadcast and Classes are for all devices of a product, and go to every connector (broadcast.go); so does Forget, because any
// connector may know a device that has no connection.
package downlink

import "relink/shared/iot"

// Paths of the internal API.
const (
	PathPublish   = "/v1/publish"
	PathDrop      = "/v1/drop"
	PathBroadcast = "/v1/broadcast"
	PathClasses   = "/v1/classes"
	PathForget    = "/v1/forget"
)

// MaxBody bounds a request: a payload of 256 KB in base64 with room for the rest.
const MaxBody = 512 << 10

// MaxWait bounds a synchronous call ("RRPC wait", 8 s), in milliseconds.
const MaxWait = 8000

// A Publish is one message for one device.
type Publish struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
	MessageID  string         `json:"messageId"`
	Topic      string         `json:"topic"`
	Payload    []byte         `json:"payload"`
	QoS        byte           `json:"qos"`
	// At is when the message was accepted, Unix milliseconds; with MessageID it is the message's place in the queue of a device that is
	// away. ExpiresAt, if set, is when it is no longer worth delivering (MQTT 5.0, Message Expiry).
	At        int64 `json:"at,omitempty"`
	ExpiresAt int64 `json:"expiresAt,omitempty"`
	// QueueID says that the message is in the device's queue; the function `command` sets it. The connector sends it in its turn, and
	// has it taken out when the device has acknowledged it.
	QueueID string `json:"queueId,omitempty"`
	// ReplyTopic, if set, makes the call synchronous: the answer that the device publishes there, within WaitMS, comes back as
	// Outcome.Reply. For sessions with ExtRRPC the caller gives ExtTopic too, and the connector takes it for both directions.
	ReplyTopic string `json:"replyTopic,omitempty"`
	ExtTopic   string `json:"extTopic,omitempty"`
	WaitMS     int    `json:"waitMs,omitempty"`
	// Via, if set, is the gateway of a sub-device: the message goes over its connection whether or not the sub-device is logged in
	// there ("Disable, enable, delete"). The topic is one of the sub-device's that needs no SUBSCRIBE. That the sub-device is in the
	// gateway's topology is for the caller to know. It cannot be a synchronous call.
	Via *Gateway `json:"via,omitempty"`
}

// A Gateway addresses a device that others speak through.
type Gateway struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
}

// Ref addresses the gateway.
func (g *Gateway) Ref() iot.DeviceRef {
	return iot.DeviceRef{ProductKey: g.ProductKey, DeviceName: g.DeviceName}
}

// Ref addresses the device.
func (p *Publish) Ref() iot.DeviceRef {
	return iot.DeviceRef{ProductKey: p.ProductKey, DeviceName: p.DeviceName}
}

// A Drop ends a device's session if that is not newer than Epoch (0: whatever its session). A device loses its connection with it. A
// sub-device does not take its gateway's along: the gateway is told on /ext/error ("When a sub-device loses its session").
type Drop struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
	Epoch      int64          `json:"epoch,omitempty"`
	Reason     string         `json:"reason"` // taken_over, disabled, deleted, topology_removed
}

// A Forget says that what a device may do has changed: it was disabled, deleted, or its secret was changed. What a connector knows of it as
// of one that speaks with a token is to be asked for again.
type Forget struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
}

// Ref addresses the device.
func (f *Forget) Ref() iot.DeviceRef {
	return iot.DeviceRef{ProductKey: f.ProductKey, DeviceName: f.DeviceName}
}

// A State says what became of a request.
type State string

// The states.
const (
	Sent         State = "sent"           // written to the connection; for a synchronous call: and answered
	Queued       State = "queued"         // it waits in the queue of the device, whose session is persistent, and is delivered from there
	QueueFull    State = "queue_full"     // the device is away, and as much as may waits for it already; nothing was kept
	Limited      State = "rate_limited"   // the device has been sent as many messages as it may within a second; nothing was written
	Dropped      State = "dropped"        // the connection was ended
	Offline      State = "offline"        // no session of this device here
	Unsubscribed State = "not_subscribed" // connected, but it has not subscribed the topic
	Refused      State = "not_permitted"  // the device may not receive this topic
	Busy         State = "busy"           // its outgoing queue is full; nothing was written
	TimedOut     State = "timeout"        // written, but no answer came within WaitMS
	HalfOpen     State = "half_open"      // written to a connection that turned out to be dead while an answer was waited for
	Partly       State = "partly"         // of a message for a product: some connectors were not reached; see Missed
)

// An Outcome answers a request.
type Outcome struct {
	State State  `json:"state"`
	Epoch int64  `json:"epoch,omitempty"` // of the session that was addressed
	Reply []byte `json:"reply,omitempty"` // what the device answered
	// Settled says of a message with a QueueID that nothing more comes of it: it was sent and will not be acknowledged (the device
	// subscribed with QoS 0), or the device will not have it.
	Settled bool `json:"settled,omitempty"`
	// Count is how many devices a message for a product was written to, and Missed how many connectors could not be told.
	Count  int `json:"count,omitempty"`
	Missed int `json:"missed,omitempty"`
}

// A Command is the event of the function `command`: exactly one member is set. The function finds the connector that holds the
// device and answers its Outcome as JSON.
type Command struct {
	Publish   *Publish   `json:"publish,omitempty"`
	Drop      *Drop      `json:"drop,omitempty"`
	Broadcast *Broadcast `json:"broadcast,omitempty"`
	Classes   *Classes   `json:"classes,omitempty"`
	Forget    *Forget    `json:"forget,omitempty"`
}
