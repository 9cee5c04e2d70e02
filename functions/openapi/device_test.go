package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/store"
)

func TestRegisterDevice(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "devices")
	r := must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &pk, DeviceName: tea.String("thermo-01@a.b:c"), Nickname: tea.String("温度计")}))
	secret, iotID := tea.StringValue(r.Body.Data.DeviceSecret), tea.StringValue(r.Body.Data.IotId)
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(secret) || !regexp.MustCompile(`^[A-Za-z0-9]{26}$`).MatchString(iotID) {
		t.Errorf("secret %q, IotId %q", secret, iotID)
	}
	want := `{"Success":true,"Data":{"DeviceName":"thermo-01@a.b:c","DeviceSecret":"` + secret + `","IotId":"` + iotID + `","Nickname":"温度计","ProductKey":"` + pk + `"}}`
	same(t, r.Body, want)
	i := must[*sdk.QueryDeviceInfoResponse](t)(s.QueryDeviceInfo(&sdk.QueryDeviceInfoRequest{IotId: &iotID, ProductKey: tea.String("a1Ignored00"), DeviceName: tea.String("ignored")}))
	same(t, i.Body, want)
	if strings.Contains(s.console.String(), secret) {
		t.Error("the secret is on the console")
	}
	if got := s.sink.last(); got["device_name"] != "thermo-01@a.b:c" || got["product_key"] != pk {
		t.Errorf("audit line %v", got)
	}

	r = must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &pk}))
	if name := tea.StringValue(r.Body.Data.DeviceName); !regexp.MustCompile(`^[A-Za-z0-9]{20}$`).MatchString(name) {
		t.Errorf("generated name %q", name)
	}
	for _, test := range []struct{ pk, name, nickname, code string }{
		{pk, "thermo-01@a.b:c", "", "iot.device.AlreadyExistedDeviceName"},
		{pk, "abc", "", "iot.device.InvalidFormattedDeviceName"},
		{pk, strings.Repeat("x", 33), "", "iot.device.InvalidFormattedDeviceName"},
		{pk, "with/slash", "", "iot.device.InvalidFormattedDeviceName"},
		{pk, "fine", "a b", "iot.common.InvalidFormattedParameter"},
		{"a1Unknown00", "fine", "", "iot.prod.NotExistedProduct"},
	} {
		r := must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &test.pk, DeviceName: &test.name, Nickname: &test.nickname}))
		if tea.StringValue(r.Body.Code) != test.code {
			t.Errorf("%+v: %v", test, r.Body)
		}
	}
}

func TestDeviceSelectors(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "devices")
	long := strings.Repeat("x", 65)
	for _, test := range []struct{ iotID, pk, name, code string }{
		{"", "", "", "iot.device.NotExistedDevice"},
		{"", "", "name", "iot.prod.NullProductKey"},
		{"", pk, "", "iot.device.NullDeviceName"},
		{"", pk, "no/slash", "iot.device.InvalidFormattedDeviceName"},
		{"", pk, "absent", "iot.device.NotExistedDevice"},
		{"", "a1Unknown00", "absent", "iot.prod.NotExistedProduct"},
		{"unknown", pk, "absent", "iot.device.NotExistedDevice"},
		{long, "", "", "iot.device.InvalidIoTId"},
	} {
		r := must[*sdk.GetDeviceStatusResponse](t)(s.GetDeviceStatus(&sdk.GetDeviceStatusRequest{IotId: &test.iotID, ProductKey: &test.pk, DeviceName: &test.name}))
		if tea.StringValue(r.Body.Code) != test.code {
			t.Errorf("%+v: %v", test, r.Body)
		}
	}
}

func TestDeviceStates(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ctx := context.Background()
	pk := s.emptyProduct(t, "devices")
	dev := s.thing(t, pk, "dev-1")
	name := "dev-1"
	state := func(want string) int64 {
		t.Helper()
		r := must[*sdk.GetDeviceStatusResponse](t)(s.GetDeviceStatus(&sdk.GetDeviceStatusRequest{ProductKey: &pk, DeviceName: &name}))
		if got := tea.StringValue(r.Body.Data.Status); got != want {
			t.Errorf("status %s, want %s", got, want)
		}
		b := must[*sdk.BatchGetDeviceStateResponse](t)(s.BatchGetDeviceState(&sdk.BatchGetDeviceStateRequest{ProductKey: &pk, DeviceName: []*string{&name, tea.String("absent")}}))
		if l := b.Body.DeviceStatusList.DeviceStatus; len(l) != 1 || tea.StringValue(l[0].Status) != want || tea.Int64Value(l[0].Timestamp) != tea.Int64Value(r.Body.Data.Timestamp) {
			t.Errorf("states %v, want %s", b.Body, want)
		}
		return tea.Int64Value(r.Body.Data.Timestamp)
	}
	state("UNACTIVE")
	s.connect(t, dev)
	session, err := s.store.Sessions().Get(ctx, dev)
	if err != nil {
		t.Fatal(err)
	}
	if at := state("ONLINE"); at != session.OnlineAt {
		t.Errorf("online since %d, want %d", at, session.OnlineAt)
	}

	d := must[*sdk.QueryDeviceDetailResponse](t)(s.QueryDeviceDetail(&sdk.QueryDeviceDetailRequest{ProductKey: &pk, DeviceName: &name}))
	online := time.UnixMilli(session.OnlineAt)
	b := d.Body.Data
	if tea.StringValue(b.Status) != "ONLINE" || tea.StringValue(b.IpAddress) != "192.0.2.7" || tea.StringValue(b.Region) != "cn-shanghai" || !tea.BoolValue(b.Owner) ||
		tea.StringValue(b.UtcOnline) != online.UTC().Format("2006-01-02T15:04:05.000Z") || tea.StringValue(b.GmtOnline) != online.UTC().Add(8*time.Hour).Format("2006-01-02 15:04:05") ||
		tea.StringValue(b.ProductName) != "devices" || b.NodeType == nil || b.FirmwareVersion == nil {
		t.Errorf("detail %v", d.Body)
	}

	// A node that does not renew its lease takes its sessions offline.
	s.offset.Store(int64(2 * time.Minute))
	node, err := s.store.Nodes().Get(ctx, "n1")
	if err != nil {
		t.Fatal(err)
	}
	if at := state("OFFLINE"); at != node.Until {
		t.Errorf("offline since %d, want %d", at, node.Until)
	}
	s.offset.Store(0)

	session, err = s.store.Sessions().Get(ctx, dev)
	if err != nil {
		t.Fatal(err)
	}
	ended := session.OnlineAt + 5
	if errs := s.store.Sessions().End(ctx, []iot.DeviceRef{dev}, []int64{session.Epoch}, []int64{ended}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if at := state("OFFLINE"); at != ended {
		t.Errorf("offline since %d, want %d", at, ended)
	}

	s.connect(t, dev)
	dis := must[*sdk.DisableThingResponse](t)(s.DisableThing(&sdk.DisableThingRequest{ProductKey: &pk, DeviceName: &name}))
	same(t, dis.Body, `{"Success":true}`)
	c := s.commands.take()
	if len(c) != 2 || c[1].Drop == nil || *c[1].Drop != (downlink.Drop{ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, Reason: "disabled"}) {
		t.Errorf("commands %+v", c)
	}
	wantAnnounced(t, c[0], dev, "disable")
	state("DISABLE")
	en := must[*sdk.EnableThingResponse](t)(s.EnableThing(&sdk.EnableThingRequest{ProductKey: &pk, DeviceName: &name}))
	same(t, en.Body, `{"Success":true}`)
	state("ONLINE")
	wantAnnounced(t, s.commands.take()[0], dev, "enable")
}

// wantAnnounced compares a command with what a device hears that is disabled, enabled or deleted.
func wantAnnounced(t *testing.T, c downlink.Command, dev iot.DeviceRef, what string) {
	t.Helper()
	if c.Publish == nil || c.Publish.Ref() != dev || c.Publish.Topic != "/sys/"+dev.String()+"/thing/"+what ||
		string(c.Publish.Payload) != `{"method":"thing.`+what+`","id":"`+c.Publish.MessageID+`","params":{},"version":"1.0"}` {
		t.Errorf("%s is not announced: %+v", what, c)
	}
}

func TestDisableTellsThatTheConnectionLives(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "devices")
	dev := s.thing(t, pk, "dev-1")
	s.commands.answer(downlink.Outcome{}, errors.New("no connector"))
	name := "dev-1"
	r := must[*sdk.DisableThingResponse](t)(s.DisableThing(&sdk.DisableThingRequest{ProductKey: &pk, DeviceName: &name}))
	if tea.StringValue(r.Body.Code) != "iot.device.DisableDeviceFailed" {
		t.Error(r.Body)
	}
	if n := len(s.commands.take()); n != 1+dropTries { // the first announces it
		t.Errorf("%d tries", n)
	}
	if d, err := s.store.Devices().Get(context.Background(), dev); err != nil || !d.Disabled {
		t.Errorf("the device is not disabled: %+v, %v", d, err)
	}
}

func TestDeleteDevice(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "devices")
	dev := s.thing(t, pk, "dev-1")
	s.connect(t, dev)
	d, err := s.store.Devices().Get(context.Background(), dev)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		s.bucket.Put(t.Context(), "files/a", []byte("data"), "text/plain"),
		s.store.Files().Put(t.Context(), &store.File{Ref: dev, Name: "a.log", ID: "u1", Object: "files/a", Size: 4}),
	)
	if err != nil {
		t.Fatal(err)
	}
	r := must[*sdk.DeleteDeviceResponse](t)(s.DeleteDevice(&sdk.DeleteDeviceRequest{IotId: tea.String(string(d.IotID))}))
	same(t, r.Body, `{"Success":true}`)
	if _, err := s.bucket.Stat(t.Context(), "files/a"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("the data of the device's file: %v", err)
	}
	c := s.commands.take()
	if len(c) != 2 || c[1].Drop == nil || c[1].Drop.Reason != "deleted" {
		t.Fatalf("commands %+v", c)
	}
	wantAnnounced(t, c[0], dev, "delete")
	if got := s.sink.last(); got["device_name"] != "dev-1" || got["action"] != "DeleteDevice" {
		t.Errorf("audit line %v", got)
	}
	r = must[*sdk.DeleteDeviceResponse](t)(s.DeleteDevice(&sdk.DeleteDeviceRequest{ProductKey: &pk, DeviceName: tea.String("dev-1")}))
	if tea.StringValue(r.Body.Code) != "iot.device.NotExistedDevice" {
		t.Error(r.Body)
	}
}

func TestDeviceLists(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "devices")
	e := must[*sdk.QueryDeviceResponse](t)(s.QueryDevice(&sdk.QueryDeviceRequest{ProductKey: &pk}))
	same(t, e.Body, `{"Success":true,"Data":{},"Page":1,"PageCount":0,"PageSize":10,"Total":0}`)
	for i := range 5 {
		d := &store.Device{Ref: iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(fmt.Sprintf("dev-%d", i))}, IotID: iot.IotID(fmt.Sprintf("iot%d", i)),
			Secret: "s3cr3t", CreatedAt: 1550628969000 + int64(i), UpdatedAt: 1550628969000 + int64(i)}
		if err := s.store.Devices().Create(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	l := must[*sdk.QueryDeviceResponse](t)(s.QueryDevice(&sdk.QueryDeviceRequest{ProductKey: &pk, CurrentPage: tea.Int32(3), PageSize: tea.Int32(2)}))
	same(t, l.Body, `{"Success":true,"Page":3,"PageCount":3,"PageSize":2,"Total":5,"Data":{"DeviceInfo":[{"DeviceId":"iot0","DeviceName":"dev-0","DeviceSecret":"s3cr3t",
		"DeviceStatus":"UNACTIVE","GmtCreate":"Wed, 20-Feb-2019 02:16:09 GMT","GmtModified":"Wed, 20-Feb-2019 02:16:09 GMT","IotId":"iot0","ProductKey":"`+pk+`",
		"UtcCreate":"2019-02-20T02:16:09.000Z","UtcModified":"2019-02-20T02:16:09.000Z"}]}}`)

	var seen []string
	request := &sdk.QueryDeviceRequest{ProductKey: &pk, PageSize: tea.Int32(2)}
	for range 4 {
		l = must[*sdk.QueryDeviceResponse](t)(s.QueryDevice(request))
		for _, d := range l.Body.Data.DeviceInfo {
			seen = append(seen, tea.StringValue(d.DeviceName))
		}
		if request.NextToken = l.Body.NextToken; request.NextToken == nil {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "dev-4 dev-3 dev-2 dev-1 dev-0" {
		t.Errorf("by tokens: %s", got)
	}
	for _, bad := range []*sdk.QueryDeviceRequest{
		{PageSize: tea.Int32(51)}, {CurrentPage: tea.Int32(0)}, {CurrentPage: tea.Int32(201), PageSize: tea.Int32(50)}, {NextToken: tea.String("b2Zmc2V0Oi0x")}, {NextToken: tea.String("?")},
	} {
		bad.ProductKey = &pk
		if l = must[*sdk.QueryDeviceResponse](t)(s.QueryDevice(bad)); tea.StringValue(l.Body.Code) != "iot.common.InvalidPageParams" {
			t.Errorf("%v: %v", bad, l.Body)
		}
	}

	b := must[*sdk.BatchQueryDeviceDetailResponse](t)(s.BatchQueryDeviceDetail(&sdk.BatchQueryDeviceDetailRequest{ProductKey: &pk, DeviceName: tea.StringSlice([]string{"dev-3", "absent", "dev-1"})}))
	same(t, b.Body, `{"Success":true,"Data":{"Data":[
		{"DeviceName":"dev-3","DeviceSecret":"s3cr3t","FirmwareVersion":"","GmtActive":"","GmtCreate":"2019-02-20 10:16:09","IotId":"iot3","NodeType":0,"ProductKey":"`+pk+`","ProductName":"devices","Region":"cn-shanghai","Status":"UNACTIVE","UtcActive":"","UtcCreate":"2019-02-20T02:16:09.003Z"},
		{"DeviceName":"dev-1","DeviceSecret":"s3cr3t","FirmwareVersion":"","GmtActive":"","GmtCreate":"2019-02-20 10:16:09","IotId":"iot1","NodeType":0,"ProductKey":"`+pk+`","ProductName":"devices","Region":"cn-shanghai","Status":"UNACTIVE","UtcActive":"","UtcCreate":"2019-02-20T02:16:09.001Z"}]}}`)

	st := must[*sdk.BatchGetDeviceStateResponse](t)(s.BatchGetDeviceState(&sdk.BatchGetDeviceStateRequest{IotId: tea.StringSlice([]string{"iot2", "unknown"}), ProductKey: &pk, DeviceName: tea.StringSlice([]string{"dev-1"})}))
	same(t, st.Body, `{"Success":true,"DeviceStatusList":{"DeviceStatus":[{"DeviceId":"iot2","DeviceName":"dev-2","IotId":"iot2","Status":"UNACTIVE","Timestamp":1550628969002}]}}`)
	st = must[*sdk.BatchGetDeviceStateResponse](t)(s.BatchGetDeviceState(&sdk.BatchGetDeviceStateRequest{ProductKey: &pk}))
	if tea.StringValue(st.Body.Code) != "iot.device.NoneDeviceNameElement" {
		t.Error(st.Body)
	}
	st = must[*sdk.BatchGetDeviceStateResponse](t)(s.BatchGetDeviceState(&sdk.BatchGetDeviceStateRequest{ProductKey: &pk, DeviceName: tea.StringSlice(make([]string, 51))}))
	if tea.StringValue(st.Body.Code) != "iot.device.DeviceCountExceeded" {
		t.Error(st.Body)
	}
}
