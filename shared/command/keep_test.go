package command_test

import (
	"fmt"
	"testing"

	"relink/shared/command"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/offline"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func takePersistent(t *testing.T, s *memory.Store, node string, at int64) {
	t.Helper()
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp, Node: node, At: at, Persistent: true}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func end(t *testing.T, s *memory.Store, epoch int64) {
	t.Helper()
	if errs := s.Sessions().End(t.Context(), []iot.DeviceRef{lamp}, []int64{epoch}, []int64{epoch + 1}); errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func queue(t *testing.T, s *memory.Store) string {
	t.Helper()
	list, _, err := s.OfflineMessages().List(t.Context(), lamp, 0, 2000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range list {
		got += offline.ID(m.QueueKey) + " "
	}
	return got
}

func TestKeep(t *testing.T) {
	t.Parallel()
	answer := func(c *connectors, o downlink.Outcome, err error) {
		c.answers["http://n1"] = func() (downlink.Outcome, error) { return o, err }
	}
	for _, x := range []struct {
		name    string
		arrange func(s *memory.Store, c *connectors)
		state   downlink.State
		queue   string
		called  string
	}{
		{"never_connected", func(*memory.Store, *connectors) {}, downlink.Offline, "", "[]"},
		{"away_and_clean", func(s *memory.Store, _ *connectors) { take(t, s, "n1"); end(t, s, 1) }, downlink.Offline, "", "[]"},
		{"connected_and_clean", func(s *memory.Store, _ *connectors) { take(t, s, "n1") }, downlink.Sent, "", "[http://n1]"},
		{"away", func(s *memory.Store, _ *connectors) { takePersistent(t, s, "n1", 1); end(t, s, 1) }, downlink.Queued, "7.1 ", "[]"},
		{"connector_dead", func(s *memory.Store, _ *connectors) { takePersistent(t, s, "dead", 1) }, downlink.Queued, "7.1 ", "[]"},
		{"connected", func(s *memory.Store, _ *connectors) { takePersistent(t, s, "n1", 1) }, downlink.Sent, "7.1 ", "[http://n1]"}, // until it is acknowledged
		{"before_what_was_discarded", func(s *memory.Store, _ *connectors) {
			takePersistent(t, s, "n1", 1)
			if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp, Node: "n1", At: 9, Persistent: true, Discard: true}}); errs[0] != nil {
				t.Fatal(errs[0])
			}
		}, downlink.Sent, "9.1 ", "[http://n1]"},
		{"reads_its_queue", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			answer(c, downlink.Outcome{State: downlink.Queued}, nil)
		}, downlink.Queued, "7.1 ", "[http://n1]"},
		{"just_connecting", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			answer(c, downlink.Outcome{State: downlink.Offline}, nil)
		}, downlink.Queued, "7.1 ", "[http://n1]"},
		{"connects_while_it_is_stored", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			end(t, s, 1)
			s.Fault = func(op string, _ iot.DeviceRef) error {
				if op == "offline_messages.put" {
					s.Fault = nil
					takePersistent(t, s, "n2", 5)
				}
				return nil
			}
		}, downlink.Sent, "7.1 ", "[http://n2]"},
		{"subscribed_with_qos_0", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			answer(c, downlink.Outcome{State: downlink.Sent, Settled: true}, nil)
		}, downlink.Sent, "", "[http://n1]"},
		{"not_subscribed", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			answer(c, downlink.Outcome{State: downlink.Unsubscribed}, nil)
		}, downlink.Unsubscribed, "", "[http://n1]"},
		{"connector_out_of_reach", func(s *memory.Store, c *connectors) {
			takePersistent(t, s, "n1", 1)
			answer(c, downlink.Outcome{}, iot.Errorf(iot.Unavailable, "gone"))
		}, downlink.Queued, "7.1 ", "[http://n1 http://n1]"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s, calls, svc := setUp(t)
			x.arrange(s, calls)
			cmd := publish()
			cmd.Publish.QoS, cmd.Publish.At = 1, 7
			got, err := svc.Execute(t.Context(), cmd)
			if err != nil || got.State != x.state || queue(t, s) != x.queue || fmt.Sprint(calls.called) != x.called {
				t.Errorf("%+v, %v, queue %q, called %v; want %s, %q, %s", got, err, queue(t, s), calls.called, x.state, x.queue, x.called)
			}
			if got.State == downlink.Queued { // a retry of the same command
				if _, err := svc.Execute(t.Context(), cmd); err != nil || queue(t, s) != x.queue {
					t.Errorf("again: %v, queue %q", err, queue(t, s))
				}
			}
		})
	}
}

// What is accepted stays; what is too much is refused and not kept.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]offline.Bounds{"messages": {Messages: 2, Bytes: 1000}, "bytes": {Messages: 100, Bytes: 2*2 + 2*10}} {
		t.Run(name, func(t *testing.T) {
			s, calls, _ := setUp(t)
			svc := command.New(s, calls, bounds, nil)
			takePersistent(t, s, "n1", 1)
			end(t, s, 1)
			at := []int64{1 << 42, 1<<42 + 1, 1<<42 + 2} // later than what is too old
			for i, want := range []downlink.State{downlink.Queued, downlink.Queued, downlink.QueueFull} {
				cmd := publish()
				cmd.Publish.QoS, cmd.Publish.At, cmd.Publish.Payload = 1, at[i], make([]byte, 10)
				if got, err := svc.Execute(t.Context(), cmd); err != nil || got.State != want {
					t.Errorf("message %d: %+v, %v; want %s", i, got, err, want)
				}
			}
			if got, want := queue(t, s), fmt.Sprintf("%d.1 %d.1 ", at[0], at[1]); got != want {
				t.Errorf("queue %q, want %q", got, want)
			}
		})
	}
}
