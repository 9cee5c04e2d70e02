package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

type conn struct {
	mu    sync.Mutex
	ended refusal.Cause
	sent  []string
}

func (c *conn) Publish(topic string, _ []byte, qos byte) downlink.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, topic+" "+string('0'+qos))
	return downlink.Sent
}

func (c *conn) End(cause refusal.Cause, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == "" {
		c.ended = cause
	}
}

func grant(epoch int64) *device.Grant {
	return &device.Grant{ProductKey: "pk1", DeviceName: "dn01", Epoch: epoch, Topics: device.NewClasses(device.DefaultTopics())}
}

func TestRegistryKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var r session.Registry
	first, second, late := &conn{}, &conn{}, &conn{}
	s1, s2 := session.New(grant(1), first, "", time.Now()), session.New(grant(3), second, "", time.Now())
	if !r.Put(s1) || !r.Put(s2) || r.Put(session.New(grant(2), late, "", time.Now())) {
		t.Error("want the first two taken, and the late one refused")
	}
	if first.ended != refusal.TakenOver || second.ended != "" {
		t.Errorf("ended %q, %q", first.ended, second.ended)
	}
	r.Remove(s1) // its end comes after the takeover
	if r.Get(s2.Ref) != s2 || r.Len() != 1 {
		t.Errorf("%d sessions", r.Len())
	}
	r.Remove(s2)
	r.Remove(s2)
	if r.Len() != 0 || r.Get(s2.Ref) != nil {
		t.Errorf("%d sessions", r.Len())
	}
}

func TestSubscriptionsOfEarlierSessions(t *testing.T) {
	t.Parallel()
	g := grant(1)
	g.Subscribed = []device.Subscription{{Filter: "/pk1/dn01/user/get", QoS: 1}}
	g.Muted = []string{"/sys/pk1/dn01/thing/event/+/post_reply"}
	c := &conn{}
	s := session.New(g, c, "", time.Now())
	for topic, want := range map[string]downlink.State{
		"/pk1/dn01/user/get":                              downlink.Sent,
		"/sys/pk1/dn01/thing/event/property/post_reply":   downlink.Unsubscribed,
		"/sys/pk1/dn01/thing/service/property/set":        downlink.Sent,
		"/sys/pk1/other/thing/service/property/set":       downlink.Refused,
		"/sys/pk1/dn01/thing/event/property/post":         downlink.Refused,
		"/ext/rrpc/1/pk1/dn01/user/get":                   downlink.Refused, // no ext bit
		"/sys/pk1/dn01/rrpc/request/1":                    downlink.Sent,
		"/sys/pk1/dn01/thing/service/property/set\x00bad": downlink.Refused,
	} {
		if got := s.Publish(topic, nil, 1); got != want {
			t.Errorf("%s: %s, want %s", topic, got, want)
		}
	}
	if !s.Unsubscribe("/pk1/dn01/user/get") || s.Unsubscribe("/pk1/dn01/user/get") {
		t.Error("want the custom filter to be removed once")
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	s := session.New(grant(1), &conn{}, "", time.Now())
	call := s.Expect("7")
	if s.Expect("7") != nil {
		t.Error("two wait with one id")
	}
	payload := []byte("yes")
	if !s.Answer("7", payload) || s.Answer("7", payload) || s.Answer("8", payload) {
		t.Error("want the first answer taken and no other")
	}
	payload[0] = 'n'
	if got, ok := call.Wait(t.Context()); !ok || string(got) != "yes" {
		t.Errorf("answer %q", got)
	}
	s.Forget(call)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := s.Expect("9").Wait(ctx); ok {
		t.Error("an answer out of nothing")
	}
	for range 63 {
		s.Expect(time.Now().String())
	}
	if s.Expect("one too many") != nil {
		t.Error("calls are not bounded")
	}
}

type cloud struct {
	mu      sync.Mutex
	records []record.Record
	code    int32            // of online
	fails   map[string]error // by topic
	refuses bool
}

func (c *cloud) Submit(_ context.Context, function string, r record.Record, done func(record.Result, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses {
		return errors.New("closed")
	}
	c.records = append(c.records, r)
	result := record.Result{Code: 200}
	if r.Topic == device.TopicOnline && c.code != 0 {
		result.Code = c.code
	}
	done(result, c.fails[r.Topic])
	return nil
}

type nowhere struct{}

func (nowhere) Record(session.Event) {}

func TestPresence(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	p := &session.Presence{
		Dispatcher: c, Journal: nowhere{}, Logger: slog.New(slog.DiscardHandler), NextID: func(int64) string { return "1" }, Node: "n", URL: "http://n", Now: time.Now,
	}
	s := session.New(grant(5), &conn{}, "192.0.2.1:5", time.Now())
	p.Online(t.Context(), s)
	p.Offline(s, refusal.KeepAliveExpired)
	ctx, cancel := context.WithCancel(t.Context())
	if p.Held() {
		t.Error("a lease out of nothing")
	}
	p.KeepLease(ctx, time.Second, func() int { cancel(); return 3 })
	if len(c.records) != 3 {
		t.Fatalf("%d records", len(c.records))
	}
	var offline device.Offline
	if err := json.Unmarshal(c.records[1].Payload, &offline); err != nil || offline.Epoch != 5 || offline.Reason != "keepalive_expired" || offline.Node != "n" {
		t.Errorf("offline %+v, %v", offline, err)
	}
	var lease device.Lease
	if err := json.Unmarshal(c.records[2].Payload, &lease); err != nil || lease.URL != "http://n" || lease.Sessions != 3 || lease.Until <= time.Now().UnixMilli() {
		t.Errorf("lease %+v, %v", lease, err)
	}
	if c.records[0].Device != (iot.DeviceRef{ProductKey: "pk1", DeviceName: "dn01"}) || !c.records[2].Device.IsZero() {
		t.Errorf("records %+v", c.records)
	}
}

// A device that was disabled or deleted between its login and its session is disconnected.
func TestOnlineRefused(t *testing.T) {
	t.Parallel()
	for code, want := range map[int32]refusal.Cause{200: "", 403: refusal.Disabled, 404: refusal.Deleted, 6401: refusal.TopologyRemoved, 500: ""} {
		c, device := &cloud{code: code}, &conn{}
		presence(c).Online(t.Context(), session.New(grant(5), device, "", time.Now()))
		if device.ended != want {
			t.Errorf("code %d: ended %q, want %q", code, device.ended, want)
		}
	}
}

func presence(c *cloud) *session.Presence {
	return &session.Presence{
		Dispatcher: c, Journal: nowhere{}, Logger: slog.New(slog.DiscardHandler), NextID: func(int64) string { return "1" }, Node: "n", Now: time.Now,
		Registry: &session.Registry{},
	}
}

// The end of a session that could not be told is told with the next renewal of the lease, unless a newer session is here.
func TestOfflineIsToldAgain(t *testing.T) {
	t.Parallel()
	c := &cloud{fails: map[string]error{device.TopicOffline: errors.New("undecided")}}
	p := presence(c)
	lease := func() {
		t.Helper()
		if err := p.Renew(t.Context(), time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	of := func(name iot.DeviceName, epoch int64) *session.Session {
		g := grant(epoch)
		g.DeviceName = name
		return session.New(g, &conn{}, "", time.Now())
	}
	waiting := func(want int) {
		t.Helper()
		if got, forgotten := p.Untold(); got != want || forgotten != 0 {
			t.Errorf("%d ends wait, %d forgotten, want %d and none", got, forgotten, want)
		}
	}
	p.Offline(of("dn01", 7), refusal.ConnectionClosed)
	p.Offline(of("dn01", 5), refusal.TakenOver) // older
	c.refuses = true
	p.Offline(of("dn02", 1), refusal.ConnectionClosed)
	c.refuses = false
	waiting(2)
	lease()
	waiting(2) // tried in vain
	c.fails, c.records = nil, nil
	p.Registry.Put(of("dn02", 2)) // it is back
	lease()
	waiting(0)
	var told []string
	for _, r := range c.records {
		var off device.Offline
		if err := json.Unmarshal(r.Payload, &off); err != nil {
			t.Fatal(err)
		}
		if r.Topic == device.TopicOffline {
			told = append(told, fmt.Sprint(r.Device, " ", off.Epoch, " ", off.Reason))
		}
	}
	if want := []string{"pk1/dn01 7 closed"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

func TestUntoldIsBounded(t *testing.T) {
	t.Parallel()
	c := &cloud{refuses: true}
	p := presence(c)
	for i := range 50_010 {
		g := grant(1)
		g.DeviceName = iot.DeviceName(fmt.Sprint(i))
		p.Offline(session.New(g, &conn{}, "", time.Now()), refusal.ConnectionClosed)
	}
	if waiting, forgotten := p.Untold(); waiting != 50_000 || forgotten != 10 {
		t.Errorf("%d wait, %d forgotten", waiting, forgotten)
	}
}

// What the next sessions need is what is not automatic, what is muted, and, while something is muted, the rest too. It is given
// until it is stored.
func TestUnstoredSubscriptions(t *testing.T) {
	t.Parallel()
	const own, replies = "/pk1/dn01/user/get", "/sys/pk1/dn01/thing/event/+/post_reply"
	s := session.New(grant(1), &conn{}, "", time.Now())
	subscribe := func(filter string, qos byte) {
		t.Helper()
		if _, err := s.Subscribe(filter, qos); err != nil {
			t.Fatal(err)
		}
	}
	changed := func(want ...string) {
		t.Helper()
		subs, version, ok := s.Unstored()
		s.Stored(version)
		var got []string
		for _, f := range subs.Subscribed {
			got = append(got, fmt.Sprint(f.QoS, f.Filter))
		}
		for _, f := range subs.Muted {
			got = append(got, "-"+f)
		}
		if ok != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("changed %t: %v, want %v", ok, got, want)
		}
	}
	changed()
	subscribe(replies, 1) // automatic
	changed()
	subscribe(own, 1)
	changed("1" + own)
	changed()
	subscribe(own, 1) // again, as the Node SDK does at every connect
	changed()
	subscribe(own, 0)
	changed("0" + own)
	s.Unsubscribe(replies)
	changed("0"+own, "-"+replies)
	subscribe("/sys/pk1/dn01/thing/event/property/post_reply", 0) // one of what is muted
	changed("0"+own, "0/sys/pk1/dn01/thing/event/property/post_reply", "-"+replies)
	subscribe(replies, 1)
	s.Unsubscribe(own)
	if subs, _, ok := s.Unstored(); !ok || len(subs.Subscribed) != 0 || len(subs.Muted) != 0 {
		t.Errorf("%v %v, want nothing left", subs, ok)
	}
}
