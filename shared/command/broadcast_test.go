package command_test

import (
	"fmt"
	"slices"
	"testing"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

func TestEverywhere(t *testing.T) {
	t.Parallel()
	broadcast := &downlink.Command{Broadcast: &downlink.Broadcast{ProductKey: lamp.ProductKey, MessageID: "1", Payload: []byte("x")}}
	classes := &downlink.Command{Classes: &downlink.Classes{ProductKey: lamp.ProductKey, Revision: 2}}
	_, calls, svc := setUp(t)
	reached := func(n int) func() (downlink.Outcome, error) {
		return func() (downlink.Outcome, error) { return downlink.Outcome{State: downlink.Sent, Count: n}, nil }
	}
	calls.answers["http://n1"], calls.answers["http://n2"] = reached(3), reached(4)
	if o, err := svc.Execute(t.Context(), broadcast); err != nil || o.State != downlink.Sent || o.Count != 7 || o.Missed != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	gone := func() (downlink.Outcome, error) { return downlink.Outcome{}, iot.Errorf(iot.Unavailable, "gone") }
	calls.answers["http://n2"] = gone
	for want, cmd := range map[string]*downlink.Command{
		"[http://n1 http://n2]":                     broadcast, // what may have been sent is not sent again
		"[http://n1 http://n2 http://n2 http://n2]": classes,
	} {
		calls.called = nil
		o, err := svc.Execute(t.Context(), cmd)
		if err != nil || o.State != downlink.Partly || o.Count != 3 || o.Missed != 1 {
			t.Errorf("%+v, %v", o, err)
		}
		slices.Sort(calls.called)
		if got := fmt.Sprint(calls.called); got != want {
			t.Errorf("called %s, want %s", got, want)
		}
	}
	for _, b := range []downlink.Broadcast{
		{ProductKey: "/", MessageID: "1"},
		{ProductKey: lamp.ProductKey},
		{ProductKey: lamp.ProductKey, MessageID: "1", Topic: "/broadcast/a1OtherXXXX/x"},
		{ProductKey: lamp.ProductKey, MessageID: "1", Topic: "/broadcast/" + string(lamp.ProductKey) + "/"},
		{ProductKey: lamp.ProductKey, MessageID: "1", Payload: make([]byte, downlink.MaxBroadcast+1)},
	} {
		if _, err := svc.Execute(t.Context(), &downlink.Command{Broadcast: &b}); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("%s: %v", b.Topic, err)
		}
	}
}

// TestForget: a device that speaks with tokens may be known to any connector, so all are told when it is dropped; one that has never done so
// costs no such calls.
func TestForget(t *testing.T) {
	t.Parallel()
	s, calls, svc := setUp(t)
	forget := &downlink.Command{Forget: &downlink.Forget{ProductKey: lamp.ProductKey, DeviceName: lamp.DeviceName}}
	drop := &downlink.Command{Drop: &downlink.Drop{ProductKey: lamp.ProductKey, DeviceName: lamp.DeviceName, Reason: "disabled"}}
	check := func(what string, cmd *downlink.Command, want string) {
		t.Helper()
		calls.called = nil
		if o, err := svc.Execute(t.Context(), cmd); err != nil {
			t.Errorf("%s: %+v, %v", what, o, err)
		}
		slices.Sort(calls.called)
		if got := fmt.Sprint(calls.called); got != want {
			t.Errorf("%s: called %s, want %s", what, got, want)
		}
	}
	check("forget", forget, "[http://n1 http://n2]")
	take(t, s, "n1")
	check("drop of a device of MQTT", drop, "[http://n1]")
	if errs := s.Sessions().Hear(t.Context(), []store.Hearing{{Ref: lamp, At: 1, Over: "http", Login: true}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	check("drop of one that posts too", drop, "[http://n1 http://n1 http://n2]")
	if _, err := svc.Execute(t.Context(), &downlink.Command{Forget: &downlink.Forget{ProductKey: "/"}}); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("malformed: %v", err)
	}
}
