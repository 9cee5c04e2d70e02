package fc_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

func TestHTTPTrigger(t *testing.T) {
	t.Parallel()
	web := func(auth string) func(*fc.Function) {
		return func(f *fc.Function) {
			f.Triggers = []serverless.Trigger{{Name: "web", Type: "http", HTTP: &serverless.HTTPTrigger{AuthType: auth, Methods: []string{"GET", "POST"}}}}
		}
	}
	c := start(t, fc.Options{Functions: []fc.Function{custom("custom", web("anonymous")), custom("signed", web("function")), go1("go1", web("anonymous")), custom("none")}})
	get := func(function, method, path, body string) (*http.Response, string) {
		s := httptest.NewServer(c.HTTPTrigger(function))
		defer s.Close()
		r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("x-fc-account-id", "forged")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	resp, body := get("custom", "POST", "/web/a%2Fb?q=1", "text")
	if want := "POST /web/a%2Fb?q=1 text control=/http-invoke account=1000000000000000"; resp.StatusCode != http.StatusTeapot || body != want || resp.Header.Get("X-Own") != "yes" || resp.Header.Get("X-Fc-Request-Id") == "" {
		t.Errorf("custom: %d %q %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := get("custom", "DELETE", "/web/", ""); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("method: %d %s", resp.StatusCode, body)
	}
	if resp, body := get("signed", "GET", "/web/", ""); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "MissingRequiredHeader") {
		t.Errorf("signed: %d %s", resp.StatusCode, body)
	}
	if resp, body := get("none", "GET", "/", ""); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "TriggerNotFound") {
		t.Errorf("none: %d %s", resp.StatusCode, body)
	}
	if resp, body := get("go1", "GET", "/x", ""); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"function":"go1"`) {
		t.Errorf("go1: %d %s", resp.StatusCode, body)
	}
}
