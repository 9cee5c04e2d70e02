package downlink_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"relink/connector/gateway"
	"relink/connector/session"
	"relink/shared/device"
	api "relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

// gateway is a gateway with its connection.
func (n *node) gateway(t *testing.T, name string, ext bool) (*gateway.Gateway, *session.Session, *conn) {
	t.Helper()
	c := &conn{received: make(chan string, 8)}
	g := &device.Grant{ProductKey: "pk1", DeviceName: iot.DeviceName(name), Epoch: 4, NodeType: device.NodeGateway, ExtRRPC: ext}
	s := session.New(g, c, "", time.Now())
	n.registry.Put(s)
	presence := &session.Presence{Dispatcher: taken{}, Journal: new(journal), Logger: slog.New(slog.DiscardHandler), NextID: func(int64) string { return "1" }, Now: time.Now}
	teller := session.NewTeller(presence)
	t.Cleanup(teller.Close)
	return gateway.New(&gateway.Node{
		Registry: n.registry, Teller: teller, Journal: new(journal), Drops: n.drops, Now: time.Now,
		Expiry: func(int64, time.Time) time.Duration { return 0 },
	}, s), s, c
}

func login(g *gateway.Gateway, name string) {
	g.Apply(&device.SubSessions{Login: []device.Grant{{ProductKey: "pk2", DeviceName: iot.DeviceName(name), Epoch: 5}}}, time.Now(), false)
}

func TestSubDeviceReceives(t *testing.T) {
	t.Parallel()
	n := start(t)
	g, own, c := n.gateway(t, "gw01", true)
	login(g, "sub1")
	publish := func(p api.Publish) api.Outcome {
		t.Helper()
		p.ProductKey, p.DeviceName = "pk2", "sub1"
		o, err := n.client.Publish(t.Context(), n.url, &p)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := publish(api.Publish{Topic: "/sys/pk2/sub1/thing/service/property/set"}); o.State != api.Sent || o.Epoch != 5 {
		t.Errorf("property set: %+v", o)
	}
	if got := <-c.received; got != "/sys/pk2/sub1/thing/service/property/set" {
		t.Errorf("the gateway received %s", got)
	}
	if o := publish(api.Publish{Topic: "/sys/pk1/gw01/thing/service/property/set"}); o.State != api.Refused {
		t.Errorf("a topic of the gateway's, addressed to the sub-device: %+v", o)
	}
	// The gateway's connection has ext bit 0. The answer comes on the call's own topic; if that names nobody, it counts as the gateway's.
	for topic, answers := range map[string]*session.Session{
		"/ext/rrpc/123/sys/pk2/sub1/thing/service/x": n.registry.Get(iot.DeviceRef{ProductKey: "pk2", DeviceName: "sub1"}),
		"/ext/rrpc/123/anything":                     own,
	} {
		var answer sync.WaitGroup
		answer.Go(func() {
			if got := <-c.received; got != topic || !answers.Answer("123", []byte("pong")) {
				t.Errorf("received %s, want %s, and somebody who waits", got, topic)
			}
		})
		o := publish(api.Publish{Topic: "/sys/pk2/sub1/rrpc/request/123", ReplyTopic: "/sys/pk2/sub1/rrpc/response/123", ExtTopic: topic, WaitMS: 5000})
		answer.Wait()
		if o.State != api.Sent || string(o.Reply) != "pong" {
			t.Errorf("call: %+v", o)
		}
		if own.Answer("123", nil) {
			t.Error("somebody still waits")
		}
	}
	c.busy = true
	if o := publish(api.Publish{Topic: "/sys/pk2/sub1/thing/service/property/set"}); o.State != api.Busy {
		t.Errorf("busy: %+v", o)
	}
}

func TestVia(t *testing.T) {
	t.Parallel()
	n := start(t)
	g, _, c := n.gateway(t, "gw01", false)
	n.device("dn01", false)
	via := func(gw, topic string) api.State {
		t.Helper()
		o, err := n.client.Publish(t.Context(), n.url, &api.Publish{
			ProductKey: "pk2", DeviceName: "sub1", Topic: topic, Payload: []byte("{}"), Via: &api.Gateway{ProductKey: "pk1", DeviceName: iot.DeviceName(gw)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return o.State
	}
	const disable = "/sys/pk2/sub1/thing/disable"
	for _, x := range []struct {
		gw, topic string
		want      api.State
	}{
		{"gw01", disable, api.Sent},
		{"gw02", disable, api.Offline},
		{"dn01", disable, api.Refused},
		{"gw01", "/sys/pk2/other/thing/disable", api.Refused},
		{"gw01", "/sys/pk1/gw01/thing/disable", api.Refused},
		{"gw01", "/ext/register", api.Refused},
		{"gw01", "/pk2/sub1/user/get", api.Refused},
	} {
		if got := via(x.gw, x.topic); got != x.want {
			t.Errorf("%s via %s: %s, want %s", x.topic, x.gw, got, x.want)
		}
	}
	if got := <-c.received; got != disable {
		t.Errorf("the gateway received %s", got)
	}
	login(g, "sub1") // now its session decides
	if got := via("gw01", disable); got != api.Sent || <-c.received != disable {
		t.Errorf("logged in: %s", got)
	}
	n.registry.Get(iot.DeviceRef{ProductKey: "pk2", DeviceName: "sub1"}).Unsubscribe(disable)
	if got := via("gw01", disable); got != api.Unsubscribed {
		t.Errorf("unsubscribed: %s", got)
	}
}

// A drop of a sub-device ends its session and not the gateway's connection.
func TestDropOfSubDevice(t *testing.T) {
	t.Parallel()
	n := start(t)
	g, own, c := n.gateway(t, "gw01", false)
	ref := iot.DeviceRef{ProductKey: "pk2", DeviceName: "sub1"}
	for _, reason := range []refusal.Cause{refusal.TakenOver, refusal.Disabled, refusal.Deleted, refusal.TopologyRemoved} {
		g.Apply(&device.SubSessions{Login: []device.Grant{{ProductKey: "pk2", DeviceName: "sub1", Epoch: 5}}}, time.Now().Add(time.Second), false)
		d := api.Drop{ProductKey: "pk2", DeviceName: "sub1", Epoch: 5, Reason: string(reason)}
		if o, err := n.client.Drop(t.Context(), n.url, &d); err != nil || o.State != api.Dropped {
			t.Errorf("%s: %+v, %v", reason, o, err)
		}
		if got := <-c.received; got != "/ext/error/pk1/gw01" {
			t.Errorf("the gateway received %s", got)
		}
		if n.registry.Get(ref) != nil || n.registry.Get(own.Ref) != own || c.cause() != "" {
			t.Errorf("%s: %d sessions, the gateway's ended with %q", reason, n.registry.Len(), c.cause())
		}
	}
	// What is no gateway's concern any more is left alone.
	s, direct := n.device("dn01", false)
	if o, err := n.client.Drop(t.Context(), n.url, &api.Drop{ProductKey: "pk1", DeviceName: "dn01", Reason: string(refusal.TopologyRemoved)}); err != nil || o.State != api.Offline {
		t.Errorf("%+v, %v", o, err)
	}
	if direct.cause() != "" || n.registry.Get(s.Ref) != s {
		t.Error("a device with a connection of its own lost it with a relation")
	}
}

// taken is a dispatcher that answers all with 200.
type taken struct{}

func (taken) Submit(_ context.Context, _ string, _ record.Record, done func(record.Result, error)) error {
	go done(record.Result{Code: 200}, nil)
	return nil
}
