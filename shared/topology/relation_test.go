package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/topology"
)

func reply(code int, data, message, method string) string {
	return fmt.Sprintf(`{"code":%d,"data":%s,"id":"123","message":"%s","method":"thing.%s","version":"1.0"}`, code, data, message, method)
}

func entries(list ...string) string { return "[" + strings.Join(list, ",") + "]" }

// Every code of topo/add, topo/delete, topo/get, sub/register, sub/unregister, product_register and list/found.
func TestCodes(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return entries(slicesRepeat(names(sub01)[1:len(names(sub01))-1], n)...) }
	cases := []struct {
		name    string
		from    iot.DeviceRef
		topic   string
		params  string
		code    int
		data    string
		message string
		cause   refusal.Cause
		arrange func(w *world)
	}{
		{"add", gw, "topo/add", entries(signed(sub01), signed(sub02)), 200, "{}", "success", "", nil},
		{"add_again", gw, "topo/add", entries(signed(sub01)), 200, "{}", "success", "", func(w *world) { w.link(gw, sub01) }},
		{"add_one_without_array", gw, "topo/add", signed(sub01), 200, "{}", "success", "", nil},
		{"add_wrong_sign", gw, "topo/add", entries(signed(sub02), signedBy(sub01, "wrong")), 401, "{}", "request auth error", refusal.SubSignMismatch, nil},
		{"add_no_sign", gw, "topo/add", names(sub01), 460, "{}", "request parameter error", refusal.ParamsMalformed, nil},
		{"add_sha256", gw, "topo/add", entries(strings.Replace(signed(sub01), "hmacsha1", "Sha256", 1)), 460, "{}", "request parameter error", refusal.SignMethodUnknown, nil},
		{"add_nothing", gw, "topo/add", "[]", 460, "{}", "request parameter error", refusal.SubEntriesExcessive, nil},
		{"add_text", gw, "topo/add", `["sub01"]`, 460, "{}", "request parameter error", refusal.ParamsMalformed, nil},
		{"add_bad_name", gw, "topo/add", `[{"productKey":"a1SubSubSub","deviceName":"a/b","sign":"00"}]`, 460, "{}", "request parameter error", refusal.ParamsMalformed, nil},
		{"add_self", gw, "topo/add", entries(signed(gw)), 6402, "{}", "topo relation cannot add by self", refusal.TopologySelf, nil},
		{"add_unknown", gw, "topo/add", entries(signed(none1)), 6100, "{}", "device not found", refusal.DeviceNotFound, nil},
		{"add_gateway", gw, "topo/add", entries(signed(other)), 5244, "{}", "product is not for sub-devices", refusal.NotSubDevice, nil},
		{"add_certified", gw, "topo/add", entries(signed(cert1)), 5244, "{}", "product is not for sub-devices", refusal.AuthMethodNotAllowed, nil},
		{"add_disabled", gw, "topo/add", entries(signed(off01)), 6204, "{}", "device is disabled", refusal.DeviceDisabled, nil},
		{"add_by_device", lamp, "topo/add", entries(signed(sub01)), 460, "{}", "not a gateway", refusal.NotGateway, nil},
		{"add_too_many", gw, "topo/add", entries(signed(sub01), signed(sub02), signed(mute1), signed(lamp)), 6400, "{}", "too many sub-devices", refusal.TopologyFull, nil},
		{"add_up_to_the_limit", gw, "topo/add", entries(signed(sub01), signed(sub02), signed(lamp)), 200, "{}", "success", "", func(w *world) { w.link(gw, sub01) }},

		{"delete", gw, "topo/delete", names(sub01), 200, "{}", "success", "", func(w *world) { w.link(gw, sub01) }},
		{"delete_none", gw, "topo/delete", names(sub01), 6401, "{}", "topo relation not exist", refusal.TopologyMissing, nil},
		{"delete_of_other", gw, "topo/delete", names(sub01), 6401, "{}", "topo relation not exist", refusal.TopologyMissing, func(w *world) { w.link(other, sub01) }},
		{"delete_unknown", gw, "topo/delete", names(none1), 6100, "{}", "device not found", refusal.DeviceNotFound, nil},
		{"delete_nothing", gw, "topo/delete", "{}", 460, "{}", "request parameter error", refusal.ParamsMalformed, nil},
		{"get_none", gw, "topo/get", "{}", 200, "[]", "success", "", nil},
		{"get", gw, "topo/get", `"{}"`, 200, `[{"deviceName":"sub01","productKey":"a1SubSubSub"},{"deviceName":"sub02","productKey":"a1SubSubSub"}]`, "success", "",
			func(w *world) { w.link(gw, sub02, sub01); w.link(other, lamp) }},

		{"register", gw, "sub/register", names(sub01, sub02), 200, `[{"iotId":"iot-sub01","productKey":"a1SubSubSub","deviceName":"sub01","deviceSecret":"sub01000000000000000000000000000"},` +
			`{"iotId":"iot-sub02","productKey":"a1SubSubSub","deviceName":"sub02","deviceSecret":"sub02000000000000000000000000000"}]`, "success", "", nil},
		{"register_own", gw, "sub/register", names(sub01), 200, `[{"iotId":"iot-sub01","productKey":"a1SubSubSub","deviceName":"sub01","deviceSecret":"sub01000000000000000000000000000"}]`,
			"success", "", func(w *world) { w.link(gw, sub01) }},
		{"register_unknown_product", gw, "sub/register", `[{"productKey":"a1nothing00","deviceName":"sub01"}]`, 5005, "{}", "product not found", refusal.ProductNotFound, nil},
		{"register_gateway", gw, "sub/register", names(other), 5244, "{}", "product is not for sub-devices", refusal.NotSubDevice, nil},
		{"register_unknown", gw, "sub/register", names(sub01, none1), 6100, "{}", "device not found", refusal.DeviceNotFound, nil},
		{"register_off", gw, "sub/register", names(mute1), 6288, "{}", "dynamic registration not allowed", refusal.SubRegistrationOff, nil},
		{"register_bound", gw, "sub/register", names(sub01), 6619, "{}", "bound to another gateway", refusal.BoundElsewhere, func(w *world) { w.link(other, sub01) }},
		{"register_disabled", gw, "sub/register", names(off01), 6204, "{}", "device is disabled", refusal.DeviceDisabled, nil},
		{"register_activated", gw, "sub/register", names(sub01, lamp), 6289, "{}", "device already activated", refusal.SubActivated, func(w *world) { w.connect(lamp, "n1") }},
		{"register_activated_here", gw, "sub/register", names(sub01), 200, `[{"iotId":"iot-sub01","productKey":"a1SubSubSub","deviceName":"sub01","deviceSecret":"sub01000000000000000000000000000"}]`,
			"success", "", func(w *world) { w.link(gw, sub01); w.logIn(gw, sub01) }},
		{"register_certified", gw, "sub/register", names(cert1), 5244, "{}", "product is not for sub-devices", refusal.AuthMethodNotAllowed, nil},
		{"register_certified_own", gw, "sub/register", names(cert1), 5244, "{}", "product is not for sub-devices", refusal.AuthMethodNotAllowed, func(w *world) { w.link(gw, cert1) }},
		{"register_self", gw, "sub/register", names(gw), 6402, "{}", "topo relation cannot add by self", refusal.TopologySelf, nil},
		{"register_31", gw, "sub/register", many(31), 460, "{}", "request parameter error", refusal.SubEntriesExcessive, nil},
		{"register_by_device", lamp, "sub/register", names(sub01), 460, "{}", "not a gateway", refusal.NotGateway, nil},

		{"unregister", gw, "sub/unregister", names(sub01), 200, "{}", "success", "", func(w *world) { w.link(gw, sub01) }},
		{"unregister_none", gw, "sub/unregister", names(sub01), 200, "{}", "success", "", nil},
		{"unregister_bound", gw, "sub/unregister", names(sub01), 6619, "{}", "bound to another gateway", refusal.BoundElsewhere, func(w *world) { w.link(other, sub01) }},
		{"unregister_unknown", gw, "sub/unregister", names(none1), 6100, "{}", "device not found", refusal.DeviceNotFound, nil},
		{"unregister_unknown_product", gw, "sub/unregister", `[{"productKey":"a1nothing00","deviceName":"sub01"}]`, 5005, "{}", "product not found", refusal.ProductNotFound, nil},
		{"unregister_self", gw, "sub/unregister", names(gw), 6402, "{}", "topo relation cannot add by self", refusal.TopologySelf, nil},
		{"unregister_text", gw, "sub/unregister", `[1]`, 460, "{}", "request parameter error", refusal.ParamsMalformed, nil},

		{"provision", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(sub01, productSecret, "hmacSha256") + `,` + provisioned(sub02, "wrong", "hmacSha256") + `]}`, 200,
			`{"successes":[{"productKey":"a1SubSubSub","deviceName":"sub01","deviceSecret":"sub01000000000000000000000000000"}],` +
				`"failures":[{"productKey":"a1SubSubSub","deviceName":"sub02","errorDetail":{"code":6600,"message":"signature check failed"}}]}`, "success", refusal.SubSignMismatch, nil},
		{"provision_off", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(mute1, productSecret, "hmacmd5") + `]}`, 200,
			`{"successes":[],"failures":[{"productKey":"a1NoDynReg0","deviceName":"mute1","errorDetail":{"code":6288,"message":"dynamic registration not allowed"}}]}`,
			"success", refusal.SubRegistrationOff, nil},
		{"provision_certified", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(cert1, productSecret, "hmacmd5") + `]}`, 200,
			`{"successes":[],"failures":[{"productKey":"a1Certified","deviceName":"cert1","errorDetail":{"code":5244,"message":"product is not for sub-devices"}}]}`,
			"success", refusal.AuthMethodNotAllowed, nil},
		{"provision_method", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(sub01, productSecret, "sha256") + `]}`, 200,
			`{"successes":[],"failures":[{"productKey":"a1SubSubSub","deviceName":"sub01","errorDetail":{"code":6292,"message":"unsupported sign method"}}]}`,
			"success", refusal.SignMethodUnknown, nil},
		{"provision_activated", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(lamp, productSecret, "hmacSha1") + `]}`, 200,
			`{"successes":[],"failures":[{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","errorDetail":{"code":6289,"message":"device already activated"}}]}`,
			"success", refusal.SubActivated, func(w *world) { w.connect(lamp, "n1") }},
		{"provision_activated_here", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(lamp, productSecret, "hmacSha1") + `]}`, 200,
			`{"successes":[{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","deviceSecret":"lamp-001000000000000000000000000"}],"failures":[]}`,
			"success", "", func(w *world) { w.link(gw, lamp); w.connect(lamp, "n1") }},
		{"provision_bound", gw, "proxy/provisioning/product_register", `{"proxieds":[` + provisioned(sub01, productSecret, "hmacSha1") + `]}`, 200,
			`{"successes":[],"failures":[{"productKey":"a1SubSubSub","deviceName":"sub01","errorDetail":{"code":6619,"message":"bound to another gateway"}}]}`,
			"success", refusal.BoundElsewhere, func(w *world) { w.link(other, sub01) }},
		{"provision_nothing", gw, "proxy/provisioning/product_register", `{}`, 460, `{"successes":[],"failures":[]}`, "request parameter error", refusal.ParamsMalformed, nil},
		{"provision_by_device", lamp, "proxy/provisioning/product_register", `{}`, 460, `{"successes":[],"failures":[]}`, "not a gateway", refusal.NotGateway, nil},

		{"found", gw, "list/found", names(sub01, none1), 200, "{}", "success", "", nil},
		{"found_bad_name", gw, "list/found", `[{"productKey":"a1SubSubSub","deviceName":"sub 01"}]`, 6280, "{}", "devicename not meet specs", refusal.FoundNameMalformed, nil},
		{"found_unknown_product", gw, "list/found", `[{"productKey":"a1nothing00","deviceName":"sub01"}]`, 6250, "{}", "product not found", refusal.ProductNotFound, nil},
		{"found_gateway", gw, "list/found", names(other), 5244, "{}", "product is not for sub-devices", refusal.NotSubDevice, nil},
		{"found_nothing", gw, "list/found", "[]", 460, "{}", "request parameter error", refusal.SubEntriesExcessive, nil},
		{"found_by_device", lamp, "list/found", names(sub01), 460, "{}", "not a gateway", refusal.NotGateway, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limits := topology.DefaultLimits()
			limits.SubDevices = 3
			w := newWorld(t, limits)
			if c.arrange != nil {
				c.arrange(w)
			}
			r := w.send(c.from, c.topic, request(c.params))
			if int(r.Code) != c.code || r.Reason != string(c.cause) {
				t.Errorf("code %d, reason %q (%s), want %d, %q", r.Code, r.Reason, r.Detail, c.code, c.cause)
			}
			w.wantReply(r, reply(c.code, c.data, c.message, strings.ReplaceAll(c.topic, "/", ".")))
			if c.cause != "" {
				if _, ok := refusal.Explain(c.cause); !ok {
					t.Errorf("cause %s is not explained", c.cause)
				}
			}
			if c.code != 200 && c.arrange == nil {
				if _, n, _ := w.store.Topology().List(t.Context(), c.from, 0, 10); n != 0 {
					t.Errorf("a refused request added %d relations", n)
				}
			}
		})
	}
}

func slicesRepeat(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// A sub-device that moves loses the session over its former gateway, and only that.
func TestMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01, sub02)
	w.logIn(gw, sub01)
	w.connect(sub02, "n2") // a connection of its own
	before := w.session(sub01)
	w.at += 1000
	for range 2 { // the second time the first answer was lost
		if r := w.send(other, "topo/add", request(entries(signed(sub01), signed(sub02)))); r.Code != 200 || len(r.Data) != 0 {
			t.Errorf("%+v", r)
		}
		w.wantGateway(sub01, other)
		w.wantGateway(sub02, other)
	}
	list := w.commands.take()
	if len(list) != 1 || *list[0].Drop != (downlink.Drop{ProductKey: sub01.ProductKey, DeviceName: sub01.DeviceName, Epoch: before.Epoch, Reason: "topology_removed"}) {
		t.Errorf("commands: %+v", list)
	}
	if x := w.session(sub01); x.Node != "" {
		t.Errorf("the session over the former gateway has not ended: %+v", x)
	}
	if x := w.session(sub02); x.Node != "n2" {
		t.Errorf("the session without a gateway has ended: %+v", x)
	}
	if r := w.send(gw, "combine/login", request(signed(sub01))); r.Code != 6401 {
		t.Errorf("login over the former gateway: %d", r.Code)
	}
}

// A session that cannot be ended makes the whole request one that is tried again.
func TestDropFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01)
	w.logIn(gw, sub01)
	w.commands.err = iot.Errorf(iot.Unavailable, "gone")
	if r := w.send(other, "topo/add", request(entries(signed(sub01)))); !r.Retry {
		t.Errorf("%+v", r)
	}
	w.commands.err = nil
	if r := w.again(other, "topo/add", request(entries(signed(sub01)))); r.Code != 200 {
		t.Errorf("%+v", r)
	}
	w.wantGateway(sub01, other)
	if x := w.session(sub01); x.Node != "" {
		t.Errorf("session: %+v", x)
	}
}

// A removal from the cloud that could not end the session ends it when it is repeated.
func TestDetachAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01)
	w.logIn(gw, sub01)
	w.commands.err = iot.Errorf(iot.Unavailable, "gone")
	if err := w.service.Detach(t.Context(), sub01, "1"); err == nil {
		t.Error("no error although the session goes on")
	}
	w.commands.err = nil
	w.must(w.service.Detach(t.Context(), sub01, "2"))
	if x := w.session(sub01); x.Node != "" {
		t.Errorf("session: %+v", x)
	}
}

// What a gateway answers to the platform is logged by its code and id, never by its content.
func TestAnsweredIsNotLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	r := w.send(gw, "topo/add/notify_reply", `{"id":"77","code":200,"data":{"password":"hidden"}}`)
	if r.Code != 200 || len(r.Replies) != 0 || r.Detail != "the gateway's own code 200, to request 77" {
		t.Errorf("%+v", r)
	}
}

// topo/delete and sub/unregister end the session that is over the same connection, and say so to the connector.
func TestDeleteEndsSession(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"topo/delete", "sub/unregister"} {
		w := newWorld(t, topology.DefaultLimits())
		w.link(gw, sub01, sub02)
		w.logIn(gw, sub01)
		w.at += 1000
		epoch := w.session(sub01).Epoch
		r := w.send(gw, topic, request(names(sub01, sub02)))
		for range 2 {
			out := w.subSessions(r)
			if r.Code != 200 || len(out.Login) != 0 || len(out.Logout) != 1 || out.Logout[0].DeviceName != "sub01" || out.Logout[0].Epoch != epoch {
				t.Errorf("%s: %+v", topic, r)
			}
			r = w.again(gw, topic, request(names(sub01, sub02))) // its first answer was lost
		}
		if x := w.session(sub01); x.Node != "" || x.OfflineAt != w.at {
			t.Errorf("%s: session %+v", topic, x)
		}
		if list := w.commands.take(); len(list) != 0 {
			t.Errorf("%s: commands %+v", topic, list)
		}
		if r := w.send(gw, "topo/delete", request(names(sub01))); r.Code != 6401 {
			t.Errorf("%s: a later topo/delete has code %d", topic, r.Code)
		}
	}
}

func TestFoundIsOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.send(gw, "list/found", request(names(sub02, none1, sub01)))
	found, err := w.store.Discoveries().List(t.Context(), gw, 0, 10)
	w.must(err)
	if len(found) != 2 || found[0].Device != sub01 || found[1].Device != sub02 || found[0].At != w.at {
		t.Errorf("found %+v", found)
	}
}

// What a gateway answers is taken without an answer.
func TestAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	for _, topic := range []string{"topo/add/notify_reply", "topo/change_reply", "gateway/permit_reply", "disable_reply", "enable_reply", "delete_reply"} {
		if r := w.send(gw, topic, `{"id":"1","code":200,"data":{}}`); r.Code != 200 || len(r.Replies) != 0 || r.Reason != "" {
			t.Errorf("%s: %+v", topic, r)
		}
	}
}

func TestBusyStore(t *testing.T) {
	t.Parallel()
	for topic, payload := range map[string]string{
		"topo/add": request(entries(signed(sub01))), "topo/delete": request(names(sub02)), "topo/get": request("{}"), "sub/register": request(names(sub01)),
		"sub/unregister": request(names(sub02)), "list/found": request(names(sub01)), "combine/login": request(signed(sub02)),
		"combine/logout": request(names(sub02)[1 : len(names(sub02))-1]), "combine/batch_logout": request(names(sub02)),
		"proxy/provisioning/product_register": request(`{"proxieds":[` + provisioned(sub01, productSecret, "hmacmd5") + `]}`),
	} {
		w := newWorld(t, topology.DefaultLimits())
		w.link(gw, sub02)
		w.logIn(gw, sub02)
		busy := map[string]int{}
		w.store.Fault = func(op string, _ iot.DeviceRef) error {
			if busy[op]++; busy[op] == 1 {
				return iot.Errorf(iot.Throttled, "busy")
			}
			return nil
		}
		w.message++
		for tries := 0; ; tries++ {
			r := w.again(gw, topic, payload)
			if r.Retry && tries < 20 {
				continue
			}
			if tries == 0 || r.Code != alink.CodeOK {
				t.Errorf("%s: after %d tries %+v", topic, tries, r)
			}
			break
		}
	}
}
