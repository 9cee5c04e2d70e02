package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/iot"
)

func propertyPost(c *trial) error {
	c.enter()
	c.post(`{"temperature":21.5}`)
	if got := propertyOf(c.t, c.api, c.device, "temperature"); got != "21.5" {
		c.t.Errorf("temperature %q", got)
	}
	return nil
}

func replyToPost(c *trial) error {
	c.enter()
	got := c.post(`{"temperature":22.5}`)
	if got == "" {
		return errUnable
	}
	if want := `{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`; got != want {
		c.t.Errorf("reply %s, want %s", got, want)
	}
	return nil
}

func largePost(c *trial) error {
	c.enter()
	fill := strings.Repeat("0123456789", 900)
	c.post(`{"fill":"` + fill + `"}`)
	if got := propertyOf(c.t, c.api, c.device, "fill"); got != fill {
		c.t.Errorf("%d bytes are stored, of %d", len(got), len(fill))
	}
	return nil
}

func eventPost(c *trial) error {
	c.enter()
	c.ask(c.sys("thing/event/alarm/post"), `{"id":"1","version":"1.0","params":{"value":{"code":3}},"method":"thing.event.alarm.post"}`, c.sys("thing/event/alarm/post_reply"))
	r, err := c.api.QueryDeviceEventData(&iotapi.QueryDeviceEventDataRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName, PageSize: tea.Int32(10),
		StartTime: tea.Int64(time.Now().Add(-time.Hour).UnixMilli()), EndTime: tea.Int64(time.Now().Add(time.Hour).UnixMilli())})
	if err != nil {
		c.t.Fatal(err)
	}
	c.succeeds("QueryDeviceEventData", r.Body.Success, err)
	events := r.Body.Data.List.EventInfo
	if len(events) != 1 || tea.StringValue(events[0].Identifier) != "alarm" || tea.StringValue(events[0].OutputData) != `{"code":3}` {
		c.t.Errorf("events: %v", events)
	}
	return nil
}

func tagsOfDevice(c *trial) error {
	c.enter()
	c.ask(c.sys("thing/deviceinfo/update"), `{"id":"1","version":"1.0","params":[{"attrKey":"room","attrValue":"2.14"}]}`, c.sys("thing/deviceinfo/update_reply"))
	r, err := c.api.QueryDeviceProp(&iotapi.QueryDevicePropRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName})
	if err != nil || tea.StringValue(r.Body.Props) != `{"room":"2.14"}` {
		c.t.Errorf("QueryDeviceProp: %v %v", err, r)
	}
	return nil
}

func customTopic(c *trial) error {
	c.enter()
	c.ask(c.of("/", "/user/update"), "\x00anything", "")
	return nil
}

func shadowOfDevice(c *trial) error {
	c.enter()
	up, down := c.of("/shadow/update/", ""), c.of("/shadow/get/", "")
	c.contains("reply to the report", c.ask(up, `{"method":"update","state":{"reported":{"color":"red"}},"version":1}`, down), `"status":"success"`)
	c.contains("get", c.ask(up, `{"method":"get"}`, down), `"reported":{"color":"red"}`)
	r, err := c.api.GetDeviceShadow(&iotapi.GetDeviceShadowRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName})
	if err != nil {
		c.t.Fatal(err)
	}
	c.contains("GetDeviceShadow", tea.StringValue(r.Body.ShadowMessage), `"reported":{"color":"red"}`)
	return nil
}

func desiredProperties(c *trial) error {
	r, err := c.api.SetDeviceDesiredProperty(&iotapi.SetDeviceDesiredPropertyRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName,
		Items: tea.String(`{"level":42}`), Versions: tea.String(`{"level":0}`)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.succeeds("SetDeviceDesiredProperty", r.Body.Success, err)
	c.enter()
	c.contains("desired/get", c.ask(c.sys("thing/property/desired/get"), `{"id":"1","version":"1.0","params":["level"]}`, c.sys("thing/property/desired/get_reply")),
		`"data":{"level":{"value":42,"version":1}}`)
	return nil
}

func remoteConfiguration(c *trial) error {
	c.enter()
	c.contains("config/get", c.ask(c.sys("thing/config/get"), `{"id":"1","version":"1.0","params":{"configScope":"product","getType":"file"}}`, c.sys("thing/config/get_reply")),
		`"code":200`, `"url":"`, `"signMethod":"Sha256"`)
	return nil
}

func firmwareVersion(c *trial) error {
	c.enter()
	c.ask(c.of("/ota/device/inform/", ""), `{"id":"1","params":{"version":"app-2.7.1"}}`, "")
	eventually(c.t, 5*time.Second, "the version is known", func() bool {
		r, err := c.api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName})
		return err == nil && r.Body.Data != nil && tea.StringValue(r.Body.Data.FirmwareVersion) == "app-2.7.1"
	})
	return nil
}

func timeOfPlatform(c *trial) error {
	c.enter()
	c.contains("time", c.ask(c.of("/ext/ntp/", "/request"), `{"deviceSendTime":"1000"}`, c.of("/ext/ntp/", "/response")), `"deviceSendTime":"1000"`, `"serverSendTime":"`)
	return nil
}

// history is what the store has of the property level, the oldest first.
func (c *trial) history() (levels []string) {
	c.t.Helper()
	dev := iot.DeviceRef{ProductKey: iot.ProductKey(c.device.ProductKey), DeviceName: iot.DeviceName(c.device.DeviceName)}
	values, _, err := c.s.properties(c.t).History(c.t.Context(), dev, "level", 0, time.Now().Add(time.Hour).UnixMilli(), true, 100)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, v := range values {
		levels = append(levels, string(v.JSON))
	}
	return levels
}

func postsInOrder(c *trial) error {
	c.enter()
	var want []string
	for i := range 20 {
		c.post(fmt.Sprintf(`{"level":%d}`, i))
		want = append(want, fmt.Sprint(i))
	}
	if got := c.history(); strings.Join(got, " ") != strings.Join(want, " ") {
		c.t.Errorf("history %v", got)
	}
	return nil
}

func unacknowledged(c *trial) error {
	c.enter()
	if !c.tell(c.sys(postTopic), `{"id":"1","params":{"level":5}}`) {
		return errUnable
	}
	eventually(c.t, 5*time.Second, "the post is stored", func() bool { return strings.Join(c.history(), " ") == "5" })
	c.post(`{"level":6}`)
	return nil
}

// subDevice: a gateway logs its sub-device in, and posts for it.
func subDevice(c *trial) error {
	gateways := plainProduct(c.t, c.api, fmt.Sprintf("suite_gw_%d", time.Now().UnixNano()%1e12), 1, 1)
	gateway := newDevice(c.t, c.api, gateways, c.device.DeviceName)
	g := &trial{speaker: c.p.open(c.t, c.s, gateway), t: c.t, s: c.s, api: c.api, p: c.p, device: gateway}
	g.enter()
	add := g.say(g.sys("thing/topo/add"), `{"id":"1","version":"1.0","params":[`+subEntry(c.device)+`]}`, g.sys("thing/topo/add_reply"))
	login := g.of("/ext/session/", "/combine/login")
	entered := g.say(login, `{"id":"2","params":`+subEntry(c.device)+`}`, login+"_reply")
	posted := g.say(c.sys(postTopic), `{"id":"1","params":{"level":3}}`, c.sys(postTopic+"_reply"))
	if got := propertyOf(c.t, c.api, c.device, "level"); got == "3" {
		return nil
	}
	if posted.code == accepted || entered.code == accepted {
		c.t.Errorf("accepted and not done: %+v %+v %+v", add, entered, posted)
	}
	return errUnable
}

func repetition(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	if a := c.again(); a.code != accepted {
		c.t.Errorf("the repetition: %+v", a)
	}
	switch rows := len(c.history()); rows {
	case 1:
		return nil
	case 2:
		return errUnable
	default:
		c.t.Errorf("%d rows", rows)
		return nil
	}
}

func onlineAfterMessage(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	state := ""
	for end := time.Now().Add(5 * time.Second); state != "ONLINE" && time.Now().Before(end); pause(c.t, 50*time.Millisecond) {
		if state = status(c.t, c.api, c.device.ProductKey, c.device.DeviceName); state == "OFFLINE" && c.p.cannot["online after a message"] != "" {
			break
		}
	}
	switch state {
	case "ONLINE":
		return nil
	case "OFFLINE": // it was there
		return errUnable
	}
	c.t.Errorf("status %s", state)
	return nil
}

func offlineWhenLeft(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	eventually(c.t, 5*time.Second, "the device was there", func() bool {
		return status(c.t, c.api, c.device.ProductKey, c.device.DeviceName) != "UNACTIVE"
	})
	c.leave()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pause(c.t, 50*time.Millisecond) {
		if status(c.t, c.api, c.device.ProductKey, c.device.DeviceName) == "OFFLINE" {
			return nil
		}
	}
	return errUnable
}

func propertySet(c *trial) error {
	c.enter()
	c.post(`{"level":1}`)
	set, err := c.api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &c.device.ProductKey, DeviceName: &c.device.DeviceName, Items: tea.String(`{"temperature":19.5}`)})
	if err != nil {
		c.t.Fatal(err)
	}
	text, heard := c.hear(c.sys("thing/service/property/set"), 3*time.Second)
	if !heard {
		return errUnable
	}
	c.succeeds("SetDeviceProperty", set.Body.Success, nil)
	c.contains("property set", text, `"params":{"temperature":19.5}`)
	return nil
}

// killed kills the connector, and waits until there is another one.
func (c *trial) killed() {
	c.t.Helper()
	pid := c.s.pid(c.t, "connector")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, 20*time.Second, "the connector is back", func() bool { now := c.s.pid(c.t, "connector"); return now != 0 && now != pid })
	eventually(c.t, 20*time.Second, "it listens", func() bool {
		conn, err := net.Dial("tcp", c.s.env["RELINK_MQTT"])
		return err == nil && conn.Close() == nil
	})
}

// tokenOutlives: the device goes on with the token that it has.
func tokenOutlives(c *trial) error {
	c.enter()
	b, is := c.speaker.(bearer)
	if !is {
		return errUnable
	}
	c.post(`{"level":1}`)
	c.killed()
	if err := b.reconnect(); err != nil {
		c.t.Fatal(err)
	}
	switch code := c.attempt(); code {
	case accepted:
		return nil
	case c.p.codes["expired token"]: // which makes the device authenticate again
		c.why("token_unknown")
		return errUnable
	default:
		c.t.Errorf("told %s", code)
		return nil
	}
}

// killedConnector: what was acknowledged is in the store, and the device goes on.
func killedConnector(c *trial) error {
	c.enter()
	var want []string
	for i := range 3 {
		c.post(fmt.Sprintf(`{"level":%d}`, i))
		want = append(want, fmt.Sprint(i))
	}
	c.killed()
	if got := c.history(); strings.Join(got, " ") != strings.Join(want, " ") {
		c.t.Errorf("after the kill: history %v", got)
	}
	for end := time.Now().Add(20 * time.Second); ; pause(c.t, 200*time.Millisecond) {
		code := c.login()
		if code == accepted {
			break
		}
		if time.Now().After(end) {
			c.t.Fatalf("login after the kill: %s", code)
		}
	}
	c.post(`{"level":99}`)
	if got := c.history(); strings.Join(got, " ") != strings.Join(append(want, "99"), " ") {
		c.t.Errorf("at the end: history %v", got)
	}
	return nil
}
