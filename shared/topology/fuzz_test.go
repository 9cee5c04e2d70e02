package topology_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/topology"
)

// Whatever a gateway sends, the answer is one reply that is JSON in the shape of its topic, and nothing but what is signed changes
// anything.
func FuzzRequests(f *testing.F) {
	topics := []string{"sub/register", "sub/unregister", "proxy/provisioning/product_register", "topo/add", "topo/delete", "topo/get", "list/found",
		"combine/login", "combine/logout", "combine/batch_login", "combine/batch_logout"}
	for i := range topics {
		for _, params := range []string{
			entries(signed(sub01)), signed(sub01), names(sub01, sub02), names(none1), `{"deviceList":[` + signed(sub01) + `]}`,
			`{"proxieds":[` + provisioned(sub01, productSecret, "hmacSha256") + `]}`, `"{}"`, `[]`, `[[]]`, `{"signMethod":{},"deviceList":[{"sign":null}]}`,
			`[{"productKey":"a1SubSubSub","deviceName":"sub01","timestamp":1e9,"cleanSession":true,"sign":1}]`, `{"proxieds":7}`,
		} {
			f.Add(byte(i), request(params))
		}
		f.Add(byte(i), "{'id':'1',}")
	}
	f.Fuzz(func(t *testing.T, which byte, payload string) {
		w := newWorld(t, topology.DefaultLimits())
		w.link(gw, sub02)
		topic := topics[int(which)%len(topics)]
		r := w.send(gw, topic, payload)
		if r.Retry || r.Code == alink.CodeInternal {
			t.Fatalf("%s %q: %+v", topic, payload, r)
		}
		if len(r.Replies) > 1 || len(r.Replies) == 0 && !strings.Contains(payload, "ack") {
			t.Fatalf("%s %q: %d replies", topic, payload, len(r.Replies))
		}
		for _, p := range r.Replies {
			var reply struct {
				ID      *string
				Code    *int32
				Message *string
				Data    json.RawMessage
			}
			if err := json.Unmarshal(p.Payload, &reply); err != nil || reply.ID == nil || reply.Code == nil || *reply.Code != r.Code || reply.Message == nil || len(reply.Data) == 0 {
				t.Fatalf("%s %q: reply %s, %v", topic, payload, p.Payload, err)
			}
			if strings.HasPrefix(topic, "proxy/") && json.Valid([]byte(payload)) &&
				!(bytes.Contains(reply.Data, []byte(`"successes":[`)) && bytes.Contains(reply.Data, []byte(`"failures":[`))) && *reply.Code != alink.CodeNotJSON && *reply.Code != alink.CodeParams {
				t.Fatalf("%s %q: reply %s", topic, payload, p.Payload)
			}
		}
		links, err := w.store.Topology().Links(t.Context(), []iot.DeviceRef{sub01, off01, mute1, lamp})
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if link != nil && link.Gateway == gw && !strings.Contains(payload, "sign") {
				t.Fatalf("%q made a relation without a signature: %+v", payload, *link)
			}
		}
	})
}
