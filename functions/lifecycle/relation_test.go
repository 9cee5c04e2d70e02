package main

import (
	"testing"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

// A session over a gateway ends if the device was removed or moved while it logged in.
func TestRelationGoneWhileLoggingIn(t *testing.T) {
	t.Parallel()
	h, s := newTestHandler(t)
	gateway, other := iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw01"}, iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw02"}
	online := record.Record{MessageID: "1", Device: lamp, Topic: device.TopicOnline,
		Payload: []byte(`{"epoch":1001,"node":"n1","at":1002,"gatewayProductKey":"a1Gateway00","gatewayDeviceName":"gw01"}`)}
	check := func(when string, code int32, reason refusal.Cause) {
		t.Helper()
		if r := invoke(t, h, online)[0]; r.Code != code || r.Reason != string(reason) || r.Retry {
			t.Errorf("%s: %+v, want code %d", when, r, code)
		}
	}
	check("never added", 6401, refusal.TopologyRemoved)
	add := func(to iot.DeviceRef) {
		t.Helper()
		if errs := s.Topology().Add(t.Context(), to, []iot.DeviceRef{lamp}, 1); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	add(gateway)
	check("its own", 200, "")
	add(other)
	check("moved", 6401, refusal.TopologyRemoved)
	add(gateway)
	if errs := s.Topology().Remove(t.Context(), gateway, []iot.DeviceRef{lamp}, "m"); errs[0] != nil {
		t.Fatal(errs[0])
	}
	check("removed", 6401, refusal.TopologyRemoved)
}
