package e2e

import (
	"encoding/json"
	"strings"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"

	"relink/scripts/load"
	"relink/shared/token"
)

func malformedMessage(c *trial) error {
	c.enter()
	a := c.say(c.sys(postTopic), `{"id":"1","params":{`, c.sys(postTopic+"_reply"))
	c.contains("malformed", a.body, "6207")
	c.why("payload_not_json", postTopic)
	return nil
}

func wrongValue(c *trial) error {
	c.enter()
	a := c.say(c.sys(postTopic), `{"id":"1","params":{"level":"warm"}}`, c.sys(postTopic+"_reply"))
	c.contains("a text for a number", a.body, "level")
	c.why("value_type_mismatch", postTopic)
	if got := propertyOf(c.t, c.api, c.device, "level"); got != "" {
		c.t.Errorf("stored: %q", got)
	}
	return nil
}

// unknownEvent: a product that does not validate strictly tells its device nothing of an event that the model lacks.
func unknownEvent(c *trial) error {
	c.enter()
	c.ask(c.sys("thing/event/nothing/post"), `{"id":"1","params":{"value":{"code":1}}}`, c.sys("thing/event/nothing/post_reply"))
	c.why("event_not_in_model", "thing/event/nothing/post")
	return nil
}

func foreignTopic(c *trial) error {
	c.enter()
	c.told("foreign topic", c.say("/sys/"+c.device.ProductKey+"/another/thing/event/property/post", `{"id":"1","params":{"level":1}}`, "").code)
	c.why("topic_not_own", "/another/thing/event/property/post")
	c.post(`{"level":1}`) // it goes on
	return nil
}

func unknownTopic(c *trial) error {
	c.enter()
	c.told("unknown topic", c.say("/nowhere", `{}`, "").code)
	c.why("unknown_topic", "/nowhere")
	c.post(`{"level":1}`)
	return nil
}

func unknownSystemTopic(c *trial) error {
	c.enter()
	c.contains("unknown system topic", c.say(c.sys("thing/nowhere"), `{"id":"1","params":{}}`, c.sys("thing/nowhere_reply")).body, "6203")
	c.why("unknown_topic", "thing/nowhere")
	return nil
}

func tooLarge(c *trial) error {
	c.enter()
	c.told("too large", c.say(c.sys(postTopic), `{"id":"1","params":{"fill":"`+strings.Repeat("x", 257<<10)+`"}}`, "").code)
	cause := "payload_too_large"
	if strings.HasPrefix(c.p.name, "CoAP") {
		cause = "block_too_large"
	}
	c.why(cause)
	return nil
}

func wrongSignature(c *trial) error {
	right := c.device.DeviceSecret
	c.secret("wrong")
	c.told("wrong signature", c.login())
	c.why("sign_mismatch", "deviceName"+c.device.DeviceName+"productKey"+c.device.ProductKey)
	c.secret(right)
	c.enter()
	return nil
}

func unknownDevice(c *trial) error {
	nobody := load.Device{ProductKey: c.device.ProductKey, DeviceName: c.device.DeviceName + "-nobody", DeviceSecret: c.device.DeviceSecret}
	c.told("unknown device", c.p.open(c.t, c.s, nobody).login())
	whyFinds(c.t, c.s, "device_not_found", nil, nobody.ProductKey, nobody.DeviceName)
	return nil
}

// wrongToken: one that nobody has issued, and one of the other family of protocols.
func wrongToken(c *trial) error {
	c.enter()
	b, is := c.speaker.(bearer)
	if !is {
		return errUnable
	}
	right, family := b.token(strings.Repeat("6944e5bfb92e4d4ea3918d1eda3942f6", 5))
	c.told("wrong token", c.attempt())
	other := token.HTTP
	if family == token.HTTP {
		other = token.CoAP
	}
	b.token(c.s.tokenOf(c.t, c.device, other, time.Now().Add(time.Hour)))
	c.told("wrong token", c.attempt())
	c.why("token_of_other_protocol")
	b.token(c.s.tokenOf(c.t, c.device, family, time.Now().Add(-time.Second)))
	c.told("expired token", c.attempt())
	c.why("token_expired")
	b.token(right)
	c.post(`{"level":1}`)
	return nil
}

// expiredToken: one that expires between two posts.
func expiredToken(c *trial) error {
	c.enter()
	if _, is := c.speaker.(bearer); !is {
		return errUnable
	}
	c.post(`{"level":1}`)
	code := accepted
	for end := time.Now().Add(15 * time.Second); code == accepted && time.Now().Before(end); pause(c.t, time.Second) {
		code = c.attempt()
	}
	c.told("expired token", code)
	c.why("token_expired")
	c.enter()
	c.post(`{"level":2}`)
	return nil
}

// tooFast: what exceeds the device's rate is not acknowledged, and not stored.
func tooFast(c *trial) error {
	c.enter()
	code, stored := accepted, 0
	for range 60 {
		if code = c.attempt(); code != accepted {
			break
		}
		stored++
	}
	c.told("too fast", code)
	if rows := len(c.history()); rows != stored {
		c.t.Errorf("%d posts were accepted, %d are stored", stored, rows)
	}
	c.why("rate_limited_messages")
	return nil
}

func (c *trial) able(disabled bool) {
	c.t.Helper()
	verb := "enable"
	if disabled {
		verb = "disable"
	}
	c.s.relink(c.t, "device", verb, c.device.ProductKey, c.device.DeviceName)
}

func disabledDevice(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	c.able(true)
	c.becomes("disabled")
	c.told("login while disabled", c.login())
	c.why("device_disabled")
	c.able(false)
	eventually(c.t, 5*time.Second, "an enabled device posts again", func() bool { return c.login() == accepted && c.attempt() == accepted })
	return nil
}

func deletedDevice(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	r, err := c.api.DeleteDevice(&iotapi.DeleteDeviceRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName})
	if err != nil {
		c.t.Fatal(err)
	}
	c.succeeds("DeleteDevice", r.Body.Success, err)
	c.becomes("deleted")
	c.told("unknown device", c.login())
	c.why("device_not_found")
	return nil
}

// rotatedSecret: both secrets hold while the rotation lasts, and what the old one gave ends with it.
func rotatedSecret(c *trial) error {
	c.enter()
	var started struct{ DeviceSecret string }
	out := c.s.relink(c.t, "device", "rotate", "start", c.device.ProductKey, c.device.DeviceName, "-o", "json")
	if err := json.Unmarshal([]byte(out), &started); err != nil {
		c.t.Fatal(err)
	}
	old := c.p.open(c.t, c.s, c.device)
	if code := old.login(); code != accepted {
		c.t.Errorf("the old secret while rotating: %s", code)
	}
	c.secret(started.DeviceSecret)
	c.enter()
	c.s.relink(c.t, "device", "rotate", "finish", c.device.ProductKey, c.device.DeviceName)
	if _, is := old.(bearer); is {
		was := &trial{speaker: old, t: c.t, s: c.s, api: c.api, p: c.p, device: c.device}
		was.becomes("old secret's token")
		c.why("token_revoked")
	}
	c.told("old secret", old.login())
	c.why("sign_mismatch")
	c.post(`{"level":1}`)
	return nil
}
