package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/sign"
	"relink/shared/store"
)

// A fleet is two gateways and sub-devices of them to be.
type fleet struct {
	*system
	t        *testing.T
	gateways string // product keys
	subs     string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{system: newSystem(t), t: t}
	r := must[*sdk.CreateProductResponse](t)(f.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(1), ProductName: tea.String("gateways"),
		AliyunCommodityCode: tea.String("iothub_senior"), DataFormat: tea.Int32(1)}))
	f.gateways, f.subs = tea.StringValue(r.Body.ProductKey), f.emptyProduct(t, "subs")
	f.connect(t, f.thing(t, f.gateways, "gw01"))
	f.connect(t, f.thing(t, f.gateways, "gw02"))
	for _, name := range []string{"sub1", "sub2", "sub3"} {
		f.thing(t, f.subs, name)
	}
	return f
}

func (f *fleet) gateway(name string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: iot.ProductKey(f.gateways), DeviceName: iot.DeviceName(name)}
}

func (f *fleet) sub(name string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: iot.ProductKey(f.subs), DeviceName: iot.DeviceName(name)}
}

// item is a sub-device with its signature.
func (f *fleet) item(name, method string) *sdk.BatchAddThingTopoRequestTopoAddItem {
	d, err := f.store.Devices().Get(context.Background(), f.sub(name))
	if err != nil {
		f.t.Fatal(err)
	}
	content := "clientIdc1deviceName" + name + "productKey" + f.subs + "timestamp1572489088171"
	return &sdk.BatchAddThingTopoRequestTopoAddItem{ProductKey: &f.subs, DeviceName: &name, ClientId: tea.String("c1"), Timestamp: tea.String("1572489088171"),
		SignMethod: &method, Sign: tea.String(sign.Sign(sign.ParseMethod(method), d.Secret, content))}
}

func (f *fleet) add(gateway string, items ...*sdk.BatchAddThingTopoRequestTopoAddItem) *sdk.BatchAddThingTopoResponseBody {
	f.t.Helper()
	return must[*sdk.BatchAddThingTopoResponse](f.t)(f.BatchAddThingTopo(&sdk.BatchAddThingTopoRequest{GwProductKey: &f.gateways, GwDeviceName: &gateway, TopoAddItem: items})).Body
}

// logIn gives a sub-device a session over a gateway.
func (f *fleet) logIn(gateway, name string) {
	f.t.Helper()
	_, _, errs := f.store.Sessions().Take(f.t.Context(), []store.Take{{Ref: f.sub(name), Node: "n1", Gateway: f.gateway(gateway), At: 1}})
	if errs[0] != nil {
		f.t.Fatal(errs[0])
	}
}

// published is what commands published, and dropped, in a line each.
func (f *fleet) told() string {
	var lines []string
	for _, c := range f.commands.take() {
		switch {
		case c.Drop != nil:
			lines = append(lines, "drop "+string(c.Drop.DeviceName)+" "+c.Drop.Reason)
		default:
			via := ""
			if c.Publish.Via != nil {
				via = " via " + string(c.Publish.Via.DeviceName)
			}
			text := strings.ReplaceAll(string(c.Publish.Payload), `"id":"`+c.Publish.MessageID+`"`, `"id":"N"`)
			lines = append(lines, string(c.Publish.DeviceName)+via+" "+c.Publish.Topic+" "+text)
		}
	}
	return strings.NewReplacer(f.gateways, "GPK", f.subs, "SPK").Replace(strings.Join(lines, "\n"))
}

func (f *fleet) wantTold(lines ...string) {
	f.t.Helper()
	if got, want := f.told(), strings.Join(lines, "\n"); got != want {
		f.t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

func change(gateway string, status int, names ...string) string {
	var list []string
	for _, n := range names {
		list = append(list, `{"productKey":"SPK","deviceName":"`+n+`"}`)
	}
	return fmt.Sprintf(`%s /sys/GPK/%s/thing/topo/change {"method":"thing.topo.change","id":"N","params":{"status":%d,"subList":[%s]},"version":"1.0"}`,
		gateway, gateway, status, strings.Join(list, ","))
}

func announced(via, sub, what string) string {
	return fmt.Sprintf(`%s via %s /sys/SPK/%s/thing/%s {"method":"thing.%s","id":"N","params":{},"version":"1.0"}`, sub, via, sub, what, what)
}

func TestTopologyActions(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	list := func(page, size int32) *sdk.GetThingTopoResponseBody {
		t.Helper()
		return must[*sdk.GetThingTopoResponse](t)(f.GetThingTopo(&sdk.GetThingTopoRequest{ProductKey: &f.gateways, DeviceName: tea.String("gw01"), PageNo: &page, PageSize: &size})).Body
	}
	of := func(name string) *sdk.GetGatewayBySubDeviceResponseBody {
		t.Helper()
		return must[*sdk.GetGatewayBySubDeviceResponse](t)(f.GetGatewayBySubDevice(&sdk.GetGatewayBySubDeviceRequest{ProductKey: &f.subs, DeviceName: &name})).Body
	}
	same(t, list(1, 10), `{"Success":true,"Data":{"CurrentPage":1,"PageSize":10,"PageCount":0,"Total":0,"List":{}}}`) // the SDK leaves an empty list out
	if c := of("sub1"); tea.StringValue(c.Code) != "iot.device.QueryTopoRelationFailed" {
		t.Errorf("gateway of none: %v", c)
	}

	same(t, f.add("gw01", f.item("sub2", "hmacSha256"), f.item("sub1", "hmacsha1")), `{"Success":true}`)
	f.wantTold(change("gw01", 0, "sub2", "sub1"))
	l := list(2, 1)
	if d := l.Data; tea.Int64Value(d.Total) != 2 || tea.Int64Value(d.PageCount) != 2 || len(d.List.DeviceInfo) != 1 || tea.StringValue(d.List.DeviceInfo[0].DeviceName) != "sub2" ||
		tea.StringValue(d.List.DeviceInfo[0].IotId) == "" {
		t.Errorf("second page: %v", l)
	}
	g := of("sub1").Data
	if tea.StringValue(g.DeviceName) != "gw01" || tea.StringValue(g.ProductName) != "gateways" || tea.StringValue(g.Status) != "online" || tea.StringValue(g.NodeType) != "GATEWAY" ||
		tea.StringValue(g.IotId) == "" || tea.StringValue(g.Region) != "cn-shanghai" || len(tea.StringValue(g.DeviceSecret)) != 32 || tea.StringValue(g.IpAddress) != "192.0.2.7" {
		t.Errorf("gateway: %v", g)
	}

	// It moves, and loses its session there.
	f.logIn("gw01", "sub1")
	same(t, f.add("gw02", f.item("sub1", "hmacMd5")), `{"Success":true}`)
	f.wantTold("drop sub1 topology_removed", change("gw01", 1, "sub1"), change("gw02", 0, "sub1"))

	// Of the gateway all, of the sub-device its one.
	remove := func(pk, name string) {
		t.Helper()
		r := must[*sdk.RemoveThingTopoResponse](t)(f.RemoveThingTopo(&sdk.RemoveThingTopoRequest{ProductKey: &pk, DeviceName: &name}))
		same(t, r.Body, `{"Success":true,"Data":true}`)
	}
	f.logIn("gw02", "sub1")
	remove(f.subs, "sub1")
	f.wantTold(change("gw02", 1, "sub1"), "drop sub1 topology_removed")
	same(t, f.add("gw01", f.item("sub3", "hmacSha1")), `{"Success":true}`)
	f.told()
	remove(f.gateways, "gw01")
	f.wantTold(change("gw01", 1, "sub2", "sub3"))
	remove(f.gateways, "gw01")
	f.wantTold()
}

func TestTopologyRefusals(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	wrong := f.item("sub1", "hmacSha1")
	wrong.Sign = tea.String(strings.Repeat("0", 40))
	foreign := f.item("sub1", "hmacSha1")
	foreign.DeviceName = tea.String("none")
	own := f.item("sub1", "hmacSha1")
	own.ProductKey, own.DeviceName = &f.gateways, tea.String("gw01")
	var eleven []*sdk.BatchAddThingTopoRequestTopoAddItem
	for range 11 {
		eleven = append(eleven, f.item("sub1", "hmacSha1"))
	}
	off := f.item("sub2", "hmacSha1")
	if err := f.store.Devices().SetDisabled(t.Context(), f.sub("sub2"), true, 1); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body *sdk.BatchAddThingTopoResponseBody
		code string
	}{
		"sign":     {f.add("gw01", f.item("sub3", "hmacSha1"), wrong), "iot.device.VerifyDeviceFailed"},
		"method":   {f.add("gw01", f.item("sub1", "Sha256")), "iot.device.VerifyDeviceFailed"},
		"unknown":  {f.add("gw01", foreign), "iot.device.NotExistedDevice"},
		"gateway":  {f.add("gw09", f.item("sub1", "hmacSha1")), "iot.device.NotExistedDevice"},
		"self":     {f.add("gw01", own), "iot.device.AddTopoRelationFailed"},
		"eleven":   {f.add("gw01", eleven...), "iot.device.AddTopoRelationFailed"},
		"disabled": {f.add("gw01", off), "iot.device.AddTopoRelationFailed"},
	} {
		if got := tea.StringValue(c.body.Code); got != c.code {
			t.Errorf("%s: %s, want %s (%v)", name, got, c.code, c.body)
		}
	}
	if _, n, _ := f.store.Topology().List(t.Context(), f.gateway("gw01"), 0, 10); n != 0 {
		t.Errorf("refused calls made %d relations", n)
	}
	r := must[*sdk.GetThingTopoResponse](t)(f.GetThingTopo(&sdk.GetThingTopoRequest{ProductKey: &f.gateways, DeviceName: tea.String("gw01"), PageNo: tea.Int32(1), PageSize: tea.Int32(51)}))
	if tea.StringValue(r.Body.Code) != "iot.device.QueryTopoRelationFailed" {
		t.Error(r.Body)
	}
}

func TestNotifyAddThingTopo(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	notify := func(list string) *sdk.NotifyAddThingTopoResponseBody {
		t.Helper()
		return must[*sdk.NotifyAddThingTopoResponse](t)(f.NotifyAddThingTopo(&sdk.NotifyAddThingTopoRequest{GwProductKey: &f.gateways, GwDeviceName: tea.String("gw01"), DeviceListStr: &list})).Body
	}
	d, err := f.store.Devices().Get(t.Context(), f.sub("sub2"))
	if err != nil {
		t.Fatal(err)
	}
	r := notify(`[{"productKey":"` + f.subs + `","deviceName":"sub1"},{"IotId":"` + string(d.IotID) + `"}]`)
	if !tea.BoolValue(r.Success) || tea.StringValue(r.Data.MessageId) == "" {
		t.Fatal(r)
	}
	f.wantTold(`gw01 /sys/GPK/gw01/thing/topo/add/notify {"method":"thing.topo.add.notify","id":"N","params":[{"productKey":"SPK","deviceName":"sub1"},{"productKey":"SPK","deviceName":"sub2"}],"version":"1.0"}`)
	for list, code := range map[string]string{
		`[]`: "iot.device.AddTopoRelationFailed", `{`: "iot.device.AddTopoRelationFailed",
		`[{"productKey":"` + f.subs + `","deviceName":"none"}]`: "iot.device.NotExistedDevice",
	} {
		if r := notify(list); tea.StringValue(r.Code) != code {
			t.Errorf("%s: %v, want %s", list, r, code)
		}
	}
	f.commands.answer(downlink.Outcome{State: downlink.Offline}, nil)
	if r := notify(`[{"productKey":"` + f.subs + `","deviceName":"sub1"}]`); tea.StringValue(r.Code) != "iot.device.AddTopoRelationFailed" {
		t.Errorf("gateway offline: %v", r)
	}
}

// What happens to a sub-device its gateway hears, in this order: the sub-device's own notice, the change, and then the session ends.
func TestSubDeviceIsAnnounced(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.add("gw01", f.item("sub1", "hmacSha1"))
	f.told()
	name := "sub1"
	same(t, must[*sdk.DisableThingResponse](t)(f.DisableThing(&sdk.DisableThingRequest{ProductKey: &f.subs, DeviceName: &name})).Body, `{"Success":true}`)
	f.wantTold(announced("gw01", name, "disable"), change("gw01", 8, name), "drop sub1 disabled")
	same(t, must[*sdk.EnableThingResponse](t)(f.EnableThing(&sdk.EnableThingRequest{ProductKey: &f.subs, DeviceName: &name})).Body, `{"Success":true}`)
	f.wantTold(announced("gw01", name, "enable"), change("gw01", 2, name))
	same(t, must[*sdk.DeleteDeviceResponse](t)(f.DeleteDevice(&sdk.DeleteDeviceRequest{ProductKey: &f.subs, DeviceName: &name})).Body, `{"Success":true}`)
	f.wantTold(announced("gw01", name, "delete"), change("gw01", 1, name), "drop sub1 deleted")
	if _, n, _ := f.store.Topology().List(t.Context(), f.gateway("gw01"), 0, 10); n != 0 {
		t.Errorf("%d relations are left", n)
	}
}

// ours calls an action that the SDK does not know.
func (f *fleet) ours(action string, query map[string]string) map[string]any {
	f.t.Helper()
	q := make(map[string]*string)
	for k, v := range query {
		q[k] = &v
	}
	answer, err := f.CallApi(&openapi.Params{Action: &action, Version: tea.String("2018-01-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json")},
		&openapi.OpenApiRequest{Query: q}, &dara.RuntimeOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	body, _ := answer["body"].(map[string]any)
	return body
}

func TestOurGatewayActions(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	gateway := map[string]string{"ProductKey": f.gateways, "DeviceName": "gw01", "JoinProductKey": f.subs, "Time": "90"}
	if b := f.ours("RelinkPermitJoin", gateway); b["Success"] != true {
		t.Error(b)
	}
	f.wantTold(`gw01 /sys/GPK/gw01/thing/gateway/permit {"method":"thing.gateway.permit","id":"N","params":{"time":90,"productKey":"SPK"},"version":"1.0"}`)
	gateway["Time"] = "0"
	if b := f.ours("RelinkPermitJoin", gateway); b["Code"] != "iot.common.InvalidFormattedParameter" {
		t.Error(b)
	}
	if err := f.store.Discoveries().Put(t.Context(), f.gateway("gw01"), []store.Discovery{{Device: f.sub("sub1"), At: 5}, {Device: f.sub("sub2"), At: 6}}); err != nil {
		t.Fatal(err)
	}
	f.add("gw01", f.item("sub1", "hmacSha1"))
	b := f.ours("RelinkListFoundDevices", gateway)
	found, _ := b["Data"].([]any)
	if len(found) != 1 || found[0].(map[string]any)["DeviceName"] != "sub2" {
		t.Error(b)
	}
}
