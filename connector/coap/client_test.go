package coap_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// A client is a device, written from the protocol's description and not from the server: its own signature, key and cipher.
type client struct {
	t      testing.TB
	conn   *net.UDPConn
	mid    uint16
	serial byte

	productKey, deviceName, secret string

	token string
	key   []byte // nil: payloads are in clear
	seq   int
}

const (
	testSecret = "0123456789abcdefghijklmnopqrstuv"
	testIV     = "543yhjy97ae7fyfg"
)

func dial(t testing.TB, address string) *client {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{t: t, conn: c.(*net.UDPConn), mid: 1000, productKey: "a1B2c3D4e5F", deviceName: "lamp-001", secret: testSecret}
}

// pad and encrypt, as "Key and encryption" says.
func (c *client) encrypt(plain []byte) []byte {
	if c.key == nil {
		return plain
	}
	n := 16 - len(plain)%16
	padded := append(append([]byte{}, plain...), []byte(strings.Repeat(string(rune(n)), n))...)
	block, err := aes.NewCipher(c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	cipher.NewCBCEncrypter(block, []byte(testIV)).CryptBlocks(padded, padded)
	return padded
}

func (c *client) decrypt(data []byte) []byte {
	c.t.Helper()
	if c.key == nil || len(data) == 0 {
		return data
	}
	block, err := aes.NewCipher(c.key)
	if err != nil || len(data)%16 != 0 {
		c.t.Fatalf("%d bytes of cipher text, %v", len(data), err)
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, []byte(testIV)).CryptBlocks(out, data)
	return out[:len(out)-int(out[len(out)-1])]
}

func hexMAC(method, secret, content string) string {
	h := map[string]func() hash.Hash{"hmacmd5": md5.New, "hmacsha1": sha1.New, "hmacsha256": sha256.New}[method]
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(content))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed is the text that POST /auth signs.
func signed(members map[string]any) string {
	var names []string
	for name := range members {
		switch name {
		case "version", "sign", "resources", "signmethod":
		default:
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name)
		switch v := members[name].(type) {
		case string:
			b.WriteString(v)
		case int:
			b.WriteString(strconv.Itoa(v))
		}
	}
	return b.String()
}

func (c *client) credentials(method string, more map[string]any) []byte {
	c.t.Helper()
	members := map[string]any{"productKey": c.productKey, "deviceName": c.deviceName, "clientId": c.productKey + "." + c.deviceName}
	for name, value := range more {
		members[name] = value
	}
	if method != "" {
		members["signmethod"] = method
	} else {
		method = "hmacmd5"
	}
	members["sign"] = hexMAC(method, c.secret, signed(members))
	body, err := json.Marshal(members)
	if err != nil {
		c.t.Fatal(err)
	}
	return body
}

// request makes a confirmable POST; change alters it before it is sent.
func (c *client) request(path string, payload []byte, options message.Options) message.Message {
	c.mid++
	c.serial++
	m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(c.mid), Token: message.Token{1, 2, 3, c.serial}, Payload: payload}
	for _, segment := range strings.Split(strings.Trim(path, "/"), "/") {
		m.Options = append(m.Options, message.Option{ID: message.URIPath, Value: []byte(segment)})
	}
	for _, o := range options {
		m.Options = m.Options.Add(o)
	}
	return m
}

// sealed makes a POST /topic/… with token and the next sequence number, encrypted.
func (c *client) sealed(topic string, payload string) message.Message {
	m := c.request("/topic"+topic, c.encrypt([]byte(payload)), message.Options{{ID: 2088, Value: []byte(c.token)}})
	if c.key != nil {
		m.Options = m.Options.Add(message.Option{ID: 2089, Value: c.encrypt([]byte(strconv.Itoa(c.seq)))})
	}
	c.seq++
	return m
}

func (c *client) send(m message.Message) []byte {
	c.t.Helper()
	b := c.encode(m)
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *client) encode(m message.Message) []byte {
	c.t.Helper()
	b := make([]byte, 4096)
	n, err := coder.DefaultCoder.Encode(m, b)
	if err != nil {
		c.t.Fatal(err)
	}
	return b[:n]
}

// receive waits for a datagram; nil if none comes in time.
func (c *client) receive(within time.Duration) []byte {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

func (c *client) parse(b []byte) message.Message {
	c.t.Helper()
	m := message.Message{Options: make(message.Options, 0, 16)}
	if _, err := coder.DefaultCoder.Decode(b, &m); err != nil {
		c.t.Fatalf("response %x: %v", b, err)
	}
	return m
}

// do sends a request and gives the response, which must fit it.
func (c *client) do(m message.Message) message.Message {
	c.t.Helper()
	c.send(m)
	b := c.receive(5 * time.Second)
	if b == nil {
		c.t.Fatalf("no response to %v", m.String())
	}
	got := c.parse(b)
	wantType, sameMID := message.Acknowledgement, true
	if m.Type == message.NonConfirmable {
		wantType, sameMID = message.NonConfirmable, false
	}
	if got.Type != wantType || sameMID && got.MessageID != m.MessageID || string(got.Token) != string(m.Token) {
		c.t.Fatalf("response %v does not fit %v", got.String(), m.String())
	}
	if got.Code>>5 != 2 && len(got.Payload) > 0 {
		c.t.Fatalf("%v carries a payload: %q", got.Code, got.Payload)
	}
	return got
}

// login authenticates as C3 does on 5682, or without seq on 5684.
func (c *client) login() {
	c.t.Helper()
	got := c.do(c.request("/auth", c.credentials("", map[string]any{"seq": "10"}), nil))
	c.welcome(got)
}

func (c *client) welcome(got message.Message) {
	c.t.Helper()
	var answer struct {
		Random    string      `json:"random"`
		SeqOffset json.Number `json:"seqOffset"`
		Token     string      `json:"token"`
	}
	if got.Code != codes.Content || json.Unmarshal(got.Payload, &answer) != nil || answer.Token == "" {
		c.t.Fatalf("auth: %v %q", got.Code, got.Payload)
	}
	if len(answer.Token) > 192 || len(answer.Random) > 32 {
		c.t.Fatalf("token of %d, random of %d", len(answer.Token), len(answer.Random))
	}
	c.token, c.key, c.seq = answer.Token, nil, 1
	if answer.Random != "" {
		sum := sha256.Sum256([]byte(c.secret + "," + answer.Random))
		c.key = sum[8:24]
		n, err := answer.SeqOffset.Int64()
		if err != nil {
			c.t.Fatal(err)
		}
		c.seq = int(n)
	}
}

func option(m message.Message, id message.OptionID) []byte {
	for _, o := range m.Options {
		if o.ID == id {
			return o.Value
		}
	}
	return nil
}
