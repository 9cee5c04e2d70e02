package fcrun_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/fc-20230330/v4/client"
	"github.com/alibabacloud-go/tea/dara"

	"relink/functions/internal/fcrun"
	"relink/localstack/fc"
	"relink/localstack/serverless"
	caller "relink/shared/fc"
)

// The test binary is the function as well.
func TestMain(m *testing.M) {
	if os.Getenv("FCRUN_TEST_FUNCTION") != "" {
		fcrun.Main(newFunction)
	}
	os.Exit(m.Run())
}

// function is one handler for both runtimes.
type function struct {
	log  *slog.Logger
	note string
}

func newFunction(ctx context.Context) (fcrun.Handler, error) {
	if os.Getenv("FCRUN_TEST_FUNCTION") == "broken" {
		return nil, errors.New("TABLESTORE_ENDPOINT is not set")
	}
	return &function{log: fcrun.Logger(ctx), note: os.Getenv("FCRUN_TEST_NOTE")}, nil
}

func (f *function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	switch string(event) {
	case "error":
		return nil, errors.New("refused")
	case "panic":
		panic("oops")
	case "who":
		_, deadline := ctx.Deadline()
		f.log.InfoContext(ctx, "asked", "by", "test")
		return json.Marshal(map[string]any{"id": fcrun.RequestID(ctx), "deadline": deadline})
	case "sleep":
		time.Sleep(200 * time.Millisecond)
	}
	return event, nil
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
}

func (f *function) Close(context.Context) error {
	return os.WriteFile(f.note, []byte("closed"), 0o600)
}

type sink struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sink) Append(_, _, _, _ string, lines ...fc.LogLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		for _, f := range l.Fields {
			fmt.Fprintf(&s.text, "%s=%s ", f.Key, f.Value)
		}
		s.text.WriteByte('\n')
	}
	return nil
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestBothRuntimes(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"custom.debian12", "go1"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			out, note := &sink{}, filepath.Join(t.TempDir(), "note")
			invoke, own, server := start(t, runtime, note, out)
			for _, event := range []string{"", "plain text", `{"json":true}`, "\x00\xff binary", `"quoted"`, "sleep", strings.Repeat("z", 1<<20)} {
				if got, err := own.Invoke(t.Context(), "f", []byte(event)); err != nil || string(got.Body) != event {
					t.Errorf("%.20q: got %.100q, %v", event, got.Body, err)
				}
			}
			var who struct {
				ID       string
				Deadline bool
			}
			if body, _ := invoke("f", "who"); json.Unmarshal(body, &who) != nil || who.ID == "" || !who.Deadline {
				t.Errorf("context: %s", body)
			}
			if body, errType := invoke("f", "error"); errType != "UnhandledInvocationError" || !strings.Contains(string(body), `"errorMessage":"refused"`) {
				t.Errorf("error: %s %s", body, errType)
			}
			if body, errType := invoke("f", "panic"); errType != "UnhandledInvocationError" || !strings.Contains(string(body), "oops") {
				t.Errorf("panic: %s %s", body, errType)
			}
			w := httptest.NewRecorder()
			server.HTTPTrigger("f").ServeHTTP(w, httptest.NewRequest("GET", "/page?x=1", nil))
			if w.Code != 200 || w.Body.String() != "GET /page?x=1" {
				t.Errorf("HTTP trigger: %d %s", w.Code, w.Body)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := server.Close(ctx); err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(note); string(b) != "closed" {
				t.Errorf("the handler was not closed: %v", err)
			}
			logs := out.String()
			if !strings.Contains(logs, "requestId="+who.ID+` message={"time"`) || !strings.Contains(logs, `"msg":"asked"`) || !strings.Contains(logs, `"msg":"function panicked"`) {
				t.Errorf("logs: %s", logs)
			}
			if strings.Contains(logs, "FC Invoke") {
				t.Errorf("invoke lines without RELINK_FC_INVOKE_LOG")
			}
		})
	}
}

func TestSetupFailure(t *testing.T) {
	t.Parallel()
	_, _, server := start(t, "custom.debian12", "", &sink{})
	w := httptest.NewRecorder()
	server.HTTPTrigger("broken").ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 412 || !strings.Contains(w.Body.String(), "TABLESTORE_ENDPOINT is not set") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Error(err)
	}
}

func start(t *testing.T, runtime, note string, out fc.LogSink) (invoke func(function, event string) ([]byte, string), own *caller.Client, server *fc.Server) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := fc.Function{Name: "f", Runtime: runtime, Handler: filepath.Base(self), CodeDir: filepath.Dir(self), Command: []string{self}, MemoryMB: 512, CPU: 0.5,
		Timeout: 5 * time.Second, InstanceConcurrency: 1, Environment: map[string]string{"FCRUN_TEST_FUNCTION": "1", "FCRUN_TEST_NOTE": note, "RELINK_FC_TIMEOUT": "5s"},
		Log:      serverless.Log{Project: "p", Logstore: "l"},
		Triggers: []serverless.Trigger{{Name: "web", Type: "http", HTTP: &serverless.HTTPTrigger{AuthType: "anonymous", Methods: []string{"GET"}}}}}
	broken := f
	broken.Name, broken.Environment = "broken", map[string]string{"FCRUN_TEST_FUNCTION": "broken"}
	server, err = fc.New(fc.Options{Functions: []fc.Function{f, broken}, AccessKeyID: "id", AccessKeySecret: "secret", Logs: out})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: server}
	done := make(chan struct{})
	go func() { defer close(done); web.Serve(l) }()
	t.Cleanup(func() { web.Close(); <-done })
	client, err := sdk.NewClient(&openapi.Config{AccessKeyId: dara.String("id"), AccessKeySecret: dara.String("secret"), Endpoint: dara.String(l.Addr().String()),
		Protocol: dara.String("http"), RegionId: dara.String("cn-hangzhou"), ReadTimeout: dara.Int(10000), ConnectTimeout: dara.Int(5000)})
	if err != nil {
		t.Fatal(err)
	}
	own, err = caller.New(caller.Config{Endpoint: "http://" + l.Addr().String(), Region: "cn-hangzhou", AccessKeyID: "id", Secret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return func(function, event string) ([]byte, string) {
		resp, err := client.InvokeFunctionWithOptions(&function, &sdk.InvokeFunctionRequest{Body: strings.NewReader(event)}, &sdk.InvokeFunctionHeaders{}, &dara.RuntimeOptions{})
		if err != nil {
			t.Errorf("%.20q: %v", event, err)
			return nil, ""
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%.20q: %v", event, err)
		}
		return body, dara.StringValue(resp.Headers["x-fc-error-type"])
	}, own, server
}
