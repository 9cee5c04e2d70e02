package forward

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.100.100.200": false, "0.0.0.0": false, "::1": false, "fe80::1": false, "fd00::1": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "224.0.0.1": false, "255.255.255.255": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	inner := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/ok":
			if string(body) != "b" || r.Method != "POST" || r.Header.Get("X-Relink-Message-Id") != "7" || r.Header.Get("A") != "x" {
				t.Errorf("%s %q %v", r.Method, body, r.Header)
			}
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/no":
			w.WriteHeader(http.StatusNotFound)
		case "/away":
			http.Redirect(w, r, "/inner", http.StatusTemporaryRedirect)
		case "/inner":
			inner++
		}
	}))
	defer s.Close()
	deliver := func(d *Servers, url string) error {
		return d.Deliver(t.Context(), []*Item{{Target: Target{Type: HTTPS, Resource: url, Headers: map[string]string{"A": "x"}}, Message: Message{ID: "7"}, Body: []byte("b")}})[0]
	}
	d := NewServers(true)
	final := func(err error) bool {
		var e *Error
		return errors.As(err, &e) && e.Final
	}
	if err := deliver(d, s.URL+"/ok"); err != nil {
		t.Error(err)
	}
	if err := deliver(d, s.URL+"/busy"); err == nil || final(err) {
		t.Errorf("busy: %v", err)
	}
	if err := deliver(d, s.URL+"/no"); !final(err) {
		t.Errorf("not found: %v", err)
	}
	if err := deliver(d, s.URL+"/away"); !final(err) || inner != 0 {
		t.Errorf("redirect: %v", err)
	}
	strict := NewServers(false)
	if err := deliver(strict, s.URL+"/ok"); !final(err) {
		t.Errorf("plain HTTP: %v", err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]", "169.254.169.254"} {
		if err := deliver(strict, "https://"+host+"/ok"); !final(err) || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
