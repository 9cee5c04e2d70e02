package coap_test

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/token"
)

const (
	postTopic = "/sys/a1B2c3D4e5F/lamp-001/thing/event/property/post"
	postBody  = `{"id":"1","version":"1.0","params":{"LightSwitch":1},"method":"thing.event.property.post"}`
)

// Vectors K1 and K2: the bytes of the first post after random ad2b3c4d5e6f7081, and of its reply.
func TestVectorsOnTheWire(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	m := c.request("/topic"+postTopic, mustHex(t, "2fc98a1861b7e9f3bd4a16af15ebe342c69caf475a77448233122a90a46b7776830b1537a0429d75eace77adb55f83741591d1c4dc7a148d0dfe1c4f9e8350ed36356c3b7ae5e968d0ee76546b83325b34549b81aa79aa407438ed494c990518"),
		message.Options{{ID: 2088, Value: []byte(c.token)}, {ID: 2089, Value: mustHex(t, "58d4bb2f1a2c8eef351e9e878b75f88c")}})
	got := c.do(m)
	const reply = "ed136e931d281080fd02005a5b75cb9cb39a1cf36e17afa0e6e5c102f70c0fef9019b5ef71adb60fb6dfa5f8c5d2515d7cddb61e0e8cb7cd69c4d17f1a9ead214cc10f193b52180716ae4fd7982dd63a699b7141b1926a946362a8d095a2e53672ed131794dd9d675f2a91ad8aba1bd4"
	if got.Code != codes.Content || !bytes.Equal(got.Payload, mustHex(t, reply)) {
		t.Errorf("%v %x, want 2.05 %s", got.Code, got.Payload, reply)
	}
	id := option(got, 2090)
	if n, err := strconv.ParseUint(string(id), 10, 63); err != nil || n == 0 {
		t.Errorf("message id %q", id)
	}
	posts := f.backend.posts()
	if len(posts) != 1 || string(posts[0].Payload) != postBody || posts[0].Topic != postTopic || posts[0].MessageID != string(id) || posts[0].QoS != 1 {
		t.Errorf("stored %+v", posts)
	}
}

// The variants of tokens, options and messages that devices send.
func TestPosts(t *testing.T) {
	t.Parallel()
	const custom = "/a1B2c3D4e5F/lamp-001/user/update"
	for name, c := range map[string]struct {
		topic, body string
		change      func(*client, *message.Message)
		reply       string
	}{
		"plain":         {postTopic, postBody, nil, `{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`},
		"no reply":      {postTopic, `{"id":"1","sys":{"ack":0},"params":{"a":1}}`, nil, ""},
		"custom":        {custom, "any bytes", nil, ""},
		"empty":         {custom, "", func(_ *client, m *message.Message) { m.Payload = nil }, ""},
		"padding alone": {custom, "", nil, ""},
		"option 61": {custom, "x", func(c *client, m *message.Message) {
			m.Options = m.Options.Remove(2088).Add(message.Option{ID: 61, Value: []byte(c.token)})
		}, ""},
		"option 61 is wrong, 2088 is not": {custom, "x", func(_ *client, m *message.Message) {
			m.Options = m.Options.Add(message.Option{ID: 61, Value: []byte("old")})
		}, ""},
		"query": {custom, "x", func(c *client, m *message.Message) {
			seq := option(*m, 2089)
			m.Options = m.Options.Remove(2088).Remove(2089).Add(message.Option{ID: message.URIQuery, Value: []byte("token=" + c.token)}).
				Add(message.Option{ID: message.URIQuery, Value: []byte("seq=" + hexOf(seq))})
		}, ""},
		"options win": {custom, "x", func(_ *client, m *message.Message) {
			m.Options = m.Options.Add(message.Option{ID: message.URIQuery, Value: []byte("token=no")}).Add(message.Option{ID: message.URIQuery, Value: []byte("seq=00")})
		}, ""},
		"formats nobody looks at": {custom, "x", func(_ *client, m *message.Message) {
			for _, o := range []message.Option{{ID: message.ContentFormat, Value: []byte{60}}, {ID: message.Accept, Value: []byte{0xff, 0xff}}, {ID: message.Observe, Value: nil},
				{ID: message.URIHost, Value: []byte("example.com")}, {ID: message.URIPort, Value: []byte{22, 50}}, {ID: 65000, Value: []byte("elective")}} {
				m.Options = m.Options.Add(o)
			}
		}, ""},
		"nonconfirmable": {postTopic, postBody, func(_ *client, m *message.Message) { m.Type = message.NonConfirmable },
			`{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`},
		"request id in the topic": {postTopic + "?_rid=1", postBody, nil, `{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			device := dial(t, f.address)
			device.login()
			m := device.sealed(c.topic, c.body)
			if c.change != nil {
				c.change(device, &m)
			}
			got := device.do(m)
			if got.Code != codes.Content || string(device.decrypt(got.Payload)) != c.reply || option(got, 2090) == nil {
				t.Errorf("%v %q, want 2.05 %q", got.String(), device.decrypt(got.Payload), c.reply)
			}
			if got := device.do(device.sealed(c.topic, c.body)); got.Code != codes.Content {
				t.Errorf("the next one: %v", got.Code)
			}
		})
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// Each refusal has its code, carries no payload, and its cause in the device log.
func TestRefusals(t *testing.T) {
	t.Parallel()
	badOption := message.OptionID(2091)
	for name, c := range map[string]struct {
		change func(*testing.T, *fixture, *client, *message.Message)
		code   codes.Code
		cause  refusal.Cause
	}{
		"no token": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Options = m.Options.Remove(2088) }, codes.Unauthorized, refusal.TokenMissing},
		"wrong token": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) {
			m.Options = m.Options.Set(message.Option{ID: 2088, Value: []byte("guess")})
		}, codes.Unauthorized, refusal.TokenMalformed},
		"other node":    {withToken(token.CoAP, time.Hour), codes.Unauthorized, refusal.TokenUnknown},
		"HTTP's token":  {withToken(token.HTTP, time.Hour), codes.Unauthorized, refusal.TokenOtherProtocol},
		"old token":     {withToken(token.CoAP, -time.Minute), codes.Unauthorized, refusal.TokenExpired},
		"expired":       {func(_ *testing.T, f *fixture, _ *client, _ *message.Message) { f.ahead.Store(3_700_000) }, codes.Unauthorized, refusal.TokenExpired},
		"no seq":        {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Options = m.Options.Remove(2089) }, codes.Unauthorized, refusal.SequenceMissing},
		"seq 0":         {withSeq("0"), codes.Unauthorized, refusal.SequenceReplayed},
		"seq no number": {withSeq("1a"), codes.BadRequest, refusal.SequenceMalformed},
		"seq too large": {withSeq("99999999999999999999"), codes.BadRequest, refusal.SequenceMalformed},
		"seq of another key": {func(_ *testing.T, _ *fixture, c *client, m *message.Message) {
			c.key = []byte("another key 1234")
			m.Options = m.Options.Set(message.Option{ID: 2089, Value: c.encrypt([]byte("1"))})
		}, codes.BadRequest, refusal.SequenceMalformed},
		"seq too long": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) {
			m.Options = m.Options.Set(message.Option{ID: 2089, Value: make([]byte, 160)})
		}, codes.BadRequest, refusal.SequenceMalformed},
		"seq cut": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) {
			m.Options = m.Options.Set(message.Option{ID: 2089, Value: option(*m, 2089)[:15]})
		}, codes.BadRequest, refusal.SequenceMalformed},
		"payload cut":           {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Payload = m.Payload[:30] }, codes.BadRequest, refusal.CiphertextMalformed},
		"payload clear":         {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Payload = []byte(postBody) }, codes.BadRequest, refusal.CiphertextMalformed},
		"foreign topic":         {withPath("/topic/sys/a1B2c3D4e5F/lamp-002/thing/event/property/post"), codes.Forbidden, refusal.TopicNotOwn},
		"no such class":         {withPath("/topic/a1B2c3D4e5F/lamp-001/user/get"), codes.Forbidden, refusal.TopicNotPermitted},
		"downlink":              {withPath("/topic/sys/a1B2c3D4e5F/lamp-001/thing/service/property/set"), codes.Forbidden, refusal.TopicNotPermitted},
		"login of a sub-device": {withPath("/topic/ext/session/a1B2c3D4e5F/lamp-001/combine/login"), codes.Forbidden, refusal.TopicNotPermitted},
		"answer to a call":      {withPath("/topic/sys/a1B2c3D4e5F/lamp-001/rrpc/response/1"), codes.Forbidden, refusal.TopicNotPermitted},
		"no topic":              {withPath("/topic/nothing"), codes.NotFound, refusal.UnknownTopic},
		"wildcard":              {withPath("/topic/sys/+/lamp-001/x"), codes.BadRequest, refusal.TopicMalformed},
		"path":                  {withPath("/other"), codes.NotFound, refusal.CoAPPathUnknown},
		"method":                {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Code = codes.PUT }, codes.MethodNotAllowed, refusal.CoAPMethod},
		"get":                   {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Code = codes.GET }, codes.MethodNotAllowed, refusal.CoAPMethod},
		"critical option": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) {
			m.Options = m.Options.Add(message.Option{ID: badOption, Value: []byte("x")})
		}, codes.BadOption, refusal.CoAPOptionUnknown},
		"long segment": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) {
			m.Options = m.Options.Add(message.Option{ID: message.URIPath, Value: make([]byte, 300)})
		}, codes.BadOption, refusal.CoAPOptionUnknown},
		"large datagram": {func(_ *testing.T, _ *fixture, _ *client, m *message.Message) { m.Payload = make([]byte, 1600) }, codes.RequestEntityTooLarge, refusal.BlockTooLarge},
		"disabled": {func(_ *testing.T, f *fixture, _ *client, _ *message.Message) {
			f.backend.set(func() { f.backend.cause = refusal.DeviceDisabled })
			f.keeper.Forget(iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"})
		}, codes.Forbidden, refusal.DeviceDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			device := dial(t, f.address)
			device.login()
			key := device.key
			m := device.sealed(postTopic, postBody)
			c.change(t, f, device, &m)
			device.key = key
			if got := device.do(m); got.Code != c.code || got.Code>>5 != 4 {
				t.Errorf("%v, want %v", got.Code, c.code)
			}
			f.log.has(t, c.cause)
			if posts := f.backend.posts(); len(posts) != 0 {
				t.Errorf("stored %+v", posts)
			}
			if e, known := refusal.Explain(c.cause); !known || e.Cure == "" {
				t.Errorf("%s is not explained", c.cause)
			}
		})
	}
}

func withToken(family token.Family, life time.Duration) func(*testing.T, *fixture, *client, *message.Message) {
	return func(t *testing.T, f *fixture, _ *client, m *message.Message) {
		text, err := f.backend.sealer.Seal(token.Claims{
			Device: iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}, Family: family, IssuedAt: time.Now().Add(-time.Hour).Unix(), ExpiresAt: time.Now().Add(life).Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Options = m.Options.Set(message.Option{ID: 2088, Value: []byte(text)})
	}
}

func withSeq(text string) func(*testing.T, *fixture, *client, *message.Message) {
	return func(_ *testing.T, _ *fixture, c *client, m *message.Message) {
		m.Options = m.Options.Set(message.Option{ID: 2089, Value: c.encrypt([]byte(text))})
	}
}

func withPath(path string) func(*testing.T, *fixture, *client, *message.Message) {
	return func(_ *testing.T, _ *fixture, c *client, m *message.Message) {
		m.Options = c.request(path, nil, message.Options{{ID: 2088, Value: []byte(c.token)}, {ID: 2089, Value: option(*m, 2089)}}).Options
	}
}

// A retransmission hears the same bytes and is stored once; the same number in another message is a replay.
func TestRetransmissionAndReplay(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	m := c.sealed(postTopic, postBody)
	c.send(m)
	first := c.receive(5 * time.Second)
	c.send(m)
	if second := c.receive(5 * time.Second); first == nil || !bytes.Equal(first, second) {
		t.Errorf("the reply to a retransmission is %x, was %x", second, first)
	}
	m.MessageID++
	if got := c.do(m); got.Code != codes.Unauthorized {
		t.Errorf("replay: %v", got.Code)
	}
	f.log.has(t, refusal.SequenceReplayed)
	if n := len(f.backend.posts()); n != 1 {
		t.Errorf("%d posts were stored", n)
	}
	c.mid++ // of the replay
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Errorf("the next one: %v", got.Code)
	}
	// A device that has restarted and uses the message id again for something else is not taken for a retransmission.
	again := c.sealed(postTopic, postBody)
	again.MessageID = m.MessageID - 1
	if got := c.do(again); got.Code != codes.Content || len(f.backend.posts()) != 3 {
		t.Errorf("%v, %d stored", got.Code, len(f.backend.posts()))
	}
}

// While a post is being decided its retransmissions are absorbed, nothing is acknowledged, and others are answered.
func TestNothingIsAcknowledgedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	held := make(chan struct{})
	f.backend.set(func() { f.backend.held = held })
	m := c.sealed(postTopic, postBody)
	c.send(m)
	c.send(m)
	c.send(m)
	if got := c.receive(100 * time.Millisecond); got != nil {
		t.Fatalf("%x came before the post was stored", got)
	}
	ping := dial(t, f.address)
	ping.send(message.Message{Type: message.Confirmable, Code: codes.Empty, MessageID: 7})
	if got := ping.receive(5 * time.Second); !bytes.Equal(got, []byte{0x70, 0, 0, 7}) {
		t.Errorf("ping: %x", got)
	}
	close(held)
	if got := c.receive(5 * time.Second); got == nil || c.parse(got).Code != codes.Content {
		t.Errorf("%x", got)
	}
	if got := c.receive(50 * time.Millisecond); got != nil {
		t.Errorf("a second response: %x", got)
	}
	if n := len(f.backend.posts()); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// What is not decided is a server error; what finds no room is lost as a datagram may be, and taken when it comes again.
func TestUndecidedAndFull(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	f.backend.set(func() { f.backend.err = errUndecided })
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.InternalServerError {
		t.Errorf("undecided: %v", got.Code)
	}
	f.backend.set(func() { f.backend.err = refusal.New(refusal.StoreThrottled, "") })
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != 4<<5|29 {
		t.Errorf("throttled: %v", got.Code)
	}
	f.backend.set(func() { f.backend.err, f.backend.full = nil, true })
	m := c.sealed(postTopic, postBody)
	c.send(m)
	if got := c.receive(2500 * time.Millisecond); got != nil {
		t.Errorf("full: %x", got)
	}
	f.backend.set(func() { f.backend.full = false })
	if got := c.do(m); got.Code != codes.Content {
		t.Errorf("again: %v", got.Code)
	}
}

func TestPull(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	m := c.sealed("", `{"pageSize":"10"}`)
	m.Options = m.Options.Remove(message.URIPath).Add(message.Option{ID: message.URIPath, Value: []byte("pull")})
	if got := c.do(m); got.Code != codes.Content || string(c.decrypt(got.Payload)) != "[]" {
		t.Errorf("%v %q", got.Code, c.decrypt(got.Payload))
	}
}
