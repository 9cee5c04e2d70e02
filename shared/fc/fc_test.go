package fc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// paths are the two ways to invoke synchronously: ours, and the SDK's, which must behave alike.
var paths = map[string]func(c *Client, ctx context.Context, function string, event []byte) (Result, error){
	"lean": (*Client).Invoke,
	"sdk": func(c *Client, ctx context.Context, function string, event []byte) (Result, error) {
		return c.invokeSDK(ctx, function, event, false)
	},
}

func eachPath(t *testing.T, test func(t *testing.T, invoke func(c *Client, ctx context.Context, function string, event []byte) (Result, error))) {
	t.Parallel()
	for name, invoke := range paths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, invoke)
		})
	}
}

func echo(w http.ResponseWriter, function, _ string, event []byte) {
	w.Write(append([]byte(function+":"), event...))
}

func TestInvoke(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		s := newService(t, echo)
		c := s.client(t, nil)
		for _, size := range []int{0, 1, 100, 1 << 20} {
			event := bytes.Repeat([]byte{0x08, 0xff}, size/2)
			res, err := invoke(c, t.Context(), "property", event)
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte("relink-property:"), event...); !bytes.Equal(res.Body, want) {
				t.Errorf("%d bytes: got %d bytes back", size, len(res.Body))
			}
			if res.RequestID != "1-64f7449a-127fbe39cd7681596e33ebad" {
				t.Errorf("request id %q", res.RequestID)
			}
		}
	})
}

func TestCredentials(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		s := newService(t, echo)
		s.token = "sts token"
		c := s.client(t, func(cfg *Config) { cfg.SecurityToken = "sts token" })
		if _, err := invoke(c, t.Context(), "f", []byte("x")); err != nil {
			t.Fatalf("temporary credentials: %v", err)
		}
		if err := c.SetCredentials("AK", "wrong", "sts token"); err != nil {
			t.Fatal(err)
		}
		_, err := invoke(c, t.Context(), "f", []byte("x"))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Status != 403 || e.Code != "SignatureNotMatch" || e.Retryable() || e.FunctionFailed() || e.Function != "relink-f" {
			t.Errorf("wrong secret: %v", err)
		}
		if strings.Contains(fmt.Sprint(c.cfg), "top secret") || strings.Contains(err.Error(), "top secret") {
			t.Error("the secret is printed")
		}
	})
}

func TestResults(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		marshalled := func(b []byte) string {
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		for _, c := range []struct{ name, body, want string }{
			{"raw", "\x08\x01\x12\x00", "\x08\x01\x12\x00"},
			{"json", `{"a":1}`, `{"a":1}`},
			{"empty", "", ""},
			{"base64", marshalled([]byte("\x08\x01\xff\xfe\xfb")), "\x08\x01\xff\xfe\xfb"},
			{"base64_of_nothing", `""`, ""},
			{"base64_and_newline", marshalled([]byte("hello")) + "\n", "hello"},
			{"base64_escaped", `"\u002b` + base64.StdEncoding.EncodeToString([]byte("\xf8\x00\x00"))[1:] + `"`, "\xf8\x00\x00"},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := newService(t, func(w http.ResponseWriter, _, _ string, _ []byte) { io.WriteString(w, c.body) })
				res, err := invoke(s.client(t, nil), t.Context(), "f", []byte("x"))
				if err != nil || string(res.Body) != c.want {
					t.Errorf("%q gives %q, %v; want %q", c.body, res.Body, err, c.want)
				}
			})
		}
		s := newService(t, func(w http.ResponseWriter, _, _ string, _ []byte) { io.WriteString(w, `"not base64"`) })
		_, err := invoke(s.client(t, nil), t.Context(), "f", []byte("x"))
		if e, ok := errors.AsType[*Error](err); !ok || !e.FunctionFailed() {
			t.Errorf("a result that is no base64: %v", err)
		}
	})
}

func TestErrors(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		for _, c := range []struct {
			name                                       string
			status                                     int
			errorType, body                            string
			code, message                              string
			throttled, retryable, failed, exited, tooL bool
		}{
			{name: "raised", status: 200, errorType: "UnhandledInvocationError", body: `{"errorMessage":"boom","errorType":"runtime.Error","stackTrace":[]}`,
				code: "UnhandledInvocationError", message: "boom (runtime.Error)", failed: true},
			{name: "exited", status: 200, errorType: "UnhandledInvocationError", body: `{"errorMessage":"Process exited unexpectedly before completing request (duration: 3ms, maxMemoryUsage: 9MB)"}`,
				code: "UnhandledInvocationError", message: "Process exited unexpectedly before completing request (duration: 3ms, maxMemoryUsage: 9MB)", failed: true, exited: true},
			{name: "raised_without_json", status: 200, errorType: "HandledInvocationError", body: `oops`, code: "HandledInvocationError", message: "oops", failed: true},
			{name: "quota", status: 429, body: `{"RequestId":"r","Code":"ResourceExhausted","Message":"too many"}`, code: "ResourceExhausted", message: "too many", throttled: true, retryable: true},
			{name: "capacity", status: 503, body: `{"Code":"ResourceThrottled","Message":"short"}`, code: "ResourceThrottled", message: "short", throttled: true, retryable: true},
			{name: "gateway_throttling", status: 400, body: `{"code":"Throttling.User","message":"slow down"}`, code: "Throttling.User", message: "slow down", throttled: true, retryable: true},
			{name: "internal", status: 500, body: `{"Code":"InternalServerError","Message":"sorry"}`, code: "InternalServerError", message: "sorry", retryable: true},
			{name: "proxy_page", status: 502, body: `<html>bad gateway</html>`, message: "<html>bad gateway</html>", retryable: true},
			{name: "bad_response", status: 502, body: `{"Code":"BadResponse","Message":"headers"}`, code: "BadResponse", message: "headers", failed: true},
			{name: "hung_up", status: 499, body: `{"Code":"ClientClosedRequest","Message":"Invocation canceled by client"}`, code: "ClientClosedRequest", message: "Invocation canceled by client", retryable: true},
			{name: "no_function", status: 404, body: `{"Code":"FunctionNotFound","Message":"no"}`, code: "FunctionNotFound", message: "no"},
			{name: "denied", status: 403, body: `{"Code":"AccessDenied","Message":"no"}`, code: "AccessDenied", message: "no"},
			{name: "too_large", status: 400, body: `{"Code":"EntityTooLarge","Message":"payload"}`, code: "EntityTooLarge", message: "payload", tooL: true},
			{name: "empty", status: 500, retryable: true},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := newService(t, func(w http.ResponseWriter, _, _ string, _ []byte) {
					w.Header().Set("Content-Type", "application/json")
					if c.errorType != "" {
						w.Header().Set("X-Fc-Error-Type", c.errorType)
					}
					w.WriteHeader(c.status)
					io.WriteString(w, c.body)
				})
				res, err := invoke(s.client(t, nil), t.Context(), "f", []byte("x"))
				e, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("error %T %v", err, err)
				}
				if e.Status != c.status || e.Code != c.code || e.Message != c.message || e.Function != "relink-f" {
					t.Errorf("got %+v", e)
				}
				if e.RequestID == "" || res.RequestID != e.RequestID {
					t.Errorf("request id %q, %q", e.RequestID, res.RequestID)
				}
				got := [...]bool{e.Throttled(), e.Retryable(), e.FunctionFailed(), e.Exited(), e.TooLarge()}
				if want := [...]bool{c.throttled, c.retryable, c.failed, c.exited, c.tooL}; got != want {
					t.Errorf("throttled, retryable, failed, exited, too large: got %v, want %v", got, want)
				}
			})
		}
	})
}

func TestTransportErrors(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		release := make(chan struct{})
		s := newService(t, func(w http.ResponseWriter, _, _ string, event []byte) {
			switch string(event) {
			case "hang":
				<-release
			case "reset", "cut":
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				if string(event) == "cut" {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
				}
				conn.Close()
			}
		})
		defer close(release)
		c := s.client(t, func(cfg *Config) { cfg.Timeout = time.Minute })
		check := func(err, cause error) {
			t.Helper()
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Status != 0 || !e.Retryable() || e.FunctionFailed() || cause != nil && !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
		}
		_, err := invoke(c, t.Context(), "f", []byte("reset"))
		check(err, nil)
		_, err = invoke(c, t.Context(), "f", []byte("cut"))
		check(err, io.ErrUnexpectedEOF)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err = invoke(c, ctx, "f", []byte("hang"))
		check(err, context.Canceled)

		_, err = invoke(s.client(t, func(cfg *Config) { cfg.Timeout = 20 * time.Millisecond }), t.Context(), "f", []byte("hang"))
		check(err, context.DeadlineExceeded)

		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		_, err = invoke(s.client(t, func(cfg *Config) { cfg.Endpoint = "http://" + l.Addr().String() }), t.Context(), "f", nil)
		check(err, nil)
	})
}

// TestConnectionsAreKept: many callers, one connection each at most. ("Pitfalls", clients and transports)
func TestConnectionsAreKept(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		s := newService(t, echo)
		c := s.client(t, func(cfg *Config) { cfg.MaxConns = 8 })
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				for range 20 {
					if _, err := invoke(c, t.Context(), "f", []byte("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conns > 8 {
			t.Errorf("%d connections for 400 invocations", s.conns)
		}
	})
}

// TestClosedConnection: a kept connection that the service has closed meanwhile costs at most one error, a retryable one.
func TestClosedConnection(t *testing.T) {
	eachPath(t, func(t *testing.T, invoke func(*Client, context.Context, string, []byte) (Result, error)) {
		s := newService(t, echo)
		c := s.client(t, nil)
		for range 20 {
			_, err := invoke(c, t.Context(), "f", []byte("some event"))
			if e, ok := errors.AsType[*Error](err); ok && e.Retryable() {
				_, err = invoke(c, t.Context(), "f", []byte("some event"))
			}
			if err != nil {
				t.Fatal(err)
			}
			s.CloseClientConnections()
		}
	})
}

// TestEventMayBeReused: nothing reads the event after Invoke has returned, whatever the service did; the race detector looks on.
func TestEventMayBeReused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n") // before it has read anything
			time.AfterFunc(5*time.Millisecond, func() { conn.Close() })
		}
	})
	s := newService(t, echo)
	c := s.client(t, func(cfg *Config) { cfg.Endpoint = "http://" + l.Addr().String() })
	event := make([]byte, 8<<20)
	for i := range 20 {
		if _, err := c.Invoke(t.Context(), "f", event); err == nil {
			t.Error("no error")
		}
		for j := range event {
			event[j] = byte(i)
		}
	}
	l.Close()
	served.Wait()
}

func TestInvokeAsync(t *testing.T) {
	t.Parallel()
	var kind string
	var got []byte
	s := newService(t, func(w http.ResponseWriter, function, k string, event []byte) {
		kind, got = k, event
		if function == "relink-busy" {
			w.WriteHeader(429)
			io.WriteString(w, `{"Code":"ResourceExhausted","Message":"later"}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	c := s.client(t, nil)
	if err := c.InvokeAsync(t.Context(), "rule", []byte("event")); err != nil {
		t.Fatal(err)
	}
	if kind != "Async" || string(got) != "event" {
		t.Errorf("kind %q, event %q", kind, got)
	}
	if e, ok := errors.AsType[*Error](c.InvokeAsync(t.Context(), "busy", nil)); !ok || !e.Throttled() {
		t.Errorf("throttled: %v", e)
	}
	if e, ok := errors.AsType[*Error](c.InvokeAsync(t.Context(), "rule", make([]byte, maxAsyncEvent+1))); !ok || !e.TooLarge() {
		t.Errorf("over the limit: %v", e)
	}
	if e, ok := errors.AsType[*Error](c.InvokeAsync(t.Context(), "../other", nil)); !ok || e.Status != 400 {
		t.Errorf("bad name: %v", e)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ endpoint, region, want string }{
		{"", "cn-hangzhou", "https fcv3.cn-hangzhou.aliyuncs.com"},
		{"fcv3-vpc.cn-hangzhou.aliyuncs.com", "", "https fcv3-vpc.cn-hangzhou.aliyuncs.com"},
		{"http://127.0.0.1:9000", "", "http 127.0.0.1:9000"},
		{"http://127.0.0.1:9000/", "", "http 127.0.0.1:9000"},
		{"", "", ""},
		{"ftp://x", "", ""},
		{"http://x/path", "", ""},
	} {
		client, err := New(Config{Endpoint: c.endpoint, Region: c.region, AccessKeyID: "a", Secret: "b"})
		if c.want == "" {
			if err == nil {
				t.Errorf("%q is accepted", c.endpoint)
			}
		} else if err != nil || client.scheme+" "+client.host != c.want {
			t.Errorf("%q, %q: %v", c.endpoint, c.region, err)
		}
	}
	if _, err := New(Config{Endpoint: "x"}); err == nil {
		t.Error("no credentials are accepted")
	}
}

func FuzzUnwrap(f *testing.F) {
	for _, seed := range []string{`"aGVsbG8="`, `""`, `"`, "", "\x08\x01", `"\u0061GVsbG8="`, "\"aGVs\nbG8=\"", `"aGVsbG8=" `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := unwrap(raw)
		if err == nil && len(raw) > 0 && raw[0] != '"' && !bytes.Equal(got, raw) {
			t.Errorf("%q was changed to %q", raw, got)
		}
		marshalled, err := json.Marshal(raw)
		if err != nil || raw == nil {
			return
		}
		if back, err := unwrap(marshalled); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%q came back as %q, %v", raw, back, err)
		}
	})
}

// BenchmarkInvoke: a batch of 100 records of 200 bytes, a result of 3 KB, loopback, the service's cost included and named apart.
func BenchmarkInvoke(b *testing.B) {
	answer := make([]byte, 3000)
	s := newService(b, func(w http.ResponseWriter, _, _ string, _ []byte) { w.Write(answer) })
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Fc-Request-Id", "1-64f7449a-127fbe39cd7681596e33ebad")
		w.Write(answer)
	})
	c := s.client(b, nil)
	event := make([]byte, 20_000)
	for _, name := range []string{"lean", "sdk"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := paths[name](c, b.Context(), "property", event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("bare_http", func(b *testing.B) { // what net/http and the service cost without either
		b.ReportAllocs()
		client := &http.Client{Transport: c.http}
		for b.Loop() {
			resp, err := client.Post(s.URL, "application/octet-stream", bytes.NewReader(event))
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
