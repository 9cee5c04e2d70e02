package topology_test

import (
	"strings"
	"testing"

	"relink/shared/topology"
)

// TestMalformedDetail: the log names the member and the limit.
func TestMalformedDetail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ topic, params, want string }{
		{"combine/login", `{"productKey":"a1SubSubSub"}`, "deviceName is missing"},
		{"combine/batch_login", `{}`, "deviceList is missing"},
		{"combine/batch_login", `{"deviceList":[` + strings.Join(slicesRepeat(signed(sub01), 60), ",") + `]}`, "60 entries, at most 50"},
		{"combine/batch_logout", `{}`, "params is not an array"},
		{"sub/register", "[" + strings.Join(slicesRepeat(signed(sub01), 31), ",") + "]", "31 entries, at most 30"},
		{"topo/add", names(sub01), "a1SubSubSub/sub01: sign is missing"},
		{"topo/add", "[" + signed(sub01) + `,{"productKey":"a/b","deviceName":"sub01"}]`, "entry 2: productKey is missing or not"},
		{"topo/add", `[{"productKey":"a1SubSubSub","deviceName":"sub01","sign":{}}]`, "entry 1: sign is neither text"},
		{"proxy/provisioning/product_register", `{}`, "proxieds is missing"},
	} {
		w := newWorld(t, topology.DefaultLimits())
		w.link(gw, sub01)
		if r := w.send(gw, c.topic, request(c.params)); r.Code != 460 || !strings.Contains(r.Detail, c.want) || strings.Contains(string(r.Replies[0].Payload), c.want) {
			t.Errorf("%s: code %d, detail %q, want %q; reply %s", c.topic, r.Code, r.Detail, c.want, r.Replies[0].Payload)
		}
	}
}
