package fc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	runtime "github.com/aliyun/fc-runtime-go-sdk/fc"
)

// The test binary is also the functions under test: with FC_TEST_ROLE set it behaves as one, in the contract of the
// runtime that started it. The event says what to do.
func TestMain(m *testing.M) {
	switch os.Getenv("FC_TEST_ROLE") {
	case "function":
		serveFunction()
	case "broken":
		fmt.Println("cannot read configuration")
		os.Exit(3)
	case "deaf":
		select {}
	case "parent":
		serveParent()
	default:
		os.Exit(m.Run())
	}
}

// A task is the event that the test function understands.
type task struct {
	Do   string `json:"do"`
	MS   int    `json:"ms,omitempty"`
	Text string `json:"text,omitempty"`
	File string `json:"file,omitempty"`
}

var running atomic.Int64

func perform(ctx context.Context, event []byte, requestID string, retry string) ([]byte, error) {
	if len(event) == 0 || event[0] != '{' {
		return event, nil
	}
	var t task
	if err := json.Unmarshal(event, &t); err != nil {
		return nil, err
	}
	now := running.Add(1)
	defer running.Add(-1)
	switch t.Do {
	case "error":
		return nil, errors.New(t.Text)
	case "panic":
		panic(t.Text)
	case "sleep":
		select {
		case <-time.After(time.Duration(t.MS) * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "hang":
		select {}
	case "exit":
		os.Exit(7)
	case "print":
		fmt.Println(t.Text)
	case "allocate":
		keep = bytes.Repeat([]byte{1}, t.MS<<20)
		time.Sleep(time.Minute)
	case "append": // one byte per run, so that runs can be counted
		f, err := os.OpenFile(t.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if _, err := f.WriteString(retry + "\n"); err != nil {
			return nil, err
		}
		if t.Text != "" {
			return nil, errors.New(t.Text)
		}
	case "meet": // until as many run at a time as the event says
		f, err := os.OpenFile(t.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if _, err := f.WriteString("\n"); err != nil {
			return nil, err
		}
		for fileSize(t.File) < t.MS && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return json.Marshal(map[string]any{"pid": os.Getpid(), "request_id": requestID, "running": now, "env": os.Getenv("FC_TEST_VALUE"),
		"function": os.Getenv("FC_FUNCTION_NAME"), "instance": os.Getenv("FC_INSTANCE_ID"), "initialized": initialized.Load()})
}

var (
	keep        []byte
	initialized atomic.Bool
)

func serveFunction() {
	if dir := os.Getenv("FC_TEST_TERM"); dir != "" { // note a graceful end
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		go func() {
			<-term
			if err := os.WriteFile(filepath.Join(dir, "term"), nil, 0o600); err != nil {
				panic(err)
			}
			os.Exit(0)
		}()
	}
	if os.Getenv("FC_RUNTIME_API") != "" {
		runtime.RegisterInitializerFunction(func(context.Context) {
			if os.Getenv("FC_TEST_VALUE") == "uninitialized" {
				panic("no table")
			}
			initialized.Store(true)
		})
		runtime.Start(func(ctx context.Context, event []byte) (any, error) {
			out, err := perform(ctx, event, "", "")
			if err != nil {
				return nil, err
			}
			if json.Valid(out) {
				return json.RawMessage(out), nil
			}
			return out, nil
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /initialize", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("FC_TEST_VALUE") == "uninitialized" {
			http.Error(w, "no table", http.StatusInternalServerError)
			return
		}
		initialized.Store(true)
	})
	mux.HandleFunc("GET /pre-stop", func(http.ResponseWriter, *http.Request) { fmt.Println("pre-stop called") })
	mux.HandleFunc("POST /invoke", func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		defer func() {
			if p := recover(); p != nil {
				w.Header().Set("x-fc-status", "404")
				w.WriteHeader(http.StatusInternalServerError)
				fmt.Fprintf(w, `{"errorMessage":%q,"errorType":"panic"}`, p)
			}
		}()
		out, err := perform(r.Context(), event, r.Header.Get("x-fc-request-id"), r.Header.Get("x-fc-retry-count"))
		if err != nil {
			w.Header().Set("x-fc-status", "404")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"errorMessage":%q}`, err)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(out)))
		w.Write(out)
	})
	mux.HandleFunc("/web/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Own", "yes")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s control=%s account=%s", r.Method, r.URL.RequestURI(), body, r.Header.Get("x-fc-control-path"), r.Header.Get("x-fc-account-id"))
	})
	panic(http.ListenAndServe("0.0.0.0:"+os.Getenv("FC_CUSTOM_LISTEN_PORT"), mux))
}

// poll waits until ok, at most ten seconds.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

func processExists(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
