package topic

import (
	"slices"
	"strings"
	"testing"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

var lamp = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

func grant() *device.Grant {
	return &device.Grant{ProductKey: lamp.ProductKey, DeviceName: lamp.DeviceName, Topics: device.NewClasses(append(device.DefaultTopics(),
		device.TopicClass{Filter: "user/cmd/+", Subscribe: true, Publish: true}, device.TopicClass{Filter: "get", Subscribe: true},
		device.TopicClass{Filter: "user/auto", Subscribe: true, Automatic: true}))}
}

// fill puts names into a line of the table.
func fill(topic string) string {
	return strings.NewReplacer("{pk}", "a1GoldenPk1", "{dn}", "thermo-01", "{id}", "abc", "{rest}", "x/y").Replace(topic)
}

func TestTable(t *testing.T) {
	t.Parallel()
	g := grant()
	g.ExtRRPC = true
	g.Topics = device.NewClasses(append(slices.Clone(g.Topics.List()), device.TopicClass{Filter: "x/y", Publish: true}))
	for _, e := range Table() {
		topic := fill(e.Topic)
		u, err := ParseUplink(topic)
		if err != nil {
			t.Errorf("ParseUplink(%q): %v", topic, err)
			continue
		}
		if u.Family != e.Family {
			t.Errorf("ParseUplink(%q).Family = %v, want %v", topic, u.Family, e.Family)
		}
		if e.Method != "" && u.Method != e.Method && e.Direction == Up {
			t.Errorf("ParseUplink(%q).Method = %q, want %q", topic, u.Method, e.Method)
		}
		if strings.Contains(e.Topic, "{pk}/{dn}") && u.Device != lamp {
			t.Errorf("ParseUplink(%q).Device = %v", topic, u.Device)
		}
		if got := u.Family.Uplink(); got != (e.Direction == Up) {
			t.Errorf("%v.Uplink() = %v, but its direction is %v", u.Family, got, e.Direction)
		}
		if err := MayPublish(g, u); (err == nil) != (e.Direction == Up) {
			t.Errorf("MayPublish(%q) = %v, but its direction is %v", topic, err, e.Direction)
		}
		if e.Direction == Down {
			if !MayReceive(g, topic) {
				t.Errorf("MayReceive(%q) = false", topic)
			}
			if got := Automatic(g, topic); got != e.Automatic {
				t.Errorf("Automatic(%q) = %v, want %v", topic, got, e.Automatic)
			}
		}
		if reply := u.ReplyTopic(topic); e.Direction == Up && (reply == "") != (e.Reply == NoReply) {
			t.Errorf("ReplyTopic(%q) = %q, rule %v", topic, reply, e.Reply)
		} else if reply != "" && e.Direction == Up && !Automatic(g, reply) {
			t.Errorf("the reply on %q is not automatic", reply)
		}
	}
}

func TestEveryFamilyIsInTheTable(t *testing.T) {
	t.Parallel()
	for f := None + 1; f < FamilyCount; f++ {
		if f.String() == "none" {
			t.Errorf("family %d is in no line of the table", f)
		}
	}
}

func TestParseUplink(t *testing.T) {
	t.Parallel()
	const own = "/sys/a1GoldenPk1/thermo-01/"
	for _, c := range []struct {
		topic, name, method, reply string
		family                     Family
	}{
		{own + "thing/event/property/post", "", "thing.event.property.post", own + "thing/event/property/post_reply", PropertyPost},
		{own + "thing/event/property/post?_rid=17", "", "thing.event.property.post", own + "thing/event/property/post_reply", PropertyPost},
		{own + "thing/event/alarm/post", "alarm", "thing.event.alarm.post", own + "thing/event/alarm/post_reply", EventPost},
		{own + "thing/event/meter:alarm/post", "meter:alarm", "thing.event.meter:alarm.post", own + "thing/event/meter:alarm/post_reply", EventPost},
		{own + "thing/service/reboot_reply", "reboot", "thing.service.reboot", "", ServiceReply},
		{own + "thing/service/property/set_reply", "", "thing.service.property.set", "", PropertySetReply},
		{own + "rrpc/response/1234291569964771840", "1234291569964771840", "", "", RRPCResponse},
		{"/ext/rrpc/1234291569964771841" + own + "thing/service/add", "1234291569964771841", "", "", ExtRRPC},
		{own + "thing/lan/prefix/get", "", "thing.lan.prefix.get", own + "thing/lan/prefix/get_reply", LANPrefixGet},
		{own + "thing/nothing/known", "thing/nothing/known", "thing.nothing.known", own + "thing/nothing/known_reply", UnknownSystem},
		{own + "thing/nothing/known_reply", "thing/nothing/known_reply", "", "", UnknownSystem},
		{"/shadow/update/a1GoldenPk1/thermo-01", "", "", "/shadow/get/a1GoldenPk1/thermo-01", ShadowUpdate},
		{"/ext/ntp/a1GoldenPk1/thermo-01/request", "", "", "/ext/ntp/a1GoldenPk1/thermo-01/response", NTPRequest},
		{"/ota/device/request/a1GoldenPk1/thermo-01", "", "", "/ota/device/request/a1GoldenPk1/thermo-01", OTARequest},
		{"/ota/device/inform/a1GoldenPk1/thermo-01", "", "", "", OTAInform},
		{"/ext/session/a1GoldenPk1/thermo-01/combine/login", "", "combine.login", "/ext/session/a1GoldenPk1/thermo-01/combine/login_reply", CombineLogin},
		{"/a1GoldenPk1/thermo-01/user/update", "user/update", "", "", Custom},
		{"/a1GoldenPk1/thermo-01/update", "update", "", "", Custom},
		{own + "thing/disable_reply", "disable", "", "", LifecycleReply},
	} {
		u, err := ParseUplink(c.topic)
		if err != nil {
			t.Errorf("ParseUplink(%q): %v", c.topic, err)
			continue
		}
		if u.Device != lamp || u.Family != c.family || u.Name != c.name || u.Method != c.method {
			t.Errorf("ParseUplink(%q) = %+v, want %v name %q method %q", c.topic, u, c.family, c.name, c.method)
		}
		if got := u.ReplyTopic(c.topic); got != c.reply {
			t.Errorf("ReplyTopic(%q) = %q, want %q", c.topic, got, c.reply)
		}
	}
}

func TestParseUplinkRefuses(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]refusal.Cause{
		"":                                        refusal.TopicMalformed,
		"?_rid=1":                                 refusal.TopicMalformed,
		"/sys/+/thermo-01/thing":                  refusal.TopicMalformed,
		"/a1GoldenPk1/thermo-01/#":                refusal.TopicMalformed,
		"/a1GoldenPk1/thermo-01/\x00":             refusal.TopicMalformed,
		"/a1GoldenPk1/thermo-01/a\nb":             refusal.TopicMalformed,
		"/a1GoldenPk1/thermo-01/\xff":             refusal.TopicMalformed,
		"/" + strings.Repeat("a", 128):            refusal.TopicTooLong,
		"/a/b/c/d/e/f/g/h":                        refusal.TopicTooDeep,
		strings.Repeat("/", 100):                  refusal.UnknownTopic,
		"a1GoldenPk1/thermo-01/user/up":           refusal.UnknownTopic,
		"/a1GoldenPk1":                            refusal.UnknownTopic,
		"/a1GoldenPk1/thermo-01":                  refusal.UnknownTopic,
		"/a1GoldenPk1/thermo-01/":                 refusal.UnknownTopic,
		"/sys/a1GoldenPk1/thermo-01":              refusal.UnknownTopic,
		"/sys/a1GoldenPk1":                        refusal.UnknownTopic,
		"/ota/device/inform":                      refusal.UnknownTopic,
		"/ota/device/explode/a1/b1":               refusal.UnknownTopic,
		"/shadow/get/a1/b1":                       refusal.TopicNotPermitted,
		"/ext/rrpc/1":                             refusal.UnknownTopic,
		"$SYS/broker":                             refusal.UnknownTopic,
		"auth/login":                              refusal.UnknownTopic,
		"/ext/rrpc/1/" + strings.Repeat("a", 128): refusal.TopicTooLong,
	} {
		if _, err := ParseUplink(topic); refusal.CauseOf(err) != want {
			t.Errorf("ParseUplink(%q): %v, want %v", topic, err, want)
		}
	}
}

func TestMayPublish(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]refusal.Cause{
		"/sys/a1GoldenPk1/thermo-01/thing/event/property/post":        "",
		"/sys/a1GoldenPk1/thermo-02/thing/event/property/post":        refusal.TopicNotOwn,
		"/sys/a1goldenPk1/thermo-01/thing/event/property/post":        refusal.TopicNotOwn,
		"/sys/a1GoldenPk1/thermo-01/thing/service/property/set":       refusal.TopicNotPermitted,
		"/sys/a1GoldenPk1/thermo-01/rrpc/request/1":                   refusal.TopicNotPermitted,
		"/a1GoldenPk1/thermo-01/user/update":                          "",
		"/a1GoldenPk1/thermo-01/user/update/error":                    "",
		"/a1GoldenPk1/thermo-01/user/update/other":                    refusal.TopicNotPermitted,
		"/a1GoldenPk1/thermo-01/user/get":                             refusal.TopicNotPermitted,
		"/a1GoldenPk1/thermo-02/user/update":                          refusal.TopicNotOwn,
		"/a1GoldenPk1/thermo-01/user/cmd/x":                           "",
		"/broadcast/a1GoldenPk1/news":                                 refusal.TopicNotPermitted,
		"/ext/rrpc/1/sys/a1GoldenPk1/thermo-01/thing/service/add":     "",
		"/ext/rrpc/1/sys/a1GoldenPk1/thermo-02/thing/service/add":     refusal.TopicNotOwn,
		"/ext/rrpc/1/topic":                                           "",
		"/ext/session/a1GoldenPk1/thermo-02/combine/login":            refusal.TopicNotOwn,
		"/ota/device/inform/a1GoldenPk1/thermo-02":                    refusal.TopicNotOwn,
		"/ext/error/a1GoldenPk1/thermo-01":                            refusal.TopicNotPermitted,
		"/sys/a1GoldenPk1/thermo-01/thing/service/property/set_reply": "",
	} {
		u, err := ParseUplink(topic)
		if err != nil {
			t.Errorf("ParseUplink(%q): %v", topic, err)
		} else if got := refusal.CauseOf(MayPublish(grant(), u)); got != want {
			t.Errorf("MayPublish(%q) = %q, want %q", topic, got, want)
		}
	}
}

func TestMaySubscribe(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]bool{
		"/sys/a1GoldenPk1/thermo-01/thing/event/+/post_reply":     true,
		"/sys/a1GoldenPk1/thermo-01/thing/service/+":              true,
		"/sys/a1GoldenPk1/thermo-01/thing/service/#":              true,
		"/sys/a1GoldenPk1/thermo-01/#":                            true,
		"/sys/a1GoldenPk1/thermo-01/thing/config/push_reply":      true,
		"/sys/a1GoldenPk1/thermo-01/thing/topo/add_reply":         true,
		"/sys/a1GoldenPk1/thermo-01/never/heard/of":               true,
		"/sys/a1GoldenPk1/thermo-01/rrpc/request/+":               true,
		"/sys/a1GoldenPk1/thermo-02/rrpc/request/+":               false,
		"/sys/a1GoldenPk1/+/thing/service/#":                      false,
		"/sys/a1GoldenPk1/#":                                      false,
		"/sys/+/thermo-01/#":                                      false,
		"/sys/#":                                                  false,
		"#":                                                       false,
		"+/+/#":                                                   false,
		"/#":                                                      false,
		"/+/a1GoldenPk1/thermo-01/thing":                          false,
		"/a1GoldenPk1/thermo-01/user/#":                           true,
		"/a1GoldenPk1/thermo-01/#":                                true,
		"/a1GoldenPk1/thermo-01/user/get":                         true,
		"/a1GoldenPk1/thermo-01/get":                              true,
		"/a1GoldenPk1/thermo-01/user/update":                      false,
		"/a1GoldenPk1/thermo-01/user/cmd/a":                       true,
		"/a1GoldenPk1/thermo-01/user/cmd/+":                       true,
		"/a1GoldenPk1/thermo-02/user/get":                         false,
		"/a1GoldenPk1/+/user/get":                                 false,
		"/ext/rrpc/+/a1GoldenPk1/thermo-01/user/get":              true,
		"/ext/rrpc/+/sys/a1GoldenPk1/thermo-01/thing/service/add": true,
		"/ext/rrpc/#":                                             true,
		"/ext/#":                                                  false,
		"/ext/+/a1GoldenPk1/thermo-01/request":                    false,
		"/ext/ntp/a1GoldenPk1/thermo-01/response":                 true,
		"/ext/session/a1GoldenPk1/thermo-01/combine/login_reply":  true,
		"/ext/session/a1GoldenPk1/thermo-02/combine/login_reply":  false,
		"/ext/error/a1GoldenPk1/thermo-01":                        true,
		"/ext/regnwl":                                             true,
		"/broadcast/a1GoldenPk1/+":                                true,
		"/broadcast/a1GoldenPk1/#":                                true,
		"/broadcast/other/news":                                   false,
		"/broadcast/+/news":                                       false,
		"/shadow/get/a1GoldenPk1/thermo-01":                       true,
		"/shadow/get/a1GoldenPk1/+":                               false,
		"/shadow/#":                                               false,
		"/ota/device/upgrade/a1GoldenPk1/thermo-01":               true,
		"/ota/device/upgrade/+/+":                                 false,
		"/ota/#":                                                  false,
		"$share/g/sys/a1GoldenPk1/thermo-01/#":                    false,
		"/sys/a1GoldenPk1/thermo-01/a#":                           false,
		"/sys/a1GoldenPk1/thermo-01/+a":                           false,
		"/sys/a1GoldenPk1/thermo-01/#/a":                          false,
		"":                                                        false,
		"/":                                                       false,
		"/sys/a1GoldenPk1/thermo-01/" + strings.Repeat("a", 200):  false,
	} {
		if got := MaySubscribe(grant(), filter); got != want {
			t.Errorf("MaySubscribe(%q) = %v, want %v", filter, got, want)
		}
	}
}

func TestMayReceive(t *testing.T) {
	t.Parallel()
	g := grant()
	const call = "/ext/rrpc/1/sys/a1GoldenPk1/thermo-01/thing/service/add"
	if MayReceive(g, call) {
		t.Errorf("a session without ext bit 0 receives %s", call)
	}
	g.ExtRRPC = true
	for topic, want := range map[string][2]bool{ // may receive, automatic
		call: {true, true},
		"/ext/rrpc/1/sys/a1GoldenPk1/thermo-02/thing/service/add": {false, true},
		"/sys/a1GoldenPk1/thermo-01/thing/service/property/set":   {true, true},
		"/sys/a1GoldenPk1/thermo-02/thing/service/property/set":   {false, true},
		"/sys/a1GoldenPk1/thermo-01/thing/event/alarm/post_reply": {true, true},
		"/sys/a1GoldenPk1/thermo-01/thing/event/property/post":    {false, false},
		"/sys/a1GoldenPk1/thermo-01/thing/config/push_reply":      {false, false},
		"/a1GoldenPk1/thermo-01/user/get":                         {true, false},
		"/a1GoldenPk1/thermo-01/user/update":                      {false, false},
		"/a1GoldenPk1/thermo-02/user/get":                         {false, false},
		"/broadcast/a1GoldenPk1/news":                             {true, false},
		"/broadcast/other/news":                                   {false, false},
		"/sys/a1GoldenPk1/thermo-01/something/new":                {true, false},
		"/sys/a1GoldenPk1/thermo-01/thing/service/#":              {false, false},
		"/sys/a1GoldenPk1/thermo-01/thing/reset":                  {true, true},
		"/ota/device/request/a1GoldenPk1/thermo-01":               {true, true},
	} {
		if got := MayReceive(g, topic); got != want[0] {
			t.Errorf("MayReceive(%q) = %v", topic, got)
		}
		if got := Automatic(g, topic); got != (want[0] && want[1]) {
			t.Errorf("Automatic(%q) = %v", topic, got)
		}
	}
}

// The list of "Topics delivered without subscription", brace and ellipsis expanded.
func TestAutomaticList(t *testing.T) {
	t.Parallel()
	g := grant()
	for _, rest := range strings.Fields(`
thing/event/property/post_reply thing/event/e1/post_reply thing/event/property/batch/post_reply thing/event/property/history/post_reply
thing/event/property/pack/post_reply thing/service/property/set thing/service/property/get thing/service/s1 thing/property/desired/get_reply
thing/property/desired/delete_reply thing/deviceinfo/update_reply thing/deviceinfo/delete_reply thing/deviceinfo/get_reply
thing/dsltemplate/get_reply thing/dynamicTsl/get_reply thing/model/down_raw thing/model/up_raw_reply thing/config/get_reply
thing/config/push thing/config/log/get_reply thing/config/log/push thing/log/post_reply thing/ota/firmware/get_reply thing/job/notify
thing/job/get_reply thing/job/update_reply thing/reset thing/reset_reply thing/disable thing/enable thing/delete thing/disable_reply
thing/bootstrap/notify thing/bootstrap/config/push thing/gateway/permit thing/topo/change thing/topo/add/notify thing/topo/add_reply
thing/topo/delete_reply thing/topo/get_reply thing/sub/register_reply thing/sub/unregister_reply thing/list/found_reply
thing/proxy/provisioning/product_register_reply _thing/event/notify _thing/service/post_reply _thing/diag/post_reply
thing/lan/prefix/get_reply thing/lan/prefix/update thing/lan/blacklist/update_reply thing/awss/enrollee/match_reply
thing/awss/enrollee/checkin thing/awss/enrollee/found_reply thing/awss/device/switchap thing/cipher/get_reply rrpc/request/1
broadcast/request/1 secure_tunnel/notify secure_tunnel/proxy/request_reply thing/file/upload/mqtt/init_reply
thing/file/upload/mqtt/send_reply thing/file/upload/mqtt/cancel_reply thing/file/download_reply`) {
		if topic := "/sys/a1GoldenPk1/thermo-01/" + rest; !Automatic(g, topic) {
			t.Errorf("Automatic(%q) = false", topic)
		}
	}
	for _, topic := range strings.Fields(`/ota/device/upgrade/P /ota/device/request/P /shadow/get/P /ext/ntp/P/response /ext/error/P
/ext/session/P/combine/login_reply /ext/session/P/combine/logout_reply /ext/session/P/combine/batch_login_reply
/ext/session/P/combine/batch_logout_reply /ext/register /ext/regnwl /ext/auth/identity/response`) {
		if topic = strings.Replace(topic, "P", lamp.String(), 1); !Automatic(g, topic) {
			t.Errorf("Automatic(%q) = false", topic)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"/a/b", "/a/b", true}, {"/a/b", "/a/c", false}, {"/a/+", "/a/b", true}, {"/a/+", "/a", false}, {"/a/+", "/a/", true},
		{"/a/+", "/a/b/c", false}, {"/a/#", "/a/b/c", true}, {"/a/#", "/a", true}, {"/a/#", "/b", false}, {"#", "/a", true},
		{"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"+/+", "/a", true}, {"+", "/a", false},
		{"/+", "/a", true}, {"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"", "", true}, {"a", "", false},
	} {
		if got := Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.topic, got)
		}
		if got := Overlap(c.filter, c.topic); c.topic != "" && c.topic[0] != '$' && got != c.want {
			t.Errorf("Overlap(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"user/+", "+/get", true}, {"user/#", "+/get/x", true}, {"user/+", "user/a/b", false}, {"user/+/c", "user/b/+", true},
		{"user/+/c", "user/b/d", false}, {"#", "a/b", true}, {"a/#", "a", true}, {"user/get", "user/#", true},
	} {
		if Overlap(c.a, c.b) != c.want || Overlap(c.b, c.a) != c.want {
			t.Errorf("Overlap(%q, %q) != %v", c.a, c.b, c.want)
		}
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]Family{
		PropertySetTopic(lamp):                                   DownPropertySet,
		PropertyGetTopic(lamp):                                   DownPropertyGet,
		ServiceTopic(lamp, "reboot"):                             DownService,
		ServiceTopic(lamp, "meter:reboot"):                       DownService,
		DownRawTopic(lamp):                                       DownRaw,
		RRPCRequestTopic(lamp, "12"):                             DownRRPC,
		RRPCResponseTopic(lamp, "12"):                            RRPCResponse,
		ExtRRPCTopic("12", ServiceTopic(lamp, "add")):            ExtRRPC,
		CustomTopic(lamp, "user/get"):                            Custom,
		ExtRRPCTopic("12", CustomTopic(lamp, "user/get")) + "?x": ExtRRPC,
	} {
		u, err := ParseUplink(topic)
		if err != nil || u.Family != want || u.Device != lamp {
			t.Errorf("ParseUplink(%q) = %+v, %v, want %v", topic, u, err, want)
		}
	}
}

func FuzzParseUplink(f *testing.F) {
	for _, e := range table {
		f.Add(fill(e.Topic))
		f.Add(fill(e.Topic) + "_reply")
	}
	for _, s := range []string{"", "/", "//", "/ext/rrpc/1/ext/rrpc/2/x", "/ext/rrpc//", "$", "/\x00", "/sys/a/b/?", "/sys/a/b/c?d", "_reply", strings.Repeat("/", 65400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := grant()
		for _, filter := range []string{s, s + "/#"} {
			shared := strings.HasPrefix(filter, "/ext/r") || filter == "/ext/auth/identity/response" || strings.HasPrefix(filter, "/broadcast/a1GoldenPk1/")
			if MaySubscribe(g, filter) && !shared && !strings.Contains(filter, "/"+lamp.String()) {
				t.Errorf("%q is granted and does not name the device", filter)
			}
		}
		u, err := ParseUplink(s)
		if MayReceive(g, s) && err == nil && !u.Device.IsZero() && u.Device != lamp {
			t.Errorf("%q of %v may be received", s, u.Device)
		}
		if err != nil {
			if refusal.CauseOf(err) == "" {
				t.Errorf("ParseUplink(%q): %v has no cause", s, err)
			}
			return
		}
		if u.Family == None || u.Family >= FamilyCount {
			t.Errorf("ParseUplink(%q).Family = %d", s, u.Family)
		}
		if !u.Device.IsZero() && !strings.Contains(s, u.Device.String()) {
			t.Errorf("ParseUplink(%q).Device = %v", s, u.Device)
		}
		if MayPublish(g, u) == nil && !u.Device.IsZero() && u.Device != lamp {
			t.Errorf("%q of %v may be published", s, u.Device)
		}
		if reply := u.ReplyTopic(s); reply != "" && u.Family != OTARequest {
			if v, err := ParseUplink(reply); err == nil && v.ReplyTopic(reply) != "" {
				t.Errorf("the reply topic %q of %q has a reply topic", reply, s)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	g := grant()
	post := "/sys/a1GoldenPk1/thermo-01/thing/event/property/post"
	reply := post + "_reply"
	custom := "/a1GoldenPk1/thermo-01/user/update"
	login := "/ext/session/a1GoldenPk1/thermo-01/combine/login"
	for name, f := range map[string]func(){
		"post": func() {
			u, err := ParseUplink(post)
			if err != nil || MayPublish(g, u) != nil {
				t.Error("refused")
			}
		},
		"custom": func() {
			u, err := ParseUplink(custom)
			if err != nil || MayPublish(g, u) != nil {
				t.Error("refused")
			}
		},
		"session":   func() { _, _ = ParseUplink(login) },
		"automatic": func() { Automatic(g, reply) },
		"match":     func() { Match("/sys/+/+/thing/#", post) },
		"subscribe": func() { MaySubscribe(g, "/sys/a1GoldenPk1/thermo-01/thing/event/+/post_reply") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParseUplink(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseUplink("/sys/a1GoldenPk1/thermo-01/thing/event/property/post"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestFilterOwner(t *testing.T) {
	t.Parallel()
	own := iot.DeviceRef{ProductKey: "pk1", DeviceName: "dn01"}
	for filter, want := range map[string]iot.DeviceRef{
		"/sys/pk1/dn01/thing/event/+/post_reply": own,
		"/sys/pk1/dn01/#":                        own,
		"/pk1/dn01/user/#":                       own,
		"/ota/device/upgrade/pk1/dn01":           own,
		"/shadow/get/pk1/dn01":                   own,
		"/ext/session/pk1/dn01/combine/+":        own,
		"/ext/error/pk1/dn01":                    own,
		"/ext/ntp/pk1/dn01/response":             own,
		"/ext/rrpc/+/sys/pk1/dn01/thing/#":       {},
		"/broadcast/pk1/x":                       {},
		"/sys/pk1/+/thing/#":                     {},
		"/sys/+/dn01/thing/#":                    {},
		"/sys/pk1":                               {},
		"/+/+/user/get":                          {},
		"sys/pk1/dn01/x":                         {},
		"#":                                      {},
		"":                                       {},
	} {
		if got := FilterOwner(filter); got != want {
			t.Errorf("FilterOwner(%q) = %v, want %v", filter, got, want)
		}
	}
}
