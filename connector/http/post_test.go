package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/connector/token"
	"relink/connector/uplink"
	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	sealed "relink/shared/token"
	"relink/shared/topic"
)

// functions stand for the cloud: they let lamp-001 in, and answer its messages.
type functions struct {
	sealer *sealed.Sealer
	answer func(r record.Record) (record.Result, error)

	mu   sync.Mutex
	seen []record.Record
}

func (f *functions) Submit(_ context.Context, _ string, r record.Record, done func(record.Result, error)) error {
	go func() { done(f.result(r)) }()
	return nil
}

func (f *functions) result(r record.Record) (record.Result, error) {
	grant := device.Grant{ProductKey: r.Device.ProductKey, DeviceName: r.Device.DeviceName, IotID: "iot1", DataFormat: 1, Topics: device.NewClasses(device.DefaultTopics())}
	ok := func(v any) (record.Result, error) {
		data, err := json.Marshal(v)
		return record.Result{Code: 200, Data: data}, err
	}
	switch r.Topic {
	case device.TopicTokenLogin:
		var l device.TokenLogin
		if err := json.Unmarshal(r.Payload, &l); err != nil {
			return record.Result{}, err
		}
		if l.Params["sign"] != "right" {
			data, err := json.Marshal(device.Refusal{Cause: string(refusal.SignMismatch)})
			return record.Result{Code: 401, Data: data}, err
		}
		return ok(device.TokenGrant{Token: f.token(l.At/1000+3600, sealed.HTTP), Grant: grant})
	case device.TopicResume:
		return ok(grant)
	case device.TopicHeard:
		return record.Result{Code: 200}, nil
	}
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.mu.Unlock()
	return f.answer(r)
}

func (f *functions) token(until int64, family sealed.Family) string {
	text, err := f.sealer.Seal(sealed.Claims{Device: iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}, Iot: sealed.HashOf("iot1"), ExpiresAt: until, Family: family})
	if err != nil {
		panic(err)
	}
	return text
}

type meter struct{}

func (meter) Uplink(topic.Family, refusal.Cause, time.Duration) {}

func stored(r record.Record) (record.Result, error) {
	return record.Result{Code: 200, Replies: []record.Reply{{Topic: r.Topic + "_reply", Payload: []byte(`{"code":200,"data":{},"id":"1","message":"success"}`)}}}, nil
}

// face is a server with a Keeper, and a connection to it.
type face struct {
	*functions
	t      *testing.T
	server *Server
	log    *journal
}

func newFace(t *testing.T, change func(*Options, *token.Options)) *face {
	t.Helper()
	sealer, err := sealed.New(config.Key{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &face{functions: &functions{sealer: sealer, answer: stored}, t: t, log: new(journal)}
	o := Options{Dispatcher: f, Journal: f.log, Budget: limits.NewBudget(limits.DefaultBudget()), NextID: func(int64) string { return "1" }, Logger: slog.New(slog.DiscardHandler)}
	k := token.Options{Dispatcher: f, Journal: f.log, Sealer: sealer, NextID: o.NextID, Logger: o.Logger, Budget: o.Budget}
	if change != nil {
		change(&o, &k)
	}
	o.Tokens, o.Router = token.New(k), &uplink.Router{Dispatcher: f, Journal: f.log, Meter: meter{}, IDs: uplink.NewIDs(1)}
	f.server = New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(f.server.Shutdown(ctx), o.Tokens.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *face) connect() net.Conn {
	f.t.Helper()
	client, server := net.Pipe()
	f.server.Serve(server, netip.MustParseAddrPort("192.0.2.1:5"), "tls")
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = client.Close() }) // so that the server need not wait for it
	return client
}

// send sends a request on a connection of its own and gives the answer's head and body.
func (f *face) send(request string) (head, body string) {
	f.t.Helper()
	client := f.connect()
	go func() { _, _ = io.WriteString(client, request) }() // an answer may come before all of it is read
	answer, err := io.ReadAll(client)
	if err != nil {
		f.t.Fatal(err)
	}
	head, body, _ = strings.Cut(string(answer), "\r\n\r\n")
	return head, body
}

func (j *journal) last() session.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[len(j.events)-1]
}

// uplink waits for the line about a message, which is written after its answer.
func (j *journal) uplink(t *testing.T) session.Event {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if e := j.last(); e.Operation == session.OpUplink {
			return e
		}
	}
	t.Fatal("no message was logged")
	return session.Event{}
}

func postTopic(topic, password, body string) string {
	return "POST /topic" + topic + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\npassword: " + password + "\r\nContent-Type: application/octet-stream\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

const property = "/sys/a1B2c3D4e5F/lamp-001/thing/event/property/post"

func (f *face) loggedIn() string {
	f.t.Helper()
	_, body := f.send(post("/auth", `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"right"}`))
	var answer struct {
		Code int
		Info struct{ Token string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Code != 0 || len(answer.Info.Token) != sealed.Length || len(body) >= 256 {
		f.t.Fatalf("%v: %s", err, body)
	}
	return answer.Info.Token
}

func TestLoginAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body, wants string }{
		"query":     {"/auth?_v=sdk-c-4.1.0&x=%zz", `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"right","timestamp":1}`, `{"code":0,"message":"success","info":{"token":"`},
		"sign":      {"/auth", `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","sign":"wrong"}`, `{"code":20000,"message":"auth check error"}`},
		"no_device": {"/auth", `{"productKey":"a1B2c3D4e5F","sign":"right"}`, `{"code":10001,"message":"param error"}`},
		"not_json":  {"/auth", `{"productKey":`, `{"code":10001,"message":"param error: the body is neither a form nor a JSON object of strings and numbers"}`},
		"too_large": {"/auth", strings.Repeat("x", maxBody+1), `{"code":10001,"message":"param error: the body is larger than 4 KB"}`},
	} {
		f := newFace(t, nil)
		head, body := f.send(post(c.path, c.body))
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || !strings.HasPrefix(body, c.wants) {
			t.Errorf("%s: %s\n%s\nwant %s", name, head, body, c.wants)
		}
		for line := range strings.SplitSeq(head, "\r\n") {
			if len(line) >= 128 || strings.HasPrefix(strings.ToLower(line), "transfer-encoding") {
				t.Errorf("%s: header %q", name, line)
			}
		}
		if !strings.Contains(head, "\r\nContent-Length: "+itoa(len(body))) {
			t.Errorf("%s: no length in %q", name, head)
		}
	}
}

// TestLoginBudget: what cannot be read counts as a failure, and stops being read.
func TestLoginBudget(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(o *Options, k *token.Options) {
		o.Budget = limits.NewBudget(limits.BudgetOptions{Burst: 1, PerMinute: 1, MaxSources: 10})
		k.Budget = o.Budget
	})
	for i, wants := range []string{`{"code":10001,`, `{"code":40000,"message":"request too many"}`} {
		if _, body := f.send(post("/auth", `{"productKey":`)); !strings.HasPrefix(body, wants) {
			t.Errorf("login %d: %s, want %s", i, body, wants)
		}
	}
	if e := f.log.last(); e.Reason != refusal.RateLimitedSource {
		t.Errorf("logged %+v", e)
	}
}

func TestPostAnswers(t *testing.T) {
	t.Parallel()
	result := func(r record.Result, err error) func(record.Record) (record.Result, error) {
		return func(record.Record) (record.Result, error) { return r, err }
	}
	replied := func(code int32, reason refusal.Cause, payload string) func(record.Record) (record.Result, error) {
		return result(record.Result{Code: code, Reason: string(reason), Replies: []record.Reply{{Payload: []byte(payload)}}}, nil)
	}
	const done = `{"code":0,"message":"success","info":{"messageId":N}}`
	for name, c := range map[string]struct {
		topic  string
		answer func(record.Record) (record.Result, error)
		wants  string
		reason refusal.Cause
	}{
		"stored":        {property, stored, done, ""},
		"double_slash":  {"/" + property, stored, done, ""},
		"custom":        {"/a1B2c3D4e5F/lamp-001/user/update", stored, done, ""},
		"model_refuses": {property, replied(6306, refusal.ValueTypeMismatch, `{"code":6306,"message":"tsl parse: \"X\" {int}","data":{}}`), `{"code":10001,"message":"param error: 6306 tsl parse: 'X' 'int'","info":{"messageId":N}}`, refusal.ValueTypeMismatch},
		"no_reply":      {property, result(record.Result{Code: 460, Reason: "params_malformed", Detail: "x"}, nil), `{"code":10001,"message":"param error: 460 params_malformed: x","info":{"messageId":N}}`, refusal.ParamsMalformed},
		"dead_letter":   {property, result(record.Result{Code: 500, Reason: string(refusal.DeadLetter)}, nil), `{"code":30001,"message":"publish message error","info":{"messageId":N}}`, refusal.DeadLetter},
		"undecided":     {property, result(record.Result{}, errors.New("gone")), `{"code":30001,"message":"publish message error","info":{"messageId":N}}`, refusal.FunctionFailed},
		"throttled":     {property, result(record.Result{}, refusal.New(refusal.StoreThrottled, "")), `{"code":40000,"message":"request too many","info":{"messageId":N}}`, refusal.StoreThrottled},
		"asks":          {"/sys/a1B2c3D4e5F/lamp-001/thing/config/get", stored, `{"code":0,"message":"success","info":{"messageId":N,"data":{"code":200,"data":{},"id":"1","message":"success"}}}`, ""},
		"ntp":           {"/ext/ntp/a1B2c3D4e5F/lamp-001/request", stored, `{"code":0,"message":"success","info":{"messageId":N,"data":{"deviceSendTime":"1",`, ""},
		"foreign":       {"/sys/a1B2c3D4e5F/lamp-002/thing/event/property/post", stored, `{"code":30001,"message":"publish message error"}`, refusal.TopicNotOwn},
		"not_publish":   {"/a1B2c3D4e5F/lamp-001/user/get", stored, `{"code":30001,"message":"publish message error"}`, refusal.TopicNotPermitted},
		"sub_device":    {"/ext/session/a1B2c3D4e5F/lamp-001/combine/login", stored, `{"code":30001,"message":"publish message error"}`, refusal.TopicNotPermitted},
		"wildcard":      {"/a1B2c3D4e5F/lamp-001/user/%23", stored, `{"code":30001,"message":"publish message error"}`, refusal.TopicMalformed},
		"unknown":       {"/nothing", stored, `{"code":30001,"message":"publish message error"}`, refusal.UnknownTopic},
	} {
		f := newFace(t, nil)
		f.answer = c.answer
		tok := f.loggedIn()
		_, body := f.send(postTopic(c.topic, tok, `{"deviceSendTime":"1"}`))
		id := ""
		if _, after, ok := strings.Cut(body, `"messageId":`); ok {
			id = after[:strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })]
		}
		if got := strings.Replace(body, `"messageId":`+id, `"messageId":N`, 1); !strings.HasPrefix(got, c.wants) {
			t.Errorf("%s: %s\nwant %s", name, body, c.wants)
		}
		if e := f.log.uplink(t); e.Reason != c.reason || id != "" && e.MessageID != id {
			t.Errorf("%s: logged %+v", name, e)
		}
	}
}

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	ends := time.Now().Unix()
	for name, c := range map[string]struct{ token, wants string }{
		"none":     {"", `{"code":20002,"message":"token is null"}`},
		"junk":     {"6944e5bfb92e4d4ea3918d1eda3942f6", `{"code":20003,"message":"check token error"}`},
		"expired":  {f.token(ends, sealed.HTTP), `{"code":20001,"message":"token is expired"}`},
		"protocol": {f.token(ends+3600, sealed.CoAP), `{"code":20003,"message":"check token error"}`},
	} {
		head, body := f.send(postTopic(property, c.token, "{}"))
		if body != c.wants || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: %s\n%s", name, head, body)
		}
	}
	if len(f.seen) > 0 {
		t.Errorf("taken: %+v", f.seen)
	}
}

// TestBounds: the sizes of a post and the rate of a device.
func TestBounds(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(_ *Options, k *token.Options) { k.Rates = limits.Rates{UpQoS1: 2} })
	tok := f.loggedIn()
	if _, body := f.send(postTopic(property, tok, strings.Repeat("x", maxPost))); !strings.HasPrefix(body, `{"code":0,`) {
		t.Errorf("128 KB: %s", body)
	}
	if _, body := f.send(postTopic(property, tok, strings.Repeat("x", maxPost+1))); body != `{"code":10001,"message":"param error: 131073 bytes, of 131072 that HTTP takes"}` {
		t.Errorf("more than 128 KB: %s", body)
	}
	if e := f.log.last(); e.Reason != refusal.PayloadTooLarge {
		t.Errorf("logged %+v", e)
	}
	now := time.Now() // the clock stands still, so that nothing is forgiven
	f = newFace(t, func(_ *Options, k *token.Options) {
		k.Rates, k.Now = limits.Rates{UpQoS1: 2}, func() time.Time { return now }
	})
	tok = f.loggedIn()
	chunked := "POST /topic" + property + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nPassword: " + tok + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", maxPost+1, strings.Repeat("x", maxPost+1))
	if _, body := f.send(chunked); body != `{"code":10001,"message":"param error: more than the 131072 bytes that HTTP takes"}` {
		t.Errorf("more in chunks: %s", body)
	}
	for i, wants := range []string{`{"code":0,`, `{"code":40000,"message":"request too many"}`} {
		if _, body := f.send(postTopic(property, tok, "{}")); !strings.HasPrefix(body, wants) {
			t.Errorf("post %d: %s, want %s", i, body, wants)
		}
	}
}

// TestKeepAlive: many posts on one connection, as C4 sends them, and HTTP/1.0.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	tok := f.loggedIn()
	client := f.connect()
	for i := range 3 {
		request := strings.Replace(postTopic(property, tok, "{}"), "Connection: close\r\n", "", 1)
		go func() { _, _ = io.WriteString(client, request) }() // the read below fails if this does
		buffer := make([]byte, 1024)
		n, err := client.Read(buffer)
		if err != nil || !strings.Contains(string(buffer[:n]), `{"code":0,`) {
			t.Fatalf("post %d: %v, %s", i, err, buffer[:n])
		}
	}
	old := strings.Replace(strings.Replace(postTopic(property, tok, "{}"), "HTTP/1.1", "HTTP/1.0", 1), "Connection: close\r\n", "", 1)
	if head, body := f.send(old); !strings.Contains(body, `{"code":0,`) || !strings.HasPrefix(head, "HTTP/1.0 200 OK\r\n") {
		t.Errorf("HTTP/1.0: %s\n%s", head, body)
	}
}

// TestDeferredAnswer: code 0 comes only when the function has spoken, and a function that does not is not waited for for ever.
func TestDeferredAnswer(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	f := newFace(t, func(o *Options, _ *token.Options) { o.AnswerTimeout = 100 * time.Millisecond; o.MaxPosts = 1 })
	tok := f.loggedIn()
	f.answer = func(r record.Record) (record.Result, error) { <-hold; return stored(r) }
	if _, body := f.send(postTopic(property, tok, "{}")); body != `{"code":30001,"message":"publish message error: not decided in time"}` {
		t.Errorf("undecided: %s", body)
	}
	close(hold)
	if _, body := f.send(postTopic(property, tok, "{}")); !strings.HasPrefix(body, `{"code":0,`) {
		t.Errorf("decided: %s", body)
	}
}

// FuzzParams: what is read as parameters is what stands there, and nothing panics.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		`{"version":"default","clientId":"a.b","signmethod":"hmacsha1","sign":"00","productKey":"a","deviceName":"b"}`, `{"timestamp":1501668289957,"seq":10}`,
		`{"a":true,"b":null,"c":{},"d":[1]}`, "productKey=a&deviceName=b&sign=00", `{"a":1e400}`, `{"a":`, "", "{}{}", "%zz",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		params, err := parseParams(body)
		if err != nil {
			return
		}
		again, err := json.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseParams(again); err != nil {
			t.Errorf("%q gives %q, which is not read: %v", body, again, err)
		}
	})
}
