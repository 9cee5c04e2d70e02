package fcrun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"relink/shared/fc/webevent"
)

func serve(t *testing.T, handler any, logs io.Writer) *server {
	s, err := newServer(config{}, handler, newLogger(logs, slog.LevelInfo), logs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func call(s *server, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("x-fc-request-id", "1-a-b")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	s := serve(t, HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		switch string(event) {
		case "error":
			return nil, errors.New("refused")
		case "panic":
			panic("oops")
		case "context":
			deadline, ok := ctx.Deadline()
			c, _ := CredentialsFrom(ctx)
			return fmt.Appendf(nil, "%s %s %t %t", RequestID(ctx), c.AccessKeySecret, ok, time.Until(deadline) > 4*time.Second), nil
		}
		return event, nil
	}), &logs)
	if w := call(s, "POST", "/invoke", "\x00\x01"); w.Code != 200 || w.Body.String() != "\x00\x01" || w.Header().Get("x-fc-status") != "200" {
		t.Errorf("ok: %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := call(s, "POST", "/invoke", "error"); w.Code != 500 || w.Header().Get("x-fc-status") != "404" || w.Body.String() != `{"errorMessage":"refused","errorType":"errors.errorString"}` {
		t.Errorf("error: %d %s %v", w.Code, w.Body, w.Header())
	}
	logs.Reset()
	if w := call(s, "POST", "/invoke", "panic"); w.Code != 500 || w.Header().Get("x-fc-status") != "404" || !strings.Contains(w.Body.String(), "panic: oops") {
		t.Errorf("panic: %d %s", w.Code, w.Body)
	}
	var line struct {
		Msg, Stack string
		RequestID  string `json:"request_id"`
	}
	if err := json.Unmarshal(bytes.SplitN(logs.Bytes(), []byte("\n"), 2)[0], &line); err != nil || line.Msg != "function panicked" || line.RequestID != "1-a-b" || !strings.Contains(line.Stack, "TestInvoke") {
		t.Errorf("log of a panic: %s %v", logs.String(), err)
	}
	w := call(s, "POST", "/invoke", "context", "x-fc-function-timeout", "5", "x-fc-access-key-id", "id", "x-fc-access-key-secret", "secret")
	if w.Body.String() != "1-a-b secret true true" {
		t.Errorf("context: %s", w.Body)
	}
	if w := call(s, "GET", "/anything", ""); w.Code != 404 {
		t.Errorf("no HTTP interface: %d", w.Code)
	}
	s.InvokeLog = true
	logs.Reset()
	call(s, "POST", "/invoke", "x")
	if logs.String() != "FC Invoke Start RequestId: 1-a-b\nFC Invoke End RequestId: 1-a-b\n" {
		t.Errorf("invoke lines %q", logs.String())
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name, header, value string
		configured, want    time.Duration // after now; 0 for none
	}{
		{"none", "", "", 0, 0},
		{"configured", "", "", 18 * time.Second, 18 * time.Second},
		{"service_later", "X-Fc-Function-Timeout", "20", 18 * time.Second, 18 * time.Second},
		{"service_earlier", "X-Fc-Function-Timeout", "5", 18 * time.Second, 5 * time.Second},
		{"service_instant", "X-Fc-Function-Deadline", "1700000007000", 0, 7 * time.Second},
		{"nonsense", "X-Fc-Function-Deadline", "soon", 0, 0},
	} {
		got, ok := deadlineOf(http.Header{c.header: {c.value}}, now, c.configured)
		if ok != (c.want > 0) || ok && got.Sub(now) != c.want {
			t.Errorf("%s: %s, %t", c.name, got.Sub(now), ok)
		}
	}
	s := serve(t, HandlerFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
		deadline, _ := ctx.Deadline()
		return fmt.Append(nil, time.Until(deadline) > 0 && time.Until(deadline) <= time.Minute), nil
	}), io.Discard)
	s.Timeout = time.Minute
	if got, err := s.builtin(t.Context(), nil); err != nil || fmt.Sprintf("%s", got) != "true" {
		t.Errorf("go1: %s, %v", got, err)
	}
}

// webFunction has everything a handler may have.
type webFunction struct {
	HandlerFunc
	initialized, closed int
}

func (f *webFunction) Initialize(context.Context) error { f.initialized++; return nil }
func (f *webFunction) Close(context.Context) error      { f.closed++; return errors.New("not flushed") }
func (f *webFunction) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("oops")
	case "/half":
		io.WriteString(w, "half")
		panic("oops")
	}
	w.Header().Set("X-Own", "1")
	w.WriteHeader(201)
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s %q", r.Method, r.URL.RequestURI(), body, RequestID(r.Context()), r.Header.Get("x-fc-access-key-secret"))
}

func TestHTTPHandlerAndHooks(t *testing.T) {
	t.Parallel()
	f := &webFunction{HandlerFunc: func(context.Context, []byte) ([]byte, error) { return []byte("event"), nil }}
	s := serve(t, f, io.Discard)
	if w := call(s, "PUT", "/x?q=1", "body", "x-fc-access-key-secret", "hidden"); w.Code != 201 || w.Body.String() != `PUT /x?q=1 body 1-a-b ""` || w.Header().Get("X-Own") != "1" {
		t.Errorf("request: %d %s", w.Code, w.Body)
	}
	if w := call(s, "POST", "/invoke", "", "x-fc-control-path", "/http-invoke"); w.Code != 201 {
		t.Errorf("a trigger's request to /invoke: %d %s", w.Code, w.Body)
	}
	if w := call(s, "POST", "/invoke", "", "x-fc-control-path", "/invoke"); w.Body.String() != "event" {
		t.Errorf("invocation: %s", w.Body)
	}
	if w := call(s, "GET", "/panic", ""); w.Code != 500 {
		t.Errorf("panic: %d", w.Code)
	}
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("half a response was not aborted")
			}
		}()
		call(s, "GET", "/half", "")
	}()
	if w := call(s, "POST", "/initialize", ""); w.Code != 200 || f.initialized != 1 {
		t.Errorf("initialize: %d, called %d times", w.Code, f.initialized)
	}
	for range 2 {
		if w := call(s, "GET", "/pre-stop", ""); w.Code != 500 || f.closed != 1 {
			t.Errorf("pre-stop: %d, closed %d times", w.Code, f.closed)
		}
	}
}

func TestWebEvent(t *testing.T) {
	t.Parallel()
	f := &webFunction{HandlerFunc: func(context.Context, []byte) ([]byte, error) { return []byte("event"), nil }}
	s := serve(t, f, io.Discard)
	ctx := withInvocation(t.Context(), &invocation{requestID: "1-a-b"})
	event := `{"version":"v1","rawPath":"/x","headers":{"A":"b"},"queryParameters":{"q":"1"},"body":"AQ==","isBase64Encoded":true,"requestContext":{"domainName":"h","http":{"method":"PUT","sourceIp":"1.2.3.4"}}}`
	got, err := s.builtin(ctx, []byte(event))
	raw, ok := got.(json.RawMessage) // as it is, not in quotes
	var reply webevent.Reply
	if ok {
		err = errors.Join(err, json.Unmarshal(raw, &reply))
	}
	if err != nil || !ok || reply.StatusCode != 201 || reply.Body != "PUT /x?q=1 \x01 1-a-b \"\"" || reply.Headers["X-Own"] != "1" {
		t.Errorf("got %+v, %v", got, err)
	}
	if w := call(s, "POST", "/invoke", event); w.Code != 200 || !strings.Contains(w.Body.String(), `"statusCode":201`) { // through the front door
		t.Errorf("custom runtime: %d %s", w.Code, w.Body)
	}
	for _, other := range []string{`{"requestContext":{"requestId":"1"},"requestPayload":"\"rawPath\""}`, `{"requestContext":1,"rawPath":2}`, `[]`, ``} {
		if got, err := s.builtin(ctx, []byte(other)); err != nil || string(got.([]byte)) != "event" {
			t.Errorf("%s: got %v, %v", other, got, err)
		}
	}
}

func TestOnlyHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, http.NotFoundHandler(), io.Discard)
	if w := call(s, "GET", "/x", ""); w.Code != 404 {
		t.Errorf("request: %d", w.Code)
	}
	if w := call(s, "POST", "/invoke", "x"); w.Code != 500 || !strings.Contains(w.Body.String(), errNoEvents.Error()) {
		t.Errorf("event: %d %s", w.Code, w.Body)
	}
	if _, err := newServer(config{}, 7, s.log, io.Discard); err == nil {
		t.Error("a number is taken for a handler")
	}
}

func TestResultRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, result, go1 string }{
		{"object", `{"a":1}`, `{"a":1}`},
		{"empty", "", `""`},
		{"binary", "\x00\x01", `"AAE="`},
		{"string", `"a"`, `"ImEi"`},
		{"space_string", ` "a"`, `"ICJhIg=="`},
		{"text", "plain", `"cGxhaW4="`},
		{"number", "1", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			encoded, err := json.Marshal(encodeRaw([]byte(c.result)))
			if err != nil || string(encoded) != c.go1 {
				t.Errorf("encoded: %s, %v, want %s", encoded, err, c.go1)
			}
			for runtime, received := range map[string][]byte{"go1": encoded, "custom": wrapQuoted([]byte(c.result))} {
				if got, err := unwrap(received); err != nil || string(got) != c.result {
					t.Errorf("%s: unwrap(%s) = %q, %v", runtime, received, got, err)
				}
			}
		})
	}
}

// unwrap does what callers do.
func unwrap(received []byte) (result []byte, err error) {
	if len(received) == 0 || received[0] != '"' {
		return received, nil
	}
	err = json.Unmarshal(received, &result)
	return result, err
}

func FuzzResult(f *testing.F) {
	for _, s := range []string{"", `{"a":1}`, `"a"`, "\x00", " [1]", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, result []byte) {
		if got, err := unwrap(wrapQuoted(result)); err != nil || !bytes.Equal(got, result) {
			t.Errorf("custom: %q, %v", got, err)
		}
		encoded, err := json.Marshal(encodeRaw(result))
		if err != nil {
			t.Fatal(err)
		}
		got, err := unwrap(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, result) && !json.Valid(result) {
			t.Errorf("go1: %q", got)
		}
	})
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	c, err := readConfig(t.Context(), envconfig.MapLookuper(nil))
	if err != nil || c.addr() != "0.0.0.0:9000" || c.InvokeLog || c.LogLevel != slog.LevelInfo {
		t.Errorf("defaults %+v, %v", c, err)
	}
	c, err = readConfig(t.Context(), envconfig.MapLookuper(map[string]string{"FC_CUSTOM_LISTEN_PORT": "1234", "RELINK_FC_LISTEN_HOST": "127.0.0.1",
		"RELINK_FC_INVOKE_LOG": "true", "RELINK_LOG_LEVEL": "debug", "RELINK_FC_TIMEOUT": "20s"}))
	if err != nil || c.addr() != "127.0.0.1:1234" || !c.InvokeLog || c.LogLevel != slog.LevelDebug || c.Timeout != 20*time.Second {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []map[string]string{{"FC_CUSTOM_LISTEN_PORT": "0"}, {"RELINK_FC_TIMEOUT": "-1s"}, {"RELINK_LOG_LEVEL": "loud"}} {
		if _, err := readConfig(t.Context(), envconfig.MapLookuper(bad)); err == nil {
			t.Errorf("%v accepted", bad)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", Credentials{"id", "s3cret", "t"}, Credentials{"id", "s3cret", "t"}, Credentials{"id", "s3cret", "t"}); strings.Contains(text, "s3cret") {
		t.Errorf("credentials print: %s", text)
	}
}
