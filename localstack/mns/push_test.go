package mns_test

import (
	"crypto"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

// A pushed notification as a subscriber sees it.
type pushed struct {
	path   string
	header http.Header
	body   string
}

// A subscriber collects notifications and answers with a status.
type subscriber struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []pushed
}

func newSubscriber(t *testing.T) *subscriber {
	s := &subscriber{status: http.StatusNoContent}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, pushed{r.Method + " " + r.RequestURI, r.Header.Clone(), string(body)})
		if s.status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *subscriber) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *subscriber) all() []pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// verify does what the SDK's example of a subscriber does.
func (p pushed) verify(t *testing.T) {
	t.Helper()
	var list []string
	for name, values := range p.header {
		if l := strings.ToLower(name); strings.HasPrefix(l, "x-mns-") {
			list = append(list, l+":"+strings.Join(values, ","))
		}
	}
	slices.Sort(list)
	method, path, _ := strings.Cut(p.path, " ")
	text := method + "\n" + p.header.Get("Content-Md5") + "\n" + p.header.Get("Content-Type") + "\n" + p.header.Get("Date") + "\n" + strings.Join(list, "\n") + "\n" + path
	address, err := base64.StdEncoding.DecodeString(p.header.Get("X-Mns-Signing-Cert-Url"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Get(string(address))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	certificate, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		t.Fatalf("%s: %s", address, certificate)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(p.header.Get("Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(text))
	if err := rsa.VerifyPKCS1v15(parsed.PublicKey.(*rsa.PublicKey), crypto.SHA1, sum[:], signature); err != nil {
		t.Errorf("signature of %q: %v", text, err)
	}
	if want := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", md5.Sum([]byte(p.body)))); p.header.Get("Content-Md5") != want {
		t.Errorf("Content-MD5 %q, want %q", p.header.Get("Content-Md5"), want)
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	topic := newTopic(t, client(endpoint), "t")
	sub := newSubscriber(t)
	subscribe(t, topic, "plain", ali.MessageSubsribeRequest{Endpoint: sub.URL + "/plain?x=1", NotifyContentFormat: ali.SIMPLIFIED})
	subscribe(t, topic, "xml", ali.MessageSubsribeRequest{Endpoint: sub.URL})
	sent := publish(t, topic, "hello", "red")
	eventually(t, "both are pushed", func() bool { return s.Stats().Pushed == 2 })
	got := sub.all()
	slices.SortFunc(got, func(a, b pushed) int { return strings.Compare(b.path, a.path) })
	if len(got) != 2 || got[0].path != "POST /plain?x=1" || got[1].path != "POST /notifications" || got[0].body != "hello" || !strings.Contains(got[1].body, "<Message>hello</Message>") {
		t.Fatalf("%+v", got)
	}
	for name, want := range map[string]string{
		"X-Mns-Message-Id": sent.MessageId, "X-Mns-Message-Tag": "red", "X-Mns-Topic-Name": "t", "X-Mns-Subscription-Name": "plain", "X-Mns-Version": "2015-06-06",
		"Content-Type": "text/plain;charset=utf-8", "User-Agent": "Aliyun Notification Service Agent",
	} {
		if got[0].header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got[0].header.Get(name), want)
		}
	}
	if got[1].header.Get("Content-Type") != "text/xml;charset=utf-8" {
		t.Errorf("%v", got[1].header)
	}
	got[0].verify(t)
	got[1].verify(t)
	if st := s.Stats(); st.Stored != 0 || st.PushFails != 0 {
		t.Errorf("%+v", st)
	}
}

// A redirect is a failure and is not followed; a failure is tried again as the strategy says, and given up in the end.
func TestPushRetries(t *testing.T) {
	t.Parallel()
	clk := newClock()
	dir := t.TempDir()
	s, endpoint := start(t, mns.Options{Clock: clk.Now, Dir: dir})
	topic := newTopic(t, client(endpoint), "t")
	sub := newSubscriber(t)
	sub.answer(http.StatusFound)
	subscribe(t, topic, "backoff", ali.MessageSubsribeRequest{Endpoint: sub.URL + "/b", NotifyContentFormat: ali.SIMPLIFIED})
	subscribe(t, topic, "decay", ali.MessageSubsribeRequest{Endpoint: sub.URL + "/d", NotifyContentFormat: ali.SIMPLIFIED, NotifyStrategy: ali.EXPONENTIAL_DECAY_RETRY})
	count := func(path string) (n int) {
		for _, p := range sub.all() {
			if p.path == "POST "+path {
				n++
			}
		}
		return n
	}
	publish(t, topic, "x", "")
	eventually(t, "first attempts", func() bool { return s.Stats().PushFails == 2 })
	if err := s.Close(); err != nil { // what was tried stays tried
		t.Fatal(err)
	}
	s, _ = start(t, mns.Options{Clock: clk.Now, Dir: dir})
	clk.add(20 * time.Second) // all of the next three of backoff, and 1, 2, 4 s of decay, one after another
	eventually(t, "second attempts", func() bool { return s.Stats().PushFails == 2 })
	if b, d := count("/b"), count("/d"); b != 2 || d != 2 {
		t.Errorf("%d and %d attempts, want 2 each", b, d)
	}
	for _, fails := range []int64{4, 6, 7} {
		clk.add(20 * time.Second)
		eventually(t, "another attempt", func() bool { return s.Stats().PushFails == fails })
	}
	if n := s.Stats().Dropped; n != 1 {
		t.Errorf("%d notifications given up, want that of backoff", n)
	}
	if n := count("/b"); n != 4 {
		t.Errorf("%d attempts of backoff, want 4", n)
	}
	sub.answer(http.StatusOK)
	clk.add(512 * time.Second)
	eventually(t, "decay arrives", func() bool { return s.Stats().Pushed == 1 })
	if st := s.Stats(); st.Stored != 0 || count("/elsewhere") != 0 {
		t.Errorf("%+v, %d redirects followed", st, count("/elsewhere"))
	}
}

// A subscriber that does not answer holds up no other one, and neither does the publisher's answer.
func TestPushSlow(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	topic := newTopic(t, client(endpoint), "t")
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })
	fast := newSubscriber(t)
	subscribe(t, topic, "slow", ali.MessageSubsribeRequest{Endpoint: slow.URL, NotifyContentFormat: ali.SIMPLIFIED})
	subscribe(t, topic, "fast", ali.MessageSubsribeRequest{Endpoint: fast.URL, NotifyContentFormat: ali.SIMPLIFIED})
	for range 40 {
		publish(t, topic, "x", "")
	}
	eventually(t, "the fast one has all", func() bool { return s.Stats().Pushed == 40 })
	if a, err := ali.NewMNSTopicManager(client(endpoint)).GetTopicAttributes("t"); err != nil || a.MessageCount != 40 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := topic.Unsubscribe("slow"); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Stored != 0 {
		t.Errorf("%+v", st)
	}
}
