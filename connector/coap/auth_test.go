package coap_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/connector/coap"
	"relink/connector/limits"
	devicetoken "relink/connector/token"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Vectors Q1 to Q4: what C3 on 5682 and 5684, C4 and the Java sample send.
func TestAuthVectors(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"Q1": `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","clientId":"a1B2c3D4e5F.lamp-001","sign":"4dcb49eeb80eab2f3d1ae279dbdbc8d4","seq":"10"}`,
		"Q2": `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","clientId":"a1B2c3D4e5F.lamp-001","sign":"dd841751b3f48b2c8d747fcfd3e23909"}`,
		"Q3": `{"clientId":"a1B2c3D4e5F.lamp-001","signmethod":"hmacsha256","deviceName":"lamp-001","productKey":"a1B2c3D4e5F","seq":"1A2B","sign":"01bd4c53299d6f4d3b9c0b5b253a5f888aff9afcc68284619ec9427539dfaf79"}`,
		"Q4": `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","clientId":"mylight1000002","sign":"ac838da9650fe82b6a9f23125d96ce3b","signmethod":"hmacmd5","timestamp":"1501668289957","seq":10}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			c := dial(t, f.address)
			got := c.do(c.request("/auth", []byte(body), nil))
			c.welcome(got)
			if !bytes.HasPrefix(got.Payload, []byte(`{"random":"ad2b3c4d5e6f7081","seqOffset":1,"token":"`)) {
				t.Errorf("%s", got.Payload)
			}
			if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.Content {
				t.Errorf("post: %v", got.Code)
			}
		})
	}
}

// A member that the protocol does not name is signed too, whatever its type.
func TestAuthSignsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.welcome(c.do(c.request("/auth", c.credentials("hmacsha1", map[string]any{"ackMode": 1, "seq": 10, "text": "ü\"\\"}), nil)))
	non := c.request("/auth", c.credentials("", nil), nil)
	non.Type = message.NonConfirmable
	c.welcome(c.do(non))
}

func TestAuthRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		given refusal.Cause // by function auth
		code  codes.Code
		cause refusal.Cause
	}{
		"no payload":   {"", "", codes.BadRequest, refusal.CoAPMalformed},
		"no object":    {`[1]`, "", codes.BadRequest, refusal.CoAPMalformed},
		"null":         {`null`, "", codes.BadRequest, refusal.CoAPMalformed},
		"cut":          {`{"productKey":"a1B`, "", codes.BadRequest, refusal.CoAPMalformed},
		"nobody":       {`{"sign":"00"}`, "", codes.BadRequest, refusal.TokenLoginMalformed},
		"signature":    {`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"00"}`, "", codes.Unauthorized, refusal.SignMismatch},
		"unknown":      {`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"00"}`, refusal.DeviceNotFound, codes.Unauthorized, refusal.DeviceNotFound},
		"disabled":     {`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"00"}`, refusal.DeviceDisabled, codes.Forbidden, refusal.DeviceDisabled},
		"unknown sign": {`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"00"}`, refusal.SignMethodUnknown, codes.BadRequest, refusal.SignMethodUnknown},
		"undecided":    {`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"00"}`, refusal.BackendUnavailable, codes.InternalServerError, refusal.BackendUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			f.backend.set(func() { f.backend.cause = c.given })
			device := dial(t, f.address)
			if got := device.do(device.request("/auth", []byte(c.body), nil)); got.Code != c.code {
				t.Errorf("%v, want %v", got.Code, c.code)
			}
			f.log.has(t, c.cause)
		})
	}
}

// A retransmitted authentication costs one invocation and gives the same token; another one gives another, and both are good.
func TestAuthAgain(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	m := c.request("/auth", c.credentials("", nil), nil)
	first := c.do(m)
	second := c.do(m)
	c.welcome(first)
	if logins, _ := f.backend.asked(); !bytes.Equal(first.Payload, second.Payload) || logins != 1 {
		t.Errorf("%s and %s, %d logins", first.Payload, second.Payload, logins)
	}
	other := dial(t, f.address)
	for range 3 {
		other.login()
	}
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Errorf("the older token: %v", got.Code)
	}
	if len(c.token) != len(other.token) {
		t.Errorf("tokens of %d and %d characters", len(c.token), len(other.token))
	}
	other.login() // the fifth: the oldest makes room
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.Unauthorized {
		t.Errorf("the fifth oldest token: %v", got.Code)
	}
}

// Anybody can write any address on a datagram: what fails in its name stops nobody who connects from there.
func TestForgedFailuresStopNoConnection(t *testing.T) {
	t.Parallel()
	shared := limits.NewBudget(limits.BudgetOptions{Burst: 1, PerMinute: 1, MaxSources: 10})
	f := start(t, func(o *coap.Options, k *devicetoken.Options) { o.Budget, k.Budget = shared, shared })
	f.backend.set(func() { f.backend.cause = refusal.SignMismatch })
	c := dial(t, f.address)
	for range 10 {
		c.do(c.request("/auth", []byte("no JSON"), nil))
		c.do(c.request("/auth", c.credentials("", nil), nil))
		c.do(c.request("/auth/register/device", c.credentials("", nil), nil))
	}
	if got := c.do(c.request("/auth", c.credentials("", nil), nil)); got.Code != 4<<5|29 {
		t.Errorf("after 30 failures: %v", got.Code)
	}
	if n := shared.Sources(); n != 0 || !shared.Allows(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("%d addresses have failed for the other protocols", n)
	}
}

// Failures of an address stop those that try there, and not a device that has a token or had one.
func TestBudgetStopsNoHealthyDevice(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	healthy, stranger := dial(t, f.address), dial(t, f.address)
	healthy.login()
	for range 20 {
		stranger.do(stranger.request("/auth", []byte(`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-002","sign":"00"}`), nil))
	}
	if got := stranger.do(stranger.request("/auth", []byte(`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-002","sign":"00"}`), nil)); got.Code != 4<<5|29 {
		t.Errorf("the 21st failure: %v", got.Code)
	}
	f.log.has(t, refusal.RateLimitedSource)
	if got := healthy.do(healthy.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Errorf("a post with a token: %v", got.Code)
	}
	healthy.login()
	before, _ := f.backend.asked()
	stranger.do(stranger.request("/auth", []byte(`{"productKey":"a1B2c3D4e5F","deviceName":"lamp-003","sign":"00"}`), nil))
	if after, _ := f.backend.asked(); after != before {
		t.Error("a stranger over the budget costs an invocation")
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	body := []byte(`{"signmethod":"hmacsha256","deviceName":"lamp-001","productKey":"a1B2c3D4e5F","random":"000102030405060708090a0b","sign":"00"}`)
	got := c.do(c.request("/auth/register/device", body, nil))
	want := `{"code":200,"data":{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","deviceSecret":"` + testSecret + `"},"message":"success"}`
	if got.Code != codes.Content || string(got.Payload) != want {
		t.Errorf("%v %s", got.Code, got.Payload)
	}
	for cause, code := range map[refusal.Cause]codes.Code{
		refusal.RegistrationSignMismatch: codes.Unauthorized, refusal.RegistrationOff: codes.Forbidden, refusal.AlreadyActivated: codes.Forbidden,
		refusal.RegistrationMalformed: codes.BadRequest, refusal.ProductNotFound: codes.Unauthorized,
	} {
		f.backend.set(func() { f.backend.cause = cause })
		if got := c.do(c.request("/auth/register/device", body, nil)); got.Code != code {
			t.Errorf("%s: %v, want %v", cause, got.Code, code)
		}
		f.log.has(t, cause)
	}
}

// A wire is a transport of one connection, as DTLS is.
type wire struct {
	device iot.DeviceRef
	sent   chan []byte
}

func (w *wire) Send(_ netip.AddrPort, datagram []byte) { w.sent <- append([]byte(nil), datagram...) }
func (w *wire) Protocol() string                       { return coap.ProtocolCoAPS }
func (w *wire) Device() iot.DeviceRef                  { return w.device }
func (w *wire) Verified() bool                         { return true }

func (w *wire) do(t *testing.T, f *fixture, c *client, m message.Message) message.Message {
	t.Helper()
	f.Receive(coap.Peer{Transport: w, Addr: netip.MustParseAddrPort("192.0.2.1:5")}, c.encode(m))
	select {
	case b := <-w.sent:
		return c.parse(b)
	case <-time.After(5 * time.Second):
		t.Fatal("no response")
		return message.Message{}
	}
}

// Inside DTLS payloads are in clear, there is no sequence number, and a token outlives the node's memory.
func TestSecureTransport(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address) // only to make datagrams
	w := &wire{sent: make(chan []byte, 10)}
	got := w.do(t, f, c, c.request("/auth", c.credentials("", nil), nil))
	var answer map[string]string
	if err := json.Unmarshal(got.Payload, &answer); err != nil || len(answer) != 1 || answer["token"] == "" {
		t.Fatalf("%s", got.Payload)
	}
	c.token = answer["token"]
	if got := w.do(t, f, c, c.sealed(postTopic, postBody)); got.Code != codes.Content || !bytes.Contains(got.Payload, []byte(`"message":"success"`)) {
		t.Errorf("%v %s", got.Code, got.Payload)
	}
	other := start(t, nil)
	if got := w.do(t, other, c, c.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Errorf("another node: %v", got.Code)
	}
	if _, resumes := other.backend.asked(); resumes != 1 {
		t.Errorf("asked %d times", resumes)
	}
	// The same token without DTLS: there is no key for it.
	plain := dial(t, f.address)
	plain.token = c.token
	if got := plain.do(plain.sealed(postTopic, postBody)); got.Code != codes.Unauthorized {
		t.Errorf("in clear on UDP: %v", got.Code)
	}
	f.log.has(t, refusal.TokenUnknown)
	w.device = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-002"}
	if got := w.do(t, f, c, c.sealed(postTopic, postBody)); got.Code != codes.Unauthorized {
		t.Errorf("another device's connection: %v", got.Code)
	}
	if got := w.do(t, f, c, c.request("/auth", c.credentials("", nil), nil)); got.Code != codes.Unauthorized {
		t.Errorf("auth over another device's connection: %v", got.Code)
	}
	f.log.has(t, refusal.PSKOtherDevice)
}

// A device that logs in too often is told so.
func TestTooManyLogins(t *testing.T) {
	t.Parallel()
	f := start(t, func(_ *coap.Options, k *devicetoken.Options) { k.Connects = connects(2) })
	c := dial(t, f.address)
	c.login()
	c.login()
	if got := c.do(c.request("/auth", c.credentials("", nil), nil)); got.Code != 4<<5|29 {
		t.Errorf("%v", got.Code)
	}
	f.log.has(t, refusal.RateLimitedDevice)
}
