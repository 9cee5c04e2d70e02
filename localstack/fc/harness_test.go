package fc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/fc-20230330/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

const keyID, keySecret = "test-key", "test-secret"

// custom is a function of a custom runtime that runs this test binary.
func custom(name string, change ...func(*fc.Function)) fc.Function {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	f := fc.Function{
		Name: name, Runtime: "custom.debian12", Handler: filepath.Base(self), CodeDir: filepath.Dir(self), Command: []string{"/code/" + filepath.Base(self)},
		CPU: 0.5, MemoryMB: 512, DiskMB: 512, Timeout: 5 * time.Second, InstanceConcurrency: 10,
		Environment: map[string]string{"FC_TEST_ROLE": "function", "FC_TEST_VALUE": "own"},
		Async:       serverless.AsyncInvoke{MaxAttempts: 3, MaxAge: time.Hour},
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// go1 is the same as a function of the built-in runtime.
func go1(name string, change ...func(*fc.Function)) fc.Function {
	return custom(name, append([]func(*fc.Function){func(f *fc.Function) {
		f.Runtime, f.Command, f.InstanceConcurrency = "go1", nil, 1
	}}, change...)...)
}

// A cloud is an emulator behind a real socket with the official client.
type cloud struct {
	*fc.Server
	t      testing.TB
	addr   string
	client *sdk.Client
	web    *http.Server
}

func start(t testing.TB, o fc.Options) *cloud {
	t.Helper()
	o.AccessKeyID, o.AccessKeySecret = keyID, keySecret
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	if o.Limits.Tick == 0 {
		o.Limits.Tick = 10 * time.Millisecond
	}
	if o.Limits.AsyncRetry == 0 {
		o.Limits.AsyncRetry, o.Limits.AsyncRetryMax = 10*time.Millisecond, 20*time.Millisecond
	}
	s, err := fc.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{Server: s, t: t, web: &http.Server{Handler: s}}
	c.addr = listen(t, c.web)
	c.client = client(t, c.addr, keySecret)
	t.Cleanup(c.stop)
	return c
}

// listen serves until the test ends.
func listen(t testing.TB, web *http.Server) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		web.Close()
		<-done
	})
	return l.Addr().String()
}

// stop ends the emulator and checks that it left no process behind. It may be called twice.
func (c *cloud) stop() {
	if c.web == nil {
		return
	}
	pids := c.Processes()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		c.t.Errorf("close: %v", err)
	}
	c.web.Close()
	c.web = nil
	for name, list := range pids {
		for _, pid := range list {
			if processExists(pid) {
				c.t.Errorf("process %d of %s is left", pid, name)
			}
		}
	}
}

func client(t testing.TB, addr, secret string) *sdk.Client {
	t.Helper()
	c, err := sdk.NewClient(&openapi.Config{AccessKeyId: dara.String(keyID), AccessKeySecret: dara.String(secret), Endpoint: dara.String(addr),
		Protocol: dara.String("http"), RegionId: dara.String("cn-hangzhou"), HttpClient: newHTTPClient(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// httpClient replaces the SDK's own, which writes the timeout of a shared client on every request (a data race).
type httpClient struct{ *http.Client }

func newHTTPClient(t testing.TB) httpClient {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return httpClient{&http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

func (c httpClient) Call(r *http.Request, _ *http.Transport) (*http.Response, error) { return c.Do(r) }

// A result is what the SDK returned.
type result struct {
	status  int
	header  map[string]*string
	body    string
	errType string
	code    string // of an error of the service
	message string
}

type answer struct {
	PID         int    `json:"pid"`
	RequestID   string `json:"request_id"`
	Running     int    `json:"running"`
	Env         string `json:"env"`
	Function    string `json:"function"`
	Instance    string `json:"instance"`
	Initialized bool   `json:"initialized"`
}

func (r result) answer(t testing.TB) answer {
	t.Helper()
	if r.errType != "" {
		t.Fatalf("answer %+v", r)
	}
	var a answer
	if err := json.Unmarshal([]byte(r.body), &a); err != nil {
		t.Fatalf("answer %+v: %v", r, err)
	}
	return a
}

func invoke(c *sdk.Client, function, event string, headers ...string) (result, error) {
	h := &sdk.InvokeFunctionHeaders{}
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "type":
			h.XFcInvocationType = &headers[i+1]
		case "log":
			h.XFcLogType = &headers[i+1]
		}
	}
	resp, err := c.InvokeFunctionWithOptions(&function, &sdk.InvokeFunctionRequest{Body: strings.NewReader(event), Qualifier: dara.String("LATEST")}, h, &dara.RuntimeOptions{})
	if err != nil {
		var se *tea.SDKError
		if !errors.As(err, &se) || se.Code == nil || se.StatusCode == nil {
			return result{}, err
		}
		return result{status: *se.StatusCode, code: *se.Code, message: *se.Message}, nil
	}
	body, err := io.ReadAll(resp.Body)
	if c, ok := resp.Body.(io.Closer); ok {
		c.Close()
	}
	r := result{status: int(*resp.StatusCode), header: resp.Headers, body: string(body)}
	if v := resp.Headers["x-fc-error-type"]; v != nil {
		r.errType = *v
	}
	return r, err
}

func (c *cloud) invoke(function, event string, headers ...string) result {
	c.t.Helper()
	r, err := invoke(c.client, function, event, headers...)
	if err != nil {
		c.t.Errorf("invoke %s %.100s: %v", function, event, err)
	}
	return r
}

// sink keeps what functions print.
type sink struct {
	mu    sync.Mutex
	lines []map[string]string
}

func (s *sink) Append(project, logstore, topic, source string, lines ...fc.LogLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		m := map[string]string{"project": project, "logstore": logstore, "topic": topic, "source": source}
		for _, f := range l.Fields {
			m[f.Key] = f.Value
		}
		s.lines = append(s.lines, m)
	}
	return nil
}

func (s *sink) find(text string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if strings.Contains(l["message"], text) {
			return l
		}
	}
	return nil
}

// manualClock is a clock that tests move.
type manualClock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	c.offset += d
	c.mu.Unlock()
}

func event(t task) string {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func fileSize(path string) int {
	b, _ := os.ReadFile(path)
	return bytes.Count(b, []byte("\n"))
}
