package fc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A service is InvokeFunction with its signature verified as its document says; what it answers is up to the test.
type service struct {
	*httptest.Server
	secret string
	token  string
	answer func(w http.ResponseWriter, function, kind string, event []byte)

	mu     sync.Mutex
	nonces map[string]bool
	conns  int
}

func newService(t testing.TB, answer func(w http.ResponseWriter, function, kind string, event []byte)) *service {
	s := &service{secret: "top secret", answer: answer, nonces: make(map[string]bool)}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = s.count
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *service) client(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Endpoint: s.URL, Region: "cn-test", AccessKeyID: "AK", Secret: "top secret", Prefix: "relink-"}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client hung up
	}
	w.Header().Set("X-Fc-Request-Id", "1-64f7449a-127fbe39cd7681596e33ebad")
	if err := s.verify(r, event); err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"RequestId":"r","Code":"SignatureNotMatch","Message":%q}`, err.Error())
		return
	}
	function, ok := strings.CutPrefix(r.URL.EscapedPath(), "/2023-03-30/functions/")
	function, ok2 := strings.CutSuffix(function, "/invocations")
	if !ok || !ok2 || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.answer(w, function, r.Header.Get("X-Fc-Invocation-Type"), event)
}

// verify checks ACS3-HMAC-SHA256.
func (s *service) verify(r *http.Request, event []byte) error {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 ")
	if !ok {
		return fmt.Errorf("authorization %q", r.Header.Get("Authorization"))
	}
	parts := make(map[string]string)
	for p := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(p, "=")
		parts[k] = v
	}
	if parts["Credential"] != "AK" {
		return fmt.Errorf("credential %q", parts["Credential"])
	}
	var must []string
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-acs-") || name == "content-type" {
			must = append(must, name)
		}
	}
	must = append(must, "host")
	slices.Sort(must)
	if parts["SignedHeaders"] != strings.Join(must, ";") {
		return fmt.Errorf("signed %q, want %q", parts["SignedHeaders"], must)
	}
	sum := sha256.Sum256(event)
	if hash := hex.EncodeToString(sum[:]); r.Header.Get("X-Acs-Content-Sha256") != hash {
		return fmt.Errorf("body hash is %s", hash)
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	for _, name := range must {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + parts["SignedHeaders"] + "\n" + r.Header.Get("X-Acs-Content-Sha256")
	sum = sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	if want := hex.EncodeToString(mac.Sum(nil)); parts["Signature"] != want {
		return fmt.Errorf("signature %s, want %s of %q", parts["Signature"], want, canonical)
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("X-Acs-Date"))
	if err != nil || time.Since(at).Abs() > time.Minute {
		return fmt.Errorf("date %q", r.Header.Get("X-Acs-Date"))
	}
	if r.Header.Get("X-Acs-Action") != "InvokeFunction" || r.Header.Get("X-Acs-Version") != "2023-03-30" {
		return fmt.Errorf("action %q %q", r.Header.Get("X-Acs-Action"), r.Header.Get("X-Acs-Version"))
	}
	if r.Header.Get("X-Acs-Security-Token") != s.token {
		return fmt.Errorf("security token %q", r.Header.Get("X-Acs-Security-Token"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := r.Header.Get("X-Acs-Signature-Nonce")
	if nonce == "" || s.nonces[nonce] {
		return fmt.Errorf("nonce %q replayed", nonce)
	}
	s.nonces[nonce] = true
	return nil
}

func (s *service) count(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		s.conns++
		s.mu.Unlock()
	}
}
