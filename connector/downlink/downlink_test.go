package downlink_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/connector/downlink"
	"relink/connector/limits"
	"relink/connector/session"
	"relink/shared/config"
	"relink/shared/device"
	api "relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

type conn struct {
	mu       sync.Mutex
	ended    refusal.Cause
	received chan string
	busy     bool
}

func (c *conn) Publish(topic string, _ []byte, qos byte) api.State {
	if c.busy {
		return api.Busy
	}
	c.received <- topic
	return api.Sent
}

func (c *conn) End(cause refusal.Cause, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = cause
}

func (c *conn) cause() refusal.Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

type quiet struct{}

func (quiet) Downlink(string, api.State) {}

type journal struct {
	mu   sync.Mutex
	last session.Event
}

func (j *journal) Record(e session.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = e
}

// reason is how the last message was logged.
func (j *journal) reason() refusal.Cause {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last.Reason
}

var key = config.Key{1, 2, 3}

type node struct {
	url      string
	registry *session.Registry
	drops    *session.Drops
	client   *api.Client
	journal  *journal
	classes  []device.TopicClass // what ChangeClasses was last told
}

func (n *node) ChangeClasses(_ iot.ProductKey, _ int64, list []device.TopicClass) { n.classes = list }

func start(t *testing.T) *node {
	t.Helper()
	n := &node{registry: &session.Registry{}, drops: session.NewDrops(time.Minute), client: api.NewClient(key), journal: new(journal)}
	s := &downlink.Server{
		Registry: n.registry, Drops: n.drops, Journal: n.journal, Logger: slog.New(slog.DiscardHandler), Key: key, Meter: quiet{}, Now: time.Now, Classes: n,
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(n.client.CloseIdle)
	n.url = server.URL
	return n
}

func (n *node) device(name string, ext bool) (*session.Session, *conn) {
	c := &conn{received: make(chan string, 64)}
	g := &device.Grant{ProductKey: "pk1", DeviceName: iot.DeviceName(name), Epoch: 4, ExtRRPC: ext, Topics: device.NewClasses(device.DefaultTopics())}
	s := session.New(g, c, "", time.Now())
	n.registry.Put(s)
	return s, c
}

func TestPublish(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, c := n.device("dn01", false)
	for _, x := range []struct {
		name, topic string
		want        api.State
		cause       refusal.Cause
	}{
		{"dn01", "/sys/pk1/dn01/thing/service/property/set", api.Sent, ""},
		{"dn01", "/sys/pk1/dn02/thing/service/property/set", api.Refused, refusal.ReceiveNotPermitted},
		{"dn01", "/pk1/dn01/user/get", api.Unsubscribed, refusal.NotSubscribed},
		{"dn02", "/sys/pk1/dn02/thing/service/property/set", api.Offline, refusal.DeviceOffline},
	} {
		p := &api.Publish{ProductKey: "pk1", DeviceName: iot.DeviceName(x.name), Topic: x.topic, Payload: []byte("{}"), QoS: 1}
		o, err := n.client.Publish(t.Context(), n.url, p)
		if err != nil || o.State != x.want {
			t.Errorf("%s: %+v, %v, want %s", x.topic, o, err, x.want)
		}
		if got := n.journal.reason(); got != x.cause {
			t.Errorf("%s: logged as %q, want %q", x.topic, got, x.cause)
		}
	}
	if got := <-c.received; got != "/sys/pk1/dn01/thing/service/property/set" {
		t.Errorf("device received %s", got)
	}
	c.busy = true
	o, err := n.client.Publish(t.Context(), n.url, &api.Publish{ProductKey: "pk1", DeviceName: "dn01", Topic: "/sys/pk1/dn01/thing/service/property/set"})
	if err != nil || o.State != api.Busy || o.Epoch != 4 {
		t.Errorf("busy: %+v, %v", o, err)
	}
	if got := n.journal.reason(); got != refusal.OutboundQueueFull {
		t.Errorf("busy: logged as %q", got)
	}
}

// What is more than a device may be sent is refused and logged; the rest arrives.
func TestRateOfOneDevice(t *testing.T) {
	t.Parallel()
	n := start(t)
	s, _ := n.device("dn01", false)
	s.Limit(limits.Rates{Down: 2})
	for i := range 50 {
		o, err := n.client.Publish(t.Context(), n.url, &api.Publish{ProductKey: "pk1", DeviceName: "dn01", Topic: "/sys/pk1/dn01/thing/service/property/set"})
		if err != nil || i < 2 && o.State != api.Sent {
			t.Fatalf("message %d: %+v, %v", i, o, err)
		}
		if o.State == api.Limited {
			if got := n.journal.reason(); got != refusal.RateLimitedDown {
				t.Errorf("logged as %q", got)
			}
			return
		}
	}
	t.Error("50 messages at once were taken at 2 a second")
}

func TestSynchronousCall(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, ext := range []bool{false, true} {
		s, c := n.device("dn01", ext)
		call := &api.Publish{
			ProductKey: "pk1", DeviceName: "dn01", Topic: "/sys/pk1/dn01/rrpc/request/123", ReplyTopic: "/sys/pk1/dn01/rrpc/response/123",
			ExtTopic: "/ext/rrpc/123/sys/pk1/dn01/thing/service/x", WaitMS: 5000,
		}
		want := call.Topic
		if ext {
			want = call.ExtTopic
		}
		var device sync.WaitGroup
		device.Go(func() {
			if got := <-c.received; got != want {
				t.Errorf("device received %s, want %s", got, want)
			}
			if !s.Answer("123", []byte("pong")) {
				t.Error("nobody waits")
			}
		})
		o, err := n.client.Publish(t.Context(), n.url, call)
		if err != nil || o.State != api.Sent || string(o.Reply) != "pong" {
			t.Errorf("%+v, %v", o, err)
		}
		device.Wait()
		call.WaitMS = 20
		if o, err := n.client.Publish(t.Context(), n.url, call); err != nil || o.State != api.TimedOut {
			t.Errorf("without an answer: %+v, %v", o, err)
		}
		if got := n.journal.reason(); got != refusal.CallTimedOut {
			t.Errorf("without an answer: logged as %q", got)
		}
		if s.Answer("123", nil) {
			t.Error("a late answer was taken")
		}
		<-c.received
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, x := range []struct {
		drop  api.Drop
		want  api.State
		cause refusal.Cause
	}{
		{api.Drop{DeviceName: "dn01", Epoch: 3, Reason: "taken_over"}, api.Offline, ""}, // this session is newer
		{api.Drop{DeviceName: "dn02", Reason: "disabled"}, api.Offline, ""},
		{api.Drop{DeviceName: "dn01", Epoch: 4, Reason: "taken_over"}, api.Dropped, refusal.TakenOver},
		{api.Drop{DeviceName: "dn01", Reason: "disabled"}, api.Dropped, refusal.Disabled},
		{api.Drop{DeviceName: "dn01", Reason: "deleted"}, api.Dropped, refusal.Deleted},
		{api.Drop{DeviceName: "dn01", Reason: "because"}, api.Dropped, refusal.Kicked},
	} {
		_, c := n.device("dn01", false)
		x.drop.ProductKey = "pk1"
		o, err := n.client.Drop(t.Context(), n.url, &x.drop)
		if err != nil || o.State != x.want || c.cause() != x.cause {
			t.Errorf("%+v: %+v, %v, ended %q", x.drop, o, err, c.cause())
		}
	}
}

// Who is disabled or deleted while its login is under way has no session yet: it is remembered.
func TestDropIsRemembered(t *testing.T) {
	t.Parallel()
	n := start(t)
	began := time.Now()
	for name, reason := range map[iot.DeviceName]refusal.Cause{"dn01": refusal.Disabled, "dn02": refusal.Deleted, "dn03": refusal.TakenOver, "dn04": refusal.Kicked} {
		d := api.Drop{ProductKey: "pk1", DeviceName: name, Reason: string(reason)}
		if o, err := n.client.Drop(t.Context(), n.url, &d); err != nil || o.State != api.Offline {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		want := reason
		if reason == refusal.TakenOver {
			want = ""
		}
		if got := n.drops.Since(iot.DeviceRef{ProductKey: "pk1", DeviceName: name}, began); got != want {
			t.Errorf("%s: remembered %q, want %q", reason, got, want)
		}
	}
}

func TestUnsignedIsTurnedAway(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, c := n.device("dn01", false)
	body := `{"productKey":"pk1","deviceName":"dn01","reason":"deleted"}`
	for name, edit := range map[string]func(*http.Request){
		"no_signature": func(*http.Request) {},
		"other_key":    func(r *http.Request) { _ = api.Sign(r, config.Key{9}, []byte(body), time.Now()) },
		"old":          func(r *http.Request) { _ = api.Sign(r, key, []byte(body), time.Now().Add(-time.Hour)) },
		"other_body":   func(r *http.Request) { _ = api.Sign(r, key, []byte("{}"), time.Now()) },
	} {
		r, err := http.NewRequest(http.MethodPost, n.url+api.PathDrop, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		edit(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	if c.cause() != "" {
		t.Error("the device was dropped")
	}
	_, err := n.client.Publish(context.Background(), n.url, &api.Publish{Payload: make([]byte, api.MaxBody)})
	if !iot.Is(err, iot.InvalidParams) {
		t.Errorf("too long a message: %v", err)
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, c := n.device("dn01", false)
	p := downlink.NewPeers(n.client, slog.New(slog.DiscardHandler), func(string) {})
	defer p.Close()
	p.Superseded(&device.Grant{ProductKey: "pk1", DeviceName: "dn01", Epoch: 9, Previous: &device.Owner{Node: "x", URL: n.url, Epoch: 4}})
	deadline := time.Now().Add(5 * time.Second)
	for c.cause() != refusal.TakenOver {
		if time.Now().After(deadline) {
			t.Fatal("the old session was not dropped")
		}
		time.Sleep(time.Millisecond)
	}
}
