package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relink/shared/fc"
	"relink/shared/fc/webevent"
)

type invokerFunc func(ctx context.Context, function string, event []byte) (fc.Result, error)

func (f invokerFunc) Invoke(ctx context.Context, function string, event []byte) (fc.Result, error) {
	return f(ctx, function, event)
}

// through sends a request over a real connection to a door before an invoker.
func through(t *testing.T, invoke invokerFunc, r *http.Request) (*http.Response, string) {
	t.Helper()
	d := New(invoke, slog.New(slog.DiscardHandler))
	s := httptest.NewUnstartedServer(nil)
	s.Config = d.Server()
	s.Start()
	t.Cleanup(s.Close)
	u := *r.URL
	r, err := http.NewRequestWithContext(t.Context(), r.Method, s.URL+u.RequestURI(), r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", "9.9.9.9")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// The function gets the request as it was, with a query of hundreds of kilobytes, and the client the function's answer.
func TestRequestGoesThroughWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("%E7%81%AF", 60_000)
	seen := make(chan *http.Request, 1)
	invoke := func(ctx context.Context, name string, event []byte) (fc.Result, error) {
		ev := webevent.Decode(event)
		if name != "openapi" || ev == nil {
			t.Errorf("function %s got %.100s", name, event)
			return fc.Result{}, errors.New("no event")
		}
		r, err := ev.Request(ctx)
		if err != nil {
			return fc.Result{}, err
		}
		if err := r.ParseForm(); err != nil {
			return fc.Result{}, err
		}
		seen <- r
		reply, err := json.Marshal(webevent.Reply{StatusCode: 404, Headers: map[string]string{"X-Acs-Request-Id": "7", "Content-Length": "99"}, Body: `{"Code":"x"}`})
		return fc.Result{Body: reply}, err
	}
	resp, body := through(t, invoke, httptest.NewRequest("POST", "/?Action=ImportThingModelTsl&TslStr="+long, strings.NewReader("MessageContent=aGVsbG8%3D")))
	r := <-seen
	if got := r.Form.Get("TslStr"); len(got) != 3*60_000 || r.Form.Get("Action") != "ImportThingModelTsl" || r.PostForm.Get("MessageContent") != "aGVsbG8=" {
		t.Errorf("parameters did not arrive: %d bytes, %v", len(got), r.PostForm)
	}
	if r.Method != "POST" || !strings.HasPrefix(r.Host, "127.0.0.1:") || r.Header.Get("X-Forwarded-For") != "9.9.9.9,127.0.0.1" {
		t.Errorf("%s %s %v", r.Method, r.Host, r.Header)
	}
	if resp.StatusCode != 404 || body != `{"Code":"x"}` || resp.Header.Get("X-Acs-Request-Id") != "7" {
		t.Errorf("answer %d %s %v", resp.StatusCode, body, resp.Header)
	}
}

func TestFailuresAreGatewayErrors(t *testing.T) {
	t.Parallel()
	post := func(body io.Reader) *http.Request { return httptest.NewRequest("POST", "/?Action=Pub", body) }
	for name, c := range map[string]struct {
		invoke invokerFunc
		body   io.Reader
		status int
		code   string
	}{
		"function_fails": {func(context.Context, string, []byte) (fc.Result, error) { return fc.Result{}, errors.New("down") }, nil, 503, "ServiceUnavailable"},
		"no_reply":       {func(context.Context, string, []byte) (fc.Result, error) { return fc.Result{Body: []byte("x")}, nil }, nil, 503, "ServiceUnavailable"},
		"huge_body":      {nil, strings.NewReader(strings.Repeat("x", maxBody+1)), 413, "InvalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, body := through(t, c.invoke, post(c.body))
			if resp.StatusCode != c.status || !strings.Contains(body, `"Code":"`+c.code+`"`) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, c.status, c.code)
			}
		})
	}
}
