package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/store"
)

func TestDeviceTags(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "tagged")
	name := string(s.thing(t, pk, "lamp-001").DeviceName)
	save := func(name, props string) *sdk.SaveDevicePropResponseBody {
		t.Helper()
		return must[*sdk.SaveDevicePropResponse](t)(s.SaveDeviceProp(&sdk.SaveDevicePropRequest{ProductKey: &pk, DeviceName: &name, Props: &props})).Body
	}
	tags := func() string {
		t.Helper()
		r := must[*sdk.QueryDevicePropResponse](t)(s.QueryDeviceProp(&sdk.QueryDevicePropRequest{ProductKey: &pk, DeviceName: &name}))
		return tea.StringValue(r.Body.Props)
	}
	if got := tags(); got != `{}` {
		t.Errorf("without tags: %s", got)
	}
	same(t, save(name, `{"room":"2.14","floor":3}`), `{"Success":true}`)
	same(t, save(name, `{"room":"灯","site":"north"}`), `{"Success":true}`)
	if got := tags(); got != `{"room":"灯","floor":"3","site":"north"}` {
		t.Errorf("tags %s", got)
	}
	for range 2 {
		same(t, must[*sdk.DeleteDevicePropResponse](t)(s.DeleteDeviceProp(&sdk.DeleteDevicePropRequest{ProductKey: &pk, DeviceName: &name, PropKey: tea.String("floor")})).Body, `{"Success":true}`)
	}
	if got := tags(); got != `{"room":"灯","site":"north"}` {
		t.Errorf("tags %s", got)
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	for props, code := range map[string]string{
		`{}`: "NullDevicePropertiesString", `[1]`: "InvalidFormattedDevicePropertiesString", `x`: "InvalidFormattedDevicePropertiesString",
		`{"abc":"1"}`: "InvalidFormattedDevicePropertyKey", `{"a b":"1"}`: "InvalidFormattedDevicePropertyKey", `{"a":{}}`: "InvalidFormattedDevicePropertiesString",
		`{"a":"` + strings.Repeat("x", 129) + `"}`:  "InvalidFormattedDevicePropertiesString",
		`{"a":"` + strings.Repeat("x", 5200) + `"}`: "LongDevicePropertiesString",
		`{` + strings.Join(many, ",") + `}`:         "TooManyDevicePropertiesPerTime",
		`{` + strings.Join(many[:99], ",") + `}`:    "TooManyDevicePropertiesPerTime", // with the two that are there
	} {
		if got := tea.StringValue(save(name, props).Code); got != "iot.device."+code {
			t.Errorf("%.60s: %s, want %s", props, got, code)
		}
	}
	other := string(s.thing(t, pk, "lamp-002").DeviceName)
	same(t, save(other, `{"site":"north"}`), `{"Success":true}`)
	find := func(want int, tags ...string) {
		t.Helper()
		r := &sdk.QueryDeviceByTagsRequest{}
		for i := 0; i < len(tags); i += 2 {
			tag := &sdk.QueryDeviceByTagsRequestTag{TagKey: &tags[i]}
			if tags[i+1] != "" {
				tag.TagValue = &tags[i+1]
			}
			r.Tag = append(r.Tag, tag)
		}
		b := must[*sdk.QueryDeviceByTagsResponse](t)(s.QueryDeviceByTags(r)).Body
		if !tea.BoolValue(b.Success) || int(tea.Int32Value(b.Total)) != want || len(b.Data.SimpleDeviceInfo) != want {
			t.Errorf("%v: %v, want %d", tags, b, want)
		}
		if want > 0 && tea.StringValue(b.Data.SimpleDeviceInfo[0].ProductName) != "tagged" {
			t.Errorf("%v: %v", tags, b.Data.SimpleDeviceInfo[0])
		}
	}
	find(2, "site", "north")
	find(2, "site", "")
	find(1, "site", "north", "room", "灯")
	find(0, "site", "south")
	r := must[*sdk.QueryDeviceByTagsResponse](t)(s.QueryDeviceByTags(&sdk.QueryDeviceByTagsRequest{Tag: []*sdk.QueryDeviceByTagsRequestTag{{TagKey: tea.String("abc")}}}))
	if got := tea.StringValue(r.Body.Code); got != "iot.device.NoneDeviceProperties" {
		t.Errorf("the reserved key: %s", got)
	}
}

func TestNicknames(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "named")
	name := string(s.thing(t, pk, "lamp-001").DeviceName)
	set := func(dn, nickname string) *sdk.BatchUpdateDeviceNicknameResponseBody {
		t.Helper()
		e := &sdk.BatchUpdateDeviceNicknameRequestDeviceNicknameInfo{ProductKey: &pk, DeviceName: &dn}
		if nickname != "" {
			e.Nickname = &nickname
		}
		return must[*sdk.BatchUpdateDeviceNicknameResponse](t)(s.BatchUpdateDeviceNickname(&sdk.BatchUpdateDeviceNicknameRequest{
			DeviceNicknameInfo: []*sdk.BatchUpdateDeviceNicknameRequestDeviceNicknameInfo{e}})).Body
	}
	for _, want := range []string{"hall_lamp", ""} {
		same(t, set(name, want), `{"Success":true}`)
		r := must[*sdk.QueryDeviceInfoResponse](t)(s.QueryDeviceInfo(&sdk.QueryDeviceInfoRequest{ProductKey: &pk, DeviceName: &name}))
		if got := tea.StringValue(r.Body.Data.Nickname); got != want {
			t.Errorf("nickname %q, want %q", got, want)
		}
	}
	if got := tea.StringValue(set(name, "x").Code); got != "iot.device.InvalidDeviceNickNameExisted" {
		t.Errorf("too short: %s", got)
	}
	if got := tea.StringValue(set("nobody", "hall_lamp").Code); got != "iot.device.NotExistedDevice" {
		t.Errorf("unknown device: %s", got)
	}
}

// relinkAction calls an action that the vendor's SDK does not know.
func (s *system) relinkAction(t *testing.T, action string, query map[string]string) map[string]any {
	t.Helper()
	q := map[string]*string{}
	for k, v := range query {
		q[k] = tea.String(v)
	}
	r, err := s.CallApi(&openapiutil.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapiutil.OpenApiRequest{Query: q}, &dara.RuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := r["body"].(map[string]any)
	return body
}

func TestDeviceInfo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	dev := s.thing(t, s.emptyProduct(t, "informed"), "lamp-001")
	on := map[string]string{"ProductKey": string(dev.ProductKey), "DeviceName": string(dev.DeviceName)}
	with := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for k, v := range on {
			m[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for range 2 {
		same(t, s.relinkAction(t, "RelinkSetDeviceLogSwitch", with("Enabled", "true")), `{"Success":true}`)
	}
	commands := s.commands.take()
	if len(commands) != 1 || commands[0].Publish.Topic != "/sys/"+dev.String()+"/thing/config/log/push" ||
		!strings.HasSuffix(string(commands[0].Publish.Payload), `"params":{"getType":"content","content":{"mode":1}},"version":"1.0"}`) {
		t.Errorf("commands %+v", commands)
	}
	info, err := s.store.DeviceInfos().Get(t.Context(), dev)
	if err != nil {
		t.Fatal(err)
	}
	info.Facts = []store.Tag{{Key: "SYS_LP_SDK_VERSION", Value: "3.0.1"}}
	if err := s.store.DeviceInfos().Put(t.Context(), info, nil); err != nil {
		t.Fatal(err)
	}
	same(t, s.relinkAction(t, "RelinkQueryDeviceFacts", on), `{"Success":true,"Data":{"Facts":[{"Name":"SYS_LP_SDK_VERSION","Value":"3.0.1"}],"LogUpload":true,"Client":""}}`)
	at := time.Now().UnixMilli()
	var list []store.NetworkStatus
	for i := range 3 {
		list = append(list, store.NetworkStatus{Ref: dev, Time: at - int64(i)*1000, MessageID: "m", Model: "time=now", JSON: []byte(`{"wifi":{"rssi":-61}}`)})
	}
	if err := s.store.NetworkStatuses().Put(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	entry := func(i int) string {
		return fmt.Sprintf(`{"Time":%d,"Model":"time=now","Status":"{\"wifi\":{\"rssi\":-61}}"}`, at-int64(i)*1000)
	}
	same(t, s.relinkAction(t, "RelinkQueryDeviceNetworkStatus", with("PageSize", "2")),
		fmt.Sprintf(`{"Success":true,"Data":{"List":[%s,%s],"NextTime":%d,"NextValid":true}}`, entry(0), entry(1), at-2000))
	same(t, s.relinkAction(t, "RelinkQueryDeviceNetworkStatus", with("EndTime", fmt.Sprint(at-2000))), `{"Success":true,"Data":{"List":[`+entry(2)+`],"NextValid":false}}`)
	if got := s.relinkAction(t, "RelinkQueryDeviceNetworkStatus", with("PageSize", "101"))["Code"]; got != "iot.common.InvalidPageParams" {
		t.Errorf("too many: %v", got)
	}
	if got := s.relinkAction(t, "RelinkQueryDeviceNetworkStatus", with("StartTime", "2", "EndTime", "1"))["Code"]; got != "iot.device.InvalidTimeBucket" {
		t.Errorf("times: %v", got)
	}
}
