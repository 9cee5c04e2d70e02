package e2e

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/scripts/load"
	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/token"
)

// A coapLamp is a device on port 5682, written from "CoAP device access": its own signature, key derivation and cipher.
type coapLamp struct {
	t      *testing.T
	device load.Device
	conn   net.Conn
	mid    uint16
	seq    int
	token  string
	key    []byte
}

func newCoapLamp(t *testing.T, s *system, d load.Device) *coapLamp {
	t.Helper()
	conn, err := net.Dial("udp", s.env["RELINK_COAP"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &coapLamp{t: t, device: d, conn: conn, mid: uint16(time.Now().UnixNano())}
}

// exchange sends a request, again after two seconds as firmware does, and gives the response.
func (l *coapLamp) exchange(m message.Message) message.Message {
	l.t.Helper()
	got, ok := l.tries(m, 8)
	if !ok {
		l.t.Fatalf("no response to %v", m.String())
	}
	return got
}

// tries sends a request some times; false: there was no response.
func (l *coapLamp) tries(m message.Message, times int) (message.Message, bool) {
	l.t.Helper()
	b := make([]byte, 2048)
	n, err := coder.DefaultCoder.Encode(m, b)
	if err != nil {
		l.t.Fatal(err)
	}
	answer := make([]byte, 2048)
	for range times {
		if _, err := l.conn.Write(b[:n]); err != nil {
			continue // nobody listens: the connector is being started again
		}
		for end := time.Now().Add(2 * time.Second); ; {
			if err := l.conn.SetReadDeadline(end); err != nil {
				l.t.Fatal(err)
			}
			k, err := l.conn.Read(answer)
			if err != nil {
				if time.Now().Before(end) { // refused
					pause(l.t, 100*time.Millisecond)
					continue
				}
				break
			}
			got := message.Message{Options: make(message.Options, 0, 16)}
			if _, err := coder.DefaultCoder.Decode(answer[:k], &got); err != nil {
				l.t.Fatal(err)
			}
			if got.MessageID == m.MessageID && bytes.Equal(got.Token, m.Token) {
				return got, true
			}
		}
	}
	return message.Message{}, false
}

func (l *coapLamp) request(path string, payload []byte, options ...message.Option) message.Message {
	l.mid++
	m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(l.mid), Token: message.Token{4, 3, 2, byte(l.mid)}, Payload: payload}
	for segment := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		m.Options = append(m.Options, message.Option{ID: message.URIPath, Value: []byte(segment)})
	}
	for _, o := range options {
		m.Options = m.Options.Add(o)
	}
	return m
}

// encrypt encrypts for port 5682; inside DTLS, where there is no key, payloads are in clear.
func (l *coapLamp) encrypt(plain string) []byte {
	if l.key == nil {
		return []byte(plain)
	}
	block, err := aes.NewCipher(l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	n := aes.BlockSize - len(plain)%aes.BlockSize
	b := append([]byte(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, []byte("543yhjy97ae7fyfg")).CryptBlocks(b, b)
	return b
}

func (l *coapLamp) decrypt(b []byte) string {
	l.t.Helper()
	if len(b) == 0 || l.key == nil {
		return string(b)
	}
	block, err := aes.NewCipher(l.key)
	if err != nil || len(b)%aes.BlockSize != 0 {
		l.t.Fatalf("%d bytes of cipher text, %v", len(b), err)
	}
	out := make([]byte, len(b))
	cipher.NewCBCDecrypter(block, []byte("543yhjy97ae7fyfg")).CryptBlocks(out, b)
	return string(out[:len(out)-int(out[len(out)-1])])
}

// auth is what Link SDK C 3 sends.
func (l *coapLamp) auth() message.Message {
	l.t.Helper()
	id := l.device.ProductKey + "." + l.device.DeviceName
	mac := hmac.New(md5.New, []byte(l.device.DeviceSecret))
	mac.Write([]byte("clientId" + id + "deviceName" + l.device.DeviceName + "productKey" + l.device.ProductKey + "seq10"))
	body := fmt.Sprintf(`{"productKey":%q,"deviceName":%q,"clientId":%q,"sign":"%x","seq":"10"}`, l.device.ProductKey, l.device.DeviceName, id, mac.Sum(nil))
	return l.exchange(l.request("/auth", []byte(body)))
}

func (l *coapLamp) login() {
	l.t.Helper()
	got := l.auth()
	if err := l.accept(got.Payload); err != nil || got.Code != codes.Content {
		l.t.Fatalf("auth: %v %s: %v", got.Code, got.Payload, err)
	}
}

// accept takes the token of an answer to /auth, and makes the key of its random, which there is on 5682 alone.
func (l *coapLamp) accept(payload []byte) error {
	var answer struct {
		Random, Token string
		SeqOffset     int
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return err
	}
	if answer.Token == "" {
		return errors.New("no token")
	}
	l.token, l.key, l.seq = answer.Token, nil, answer.SeqOffset
	if answer.Random != "" {
		sum := sha256.Sum256([]byte(l.device.DeviceSecret + "," + answer.Random))
		l.key = sum[8:24]
	}
	return nil
}

// post posts on a topic, encrypted, and gives the code and the reply in clear.
func (l *coapLamp) post(topic, payload string) (codes.Code, string) {
	l.t.Helper()
	got := l.exchange(l.sealed(topic, payload))
	return got.Code, l.decrypt(got.Payload)
}

func (l *coapLamp) sealed(topic, payload string) message.Message {
	m := l.request("/topic"+topic, l.encrypt(payload), message.Option{ID: 2088, Value: []byte(l.token)})
	if l.key != nil {
		m.Options = m.Options.Add(message.Option{ID: 2089, Value: l.encrypt(strconv.Itoa(l.seq))})
		l.seq++
	}
	return m
}

func (l *coapLamp) sys(suffix string) string {
	return "/sys/" + l.device.ProductKey + "/" + l.device.DeviceName + "/" + suffix
}

// wantReply posts and wants an Alink reply with a code; it gives its data.
func (l *coapLamp) wantReply(suffix, payload string, want int) string {
	l.t.Helper()
	code, text := l.post(l.sys(suffix), payload)
	if code != codes.Content {
		l.t.Fatalf("%s: %v", suffix, code)
	}
	r := parseReply(l.t, []byte(text))
	if r.Code != want {
		l.t.Errorf("%s: %s, want code %d", suffix, text, want)
	}
	return string(r.Data)
}

// A device authenticates, posts, hears the reply in the response, and the value is read with the official SDK; events, tags, shadow, time,
// configuration and OTA go the same way.
func TestCoAPDevice(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	l := newCoapLamp(t, s, newDevice(t, api, pk, "coap-001"))
	l.login()
	const post = `{"id":"7","version":"1.0","params":{"temperature":21.5},"method":"thing.event.property.post"}`
	code, text := l.post(l.sys("thing/event/property/post"), post)
	if want := `{"code":200,"data":{},"id":"7","message":"success","method":"thing.event.property.post","version":"1.0"}`; code != codes.Content || text != want {
		t.Errorf("post: %v %s, want %s", code, text, want)
	}
	name := l.device.DeviceName
	values, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name})
	if err != nil || !strings.Contains(values.Body.String(), "21.5") {
		t.Errorf("QueryDevicePropertyStatus: %v %v", err, values)
	}
	eventually(t, 10*time.Second, "the device is online", func() bool { return status(t, api, pk, name) == "ONLINE" })
	if code, text := l.post(l.sys("thing/event/property/post"), `{"id":"8","sys":{"ack":0},"params":{"temperature":22}}`); code != codes.Content || text != "" {
		t.Errorf("a post that wants no reply: %v %q", code, text)
	}
	l.wantReply("thing/event/property/post", `{"id":"9","params":{"nothing":1}}`, 200)
	l.wantReply("thing/deviceinfo/update", `{"id":"10","params":[{"attrKey":"room","attrValue":"2.14"}]}`, 200)
	if data := l.wantReply("thing/deviceinfo/get", `{"id":"11","params":[]}`, 200); data != `[{"attrKey":"room","attrValue":"2.14"}]` {
		t.Errorf("tags: %s", data)
	}
	l.wantReply("thing/config/get", `{"id":"12","params":{"configScope":"product","getType":"file"}}`, 6710)
	for topic, want := range map[string]string{
		"/shadow/update/" + pk + "/" + name:        `"status":"success"`,
		"/ext/ntp/" + pk + "/" + name + "/request": `"serverSendTime"`,
		"/" + pk + "/" + name + "/user/update":     "",
		"/ota/device/inform/" + pk + "/" + name:    "",
	} {
		payload := `{"id":1,"params":{"version":"1.0.0"}}`
		switch {
		case strings.HasPrefix(topic, "/shadow"):
			payload = `{"method":"update","state":{"reported":{"color":"red"}},"version":1}`
		case strings.HasPrefix(topic, "/ext/ntp"):
			payload = `{"deviceSendTime":"1000"}`
		}
		if code, text := l.post(topic, payload); code != codes.Content || want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s: %v %s, want %s", topic, code, text, want)
		}
	}
}

// What is refused has the protocol's code, and relink why explains it.
func TestCoAPRefusals(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "coap-bad")
	l := newCoapLamp(t, s, d)
	l.login()
	who := []string{pk, d.DeviceName}
	wants := func(name string, got codes.Code, want codes.Code, cause string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		whyFinds(t, s, cause, nil, who...)
	}
	const body = `{"id":"1","params":{"temperature":1}}`
	post := l.sys("thing/event/property/post")
	m := l.sealed(post, body)
	l.exchange(m)
	m.MessageID ^= 1 << 15
	wants("replayed number", l.exchange(m).Code, codes.Unauthorized, "sequence_replayed")
	code, _ := l.post("/sys/"+pk+"/another/thing/event/property/post", body)
	wants("foreign topic", code, codes.Forbidden, "topic_not_own")
	key := l.key
	l.key = []byte("0123456789abcdef")
	wrong := l.sealed(post, body)
	l.key = key
	wants("wrong key", l.exchange(wrong).Code, codes.BadRequest, "sequence_malformed")
	garbled := l.sealed(post, body)
	garbled.Payload = garbled.Payload[:len(garbled.Payload)-1]
	wants("cut payload", l.exchange(garbled).Code, codes.BadRequest, "ciphertext_malformed")
	large := l.sealed(post, body)
	large.Options = large.Options.Add(message.Option{ID: message.Block1, Value: []byte{8 | 6}}).Add(message.Option{ID: message.Size1, Value: []byte{3, 0, 0}})
	large.Payload = make([]byte, 1024)
	wants("oversized body", l.exchange(large).Code, codes.RequestEntityTooLarge, "block_too_large")
	expired := l.sealed(post, body)
	expired.Options = expired.Options.Set(message.Option{ID: 2088, Value: []byte(s.oldToken(t, d))})
	wants("expired token", l.exchange(expired).Code, codes.Unauthorized, "token_expired")
	liar := newCoapLamp(t, s, load.Device{ProductKey: pk, DeviceName: d.DeviceName, DeviceSecret: "wrong"})
	wants("wrong secret", liar.auth().Code, codes.Unauthorized, "sign_mismatch")
	s.relink(t, "device", "disable", pk, d.DeviceName)
	eventually(t, 75*time.Second, "a disabled device is refused", func() bool { code, _ := l.post(post, body); return code == codes.Forbidden })
	wants("disabled", l.auth().Code, codes.Forbidden, "device_disabled")
}

// oldToken is a token of the installation that has expired.
func (s *system) oldToken(t *testing.T, d load.Device) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "connector.env"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nRELINK_INTERNAL_KEY=")
	value, _, _ := strings.Cut(rest, "\n")
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != 32 {
		t.Fatalf("internal key: %v", err)
	}
	sealer, err := token.New(config.Key(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealer.Seal(token.Claims{
		Device: iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}, Family: token.CoAP, IssuedAt: 1, ExpiresAt: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// A connector that was killed knows no keys: the device is told 4.01, authenticates again, and goes on; what it had posted is there.
func TestCoAPOverARestart(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	l := newCoapLamp(t, s, newDevice(t, api, pk, "coap-restart"))
	l.login()
	post := l.sys("thing/event/property/post")
	if code, text := l.post(post, `{"id":"1","params":{"temperature":1.5}}`); code != codes.Content || !strings.Contains(text, "success") {
		t.Fatalf("%v %s", code, text)
	}
	if err := syscall.Kill(s.pid(t, "connector"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, _ := l.post(post, `{"id":"2","params":{"temperature":2.5}}`); code != codes.Unauthorized {
		t.Errorf("after the restart: %v, want 4.01", code)
	}
	l.login()
	if code, _ := l.post(post, `{"id":"3","params":{"temperature":3.5}}`); code != codes.Content {
		t.Errorf("with a new token: %v", code)
	}
	name := l.device.DeviceName
	values, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name})
	if err != nil || !strings.Contains(values.Body.String(), "3.5") {
		t.Errorf("QueryDevicePropertyStatus: %v %v", err, values)
	}
}

// go-coap's client, which knows nothing of the platform, speaks the parts that are in clear, and gets a file block by block.
func TestCoAPWithGoCoap(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	l := newCoapLamp(t, s, newDevice(t, api, pk, "coap-file"))
	content := `{"limits":"` + strings.Repeat("0123456789", 2000) + `"}`
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s.relink(t, "config", "publish", pk, "--file", file)
	l.login()
	var data struct{ URL string }
	if err := json.Unmarshal([]byte(l.wantReply("thing/config/get", `{"id":"1","params":{"configScope":"product","getType":"file"}}`, 200)), &data); err != nil || data.URL == "" {
		t.Fatalf("config/get: %v %+v", err, data)
	}
	u, err := url.Parse(data.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := udp.Dial(s.env["RELINK_COAP"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got, err := client.Get(ctx, u.Path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := got.ReadBody()
	if err != nil || got.Code() != codes.Content || string(body) != content {
		t.Errorf("%v, %d bytes, want %d; %v", got.Code(), len(body), len(content), err)
	}
	if got, err := client.Get(ctx, "/.well-known/core"); err != nil || got.Code() != codes.NotFound {
		t.Errorf(".well-known/core: %v %v", got, err)
	}
	if err := client.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
}
