package downlink

import (
	"time"

	"relink/shared/device"
	"relink/shared/iot"
)

// MaxBroadcast bounds the payload of a broadcast ("Broadcast", 64 KB).
const MaxBroadcast = 64 << 10

// BroadcastPatience is what a connector may take to write a broadcast to all its devices.
const BroadcastPatience = 7 * time.Second

// A Broadcast is one message for the devices of a product that are online, sub-devices included. It is sent with QoS 0 and kept for nobody.
type Broadcast struct {
	ProductKey iot.ProductKey `json:"productKey"`
	MessageID  string         `json:"messageId"`
	// Topic is /broadcast/{pk}/…, and who has subscribed it is reached; empty, every device is, on its own
	// /sys/{pk}/{dn}/broadcast/request/{MessageID} ("Broadcast").
	Topic   string `json:"topic,omitempty"`
	Payload []byte `json:"payload"`
}

// Classes are the custom topic classes of a product as of a revision of it, for the sessions that its devices have.
type Classes struct {
	ProductKey iot.ProductKey      `json:"productKey"`
	Revision   int64               `json:"revision"`
	Topics     []device.TopicClass `json:"topics"`
}
