package mqtt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

const subPK = "a1SubSubSub"

// startGateways is a node whose devices with names that begin with gw are gateways, and whose topology lets every sub-device in.
func startGateways(t testing.TB, edit ...func(*mqtt.Options)) *node {
	t.Helper()
	n := start(t, edit...)
	n.cloud.set(func() {
		n.cloud.grant = func(g *device.Grant) {
			if strings.HasPrefix(string(g.DeviceName), "gw") {
				g.NodeType = device.NodeGateway
			}
		}
		n.cloud.topology = func(r record.Record) record.Result { return topologyOf(n, r, nil) }
	})
	return n
}

// topologyOf answers as function topology does: every sub-device that is named is logged in, or out.
func topologyOf(n *node, r record.Record, edit func(*device.Grant)) record.Result {
	u, err := topic.ParseUplink(r.Topic)
	if err != nil {
		panic(err)
	}
	request, err := alink.Parse(r.Payload)
	if err != nil {
		panic(err)
	}
	type name struct {
		ProductKey iot.ProductKey
		DeviceName iot.DeviceName
		DeviceList []struct {
			ProductKey iot.ProductKey
			DeviceName iot.DeviceName
		}
	}
	var list []name
	if json.Unmarshal(request.Params, &list) != nil {
		var one name
		if err := json.Unmarshal(request.Params, &one); err != nil {
			panic(err)
		}
		list = []name{one}
		if one.DeviceList != nil {
			list = nil
			for _, d := range one.DeviceList {
				list = append(list, name{ProductKey: d.ProductKey, DeviceName: d.DeviceName})
			}
		}
	}
	var subs device.SubSessions
	for _, d := range list {
		switch u.Family {
		case topic.CombineLogin, topic.CombineBatchLogin:
			g := device.Grant{
				ProductKey: d.ProductKey, DeviceName: d.DeviceName, IotID: "iot-" + iot.IotID(d.DeviceName), Epoch: n.cloud.epoch.Add(1), DataFormat: 1,
				Topics: device.NewClasses(device.DefaultTopics()), ExpiresAt: time.Now().Add(time.Hour).UnixMilli(),
			}
			if edit != nil {
				edit(&g)
			}
			subs.Login = append(subs.Login, g)
		default:
			subs.Logout = append(subs.Logout, device.SubEnd{ProductKey: d.ProductKey, DeviceName: d.DeviceName, Epoch: n.cloud.epoch.Load()})
		}
	}
	data, err := json.Marshal(subs)
	if err != nil {
		panic(err)
	}
	return record.Result{Code: 200, Data: data, Replies: []record.Reply{{
		Topic: u.ReplyTopic(r.Topic), Payload: []byte(`{"id":"` + request.ID + `","code":200,"message":"success","data":{}}`),
	}}}
}

func combine(gw, what string) string { return "/ext/session/" + pk + "/" + gw + "/combine/" + what }

func subTopic(dn, suffix string) string { return "/sys/" + subPK + "/" + dn + "/" + suffix }

func subRef(dn string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: subPK, DeviceName: iot.DeviceName(dn)}
}

func subNames(dns ...string) string {
	var list []string
	for _, dn := range dns {
		list = append(list, fmt.Sprintf(`{"productKey":"%s","deviceName":"%s"}`, subPK, dn))
	}
	return strings.Join(list, ",")
}

// logIn logs sub-devices in, one request each, and waits for the replies.
func (w *wire) logIn(gw string, dns ...string) {
	w.t.Helper()
	for _, dn := range dns {
		w.send(publishPacket(4, 0, 0, combine(gw, "login"), `{"id":"1","params":`+subNames(dn)+`}`))
		if topic, _, payload := w.publish(); topic != combine(gw, "login_reply") || !strings.Contains(payload, `"code":200`) {
			w.t.Fatalf("login of %s: %s %s", dn, topic, payload)
		}
	}
}

// wantError takes a notice about a sub-device.
func (w *wire) wantError(gw string, code int, message, dn string) {
	w.t.Helper()
	want := fmt.Sprintf(`{"id":"0","code":%d,"message":"%s","data":{"productKey":"%s","deviceName":"%s"}}`, code, message, subPK, dn)
	if topic, id, payload := w.publish(); topic != "/ext/error/"+pk+"/"+gw || id != 0 || payload != want {
		w.t.Fatalf("received %s %s, want %s", topic, payload, want)
	}
}

// quiet checks that nothing but the answer to a ping comes.
func (w *wire) quiet() {
	w.t.Helper()
	w.send([]byte{0xc0, 0})
	w.want(0xd0)
}

const subPost = "thing/event/property/post"

func TestSubDevicePosts(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1")
	w.send(publishPacket(4, 1, 7, subTopic("sub-1", subPost)+"?_rid=4", `{"id":"5","params":{"a":1}}`))
	if topic, id, payload := w.publish(); topic != subTopic("sub-1", subPost+"_reply") || id == 0 || !strings.Contains(payload, `"id":"5"`) {
		t.Errorf("reply %s %d %s", topic, id, payload)
	}
	w.want(0x40, 0, 7)
	r := n.cloud.of(subTopic("sub-1", subPost))
	if len(r) != 1 || r[0].Device != subRef("sub-1") || r[0].IotID != "iot-sub-1" {
		t.Errorf("records %+v", r)
	}
	eventually(t, "the post is in the sub-device's log", func() bool {
		n.journal.mu.Lock()
		defer n.journal.mu.Unlock()
		for _, e := range n.journal.events {
			if e.Operation == session.OpUplink && e.Device == subRef("sub-1") && e.Code == 200 {
				return true
			}
		}
		return false
	})
	eventually(t, "online is told", func() bool { return len(n.cloud.of(device.TopicOnline)) == 2 })
	// A custom topic follows the classes of its own product, and its refusal is in its own log.
	w.send(publishPacket(4, 1, 8, "/"+subPK+"/sub-1/user/update", "x"))
	w.want(0x40, 0, 8)
	w.send(publishPacket(4, 1, 9, "/"+subPK+"/sub-1/user/both", "x")) // the gateway's product has this class
	w.want(0x40, 0, 9)
	if e, ok := n.journal.find(session.OpUplink, refusal.TopicNotPermitted); !ok || e.Device != subRef("sub-1") {
		t.Errorf("logged %+v", e)
	}
	// What the gateway says for itself is its own, between the others' messages too.
	w.send(publishPacket(4, 0, 0, "/sys/"+pk+"/gw-001/"+subPost, `{"id":"1"}`))
	w.publish()
	if r := n.cloud.of("/sys/" + pk + "/gw-001/" + subPost); len(r) != 1 || r[0].Device.DeviceName != "gw-001" {
		t.Errorf("records %+v", r)
	}
}

func TestStrayMessage(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	for id := range byte(3) {
		w.send(publishPacket(4, 1, uint16(id)+1, subTopic("sub-1", subPost), `{"id":"1"}`))
		if id == 0 {
			w.wantError("gw-001", 520, "device session error", "sub-1")
		}
		w.want(0x40, 0, id+1)
	}
	w.send(publishPacket(4, 0, 0, subTopic("sub-2", subPost), `{"id":"1"}`))
	w.wantError("gw-001", 520, "device session error", "sub-2")
	if len(n.cloud.of(subTopic("sub-1", subPost))) != 0 {
		t.Error("a message of a sub-device that is not logged in was taken")
	}
	if e, ok := n.journal.find(session.OpUplink, refusal.SubNotLoggedIn); !ok || e.Code != 9236 || e.Detail != subPK+"/sub-1" {
		t.Errorf("logged %+v", e)
	}
	for i := range 4000 { // bounded: about more devices than can be remembered the gateway is not told
		w.send(publishPacket(4, 0, 0, subTopic(fmt.Sprintf("stray-%d", i), subPost), `{}`))
	}
	w.send([]byte{0xc0, 0})
	told := 0
	for first, _ := w.receive(); first != 0xd0; first, _ = w.receive() {
		told++
	}
	if told < 1000 || told > 2048 {
		t.Errorf("the gateway was told of %d strays", told)
	}
	plain := n.login(t, 4, "lamp-001", "")
	plain.send(publishPacket(4, 1, 5, subTopic("sub-1", subPost), `{"id":"1"}`))
	plain.want(0x40, 0, 5)
	plain.quiet()
	if _, ok := n.journal.find(session.OpUplink, refusal.TopicNotOwn); !ok {
		t.Error("a device that is no gateway spoke for another, and it is not logged")
	}
}

// The Node SDK subscribes these for itself, and after the login for every sub-device.
var nodeSDKFilters = []string{
	"/sys/P/thing/event/property/post_reply", "/sys/P/thing/service/property/set", "/sys/P/thing/event/+/post_reply",
	"/sys/P/thing/deviceinfo/update_reply", "/sys/P/thing/deviceinfo/delete_reply", "/sys/P/thing/config/get_reply", "/shadow/get/P",
	"/sys/P/thing/config/push", "/sys/P/thing/config/push_reply", "/sys/P/thing/topo/add_reply", "/sys/P/thing/topo/delete_reply",
	"/sys/P/thing/topo/get_reply", "/ext/session/P/combine/login_reply", "/ext/session/P/combine/logout_reply",
	"/sys/P/thing/sub/register_reply", "/sys/P/rrpc/request/+",
}

func TestSubDeviceSubscribes(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	for _, f := range nodeSDKFilters {
		w.send(subscribePacket(4, 1, 1, strings.Replace(f, "P", subPK+"/sub-1", 1)))
		w.want(0x90, 0, 1, 0x80)
	}
	w.logIn("gw-001", "sub-1", "sub-2")
	for _, owner := range []string{pk + "/gw-001", subPK + "/sub-1", subPK + "/sub-2"} {
		for i, f := range nodeSDKFilters {
			w.send(subscribePacket(4, byte(i+1), 1, strings.Replace(f, "P", owner, 1)))
			w.want(0x90, 0, byte(i+1), 1)
		}
	}
	// One packet with filters of several, of which one is nobody's; what outlives the session is stored for each on its own.
	w.send(subscribePacket(4, 9, 1, "/"+subPK+"/sub-1/user/get", "/"+subPK+"/sub-2/user/#", "/"+subPK+"/sub-3/user/get", "/"+pk+"/gw-001/user/get", "/"+subPK+"/+/user/get"))
	w.want(0x90, 0, 9, 1, 1, 0x80, 1, 0x80)
	w.send(packet(0xa2, []byte{0, 10}, str(subTopic("sub-1", "thing/event/+/post_reply"))))
	w.want(0xb0, 0, 10)
	stored := map[iot.DeviceName]device.Subscriptions{}
	for _, r := range n.cloud.of(device.TopicSubscriptions) {
		var s device.Subscriptions
		if err := json.Unmarshal(r.Payload, &s); err != nil {
			t.Fatal(err)
		}
		stored[r.Device.DeviceName] = s
	}
	one := stored["sub-1"]
	if len(one.Muted) != 1 || one.Epoch != n.registry.Get(subRef("sub-1")).Grant.Epoch || len(one.Subscribed) == 0 {
		t.Errorf("stored for sub-1: %+v", one)
	}
	if two := stored["sub-2"]; len(two.Muted) != 0 || len(two.Subscribed) != 1 || two.Subscribed[0].Filter != "/"+subPK+"/sub-2/user/#" {
		t.Errorf("stored for sub-2: %+v", two)
	}
	for name, want := range map[string]string{"sub-1": "", "sub-2": subTopic("sub-2", subPost+"_reply")} {
		w.send(publishPacket(4, 1, 11, subTopic(name, subPost), `{"id":"1"}`))
		if name == "sub-2" { // sub-1 subscribes property/post_reply too
			if topic, _, _ := w.publish(); topic != want {
				t.Errorf("reply on %s", topic)
			}
		} else if topic, _, _ := w.publish(); topic != subTopic("sub-1", subPost+"_reply") {
			t.Errorf("reply on %s", topic)
		}
		w.want(0x40, 0, 11)
	}
}

func TestUnsubscribedRepliesOfSubDevices(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1", "sub-2")
	w.send(packet(0xa2, []byte{0, 10}, str(subTopic("sub-1", "thing/event/+/post_reply")))) // as C3 does for each
	w.want(0xb0, 0, 10)
	w.send(publishPacket(4, 1, 11, subTopic("sub-1", subPost), `{"id":"1"}`))
	w.want(0x40, 0, 11)
	w.send(publishPacket(4, 1, 12, subTopic("sub-2", subPost), `{"id":"1"}`))
	if topic, _, _ := w.publish(); topic != subTopic("sub-2", subPost+"_reply") {
		t.Errorf("reply on %s", topic)
	}
	w.want(0x40, 0, 12)
}

func TestEndOfTheGateway(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1", "sub-2", "sub-3")
	if n.registry.Len() != 4 {
		t.Errorf("%d sessions", n.registry.Len())
	}
	w.send([]byte{0xe0, 0})
	if rest := w.closed(); len(rest) != 0 {
		t.Errorf("sent at the end: % x", rest)
	}
	eventually(t, "all are gone", func() bool { return n.registry.Len() == 0 })
	eventually(t, "all ends are told", func() bool { return len(n.cloud.of(device.TopicOffline)) == 4 })
	reasons := map[string]string{}
	for _, r := range n.cloud.of(device.TopicOffline) {
		var off device.Offline
		if err := json.Unmarshal(r.Payload, &off); err != nil || off.Epoch == 0 || off.Node != "n1" {
			t.Errorf("%s: %v", r.Payload, err)
		}
		reasons[string(r.Device.DeviceName)] = off.Reason
	}
	for dn, want := range map[string]refusal.Cause{"gw-001": refusal.Disconnected, "sub-1": refusal.GatewayGone, "sub-2": refusal.GatewayGone, "sub-3": refusal.GatewayGone} {
		if reasons[dn] != string(want) {
			t.Errorf("%s ended with %q, want %s", dn, reasons[dn], want)
		}
	}
}

// A login that is answered after the gateway has gone leaves no session behind.
func TestLoginAfterTheGatewayHasGone(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	answer := make(chan struct{})
	n.cloud.set(func() {
		n.cloud.topology = func(r record.Record) record.Result { <-answer; return topologyOf(n, r, nil) }
	})
	w := n.login(t, 4, "gw-001", "")
	w.send(publishPacket(4, 0, 0, combine("gw-001", "login"), `{"id":"1","params":`+subNames("sub-1")+`}`))
	eventually(t, "asked", func() bool { return len(n.cloud.of(combine("gw-001", "login"))) == 1 })
	w.send([]byte{0xe0, 0})
	w.closed()
	eventually(t, "the gateway is gone", func() bool { return n.registry.Len() == 0 })
	close(answer)
	eventually(t, "the sub-device's end is told", func() bool {
		for _, r := range n.cloud.of(device.TopicOffline) {
			if r.Device == subRef("sub-1") {
				return true
			}
		}
		return false
	})
	if n.registry.Len() != 0 {
		t.Error("a session is left")
	}
}

// A sub-device that loses its session does not take the gateway's connection along, and the gateway is told why.
func TestSubDeviceLosesItsSession(t *testing.T) {
	t.Parallel()
	for cause, want := range map[refusal.Cause]struct {
		code    int
		message string
	}{
		refusal.TakenOver:       {427, "device connect in elsewhere"},
		refusal.Deleted:         {521, "device deleted"},
		refusal.Disabled:        {522, "device forbidden"},
		refusal.TopologyRemoved: {6401, "topo relation not exist"},
		refusal.Kicked:          {520, "device session error"},
	} {
		t.Run(string(cause), func(t *testing.T) {
			t.Parallel()
			n := startGateways(t)
			w := n.login(t, 4, "gw-001", "")
			w.logIn("gw-001", "sub-1", "sub-2")
			sess := n.registry.Get(subRef("sub-1"))
			sess.End(cause, "")
			sess.End(cause, "")
			w.wantError("gw-001", want.code, want.message, "sub-1")
			w.quiet()
			if n.registry.Get(subRef("sub-1")) != nil || n.registry.Len() != 2 {
				t.Errorf("%d sessions", n.registry.Len())
			}
			eventually(t, "the end is told", func() bool {
				r := n.cloud.of(device.TopicOffline)
				return len(r) == 1 && r[0].Device == subRef("sub-1")
			})
			if e, ok := n.journal.find(session.OpOffline, cause); !ok || e.Device != subRef("sub-1") {
				t.Errorf("logged %+v", e)
			}
			w.send(publishPacket(4, 0, 0, subTopic("sub-2", subPost), `{"id":"1"}`))
			w.publish()
			w.send(publishPacket(4, 0, 0, subTopic("sub-1", subPost), `{"id":"1"}`))
			w.wantError("gw-001", 520, "device session error", "sub-1")
		})
	}
}

func TestSubDeviceGoesElsewhere(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	one, two := n.login(t, 4, "gw-001", ""), n.login(t, 4, "gw-002", "")
	one.logIn("gw-001", "sub-1")
	// What was remembered of the last topic does not outlive the session.
	one.send(publishPacket(4, 0, 0, subTopic("sub-1", subPost), `{"id":"1"}`))
	one.publish()
	two.logIn("gw-002", "sub-1")
	one.wantError("gw-001", 427, "device connect in elsewhere", "sub-1")
	one.send(publishPacket(4, 0, 0, subTopic("sub-1", subPost), `{"id":"1"}`))
	one.wantError("gw-001", 520, "device session error", "sub-1")
	two.send(publishPacket(4, 0, 0, subTopic("sub-1", subPost), `{"id":"2"}`))
	two.publish()
	if len(n.cloud.of(subTopic("sub-1", subPost))) != 2 {
		t.Error("a message over the former gateway was taken")
	}
	// The same over the same connection replaces in silence, and goes on.
	before := n.registry.Get(subRef("sub-1"))
	two.logIn("gw-002", "sub-1")
	two.send(publishPacket(4, 0, 0, subTopic("sub-1", subPost), `{"id":"3"}`))
	two.publish()
	if now := n.registry.Get(subRef("sub-1")); now == before || now.Grant.Epoch <= before.Grant.Epoch {
		t.Error("the second login took no session")
	}
	two.quiet()
	// A connection of its own: the identity is that of product pk here, so that the fake cloud lets it in.
	two.send(publishPacket(4, 0, 0, combine("gw-002", "login"), `{"id":"1","params":{"productKey":"`+pk+`","deviceName":"lamp-009"}}`))
	two.publish()
	own := n.login(t, 4, "lamp-009", "")
	if topic, _, payload := two.publish(); topic != "/ext/error/"+pk+"/gw-002" || !strings.Contains(payload, `"code":427`) {
		t.Errorf("received %s %s", topic, payload)
	}
	own.quiet()
	// And back: the connection is closed without a word.
	two.send(publishPacket(4, 0, 0, combine("gw-002", "login"), `{"id":"1","params":{"productKey":"`+pk+`","deviceName":"lamp-009"}}`))
	two.publish()
	if rest := own.closed(); len(rest) != 0 {
		t.Errorf("sent at the end: % x", rest)
	}
	eventually(t, "three sessions and no more", func() bool { return n.registry.Len() == 4 })
}

func TestLogout(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1", "sub-2", "sub-3")
	w.send(publishPacket(4, 0, 0, combine("gw-001", "logout"), `{"id":"1","params":`+subNames("sub-1")+`}`))
	w.publish()
	if n.registry.Get(subRef("sub-1")) != nil {
		t.Error("the session was there after the reply")
	}
	w.send(publishPacket(4, 0, 0, combine("gw-001", "batch_logout"), `{"id":"1","params":[`+subNames("sub-2")+`]}`))
	w.publish()
	w.send(publishPacket(4, 1, 5, "/sys/"+pk+"/gw-001/thing/topo/delete", `{"id":"1","params":[`+subNames("sub-3")+`]}`))
	w.publish()
	w.want(0x40, 0, 5)
	w.quiet()
	if n.registry.Len() != 1 {
		t.Errorf("%d sessions", n.registry.Len())
	}
	for _, cause := range []refusal.Cause{refusal.SubLoggedOut, refusal.TopologyRemoved} {
		if _, ok := n.journal.find(session.OpOffline, cause); !ok {
			t.Errorf("no end with %s is logged", cause)
		}
	}
	eventually(t, "the ends are told", func() bool { return len(n.cloud.of(device.TopicOffline)) == 3 })
}

func TestSubDeviceDisabledWhileItLogsIn(t *testing.T) {
	t.Parallel()
	drops := session.NewDrops(time.Minute)
	n := startGateways(t, func(o *mqtt.Options) { o.Drops = drops })
	n.cloud.set(func() {
		n.cloud.topology = func(r record.Record) record.Result {
			drops.Note(subRef("sub-1"), refusal.Disabled, time.Now())
			return topologyOf(n, r, nil)
		}
	})
	w := n.login(t, 4, "gw-001", "")
	w.send(publishPacket(4, 0, 0, combine("gw-001", "login"), `{"id":"1","params":`+subNames("sub-1")+`}`))
	w.wantError("gw-001", 522, "device forbidden", "sub-1")
	w.publish()
	n.cloud.set(func() {
		n.cloud.topology = func(r record.Record) record.Result { return topologyOf(n, r, nil) }
		n.cloud.online = &record.Result{Code: session.CodeDeleted}
	})
	w.send(publishPacket(4, 0, 0, combine("gw-001", "login"), `{"id":"1","params":`+subNames("sub-2")+`}`))
	found := map[string]bool{} // the notice may overtake the reply
	for range 2 {
		topic, _, payload := w.publish()
		found[topic] = true
		if strings.HasPrefix(topic, "/ext/error") && !strings.Contains(payload, `"code":521`) {
			t.Errorf("told %s", payload)
		}
	}
	if len(found) != 2 {
		t.Errorf("received on %v", found)
	}
}

func TestGrantOfSubDeviceExpires(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	n.cloud.set(func() {
		n.cloud.topology = func(r record.Record) record.Result {
			return topologyOf(n, r, func(g *device.Grant) {
				if g.DeviceName == "sub-1" {
					g.ExpiresAt = time.Now().Add(300 * time.Millisecond).UnixMilli()
				}
			})
		}
	})
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1", "sub-2")
	w.wantError("gw-001", 520, "device session error", "sub-1")
	if e, ok := n.journal.find(session.OpOffline, refusal.GrantExpired); !ok || e.Device != subRef("sub-1") {
		t.Errorf("logged %+v", e)
	}
	if n.registry.Get(subRef("sub-2")) == nil {
		t.Error("the other one has gone too")
	}
}

func TestTooManySubDevices(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	for i := range 41 {
		var names []string
		for j := range 50 {
			names = append(names, fmt.Sprintf("s-%04d", 50*i+j))
		}
		w.send(publishPacket(4, 0, 0, combine("gw-001", "batch_login"), `{"id":"1","params":{"deviceList":[`+subNames(names...)+`]}}`))
		if i == 40 {
			for range 50 {
				if topic, _, payload := w.publish(); topic != "/ext/error/"+pk+"/gw-001" || !strings.Contains(payload, `"code":428`) {
					t.Fatalf("received %s %s", topic, payload)
				}
			}
		}
		w.publish()
	}
	if e, ok := n.journal.find(session.OpOffline, refusal.GatewayFull); !ok || e.Code != 400 {
		t.Errorf("logged %+v", e)
	}
	if n.registry.Len() != 2001 {
		t.Errorf("%d sessions", n.registry.Len())
	}
}

// An undecided message of a sub-device is not acknowledged, and the others keep their connection.
func TestUndecidedMessageOfASubDevice(t *testing.T) {
	t.Parallel()
	n := startGateways(t)
	w := n.login(t, 4, "gw-001", "")
	w.logIn("gw-001", "sub-1")
	n.cloud.set(func() { n.cloud.undecide = errors.New("no idea") })
	w.send(publishPacket(4, 1, 1, subTopic("sub-1", subPost), `{"id":"1"}`))
	eventually(t, "it is logged", func() bool {
		e, ok := n.journal.find(session.OpUplink, refusal.FunctionFailed)
		return ok && e.Device == subRef("sub-1")
	})
	w.quiet()
	n.cloud.set(func() { n.cloud.undecide = nil })
	w.send(publishPacket(4, 1, 2, subTopic("sub-1", subPost), `{"id":"1"}`))
	w.publish()
	w.want(0x40, 0, 2)
}

// One of 1,500 sub-devices is slow. The others go on, each in its own order; of the slow one as much is taken as its share.
func TestOneSlowOf1500(t *testing.T) { // not parallel: it measures
	const subs, rounds = 1500, 4
	n := startGateways(t, func(o *mqtt.Options) { o.MaxPending = 4 << 20 })
	w := n.login(t, 4, "gw-001", "")
	if err := w.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	started := time.Now()
	for i := range subs / 50 {
		var names []string
		for j := range 50 {
			names = append(names, fmt.Sprintf("s-%04d", 50*i+j))
		}
		w.send(publishPacket(4, 0, 0, combine("gw-001", "batch_login"), `{"id":"1","params":{"deviceList":[`+subNames(names...)+`]}}`))
		w.publish()
	}
	took := time.Since(started)
	eventually(t, "all are told", func() bool { return len(n.cloud.of(device.TopicOnline)) == subs+1 })
	n.cloud.set(func() { n.cloud.records = nil })
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d logins in %v; %d bytes each", subs, took, (after.HeapAlloc-before.HeapAlloc)/subs)

	n.cloud.set(func() { n.cloud.slow = "s-0750" })
	go func() { // the socket must not fill up in both directions
		for i := range 400 {
			if _, err := w.Write(publishPacket(4, 1, uint16(i+1), subTopic("s-0750", subPost), `{"id":"slow"}`)); err != nil {
				t.Error(err)
				return
			}
		}
		for round := range rounds {
			for i := range subs {
				if i == 750 {
					continue
				}
				post := publishPacket(4, 1, uint16(1000+i), subTopic(fmt.Sprintf("s-%04d", i), subPost), fmt.Sprintf(`{"id":"%d"}`, round))
				if _, err := w.Write(post); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	started = time.Now()
	acknowledged := 0
	for acknowledged < (subs-1)*rounds {
		first, body := w.receive()
		switch {
		case first == 0x40 && int(body[0])<<8|int(body[1]) < 1000:
			t.Fatal("a held message was acknowledged")
		case first == 0x40:
			acknowledged++
		}
	}
	took = time.Since(started)
	t.Logf("%d posts beside a slow sub-device in %v", acknowledged, took)
	if took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	slow := len(n.cloud.of(subTopic("s-0750", subPost)))
	if slow < 100 || slow > 128 {
		t.Errorf("%d messages of the slow one were taken", slow)
	}
	if e, ok := n.journal.find(session.OpUplink, refusal.RateLimitedMessages); !ok || e.Device != subRef("s-0750") || e.Code != 429 {
		t.Errorf("logged %+v", e)
	}
	next := map[iot.DeviceName]int{}
	n.cloud.mu.Lock()
	for _, r := range n.cloud.records {
		if r.Device.DeviceName != "s-0750" && strings.HasSuffix(r.Topic, subPost) {
			if want := fmt.Sprintf(`{"id":"%d"}`, next[r.Device.DeviceName]); string(r.Payload) != want {
				t.Errorf("%s: %s, want %s", r.Device, r.Payload, want)
			}
			next[r.Device.DeviceName]++
		}
	}
	n.cloud.mu.Unlock()
	n.cloud.release()
	for acknowledged = 0; acknowledged < slow; {
		if first, _ := w.receive(); first == 0x40 {
			acknowledged++
		}
	}
	w.send(publishPacket(4, 1, 999, subTopic("s-0750", subPost), `{"id":"again"}`)) // it is let in again
	for first, body := w.receive(); first != 0x40 || string(body) != "\x03\xe7"; first, body = w.receive() {
	}
}
