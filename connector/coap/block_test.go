package coap_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/connector/coap"
	"relink/connector/limits"
	devicetoken "relink/connector/token"
	"relink/shared/record"
	"relink/shared/refusal"
)

func connects(burst int) *limits.Connects { return limits.NewConnects(burst, 1, 100, nil) }

// blockOption is the value of Block1 or Block2.
func blockOption(num int, more bool, szx int) []byte {
	n := num<<4 | szx
	if more {
		n |= 8
	}
	switch {
	case n == 0:
		return nil
	case n < 1<<8:
		return []byte{byte(n)}
	case n < 1<<16:
		return []byte{byte(n >> 8), byte(n)}
	}
	return []byte{byte(n >> 16), byte(n >> 8), byte(n)}
}

// uploaded sends a body in blocks, all with the same token and sequence number, and gives the last response.
func (c *client) uploaded(topic string, body []byte, szx int) message.Message {
	c.t.Helper()
	sealed := c.encrypt(body)
	size := 16 << szx
	seq := c.seq
	var got message.Message
	for num := 0; num*size < len(sealed); num++ {
		c.seq = seq
		m := c.sealed(topic, "")
		end := min(len(sealed), (num+1)*size)
		m.Payload = sealed[num*size : end]
		want := blockOption(num, end < len(sealed), szx)
		m.Options = m.Options.Add(message.Option{ID: message.Block1, Value: want})
		got = c.do(m)
		if !bytes.Equal(option(got, message.Block1), want) {
			c.t.Fatalf("block %d: %v acknowledges %x, want %x", num, got.Code, option(got, message.Block1), want)
		}
		if end < len(sealed) && got.Code != codes.Continue {
			c.t.Fatalf("block %d: %v", num, got.Code)
		}
	}
	return got
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(rand.N(26))
	}
	return b
}

func TestUploadInBlocks(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	for i, n := range []int{0, 1, 15, 16, 500, 5000, 128 << 10} {
		body := text(n)
		if got := c.uploaded(postTopic, body, 6-i%3); got.Code != codes.Content || option(got, 2090) == nil {
			t.Fatalf("%d bytes: %v", n, got.Code)
		}
		posts := f.backend.posts()
		if !bytes.Equal(posts[len(posts)-1].Payload, body) {
			t.Errorf("%d bytes: stored others", n)
		}
	}
	if got := c.do(c.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Errorf("a post after that: %v", got.Code)
	}
}

func TestUploadRefusals(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	c := dial(t, f.address)
	c.login()
	block := func(num int, more bool, szx, bytes int, options ...message.Option) message.Message {
		seq := c.seq
		m := c.sealed(postTopic, "")
		c.seq = seq
		m.Payload = make([]byte, bytes)
		m.Options = m.Options.Add(message.Option{ID: message.Block1, Value: blockOption(num, more, szx)})
		for _, o := range options {
			m.Options = m.Options.Add(o)
		}
		return m
	}
	if got := c.do(block(0, true, 2, 64)); got.Code != codes.Continue {
		t.Fatalf("first block: %v", got.Code)
	}
	if got := c.do(block(0, true, 2, 64)); got.Code != codes.Continue {
		t.Errorf("first block again: %v", got.Code)
	}
	if got := c.do(block(1, true, 2, 64)); got.Code != codes.Continue {
		t.Errorf("second block: %v", got.Code)
	}
	if got := c.do(block(1, true, 2, 64)); got.Code != codes.Continue {
		t.Errorf("second block with another message id: %v", got.Code)
	}
	if got := c.do(block(3, true, 2, 64)); got.Code != codes.RequestEntityIncomplete {
		t.Errorf("a hole: %v", got.Code)
	}
	f.log.has(t, refusal.BlockIncomplete)
	if got := c.do(block(2, true, 2, 64)); got.Code != codes.RequestEntityIncomplete {
		t.Errorf("without a beginning: %v", got.Code)
	}
	if got := c.do(block(0, true, 2, 63)); got.Code != codes.BadRequest {
		t.Errorf("a short block: %v", got.Code)
	}
	f.log.has(t, refusal.BlockMalformed)
	if got := c.do(block(0, true, 7, 64)); got.Code != codes.BadOption {
		t.Errorf("a reserved size: %v", got.Code)
	}
	got := c.do(block(0, true, 6, 1024, message.Option{ID: message.Size1, Value: []byte{3, 0, 0}}))
	if got.Code != codes.RequestEntityTooLarge || !bytes.Equal(option(got, message.Size1), []byte{2, 0, 0}) {
		t.Errorf("an announced size: %v, Size1 %x", got.Code, option(got, message.Size1))
	}
	if got := c.do(block(200, false, 6, 1024)); got.Code != codes.RequestEntityTooLarge {
		t.Errorf("too large: %v", got.Code)
	}
	f.log.has(t, refusal.BlockTooLarge)
	if got := c.do(block(0, true, 2, 64)); got.Code != codes.Continue {
		t.Fatalf("anew: %v", got.Code)
	}
	f.ahead.Add(61_000)
	if got := c.do(block(1, true, 2, 64)); got.Code != codes.RequestEntityIncomplete {
		t.Errorf("after a minute: %v", got.Code)
	}
	if n := len(f.backend.posts()); n != 0 {
		t.Errorf("%d stored", n)
	}
}

// Bodies that are not finished are bounded for all devices together.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *coap.Options, _ *devicetoken.Options) { o.MaxBodies = 1500 })
	c := dial(t, f.address)
	c.login()
	got := c.uploadedUntil(postTopic, make([]byte, 4000))
	if got.Code != codes.InternalServerError {
		t.Errorf("%v", got.Code)
	}
	f.log.has(t, refusal.NodeFull)
	if got := c.uploaded("/a1B2c3D4e5F/lamp-001/user/update", text(1100), 6); got.Code != codes.Content {
		t.Errorf("a smaller one after that: %v", got.Code)
	}
}

// uploadedUntil is uploaded up to the first block that is refused.
func (c *client) uploadedUntil(topic string, body []byte) message.Message {
	c.t.Helper()
	for num := 0; ; num++ {
		seq := c.seq
		m := c.sealed(topic, "")
		c.seq = seq
		m.Payload = body[num*1024 : (num+1)*1024]
		m.Options = m.Options.Add(message.Option{ID: message.Block1, Value: blockOption(num, true, 6)})
		if got := c.do(m); got.Code != codes.Continue {
			c.seq++
			return got
		}
	}
}

// A reply that does not fit into a block comes in several, to the same request with block numbers.
func TestReplyInBlocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		szx     int // -1: not told
		sameSeq bool
	}{{"default", -1, true}, {"small", 2, true}, {"fresh numbers", 4, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			large := strings.Repeat("0123456789", 350)
			f.backend.set(func() {
				f.backend.reply = func(r record.Record) record.Result {
					return record.Result{Code: 200, Replies: []record.Reply{{Topic: r.Topic + "_reply", Payload: []byte(large)}}}
				}
			})
			device := dial(t, f.address)
			device.login()
			seq := device.seq
			m := device.sealed(postTopic, postBody)
			if c.szx >= 0 {
				m.Options = m.Options.Add(message.Option{ID: message.Block2, Value: blockOption(0, false, c.szx)})
			}
			var body []byte
			got := device.do(m)
			first := option(got, 2090)
			for num := 0; ; num++ {
				szx := max(c.szx, 0)
				if c.szx < 0 {
					szx = 6
				}
				value := option(got, message.Block2)
				if got.Code != codes.Content || !bytes.Equal(option(got, 2090), first) {
					t.Fatalf("block %d: %v", num, got.String())
				}
				body = append(body, got.Payload...)
				more := len(body) < 3504
				if !bytes.Equal(value, blockOption(num, more, szx)) {
					t.Fatalf("block %d: Block2 %x", num, value)
				}
				if !more {
					break
				}
				if c.sameSeq {
					device.seq = seq
				}
				next := device.sealed(postTopic, "")
				next.Payload = nil
				next.Options = next.Options.Add(message.Option{ID: message.Block2, Value: blockOption(num+1, false, szx)})
				got = device.do(next)
			}
			if string(device.decrypt(body)) != large {
				t.Error("another reply than was sent")
			}
			if n := len(f.backend.posts()); n != 1 {
				t.Errorf("stored %d times", n)
			}
			f.ahead.Add(70_000)
			device.seq = 50
			next := device.sealed("/sys/a1B2c3D4e5F/lamp-001/thing/other", "")
			next.Options = next.Options.Add(message.Option{ID: message.Block2, Value: blockOption(1, false, 6)})
			if got := device.do(next); got.Code != codes.RequestEntityIncomplete {
				t.Errorf("a reply that is not there: %v", got.Code)
			}
		})
	}
}

// Somebody who saw a request sends it again from another address, and asks for a later block of its reply: what that address is sent, which
// has asked for nothing, is small. The device itself gets whole blocks.
func TestReplyInBlocksIsNoAmplifier(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	large := strings.Repeat("0123456789", 350)
	f.backend.set(func() {
		f.backend.reply = func(r record.Record) record.Result {
			return record.Result{Code: 200, Replies: []record.Reply{{Topic: r.Topic + "_reply", Payload: []byte(large)}}}
		}
	})
	device, stranger := dial(t, f.address), dial(t, f.address)
	device.login()
	seq := device.seq
	if got := device.do(device.sealed(postTopic, postBody)); got.Code != codes.Content {
		t.Fatal(got.Code)
	}
	stranger.token, stranger.key = device.token, device.key
	for name, c := range map[string]*client{"stranger": stranger, "device": device} {
		c.seq = seq
		m := c.sealed(postTopic, "")
		m.Payload = nil
		m.Options = m.Options.Add(message.Option{ID: message.Block2, Value: blockOption(1, false, 6)})
		sent := c.encode(m)
		got := c.do(m)
		if got.Code != codes.Content || name == "device" && len(got.Payload) != 1024 || name == "stranger" && len(c.encode(got)) > 3*len(sent) {
			t.Errorf("%s: %v, %d bytes for %d", name, got.Code, len(c.encode(got)), len(sent))
		}
	}
}

// fetch gets a path block by block, and gives body and last response.
func (c *client) fetch(path string, szx int) ([]byte, message.Message) {
	c.t.Helper()
	var body []byte
	var etag []byte
	for num := 0; ; num++ {
		m := c.request(path, nil, nil)
		m.Code = codes.GET
		m.Options = m.Options.Add(message.Option{ID: message.Block2, Value: blockOption(num, false, szx)})
		got := c.do(m)
		if got.Code != codes.Content {
			return body, got
		}
		if num == 0 {
			etag = option(got, message.ETag)
		}
		n := 0
		for _, b := range option(got, message.Block2) {
			n = n<<8 | int(b)
		}
		szx = n & 7 // the server may want smaller ones
		if n>>4 != num || len(etag) != 8 || !bytes.Equal(option(got, message.ETag), etag) {
			c.t.Fatalf("asked for block %d, got %d, ETag %x", num, n>>4, option(got, message.ETag))
		}
		body = append(body, got.Payload...)
		if n&8 == 0 {
			return body, got
		}
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	content := text(150_001)
	if err := f.bucket.Put(t.Context(), "ota/a b.bin", content, ""); err != nil {
		t.Fatal(err)
	}
	address, err := f.urls.URL("ota/a b.bin", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.ReplaceAll(strings.TrimPrefix(address, "http://dl.example"), "%20", " ")
	stranger := dial(t, f.address)
	body, got := stranger.fetch(path, 6)
	if !bytes.Equal(body, content) {
		t.Errorf("a stranger: %d bytes, %v", len(body), got.Code)
	}
	c := dial(t, f.address)
	c.login()
	c.do(c.sealed(postTopic, postBody))
	whole := c.request(path, nil, nil)
	whole.Code = codes.GET
	got = c.do(whole)
	if len(got.Payload) != 1024 || !bytes.Equal(option(got, message.Size2), []byte{2, 0x49, 0xf1}) {
		t.Errorf("a known device without Block2: %d bytes, Size2 %x", len(got.Payload), option(got, message.Size2))
	}
	if body, _ := c.fetch(path, 6); !bytes.Equal(body, content) {
		t.Errorf("a known device: %d bytes", len(body))
	}
	beyond := c.request(path, nil, nil)
	beyond.Code = codes.GET
	beyond.Options = beyond.Options.Add(message.Option{ID: message.Block2, Value: blockOption(150, false, 6)})
	if got := c.do(beyond); got.Code != codes.BadRequest {
		t.Errorf("behind the end: %v", got.Code)
	}
	for name, x := range map[string]struct {
		path  string
		ahead int64
		code  codes.Code
	}{
		"changed": {path + "x", 0, codes.Forbidden}, "expired": {path, 2 * 3_600_000, codes.Unauthorized},
	} {
		f.ahead.Store(x.ahead)
		m := stranger.request(x.path, nil, nil)
		m.Code = codes.GET
		if got := stranger.do(m); got.Code != x.code {
			t.Errorf("%s: %v, want %v", name, got.Code, x.code)
		}
	}
	f.ahead.Store(0)
	missing, err := f.urls.URL("ota/none", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, got := c.fetch(strings.TrimPrefix(missing, "http://dl.example"), 6); got.Code != codes.NotFound {
		t.Errorf("missing: %v", got.Code)
	}
	if got := c.do(c.request(path, nil, nil)); got.Code != codes.MethodNotAllowed {
		t.Errorf("POST: %v", got.Code)
	}
}

// What goes to an address that anybody can have forged is at most three times what came from there.
func TestNoAmplification(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	if err := f.bucket.Put(t.Context(), "f", text(100_000), ""); err != nil {
		t.Fatal(err)
	}
	address, err := f.urls.URL("f", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, f.address)
	get := c.request(strings.TrimPrefix(address, "http://dl.example"), nil, nil)
	get.Code = codes.GET
	wellKnown := c.request("/.well-known/core", nil, nil)
	wellKnown.Code = codes.GET
	unknown := c.sealed(postTopic, postBody)
	for name, m := range map[string]message.Message{
		"download": get, "well-known": wellKnown, "token": unknown, "auth": c.request("/auth", c.credentials("", nil), nil), "path": c.request("/x", nil, nil),
		"refused": c.request("/auth", []byte("{}"), nil), "ping": {Type: message.Confirmable, MessageID: 1}, "nothing": c.request("/", nil, nil),
	} {
		sent := c.send(m)
		got := c.receive(5 * time.Second)
		if got == nil || len(got) > 3*len(sent) {
			t.Errorf("%s: %d bytes for %d", name, len(got), len(sent))
		}
	}
}
