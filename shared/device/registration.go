package device

import "relink/shared/iot"

// Topics of internal records by which devices ask for credentials. Neither makes a session, and neither changes what a device is.
const (
	TopicRegister = "auth/register" // payload Registration; function auth; Result.Data is a Registered (code 200) or a Refusal; over MQTT Result.Replies say it
	TopicPreAuth  = "auth/preauth"  // payload PreAuth; function auth; Result.Data is a PreAuthenticated (code 200) or a Refusal
)

// A Registration is a request for a device's credentials that is signed with its product's secret ("Dynamic registration"). It
// carries a signature: it is never logged.
type Registration struct {
	Protocol   string `json:"protocol"`  // mqtt, http, coap
	Transport  string `json:"transport"` // tcp, tls, ws, wss
	RemoteAddr string `json:"remoteAddr"`
	ProductKey string `json:"productKey"` // as sent, and so are those that follow
	DeviceName string `json:"deviceName"`
	Random     string `json:"random"`
	SignMethod string `json:"signMethod"`
	Sign       string `json:"sign"`
	New        bool   `json:"new,omitempty"` // regnwl: the device need not be registered, and gets a client id and a token
	At         int64  `json:"at"`
}

// A Registered is what a device gets, in the order in which SDKs look for it: DeviceSecret, or ClientID and DeviceToken. It is the
// one place where these are not an iot.Secret, because here they have to be written out: it is never logged.
type Registered struct {
	ProductKey   iot.ProductKey `json:"productKey"`
	DeviceName   iot.DeviceName `json:"deviceName"`
	DeviceSecret string         `json:"deviceSecret,omitempty"`
	ClientID     string         `json:"clientId,omitempty"`
	DeviceToken  string         `json:"deviceToken,omitempty"`
}

// Topics on which the result of a registration and a device's identity arrive without a subscription ("MQTT: result", "X.509").
const (
	TopicRegistered    = "/ext/register"
	TopicRegisteredNew = "/ext/regnwl"
	TopicIdentity      = "/ext/auth/identity/response"
)

// A PreAuth is a request for a token that stands for the signature at a later login ("Pre-authentication and bootstrap"). It carries
// a signature: it is never logged.
type PreAuth struct {
	Transport  string            `json:"transport"`
	RemoteAddr string            `json:"remoteAddr"`
	Params     map[string]string `json:"params"` // as sent
	At         int64             `json:"at"`
}

// A PreAuthenticated is the user name and the password of that login.
type PreAuthenticated struct {
	IotID    iot.IotID `json:"iotId"`
	IotToken string    `json:"iotToken"` // at most 64 characters; never logged
}
