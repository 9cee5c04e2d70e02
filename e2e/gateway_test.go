package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"relink/scripts/load"
)

// newGateway registers a gateway of a product of its own, and connects it.
func newGateway(t *testing.T, s *system, api *iotapi.Client, name string) *lamp {
	t.Helper()
	p, err := api.CreateProduct(&iotapi.CreateProductRequest{
		ProductName: tea.String(fmt.Sprintf("gw_%d", time.Now().UnixNano()%1e12)), NodeType: tea.Int32(1), DataFormat: tea.Int32(1),
		AliyunCommodityCode: tea.String("iothub_senior"),
	})
	if err != nil || !tea.BoolValue(p.Body.Success) {
		t.Fatalf("CreateProduct: %v %v", err, p)
	}
	d := newDevice(t, api, *p.Body.Data.ProductKey, name)
	return connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
}

func subDevices(list []load.Device) string {
	entries := make([]string, len(list))
	for i, d := range list {
		entries[i] = subEntry(d)
	}
	return strings.Join(entries, ",")
}

// ask publishes a request of a gateway and gives the reply.
func (l *lamp) ask(t *testing.T, topic, payload string) reply {
	t.Helper()
	if token := l.Publish(topic, 0, false, payload); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("publish %s: %v", topic, token.Error())
	}
	return parseReply(t, l.next(t, topic+"_reply"))
}

func (l *lamp) combine(what string) string {
	return "/ext/session/" + l.device.ProductKey + "/" + l.device.DeviceName + "/combine/" + what
}

func (l *lamp) add(t *testing.T, subs []load.Device) {
	t.Helper()
	if r := l.ask(t, l.sys("thing/topo/add"), `{"id":"1","version":"1.0","params":[`+subDevices(subs)+`],"method":"thing.topo.add"}`); r.Code != 200 {
		t.Fatalf("topo/add: %+v", r)
	}
}

func under(d load.Device, suffix string) string {
	return "/sys/" + d.ProductKey + "/" + d.DeviceName + "/" + suffix
}

func waitStatus(t *testing.T, api *iotapi.Client, d load.Device, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName})
		if err == nil && r.Body.Data != nil && tea.StringValue(r.Body.Data.Status) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v %v, want %s", d.DeviceName, err, r, want)
		}
	}
}

// A gateway adds two sub-devices, logs them in, and speaks and listens for them; one is disabled, then the gateway goes.
func TestGatewayWithTwoSubDevices(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	spk := newProduct(t, api)
	subs := []load.Device{newDevice(t, api, spk, "behind-1"), newDevice(t, api, spk, "behind-2")}
	gw := newGateway(t, s, api, "gateway-1")
	post := under(subs[0], "thing/event/property/post")
	gw.post(t, post, `{"id":"0","version":"1.0","params":{"level":1},"method":"thing.event.property.post"}`) // acknowledged, and dropped
	want := fmt.Sprintf(`{"id":"0","code":520,"message":"device session error","data":{"productKey":"%s","deviceName":"behind-1"}}`, spk)
	stray := "/ext/error/" + gw.device.ProductKey + "/" + gw.device.DeviceName
	if got := string(gw.next(t, stray)); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	gw.add(t, subs)
	if r := gw.ask(t, gw.combine("login"), `{"id":"2","params":`+subEntry(subs[0])+`}`); r.Code != 200 {
		t.Fatalf("login: %+v", r)
	}
	if r := gw.ask(t, gw.combine("batch_login"), `{"id":"3","params":{"deviceList":[`+subEntry(subs[1])+`]}}`); r.Code != 200 {
		t.Fatalf("batch_login: %+v", r)
	}
	for _, d := range subs { // as the Node SDK does
		for _, suffix := range []string{"thing/event/property/post_reply", "thing/service/property/set", "thing/event/+/post_reply", "thing/topo/add_reply", "rrpc/request/+"} {
			token := gw.Subscribe(under(d, suffix), 1, nil)
			if !token.WaitTimeout(5*time.Second) || token.Error() != nil || token.(*mqtt.SubscribeToken).Result()[under(d, suffix)] != 1 {
				t.Fatalf("subscribe %s: %v", under(d, suffix), token.Error())
			}
		}
		waitStatus(t, api, d, "ONLINE")
		gw.post(t, under(d, "thing/event/property/post"), `{"id":"7","version":"1.0","params":{"level":42},"method":"thing.event.property.post"}`)
		if r := parseReply(t, gw.next(t, under(d, "thing/event/property/post_reply"))); r.Code != 200 || r.ID != "7" {
			t.Errorf("post for %s: %+v", d.DeviceName, r)
		}
		set, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &spk, DeviceName: &d.DeviceName, Items: tea.String(`{"level":3}`)})
		if err != nil || !tea.BoolValue(set.Body.Success) {
			t.Fatalf("SetDeviceProperty: %v %v", err, set)
		}
		if got := string(gw.next(t, under(d, "thing/service/property/set"))); !strings.Contains(got, `"level":3`) {
			t.Errorf("property set for %s: %s", d.DeviceName, got)
		}
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for m := range gw.messages {
			if id, ok := strings.CutPrefix(m.Topic(), under(subs[0], "rrpc/request/")); ok {
				gw.Publish(under(subs[0], "rrpc/response/"+id), 0, false, `{"id":"x","code":200,"data":{"mean":21.5}}`)
				return
			}
		}
	}()
	call, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &spk, DeviceName: &subs[0].DeviceName, Identifier: tea.String("measure"), Args: tea.String(`{"times":3}`)})
	if err != nil || !tea.BoolValue(call.Body.Success) {
		t.Fatalf("InvokeThingService measure: %v %v", err, call)
	}
	<-answered
	off, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: &spk, DeviceName: &subs[0].DeviceName})
	if err != nil || !tea.BoolValue(off.Body.Success) {
		t.Fatalf("DisableThing: %v %v", err, off)
	}
	if r := parseReply(t, gw.next(t, stray)); r.Code != 522 {
		t.Errorf("told %+v, want 522", r)
	}
	gw.post(t, under(subs[1], "thing/event/property/post"), `{"id":"8","version":"1.0","params":{"level":43},"method":"thing.event.property.post"}`)
	gw.Disconnect(0)
	waitStatus(t, api, subs[1], "OFFLINE")
}

// 1,500 sub-devices log in over one connection, fifty at a time, and each posts in order.
func TestGatewayWith1500SubDevices(t *testing.T) {
	s := ownSystem(t) // it floods the device log, which then keeps only a sample
	api := s.api(t)
	spk := newProduct(t, api)
	const count, rounds, batch = 1500, 3, 50
	subs := make([]load.Device, count)
	var all sync.WaitGroup
	for lane := range 8 {
		all.Go(func() {
			for i := lane; i < count; i += 8 {
				name := fmt.Sprintf("mass-%04d", i)
				r, err := s.api(t).RegisterDevice(&iotapi.RegisterDeviceRequest{ProductKey: &spk, DeviceName: &name})
				if err != nil || !tea.BoolValue(r.Body.Success) {
					t.Errorf("RegisterDevice: %v %v", err, r)
					return
				}
				subs[i] = load.Device{ProductKey: spk, DeviceName: name, DeviceSecret: *r.Body.Data.DeviceSecret}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	d := newGateway(t, s, api, "gateway-1500").device
	o := lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil).SetOrderMatters(true)
	gw := &lamp{device: d, messages: make(chan mqtt.Message, 100), lost: make(chan error, 1)}
	replies := make(map[string][]string, count) // topic → ids, in the order in which they came
	finished, left := make(chan struct{}), count*rounds
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		if !strings.HasSuffix(m.Topic(), "/post_reply") {
			gw.messages <- m
			return
		}
		id, _, _ := strings.Cut(string(m.Payload()[strings.Index(string(m.Payload()), `"id":"`)+6:]), `"`)
		replies[m.Topic()] = append(replies[m.Topic()], id)
		if left--; left == 0 {
			close(finished)
		}
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { gw.lost <- err })
	gw.Client = mqtt.NewClient(o)
	if token := gw.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { gw.Disconnect(0) })
	for i := 0; i < count; i += batch {
		gw.add(t, subs[i:i+batch])
	}
	started := time.Now()
	for i := 0; i < count; i += batch {
		if r := gw.ask(t, gw.combine("batch_login"), `{"id":"3","params":{"deviceList":[`+subDevices(subs[i:i+batch])+`]}}`); r.Code != 200 {
			t.Fatalf("batch_login: %+v", r)
		}
	}
	t.Logf("%d logins in %v", count, time.Since(started))
	started = time.Now()
	for round := range rounds {
		for _, d := range subs {
			gw.Publish(under(d, "thing/event/property/post"), 1, false, fmt.Sprintf(`{"id":"%d","version":"1.0","params":{"seq":%d}}`, round, round))
		}
	}
	select {
	case <-finished:
	case err := <-gw.lost:
		t.Fatalf("connection lost: %v", err)
	case <-time.After(90 * time.Second):
		t.Fatal("not all posts were answered in 90 s")
	}
	t.Logf("%d posts answered in %v", count*rounds, time.Since(started))
	for _, d := range subs {
		if got := fmt.Sprint(replies[under(d, "thing/event/property/post_reply")]); got != "[0 1 2]" {
			t.Errorf("%s: replies %s", d.DeviceName, got)
		}
	}
	gw.Disconnect(0)
	waitStatus(t, api, subs[0], "OFFLINE")
	waitStatus(t, api, subs[count-1], "OFFLINE")
}
