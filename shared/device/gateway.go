package device

import "relink/shared/iot"

// Kinds of devices (Grant.NodeType, product's NodeType).
const (
	NodeDevice  = 0
	NodeGateway = 1
)

// SubSessions is what function topology tells the connector with its answer to combine/login, logout and their batches (Result.Data, as
// JSON): which sub-devices from now on speak, and are spoken to, over the gateway's connection, and which no longer do. The connector
// acts on it before the gateway hears the reply.
type SubSessions struct {
	Login  []Grant  `json:"login,omitempty"`  // sessions taken for the gateway's node; the same as for a device with a connection of its own
	Logout []SubEnd `json:"logout,omitempty"` // sessions that have ended
}

// A SubEnd is the end of one sub-device's session.
type SubEnd struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
	Epoch      int64          `json:"epoch"` // a newer session is not touched
}
