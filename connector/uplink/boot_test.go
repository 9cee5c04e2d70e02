package uplink

import (
	"testing"

	"relink/shared/refusal"
	"relink/shared/topic"
)

// What firmware asks at boot and the connector answers by itself ("Reset, bind and provisioning", "Secure tunnel").
func TestBootRequests(t *testing.T) {
	t.Parallel()
	const own = "/sys/a1GoldenPk1/thermo-01/"
	for _, c := range []struct {
		topic, payload, reply string
		code                  int32
		cause                 refusal.Cause
	}{
		{"thing/reset", `{"id":7, "version":"1.0", "method":"thing.reset", "params":{}}`, `{"code":200,"data":{},"id":"7","message":"success","method":"thing.reset","version":"1.0"}`, 200, ""},
		{"thing/awss/enrollee/match", `{"id":8,"version":"1.0","method":"thing.awss.enrollee.match","params":{"token":"x"}}`,
			`{"code":200,"data":{},"id":"8","message":"success","method":"thing.awss.enrollee.match","version":"1.0"}`, 200, ""},
		{"thing/awss/enrollee/found", `{"id":"9","params":{}}`, `{"code":400,"data":{},"id":"9","message":"not supported by this platform","method":"thing.awss.enrollee.found","version":"1.0"}`, 400, refusal.NotOffered},
		{"thing/cipher/get", `{"id":"9","params":{}}`, `{"code":400,"data":{},"id":"9","message":"not supported by this platform","method":"thing.cipher.get","version":"1.0"}`, 400, refusal.NotOffered},
		{"thing/lan/blacklist/get", `{"id":"9","params":{}}`, `{"code":200,"data":{},"id":"9","message":"success","method":"thing.lan.blacklist.get","version":"1.0"}`, 200, ""},
		{"_thing/service/post", `{"id":"10","params":{}}`, `{"code":200,"data":{},"id":"10","message":"success","method":"_thing.service.post","version":"1.0"}`, 200, ""},
		{"secure_tunnel/proxy/request", `{"id":1000,"params":null}`, `{"code":400,"data":{},"id":"1000","message":"not supported by this platform"}`, 400, refusal.NotOffered},
		{"secure_tunnel/proxy/request", `hello`, `{"code":6207,"data":{},"id":"","message":"payload is not JSON"}`, 6207, refusal.PayloadNotJSON},
		{"thing/bootstrap/notify_reply", `{"id":"1","code":200,"data":{}}`, "", 200, ""},
		{"_thing/event/notify_reply", `{"id":"1","code":200,"data":{}}`, "", 200, ""},
		{"thing/awss/enrollee/checkin_reply", `{"id":"1","code":200,"data":{}}`, "", 200, ""},
	} {
		up, err := topic.ParseUplink(own + c.topic)
		if err != nil {
			t.Fatal(err)
		}
		r := (&Router{}).decide(&Message{Topic: own + c.topic, Parsed: up, Payload: []byte(c.payload)})
		reply := ""
		if len(r.Replies) == 1 && r.Replies[0].Topic == own+c.topic+"_reply" {
			reply = string(r.Replies[0].Payload)
		}
		if r.Code != c.code || r.Reason != string(c.cause) || reply != c.reply {
			t.Errorf("%s: %d %q %s\nwant %d %q %s", c.topic, r.Code, r.Reason, reply, c.code, c.cause, c.reply)
		}
	}
}
