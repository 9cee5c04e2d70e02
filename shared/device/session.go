// Package device is what is known about one device: who it claims to be when it connects, what it was granted, and where it is
// connected; and of the connectors that hold connections, their leases. Its types travel as JSON in the payload of internal records (package record) between the connector and the
// functions auth and lifecycle. Members may be added; a reader ignores what it does not know.
package device

import "relink/shared/iot"

// Topics of internal records. They do not begin with a slash, so no device can send one.
const (
	TopicLogin   = "auth/login"        // payload Login; function auth; Result.Data is a Grant (code 200) or a Refusal
	TopicOnline  = "lifecycle/online"  // payload Online; function lifecycle; code 403 or 404 if the device was disabled or deleted meanwhile
	TopicOffline = "lifecycle/offline" // payload Offline; function lifecycle
	TopicLease   = "lifecycle/lease"   // payload Lease; function lifecycle

	TopicSubscriptions = "lifecycle/subscriptions" // payload Subscriptions; function lifecycle; code 409 if a newer session holds the device
)

// A Login is what a device presented, before anything is believed. It carries the password: it is never logged.
type Login struct {
	Protocol   string `json:"protocol"`  // mqtt
	Version    byte   `json:"version"`   // 3, 4 or 5 for MQTT 3.1, 3.1.1 and 5.0
	Transport  string `json:"transport"` // tcp, tls, ws, wss
	RemoteAddr string `json:"remoteAddr"`
	ClientID   string `json:"clientId"` // whole, with its parameters
	Username   string `json:"username"`
	Password   string `json:"password"`
	KeepAlive  uint16 `json:"keepAlive"` // seconds
	CleanStart bool   `json:"cleanStart"`
	Expiry     uint32 `json:"expiry,omitempty"` // 5.0: Session Expiry Interval in seconds
	// Certificate is the client certificate that came with TLS, the leaf alone, in DER ("X.509"); empty if there was none.
	Certificate []byte `json:"certificate,omitempty"`
	Node        string `json:"node"` // node id of the connector that will hold the session
	At          int64  `json:"at"`   // Unix milliseconds
}

// Persistent reports whether the device wants its MQTT session kept when the connection ends, and for how many seconds; 0: no end.
func (l *Login) Persistent() (keep bool, seconds int64) {
	if l.Version < 5 {
		return !l.CleanStart, 0
	}
	if l.Expiry == ^uint32(0) { // [MQTT-3.1.2.11.2]
		return true, 0
	}
	return l.Expiry > 0, int64(l.Expiry)
}

// A Grant is what auth allows one connection.
type Grant struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
	IotID      iot.IotID      `json:"iotId"`
	Epoch      int64          `json:"epoch"`                // grows with every session of the device; the greater one wins
	NodeType   int            `json:"nodeType"`             // 0 device, 1 gateway
	DataFormat int            `json:"dataFormat"`           // 0 raw, 1 Alink JSON
	ExtRRPC    bool           `json:"extRrpc"`              // clientId parameter ext, bit 0: synchronous calls come on /ext/rrpc/…
	Topics     *Classes       `json:"topics"`               // custom topic classes of the product
	TopicsAt   int64          `json:"topicsAt,omitempty"`   // revision of the product that has them; the greater one holds
	Subscribed []Subscription `json:"subscribed,omitempty"` // what the device subscribed in earlier sessions
	Muted      []string       `json:"muted,omitempty"`      // filters that it unsubscribed although they are automatic
	ExpiresAt  int64          `json:"expiresAt"`            // Unix milliseconds; the connector ends the connection then
	// What MQTT calls the session ("MQTT behaviour after CONNECT", CleanSession).
	Present   bool  `json:"present,omitempty"`   // it was kept from an earlier connection
	Since     int64 `json:"since,omitempty"`     // epoch of the connection that began it
	Queued    bool  `json:"queued,omitempty"`    // messages may wait in the queue: Online asks for them
	QueueFrom int64 `json:"queueFrom,omitempty"` // Unix milliseconds: those queued before are discarded
	Discard   bool  `json:"discard,omitempty"`   // there may be such

	Previous *Owner   `json:"previous,omitempty"` // another node that held a session of this device; tell it to drop
	Warning  *Refusal `json:"warning,omitempty"`  // to be logged: the login is granted, and something about it is wrong
}

// Ref addresses the device.
func (g *Grant) Ref() iot.DeviceRef {
	return iot.DeviceRef{ProductKey: g.ProductKey, DeviceName: g.DeviceName}
}

// An Owner is a connector that holds, or held, a device's session.
type Owner struct {
	Node  string `json:"node"`
	URL   string `json:"url"` // base URL of its internal API
	Epoch int64  `json:"epoch"`
}

// A Refusal says why a login was turned away, for the log and for `relink why`. It holds no secret.
type Refusal struct {
	Cause      string         `json:"cause"` // of package refusal
	Detail     string         `json:"detail,omitempty"`
	ProductKey iot.ProductKey `json:"productKey,omitempty"` // as claimed
	DeviceName iot.DeviceName `json:"deviceName,omitempty"` // as claimed
	Signed     string         `json:"signed,omitempty"`     // the string that the server signed
	Method     string         `json:"method,omitempty"`     // hmacmd5, hmacsha1, hmacsha256
}

// Online says that a granted connection is established.
type Online struct {
	Epoch      int64  `json:"epoch"`
	Node       string `json:"node"`
	RemoteAddr string `json:"remoteAddr"`
	At         int64  `json:"at"`
	Queued     bool   `json:"queued,omitempty"`    // of the grant, as are the next two
	QueueFrom  int64  `json:"queueFrom,omitempty"` // Unix milliseconds
	Discard    bool   `json:"discard,omitempty"`

	// The gateway over whose connection the session is; empty if it has its own.
	GatewayProductKey iot.ProductKey `json:"gatewayProductKey,omitempty"`
	GatewayDeviceName iot.DeviceName `json:"gatewayDeviceName,omitempty"`
}

// A Subscription is one filter that a device has subscribed, with the QoS that it was granted.
type Subscription struct {
	Filter string `json:"filter"`
	QoS    byte   `json:"qos"`
}

// Subscriptions is all that a device has subscribed beyond what is automatic, and what it has muted of that. They belong to the
// device and outlive its connections ("MQTT behaviour after CONNECT"). It is always the whole state, so that the last one holds.
type Subscriptions struct {
	Epoch      int64          `json:"epoch"`
	Subscribed []Subscription `json:"subscribed"`
	Muted      []string       `json:"muted"`
}

// Offline says that a connection ended. The epoch keeps a late one from ending a newer session.
type Offline struct {
	Epoch  int64  `json:"epoch"`
	Node   string `json:"node"`
	Reason string `json:"reason"` // disconnect, closed, keepalive, taken_over, kicked, shutdown, protocol_error …
	At     int64  `json:"at"`
}

// A Lease keeps a node's sessions online. A node renews it every third of its duration; one with Until in the past ends it.
type Lease struct {
	Node     string `json:"node"`
	URL      string `json:"url"` // base URL of its internal API, reachable from the functions
	Until    int64  `json:"until"`
	Sessions int    `json:"sessions"`
	// Lanes are the node's counters since its start, by function. They are in its lease so that no write is spent on them.
	Lanes map[string]LaneCounts `json:"lanes,omitempty"`
}

// LaneCounts are the records that a connector has handed to one function since it started. When nothing is in flight
// In = Stored + Rejected + DeadLettered + Undecided.
type LaneCounts struct {
	In           uint64 `json:"in"`
	Stored       uint64 `json:"stored,omitempty"`       // taken by the function
	Rejected     uint64 `json:"rejected,omitempty"`     // refused by the function; the device has heard it
	DeadLettered uint64 `json:"deadLettered,omitempty"` // no invocation could digest them
	Undecided    uint64 `json:"undecided,omitempty"`    // given up without an answer: the device sends them again
}

// Status is a device's state as the OpenAPI spells it.
type Status string

// The states. A device that is disabled is DISABLE whatever its connection does.
const (
	StatusUnactive Status = "UNACTIVE" // never connected
	StatusOnline   Status = "ONLINE"
	StatusOffline  Status = "OFFLINE"
	StatusDisabled Status = "DISABLE"
)
