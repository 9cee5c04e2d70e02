package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/topology"
)

func sessionReply(code int, message, data string) string {
	return fmt.Sprintf(`{"id":"123","code":%d,"message":"%s","data":%s}`, code, message, data)
}

const bothNames = `{"productKey":"a1SubSubSub","deviceName":"sub01"}`

// All code and message pairs of "Single login / logout".
func TestSessionCodes(t *testing.T) {
	t.Parallel()
	single := names(sub01)[1 : len(names(sub01))-1]
	linked := func(w *world) { w.link(gw, sub01, sub02, off01) }
	online := func(w *world) { linked(w); w.logIn(gw, sub01); w.at += 70_000 }
	cases := []struct {
		name    string
		topic   string
		payload string
		code    int
		message string
		data    string
		cause   refusal.Cause
		arrange func(w *world)
	}{
		{"login", "login", request(signed(sub01)), 200, "success", bothNames, "", linked},
		{"login_again", "login", request(signed(sub01)), 200, "success", bothNames, "", online},
		{"login_sha256", "login", request(strings.Replace(signed(sub01), "hmacsha1", "Sha256", 1)), 460, "request parameter error", bothNames, refusal.SignMethodUnknown, linked},
		{"login_no_sign", "login", request(single), 460, "request parameter error", bothNames, refusal.ParamsMalformed, linked},
		{"login_bad_names", "login", request(`{"productKey":"a1SubSubSub"}`), 460, "request parameter error", `{"productKey":"a1SubSubSub","deviceName":""}`, refusal.ParamsMalformed, linked},
		{"login_not_json", "login", `nonsense`, 6207, "payload is not JSON", "{}", refusal.PayloadNotJSON, linked},
		{"login_wrong_sign", "login", request(signedBy(sub01, "wrong")), 6287, "invalid sign", bothNames, refusal.SubSignMismatch, linked},
		{"login_no_relation", "login", request(signed(sub01)), 6401, "topo relation not exist", bothNames, refusal.TopologyMissing, nil},
		{"login_of_other", "login", request(signed(sub01)), 6401, "topo relation not exist", bothNames, refusal.TopologyMissing, func(w *world) { w.link(other, sub01) }},
		{"login_unknown", "login", request(signed(none1)), 6100, "device not found", `{"productKey":"a1SubSubSub","deviceName":"none1"}`, refusal.DeviceNotFound, linked},
		{"login_deleted", "login", request(signed(none1)), 521, "device deleted", `{"productKey":"a1SubSubSub","deviceName":"none1"}`, refusal.DeviceNotFound,
			func(w *world) { w.link(gw, none1) }},
		{"login_certified", "login", request(signed(cert1)), 5244, "product is not for sub-devices", `{"productKey":"a1Certified","deviceName":"cert1"}`, refusal.AuthMethodNotAllowed,
			func(w *world) { w.link(gw, cert1) }},
		{"login_disabled", "login", request(signed(off01)), 6204, "device is disabled", `{"productKey":"a1SubSubSub","deviceName":"off01"}`, refusal.DeviceDisabled, linked},
		{"login_too_often", "login", request(signed(sub01)), 429, "rate limit, too many subDeviceOnline msg in one minute", bothNames, refusal.SubLoginsTooMany, func(w *world) {
			linked(w)
			for range 5 {
				w.logIn(gw, sub01)
				w.at += 1000
				w.send(gw, "combine/login", request(signedBy(sub01, "wrong"))) // does not count
			}
		}},
		{"login_too_many", "login", request(signed(sub01)), 428, "too many subdevices under gateway", bothNames, refusal.SubDevicesOnline, func(w *world) {
			linked(w)
			w.link(gw, mute1, lamp)
			for _, ref := range []iot.DeviceRef{sub02, mute1, lamp} {
				w.logIn(gw, ref)
			}
		}},
		{"login_gateway_elsewhere", "login", request(signed(sub01)), 520, "device no session", bothNames, refusal.SessionSuperseded, func(w *world) { linked(w); w.connect(gw, "n2") }},

		{"logout", "logout", request(single), 200, "success", bothNames, "", online},
		{"logout_offline", "logout", request(single), 520, "device no session", bothNames, refusal.SubSessionMissing, linked},
		{"logout_twice", "logout", request(single), 520, "device no session", bothNames, refusal.SubSessionMissing, func(w *world) {
			online(w)
			w.send(gw, "combine/logout", request(single))
			w.at++
		}},
		{"logout_elsewhere", "logout", request(single), 520, "device no session", bothNames, refusal.SubSessionMissing, func(w *world) { linked(w); w.connect(sub01, "n1") }},
		{"logout_bad", "logout", request(`{"productKey":"","deviceName":"sub01"}`), 460, "request parameter error", `{"productKey":"","deviceName":"sub01"}`, refusal.ParamsMalformed, online},

		{"batch_login", "batch_login", request(`{"deviceList":[` + signed(sub01) + `,` + signed(sub02) + `]}`), 200, "success",
			"[" + bothNames + `,{"productKey":"a1SubSubSub","deviceName":"sub02"}]`, "", linked},
		{"batch_login_one_wrong", "batch_login", request(`{"deviceList":[` + signed(sub01) + `,` + signedBy(sub02, "wrong") + `,` + signed(off01) + `]}`), 6287, "invalid sign",
			`[{"productKey":"a1SubSubSub","deviceName":"sub02"},{"productKey":"a1SubSubSub","deviceName":"off01"}]`, refusal.SubSignMismatch, linked},
		{"batch_login_method_beside", "batch_login", request(`{"signMethod":"HmacSha1","deviceList":[` + strings.Replace(signed(sub01), `"signmethod":"hmacsha1",`, "", 1) + `]}`), 200, "success",
			"[" + bothNames + "]", "", linked},
		{"batch_login_bad_method_beside", "batch_login", request(`{"signMethod":"Sha256","deviceList":[` + strings.Replace(signed(sub01), `"signmethod":"hmacsha1",`, "", 1) + `]}`), 460,
			"request parameter error", "[" + bothNames + "]", refusal.SignMethodUnknown, linked},
		{"batch_login_too_many", "batch_login", request(`{"deviceList":[` + strings.Join(slicesRepeat(signed(sub01), 51), ",") + `]}`), 460, "request parameter error", "[]", refusal.SubEntriesExcessive, linked},
		{"batch_login_no_list", "batch_login", request(`{}`), 460, "request parameter error", "[]", refusal.ParamsMalformed, linked},
		{"batch_login_empty", "batch_login", request(`{"deviceList":[]}`), 460, "request parameter error", "[]", refusal.SubEntriesExcessive, linked},
		{"batch_logout", "batch_logout", request(names(sub01)), 200, "success", "[" + bothNames + "]", "", online},
		{"batch_logout_one_offline", "batch_logout", request(names(sub01, sub02)), 520, "device no session", `[{"productKey":"a1SubSubSub","deviceName":"sub02"}]`, refusal.SubSessionMissing, online},
		{"batch_logout_object", "batch_logout", request(single), 460, "request parameter error", "[]", refusal.ParamsMalformed, online},
		{"batch_logout_not_json", "batch_logout", "", 460, "request parameter error", "[]", refusal.PayloadEmpty, online},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limits := topology.DefaultLimits()
			limits.Online = 3
			w := newWorld(t, limits)
			if c.arrange != nil {
				c.arrange(w)
			}
			before := fmt.Sprint(w.session(sub01), w.session(sub02), w.session(off01))
			r := w.send(gw, "combine/"+c.topic, c.payload)
			if int(r.Code) != c.code || r.Reason != string(c.cause) {
				t.Errorf("code %d, reason %q (%s), want %d, %q", r.Code, r.Reason, r.Detail, c.code, c.cause)
			}
			want := sessionReply(c.code, c.message, c.data)
			if !strings.HasPrefix(c.payload, "{") {
				want = strings.Replace(want, `"123"`, `""`, 1)
			}
			w.wantReply(r, want)
			if len(r.Replies) == 1 && (r.Replies[0].QoS != 0 || r.Replies[0].Topic != "/ext/session/a1Gateway00/gw01/combine/"+c.topic+"_reply") {
				t.Errorf("reply %+v", r.Replies[0])
			}
			if after := fmt.Sprint(w.session(sub01), w.session(sub02), w.session(off01)); c.code != 200 && (before != after || len(r.Data) != 0) {
				t.Errorf("a refused request changed sessions:\n %s\n %s\n %s", before, after, r.Data)
			}
		})
	}
}

// A login gives the same grant as a connection of the sub-device's own.
func TestLoginGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01)
	w.connect(sub01, "n2")
	out := w.subSessions(w.send(gw, "combine/login", request(signed(sub01))))
	if len(out.Login) != 1 || len(out.Logout) != 0 {
		t.Fatalf("%+v", out)
	}
	g := out.Login[0]
	x := w.session(sub01)
	if g.Ref() != sub01 || g.IotID != "iot-sub01" || g.Epoch != x.Epoch || g.NodeType != 0 || g.DataFormat != 1 || !g.ExtRRPC || len(g.Topics.List()) != 3 ||
		g.ExpiresAt != begin+24*3_600_000 || g.Previous == nil || g.Previous.Node != "n2" || g.Previous.URL != "http://n2" {
		t.Errorf("grant %+v", g)
	}
	if x.Node != "n1" || x.Gateway != gw || x.RemoteAddr != "192.0.2.7:5" || x.OnlineAt != begin {
		t.Errorf("session %+v", x)
	}
	// The same message again: a new epoch, and not a login more.
	again := w.subSessions(w.again(gw, "combine/login", request(signed(sub01))))
	if len(again.Login) != 1 || again.Login[0].Epoch <= g.Epoch || w.session(sub01).Logins != 1 {
		t.Errorf("again: %+v, %+v", again, w.session(sub01))
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01, sub02)
	w.send(gw, "combine/batch_login", request(`{"deviceList":[`+signed(sub01)+`,`+signed(sub02)+`]}`))
	epochs := []int64{w.session(sub01).Epoch, w.session(sub02).Epoch}
	w.at += 5000
	r := w.send(gw, "combine/batch_logout", request(names(sub01, sub02)))
	for range 2 {
		out := w.subSessions(r)
		if r.Code != 200 || len(out.Logout) != 2 || out.Logout[0].Epoch != epochs[0] || out.Logout[1].Epoch != epochs[1] {
			t.Errorf("%+v", r)
		}
		r = w.again(gw, "combine/batch_logout", request(names(sub01, sub02))) // its first answer was lost
	}
	if r := w.send(gw, "combine/batch_logout", request(names(sub01, sub02))); r.Code != 520 {
		t.Errorf("another logout in the same millisecond: %+v", r)
	}
	for _, ref := range []iot.DeviceRef{sub01, sub02} {
		if x := w.session(ref); x.Node != "" || x.OfflineAt != w.at {
			t.Errorf("session %+v", x)
		}
	}
}

func TestNoReplyWanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01)
	r := w.send(gw, "combine/login", `{"id":"1","sys":{"ack":0},"params":`+signed(sub01)+`}`)
	if r.Code != 200 || len(r.Replies) != 0 || len(r.Data) == 0 {
		t.Errorf("%+v", r)
	}
}

// A batch of which one session cannot be taken leaves none behind.
func TestBatchTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.link(gw, sub01, sub02)
	w.store.Fault = func(op string, ref iot.DeviceRef) error {
		if op == "sessions.take" && ref == sub02 {
			return fmt.Errorf("broken")
		}
		return nil
	}
	r := w.send(gw, "combine/batch_login", request(`{"deviceList":[`+signed(sub01)+`,`+signed(sub02)+`]}`))
	if r.Code != 500 || len(r.Data) != 0 {
		t.Errorf("%+v", r)
	}
	for _, ref := range []iot.DeviceRef{sub01, sub02} {
		if x := w.session(ref); x.Node != "" {
			t.Errorf("%s has a session: %+v", ref, x)
		}
	}
}
