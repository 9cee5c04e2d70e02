package device

import "relink/shared/iot"

// Topics of internal records for devices that keep no connection ("HTTP(S) device access", "CoAP device access"). None of them takes the
// MQTT session: a device may have both.
const (
	TopicTokenLogin = "auth/token"  // payload TokenLogin; function auth; Result.Data is a TokenGrant (code 200) or a Refusal
	TopicResume     = "auth/resume" // payload Resume; function auth; Result.Data is a Grant (code 200) or a Refusal
	TopicPSK        = "auth/psk"    // payload PSKLogin; function auth; Result.Data is a PSKGrant (code 200) or a Refusal
)

// A TokenLogin is what a device presented to get a token ("POST /auth"), before anything is believed. It carries a signature: it is never
// logged.
type TokenLogin struct {
	Protocol   string            `json:"protocol"` // http, https, coap, coaps
	Params     map[string]string `json:"params"`   // every member that was submitted as text, numbers as they appear
	RemoteAddr string            `json:"remoteAddr"`
	Node       string            `json:"node"`
	At         int64             `json:"at"` // Unix milliseconds
}

// Claimed is the device that the members of a login or a registration name; zero if they name none.
func Claimed(params map[string]string) iot.DeviceRef {
	if pk, dn := params["productKey"], params["deviceName"]; iot.ValidProductKey(pk) && iot.ValidDeviceName(dn) {
		return iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}
	}
	return iot.DeviceRef{}
}

// A TokenGrant is a token with what the connector needs to serve its device at once. It is never logged.
type TokenGrant struct {
	Token     string `json:"token"`     // of package token
	ExpiresAt int64  `json:"expiresAt"` // Unix milliseconds
	// Random and Key are for protocol coap alone ("Key and encryption"): what the device is told, and the AES key of 16 bytes that it
	// makes of that and its secret.
	Random string `json:"random,omitempty"`
	Key    []byte `json:"key,omitempty"`
	Grant  Grant  `json:"grant"` // its Epoch is 0: it is no session
}

// A Resume asks whether the device of a token may still go on, and as what.
type Resume struct {
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
	IotHash    []byte         `json:"iotHash"` // of the token (token.IotHash)
	Serial     int64          `json:"serial"`  // of the secret that the token was given for
	Protocol   string         `json:"protocol"`
	RemoteAddr string         `json:"remoteAddr"`
	At         int64          `json:"at"`
}

// Ref addresses the device.
func (r *Resume) Ref() iot.DeviceRef {
	return iot.DeviceRef{ProductKey: r.ProductKey, DeviceName: r.DeviceName}
}

// A PSKLogin asks for the key that belongs to an identity ("TLS-PSK and DTLS-PSK").
type PSKLogin struct {
	Identity   string `json:"identity"`
	RemoteAddr string `json:"remoteAddr"`
	At         int64  `json:"at"`
}

// A PSKGrant is that key, and whose it is. It is never logged.
type PSKGrant struct {
	Key        []byte         `json:"key"`
	ProductKey iot.ProductKey `json:"productKey"`
	DeviceName iot.DeviceName `json:"deviceName"`
}

// TopicHeard is the internal record that says that a device without a connection has spoken: payload Heard; function lifecycle.
const TopicHeard = "lifecycle/heard"

// Heard says when a device without a connection was heard of last, at most once a minute.
type Heard struct {
	Protocol   string `json:"protocol"` // http, https, coap, coaps
	RemoteAddr string `json:"remoteAddr"`
	At         int64  `json:"at"` // Unix milliseconds
}

// OnlineFor is for how long, in milliseconds, a device counts as online after a message over a protocol ("Online and offline"): over HTTP
// no longer than the message takes.
func OnlineFor(protocol string) int64 {
	switch protocol {
	case "coap", "coaps":
		return 10 * 60 * 1000
	}
	return 0
}
