package load

import (
	"crypto/x509"
	"fmt"
	"strings"
)

// A Protocol is how devices speak.
type Protocol string

// The protocols of devices.
const (
	MQTT  Protocol = "mqtt"
	CoAP  Protocol = "coap"  // UDP, payloads encrypted with a key of the token
	CoAPS Protocol = "coaps" // DTLS
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
)

// Protocols are all of them.
var Protocols = []Protocol{MQTT, CoAP, CoAPS, HTTP, HTTPS}

// A TLS says how devices of CoAPS and HTTPS know the server.
type TLS struct {
	Roots *x509.CertPool // that sign its certificate; the system's if nil
	PSK   bool           // CoAPS only: no certificate, but a key made of the device's secret
}

// An Answer is what the platform said to one post.
type Answer struct {
	Device *Device
	Code   string // MQTT: that of the reply (200); CoAP: 2.05; HTTP: 0. Empty: no answer came, Err says why
	Reply  []byte // the Alink reply, if one came; valid during the call
	Err    error  // nil: the post is stored
}

// A Refusal is an answer that is no success.
type Refusal struct {
	Protocol Protocol
	Code     string // as the protocol writes it: 4.01, 20001
	Message  string // of HTTP
}

func (r *Refusal) Error() string {
	text := r.Code
	if r.Message != "" {
		text += " " + r.Message
	}
	if what := r.Meaning(); what != "" {
		text += ": " + what
	}
	return text
}

// stale reports whether the token or the sequence number is not taken any more, which a new token cures (CoAP 4.01 and, as C3 has
// it, 4.02; HTTP 20001 and 20003).
func (r *Refusal) stale() bool {
	switch r.Code {
	case "4.01", "4.02", "20001", "20003":
		return true
	}
	return false
}

// passing reports whether the same post may be taken a moment later.
func (r *Refusal) passing() bool {
	return r.Code == "4.29" || r.Code == "40000" || r.Code == "10000" || r.Code == "30001" || strings.HasPrefix(r.Code, "5.") || strings.HasPrefix(r.Code, "HTTP 5")
}

// Meaning says what a code means and what to do about it ("Codes" of the two chapters); empty if the protocol does not name the code.
func (r *Refusal) Meaning() string {
	switch r.Protocol {
	case CoAP, CoAPS:
		return coapCodes[r.Code]
	case HTTP, HTTPS:
		return httpCodes[r.Code]
	}
	return ""
}

var coapCodes = map[string]string{
	"4.00": "payload or encryption is malformed; the key is made of the device secret and the random of the last /auth",
	"4.01": "token or sequence number is not valid (any more), or the signature of /auth is wrong; the device authenticates again",
	"4.02": "an option is not understood; the device authenticates again",
	"4.03": "the device is disabled, or the topic is not one that it may publish; enable the device, or correct the topic",
	"4.04": "no such path; paths are /auth and /topic/TOPIC",
	"4.05": "only POST is served",
	"4.08": "blocks are missing; the device sends the message from its first block",
	"4.13": "the message is too large; send less, or in blocks",
	"4.29": "too many messages; the device waits and sends again",
	"5.00": "nothing was decided; the device sends again",
	"5.03": "nothing was decided; the device sends again",
}

var httpCodes = map[string]string{
	"10000": "nothing was decided; the device posts again",
	"10001": "a parameter is missing or malformed; correct the request",
	"20000": "device unknown or disabled, or the signature is wrong; check name and secret",
	"20001": "the token has expired; the device authenticates again",
	"20002": "there is no token; it belongs into the header password",
	"20003": "the token is not valid; the device authenticates again",
	"20004": "no session could be made; the device authenticates again",
	"30001": "the message was not taken; the device posts again",
	"40000": "too many requests; the device waits and posts again",
}

// checkDevices says whether this process may open a socket for each device.
func checkDevices(count int) error {
	const own = 64 // for everything else
	limit, err := openFiles()
	if err != nil || uint64(count)+own <= limit {
		return err
	}
	return fmt.Errorf("load: %d devices need a socket each, and this process may open %d files: raise the limit (ulimit -n %d), or take fewer devices", count, limit, count+own)
}
