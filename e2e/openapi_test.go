package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// The official SDK drives every action that the README lists, in the order of a product's life.
func TestOfficialSDKDrivesEveryAction(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	step := func(name string, success *bool, body any, err error) {
		t.Helper()
		if err != nil || !tea.BoolValue(success) {
			t.Fatalf("%s: %v %v", name, err, body)
		}
	}
	str := tea.StringValue
	name := fmt.Sprintf("sdk_%d", time.Now().UnixNano()%1e12)
	product, err := api.CreateProduct(&iotapi.CreateProductRequest{ProductName: &name, NodeType: tea.Int32(0), DataFormat: tea.Int32(1), AliyunCommodityCode: tea.String("iothub_senior")})
	step("CreateProduct", product.Body.Success, product, err)
	pk := product.Body.ProductKey

	add, err := api.CreateThingModel(&iotapi.CreateThingModelRequest{ProductKey: pk, ThingModelJson: tea.String(`{"properties":[{"identifier":"mode","name":"mode","productKey":"` + *pk +
		`","dataType":"ENUM","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecsList":[{"dataType":"ENUM","name":"cool","value":1},{"dataType":"ENUM","name":"heat","value":2}]}]}`)})
	step("CreateThingModel", add.Body.Success, add, err)
	tsl, err := api.GetThingModelTsl(&iotapi.GetThingModelTslRequest{ProductKey: pk})
	step("GetThingModelTsl", tsl.Body.Success, tsl, err)
	if !strings.Contains(str(tsl.Body.Data.TslStr), `"mode"`) {
		t.Errorf("the draft lacks the feature: %s", str(tsl.Body.Data.TslStr))
	}
	imported, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: pk, TslStr: tea.String(lampModel)})
	step("ImportThingModelTsl", imported.Body.Success, imported, err)
	published, err := api.PublishThingModel(&iotapi.PublishThingModelRequest{ProductKey: pk, ModelVersion: tea.String("1.0")})
	step("PublishThingModel", published.Body.Success, published, err)
	current, err := api.GetThingModelTslPublished(&iotapi.GetThingModelTslPublishedRequest{ProductKey: pk})
	step("GetThingModelTslPublished", current.Body.Success, current, err)
	one, err := api.QueryProduct(&iotapi.QueryProductRequest{ProductKey: pk})
	step("QueryProduct", one.Body.Success, one, err)
	if str(one.Body.Data.ProductName) != name || len(str(one.Body.Data.ProductSecret)) != 16 {
		t.Errorf("QueryProduct answers %v", one.Body.Data)
	}
	list, err := api.QueryProductList(&iotapi.QueryProductListRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(200)})
	step("QueryProductList", list.Body.Success, list, err)
	found := false
	for _, p := range list.Body.Data.List.ProductInfo {
		found = found || str(p.ProductKey) == *pk
	}
	if !found {
		t.Error("QueryProductList lacks the product")
	}

	device, err := api.RegisterDevice(&iotapi.RegisterDeviceRequest{ProductKey: pk, DeviceName: tea.String("lamp-001")})
	step("RegisterDevice", device.Body.Success, device, err)
	dn, iotID := device.Body.Data.DeviceName, device.Body.Data.IotId
	batch, err := api.BatchRegisterDevice(&iotapi.BatchRegisterDeviceRequest{ProductKey: pk, Count: tea.Int32(3)})
	step("BatchRegisterDevice", batch.Body.Success, batch, err)
	checked, err := api.BatchCheckDeviceNames(&iotapi.BatchCheckDeviceNamesRequest{ProductKey: pk, DeviceName: tea.StringSlice([]string{"lamp-002", "lamp-003"})})
	step("BatchCheckDeviceNames", checked.Body.Success, checked, err)
	named, err := api.BatchRegisterDeviceWithApplyId(&iotapi.BatchRegisterDeviceWithApplyIdRequest{ProductKey: pk, ApplyId: checked.Body.Data.ApplyId})
	step("BatchRegisterDeviceWithApplyId", named.Body.Success, named, err)
	eventually(t, 10*time.Second, "the named batch is registered", func() bool {
		status, err := api.QueryBatchRegisterDeviceStatus(&iotapi.QueryBatchRegisterDeviceStatusRequest{ProductKey: pk, ApplyId: named.Body.Data.ApplyId})
		return err == nil && tea.BoolValue(status.Body.Success) && str(status.Body.Data.Status) == "CREATE_SUCCESS"
	})
	devices, err := api.QueryDevice(&iotapi.QueryDeviceRequest{ProductKey: pk, CurrentPage: tea.Int32(1), PageSize: tea.Int32(50)})
	step("QueryDevice", devices.Body.Success, devices, err)
	if tea.Int32Value(devices.Body.Total) != 6 || len(devices.Body.Data.DeviceInfo) != 6 {
		t.Errorf("QueryDevice: %d devices of %d, want 6 of 6", len(devices.Body.Data.DeviceInfo), tea.Int32Value(devices.Body.Total))
	}
	detail, err := api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{IotId: iotID})
	step("QueryDeviceDetail", detail.Body.Success, detail, err)
	if str(detail.Body.Data.DeviceName) != "lamp-001" || str(detail.Body.Data.Status) != "UNACTIVE" {
		t.Errorf("QueryDeviceDetail answers %v", detail.Body.Data)
	}
	states, err := api.BatchGetDeviceState(&iotapi.BatchGetDeviceStateRequest{ProductKey: pk, DeviceName: tea.StringSlice([]string{"lamp-001", "lamp-002", "no-such-lamp"})})
	step("BatchGetDeviceState", states.Body.Success, states, err)
	if n := len(states.Body.DeviceStatusList.DeviceStatus); n != 2 {
		t.Errorf("BatchGetDeviceState: %d states, want 2", n)
	}
	status, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{IotId: iotID})
	step("GetDeviceStatus", status.Body.Success, status, err)
	for _, action := range []string{"DisableThing", "EnableThing"} {
		want := "DISABLE"
		if action == "DisableThing" {
			r, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: pk, DeviceName: dn})
			step(action, r.Body.Success, r, err)
		} else {
			r, err := api.EnableThing(&iotapi.EnableThingRequest{ProductKey: pk, DeviceName: dn})
			step(action, r.Body.Success, r, err)
			want = "UNACTIVE"
		}
		if status, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{IotId: iotID}); err != nil || str(status.Body.Data.Status) != want {
			t.Errorf("after %s: %v %v, want %s", action, err, status, want)
		}
	}
	begun := time.Now().UnixMilli()
	lamp := newDevice(t, api, *pk, "lamp-100")
	l := connect(t, lamp, lampOptions(lamp, "tcp://"+s.env["RELINK_MQTT"], nil))
	for _, v := range []string{"1.5", "2.5", "3.5"} {
		l.post(t, l.sys("thing/event/property/post"), `{"id":"1","params":{"temperature":`+v+`}}`)
	}
	values, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: pk, DeviceName: &lamp.DeviceName})
	step("QueryDevicePropertyStatus", values.Body.Success, values, err)
	if n := len(values.Body.Data.List.PropertyStatusInfo); n != 4 {
		t.Errorf("QueryDevicePropertyStatus: %d properties, want all 4 of the model", n)
	}
	var history []string
	start := begun
	for page := 0; page < 5; page++ {
		data, err := api.QueryDevicePropertyData(&iotapi.QueryDevicePropertyDataRequest{ProductKey: pk, DeviceName: &lamp.DeviceName, Identifier: tea.String("temperature"),
			StartTime: &start, EndTime: tea.Int64(time.Now().UnixMilli() + 1000), PageSize: tea.Int32(2), Asc: tea.Int32(1)})
		step("QueryDevicePropertyData", data.Body.Success, data, err)
		for _, p := range data.Body.Data.List.PropertyInfo {
			history = append(history, str(p.Value))
		}
		if !tea.BoolValue(data.Body.Data.NextValid) {
			break
		}
		start = tea.Int64Value(data.Body.Data.NextTime)
	}
	if got := strings.Join(history, " "); got != "1.5 2.5 3.5" {
		t.Errorf("QueryDevicePropertyData: %s, want 1.5 2.5 3.5", got)
	}
	if r, err := api.DeleteProduct(&iotapi.DeleteProductRequest{ProductKey: pk}); err != nil || tea.BoolValue(r.Body.Success) {
		t.Errorf("DeleteProduct with devices: %v %v, want a refusal", err, r)
	}
	for {
		rest, err := api.QueryDevice(&iotapi.QueryDeviceRequest{ProductKey: pk, PageSize: tea.Int32(50)})
		step("QueryDevice", rest.Body.Success, rest, err)
		if len(rest.Body.Data.DeviceInfo) == 0 {
			break
		}
		for _, d := range rest.Body.Data.DeviceInfo {
			r, err := api.DeleteDevice(&iotapi.DeleteDeviceRequest{ProductKey: pk, DeviceName: d.DeviceName})
			step("DeleteDevice", r.Body.Success, r, err)
		}
	}
	gone, err := api.DeleteProduct(&iotapi.DeleteProductRequest{ProductKey: pk})
	step("DeleteProduct", gone.Body.Success, gone, err)
	if r, err := api.QueryProduct(&iotapi.QueryProductRequest{ProductKey: pk}); err != nil || str(r.Body.Code) != "iot.prod.NotExistedProduct" {
		t.Errorf("QueryProduct of a deleted product: %v %v", err, r)
	}
}

// What is wrong with a call is answered with the code of the specification.
func TestOpenAPIErrors(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	id, secret := s.env["RELINK_ACCESS_KEY_ID"], s.env["RELINK_ACCESS_KEY_SECRET"]
	ask := &iotapi.QueryProductRequest{ProductKey: tea.String("a1NoSuchKey")}
	gateway := func(c *iotapi.Client) string {
		_, err := c.QueryProduct(ask)
		if e, ok := errors.AsType[*tea.SDKError](err); ok {
			return tea.StringValue(e.Code)
		}
		return fmt.Sprint(err)
	}
	for _, c := range []struct {
		name, want string
		got        func() string
	}{
		{"wrong_signature", "SignatureDoesNotMatch", func() string { return gateway(s.apiAs(t, id, secret+"x")) }},
		{"foreign_key", "InvalidAccessKeyId.NotFound", func() string { return gateway(s.apiAs(t, "LTAIforeign", secret)) }},
		{"unknown_action", "InvalidAction.NotFound", func() string {
			_, err := s.api(t).QuerySpeechList(&iotapi.QuerySpeechListRequest{ProjectCode: tea.String("x"), PageId: tea.Int32(1), PageSize: tea.Int32(1), AudioFormat: tea.String("wav")})
			if e, ok := errors.AsType[*tea.SDKError](err); ok {
				return tea.StringValue(e.Code)
			}
			return fmt.Sprint(err)
		}},
		{"missing_parameter", "MissingProductKey", func() string {
			_, err := s.api(t).RegisterDevice(&iotapi.RegisterDeviceRequest{})
			if e, ok := errors.AsType[*tea.SDKError](err); ok {
				return tea.StringValue(e.Code)
			}
			return fmt.Sprint(err)
		}},
		{"no_such_product", "iot.prod.NotExistedProduct", func() string {
			r, err := s.api(t).QueryProduct(ask)
			if err != nil {
				return err.Error()
			}
			return tea.StringValue(r.Body.Code)
		}},
		{"signature_v1", "iot.prod.NotExistedProduct", func() string {
			c, err := iotapi.NewClient(&openapi.Config{AccessKeyId: &id, AccessKeySecret: &secret, Protocol: tea.String("HTTP"), SignatureAlgorithm: tea.String("v2"),
				Endpoint: tea.String(strings.TrimPrefix(s.env["RELINK_OPENAPI_ENDPOINT"], "http://"))})
			if err != nil {
				return err.Error()
			}
			r, err := c.QueryProduct(ask)
			if err != nil {
				return err.Error()
			}
			return tea.StringValue(r.Body.Code)
		}},
		{"no_signature", "MissingAccessKeyId", func() string {
			resp, err := http.PostForm(s.env["RELINK_OPENAPI_ENDPOINT"], url.Values{"Action": {"QueryProduct"}, "Version": {"2018-01-20"}, "Format": {"JSON"}})
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err.Error()
			}
			_, code, _ := strings.Cut(string(body), `"Code":"`)
			code, _, _ = strings.Cut(code, `"`)
			return code
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.got(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A thing model of tens of kilobytes fits through the official SDK, which sends it in the query.
func TestLargeThingModel(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	var b strings.Builder
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"identifier":"p%d","name":"p%d","accessMode":"rw","required":false,"desc":"%s","dataType":{"type":"text","specs":{"length":"2048"}}}`, i, i, strings.Repeat("x", 100))
	}
	tsl := `{"properties":[` + b.String() + `],"events":[],"services":[]}`
	r, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &tsl})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("a model of %d bytes: %v %v", len(tsl), err, r)
	}
	// Enumerations come again in the automatic post, set and get: what is kept must not grow past what can be read.
	var enums, values strings.Builder
	for i := range 90 {
		fmt.Fprintf(&values, `,"%d":"value number %d"`, i, i)
	}
	for i := range 75 {
		fmt.Fprintf(&enums, `,{"identifier":"e%d","name":"e%d","accessMode":"rw","required":false,"dataType":{"type":"enum","specs":{%s}}}`, i, i, values.String()[1:])
	}
	tsl = `{"properties":[` + enums.String()[1:] + `],"events":[],"services":[]}`
	if r, err = api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &tsl}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("enumerations of %d bytes: %v %v", len(tsl), err, r)
	}
	published, err := api.PublishThingModel(&iotapi.PublishThingModelRequest{ProductKey: &pk})
	if err != nil || !tea.BoolValue(published.Body.Success) {
		t.Fatalf("PublishThingModel: %v %v", err, published)
	}
	tooLarge := `{"properties":[` + strings.Repeat(enums.String(), 2)[1:] + `],"events":[],"services":[]}`
	if r, err = api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &tooLarge}); err != nil || tea.BoolValue(r.Body.Success) {
		t.Fatalf("%d bytes: %v %v, want a refusal", len(tooLarge), err, r)
	}
	small := lampModel
	if r, err = api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &small}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("a small model afterwards: %v %v", err, r)
	}
}
