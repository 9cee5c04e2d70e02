package command_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"relink/shared/command"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/offline"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var now = time.UnixMilli(1_700_000_000_000)

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

// connectors answer by base URL, and note who was called.
type connectors struct {
	answers map[string]func() (downlink.Outcome, error)
	mu      sync.Mutex
	called  []string
}

func (c *connectors) call(base string) (downlink.Outcome, error) {
	c.mu.Lock()
	c.called = append(c.called, base)
	c.mu.Unlock()
	if f := c.answers[base]; f != nil {
		return f()
	}
	return downlink.Outcome{State: downlink.Sent}, nil
}

func (c *connectors) Publish(_ context.Context, base string, _ *downlink.Publish) (downlink.Outcome, error) {
	return c.call(base)
}

func (c *connectors) Drop(_ context.Context, base string, _ *downlink.Drop) (downlink.Outcome, error) {
	return c.call(base)
}

func (c *connectors) Broadcast(_ context.Context, base string, _ *downlink.Broadcast) (downlink.Outcome, error) {
	return c.call(base)
}

func (c *connectors) Classes(_ context.Context, base string, _ *downlink.Classes) (downlink.Outcome, error) {
	return c.call(base)
}

func (c *connectors) Forget(_ context.Context, base string, _ *downlink.Forget) (downlink.Outcome, error) {
	return c.call(base)
}

func setUp(t *testing.T) (*memory.Store, *connectors, *command.Service) {
	t.Helper()
	s := memory.New()
	for id, left := range map[string]time.Duration{"n1": time.Minute, "n2": time.Minute, "dead": -time.Second} {
		if err := s.Nodes().Renew(t.Context(), store.Node{ID: id, URL: "http://" + id, Until: now.Add(left).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	c := &connectors{answers: make(map[string]func() (downlink.Outcome, error))}
	return s, c, command.New(s, c, offline.DefaultBounds(), func() time.Time { return now })
}

func take(t *testing.T, s *memory.Store, node string) {
	t.Helper()
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp, Node: node, At: 1}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func publish() *downlink.Command {
	return &downlink.Command{Publish: &downlink.Publish{ProductKey: lamp.ProductKey, DeviceName: lamp.DeviceName, MessageID: "1", Topic: "/t"}}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		arrange func(s *memory.Store, c *connectors)
		state   downlink.State
		kind    iot.Kind // with state ""
		called  string
	}{
		{"never_connected", func(*memory.Store, *connectors) {}, downlink.Offline, 0, "[]"},
		{"connected", func(s *memory.Store, _ *connectors) { take(t, s, "n1") }, downlink.Sent, 0, "[http://n1]"},
		{"ended", func(s *memory.Store, _ *connectors) {
			take(t, s, "n1")
			s.Sessions().End(t.Context(), []iot.DeviceRef{lamp}, []int64{1}, []int64{2})
		}, downlink.Offline, 0, "[]"},
		{"node_dead", func(s *memory.Store, _ *connectors) { take(t, s, "dead") }, downlink.Offline, 0, "[]"},
		{"node_unknown", func(s *memory.Store, _ *connectors) { take(t, s, "n9") }, downlink.Offline, 0, "[]"},
		{"moved_meanwhile", func(s *memory.Store, c *connectors) {
			take(t, s, "n1")
			c.answers["http://n1"] = func() (downlink.Outcome, error) {
				take(t, s, "n2")
				return downlink.Outcome{State: downlink.Offline}, nil
			}
		}, downlink.Sent, 0, "[http://n1 http://n2]"},
		{"row_is_behind", func(s *memory.Store, c *connectors) {
			take(t, s, "n1")
			c.answers["http://n1"] = func() (downlink.Outcome, error) { return downlink.Outcome{State: downlink.Offline}, nil }
		}, downlink.Offline, 0, "[http://n1]"},
		{"connector_gone", func(s *memory.Store, c *connectors) {
			take(t, s, "n1")
			c.answers["http://n1"] = func() (downlink.Outcome, error) { return downlink.Outcome{}, iot.Errorf(iot.Unavailable, "gone") }
		}, "", iot.Unavailable, "[http://n1]"},
		{"store_busy", func(s *memory.Store, _ *connectors) {
			s.Fault = func(string, iot.DeviceRef) error { return iot.Errorf(iot.Throttled, "busy") }
		}, "", iot.Throttled, "[]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for what, cmd := range map[string]*downlink.Command{
				"publish": publish(), "drop": {Drop: &downlink.Drop{ProductKey: lamp.ProductKey, DeviceName: lamp.DeviceName, Reason: "disabled"}},
			} {
				s, calls, svc := setUp(t)
				c.arrange(s, calls)
				got, err := svc.Execute(t.Context(), cmd)
				if c.state == "" && !iot.Is(err, c.kind) || c.state != "" && (err != nil || got.State != c.state) {
					t.Errorf("%s: %+v, %v; want %q or %s", what, got, err, c.state, c.kind)
				}
				if called := fmt.Sprint(calls.called); called != c.called {
					t.Errorf("%s: called %s, want %s", what, called, c.called)
				}
			}
		})
	}
}

// What goes over a gateway is brought to the connector that holds the gateway, wherever the sub-device is.
func TestVia(t *testing.T) {
	t.Parallel()
	s, calls, svc := setUp(t)
	take(t, s, "n1")
	gw := iot.DeviceRef{ProductKey: "a1GatewayXX", DeviceName: "gw-001"}
	cmd := publish()
	cmd.Publish.Via = &downlink.Gateway{ProductKey: gw.ProductKey, DeviceName: gw.DeviceName}
	if o, err := svc.Execute(t.Context(), cmd); err != nil || o.State != downlink.Offline || len(calls.called) != 0 {
		t.Errorf("gateway is offline: %+v, %v, called %v", o, err, calls.called)
	}
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: gw, Node: "n2", At: 1}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if o, err := svc.Execute(t.Context(), cmd); err != nil || o.State != downlink.Sent || fmt.Sprint(calls.called) != "[http://n2]" {
		t.Errorf("gateway is online: %+v, %v, called %v", o, err, calls.called)
	}
}

func TestSenseless(t *testing.T) {
	t.Parallel()
	_, calls, svc := setUp(t)
	with := func(f func(p *downlink.Publish)) *downlink.Command {
		c := publish()
		f(c.Publish)
		return c
	}
	for name, cmd := range map[string]*downlink.Command{
		"nothing": {}, "both": {Publish: publish().Publish, Drop: &downlink.Drop{}}, "drop_of_nobody": {Drop: &downlink.Drop{}},
		"nobody":      with(func(p *downlink.Publish) { p.DeviceName = "" }),
		"foreign_key": with(func(p *downlink.Publish) { p.ProductKey = "a/b" }),
		"no_topic":    with(func(p *downlink.Publish) { p.Topic = "" }),
		"qos_2":       with(func(p *downlink.Publish) { p.QoS = 2 }),
		"via_nobody":  with(func(p *downlink.Publish) { p.Via = &downlink.Gateway{} }),
		"via_call": with(func(p *downlink.Publish) {
			p.Via, p.ReplyTopic = &downlink.Gateway{ProductKey: "a1GatewayXX", DeviceName: "gw-001"}, "/r"
		}),
		"long_wait": with(func(p *downlink.Publish) { p.WaitMS = downlink.MaxWait + 1 }),
	} {
		if _, err := svc.Execute(t.Context(), cmd); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("%s: %v, want invalid_params", name, err)
		}
	}
	if len(calls.called) != 0 {
		t.Errorf("called %v", calls.called)
	}
}
