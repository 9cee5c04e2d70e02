package command_test

import (
	"fmt"
	"slices"
	"testing"

	"relink/shared/downlink"
	"relink/shared/iot"
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
