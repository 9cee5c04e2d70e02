package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

func TestProducts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := must[*sdk.CreateProductResponse](t)(s.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(1), ProductName: tea.String("网关_gateway"),
		AliyunCommodityCode: tea.String("iothub_senior"), DataFormat: tea.Int32(1), Description: tea.String("a & b <c>"), NetType: tea.String("CELLULAR")}))
	pk, secret := tea.StringValue(r.Body.ProductKey), tea.StringValue(r.Body.Data.ProductSecret)
	if !strings.HasPrefix(pk, "a1") || len(pk) != 11 || len(secret) != 16 {
		t.Errorf("key %q, secret %q", pk, secret)
	}
	same(t, r.Body, `{"Success":true,"ProductKey":"`+pk+`","Data":{"AliyunCommodityCode":"iothub_senior","AuthType":"secret","DataFormat":1,
		"Description":"a & b <c>","Id2":false,"NodeType":1,"ProductKey":"`+pk+`","ProductName":"网关_gateway","ProductSecret":"`+secret+`"}}`)
	if got := s.sink.last(); got["product_key"] != pk || got["action"] != "CreateProduct" || got["access_key_id"] != testKeyID || got["code"] != "OK" || got["remote_addr"] != "127.0.0.1" {
		t.Errorf("audit line %v", got)
	}
	if strings.Contains(s.console.String(), secret) {
		t.Error("the secret is on the console")
	}

	s.thing(t, pk, "dev-1")
	q := must[*sdk.QueryProductResponse](t)(s.QueryProduct(&sdk.QueryProductRequest{ProductKey: &pk}))
	created := tea.Int64Value(q.Body.Data.GmtCreate)
	if age := time.Now().UnixMilli() - created; age < 0 || age > 60_000 {
		t.Errorf("GmtCreate %d", created)
	}
	q.Body.Data.GmtCreate = nil
	same(t, q.Body, `{"Success":true,"Data":{"AliyunCommodityCode":"iothub_senior","AuthType":"secret","DataFormat":1,"Description":"a & b <c>","DeviceCount":1,
		"Id2":false,"NetType":6,"NodeType":1,"Owner":true,"ProductKey":"`+pk+`","ProductName":"网关_gateway","ProductSecret":"`+secret+`","ProductStatus":"DEVELOPMENT_STATUS","ValidateType":1}}`)

	basic := must[*sdk.CreateProductResponse](t)(s.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: tea.String("basic")}))
	basicKey := tea.StringValue(basic.Body.ProductKey)
	l := must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(1), AliyunCommodityCode: tea.String("iothub")}))
	info := l.Body.Data.List.ProductInfo
	if len(info) != 1 || tea.StringValue(info[0].ProductKey) != basicKey || tea.Int32Value(l.Body.Data.Total) != 1 || tea.Int32Value(l.Body.Data.PageCount) != 1 {
		t.Errorf("filtered list %v", l.Body)
	}
	l = must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(2), PageSize: tea.Int32(1)}))
	if info = l.Body.Data.List.ProductInfo; len(info) != 1 || tea.Int32Value(l.Body.Data.Total) != 2 || tea.Int32Value(l.Body.Data.PageCount) != 2 {
		t.Errorf("second page %v", l.Body)
	}
	l = must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(9), PageSize: tea.Int32(200)}))
	same(t, l.Body, `{"Success":true,"Data":{"CurrentPage":9,"List":{},"PageCount":1,"PageSize":200,"Total":2}}`) // the SDK leaves the empty list out

	u := must[*sdk.UpdateProductResponse](t)(s.UpdateProduct(&sdk.UpdateProductRequest{ProductKey: &pk, ProductName: tea.String("renamed")}))
	same(t, u.Body, `{"Success":true}`)
	q = must[*sdk.QueryProductResponse](t)(s.QueryProduct(&sdk.QueryProductRequest{ProductKey: &pk}))
	if tea.StringValue(q.Body.Data.ProductName) != "renamed" || tea.StringValue(q.Body.Data.Description) != "a & b <c>" {
		t.Errorf("renamed: %v", q.Body)
	}

	d := must[*sdk.DeleteProductResponse](t)(s.DeleteProduct(&sdk.DeleteProductRequest{ProductKey: &pk}))
	same(t, d.Body, `{"Success":false,"Code":"iot.prod.QueryDeviceCountActionError","ErrorMessage":"the product still has 1 devices; delete them first"}`)
	d = must[*sdk.DeleteProductResponse](t)(s.DeleteProduct(&sdk.DeleteProductRequest{ProductKey: &basicKey}))
	same(t, d.Body, `{"Success":true}`)
}

func TestProductRefusals(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "taken")
	request := func(change func(r *sdk.CreateProductRequest)) *sdk.CreateProductRequest {
		r := &sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: tea.String("fine")}
		change(r)
		return r
	}
	for name, test := range map[string]struct {
		r    *sdk.CreateProductRequest
		code string
	}{
		"taken":         {request(func(r *sdk.CreateProductRequest) { r.ProductName = tea.String("taken") }), "iot.prod.AlreadyExistedProductName"},
		"short_name":    {request(func(r *sdk.CreateProductRequest) { r.ProductName = tea.String("abc") }), "iot.prod.InvalidFormattedProductName"},
		"long_name":     {request(func(r *sdk.CreateProductRequest) { r.ProductName = tea.String(strings.Repeat("网", 16)) }), "iot.prod.InvalidFormattedProductName"},
		"empty_name":    {request(func(r *sdk.CreateProductRequest) { r.ProductName = tea.String("") }), "iot.prod.NullProductName"},
		"node_type":     {request(func(r *sdk.CreateProductRequest) { r.NodeType = tea.Int32(2) }), "iot.prod.InvalidNodeType"},
		"commodity":     {request(func(r *sdk.CreateProductRequest) { r.AliyunCommodityCode = tea.String("x") }), "iot.prod.InvalidAliyunCommodityCode"},
		"description":   {request(func(r *sdk.CreateProductRequest) { r.Description = tea.String(strings.Repeat("x", 101)) }), "iot.prod.LongProductDesc"},
		"id2":           {request(func(r *sdk.CreateProductRequest) { r.AuthType = tea.String("id2") }), "iot.prod.NotOpenID2Service"},
		"lora":          {request(func(r *sdk.CreateProductRequest) { r.NetType = tea.String("LORA") }), "iot.common.InvalidFormattedParameter"},
		"validate_type": {request(func(r *sdk.CreateProductRequest) { r.ValidateType = tea.Int32(0) }), "iot.common.InvalidFormattedParameter"},
		"protocol":      {request(func(r *sdk.CreateProductRequest) { r.ProtocolType = tea.String("x") }), "iot.common.InvalidFormattedParameter"},
		"data_format":   {request(func(r *sdk.CreateProductRequest) { r.DataFormat = tea.Int32(3) }), "iot.common.InvalidFormattedParameter"},
	} {
		r := must[*sdk.CreateProductResponse](t)(s.CreateProduct(test.r))
		if tea.BoolValue(r.Body.Success) || tea.StringValue(r.Body.Code) != test.code {
			t.Errorf("%s: %v, want %s", name, r.Body, test.code)
		}
	}
	other := s.emptyProduct(t, "other")
	u := must[*sdk.UpdateProductResponse](t)(s.UpdateProduct(&sdk.UpdateProductRequest{ProductKey: &other, ProductName: tea.String("taken")}))
	if tea.StringValue(u.Body.Code) != "iot.prod.AlreadyExistedProductName" {
		t.Error(u.Body)
	}
	for key, code := range map[string]string{"": "iot.prod.NullProductKey", "a/b": "iot.prod.InvalidFormattedProductkey", "a1Unknown00": "iot.prod.NotExistedProduct"} {
		r := must[*sdk.QueryProductResponse](t)(s.QueryProduct(&sdk.QueryProductRequest{ProductKey: &key}))
		if tea.StringValue(r.Body.Code) != code {
			t.Errorf("%q: %v, want %s", key, r.Body, code)
		}
	}
	l := must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(0), PageSize: tea.Int32(201)}))
	if tea.StringValue(l.Body.Code) != "iot.common.InvalidPageParams" {
		t.Error(l.Body)
	}
	_ = pk
}

func TestThingModel(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "modelled")
	v := must[*sdk.ListThingModelVersionResponse](t)(s.ListThingModelVersion(&sdk.ListThingModelVersionRequest{ProductKey: &pk}))
	if n := len(v.Body.Data.ModelVersions); n != 1 { // PublishAuto
		t.Errorf("a new product has %d versions", n)
	}
	c := must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, ThingModelJson: tea.String(thingModelJSON(pk))}))
	same(t, c.Body, `{"Success":true}`)
	c = must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, ThingModelJson: tea.String(thingModelJSON(pk))}))
	if tea.StringValue(c.Body.Code) != "iot.prod.ThingModelNameDuplicated" {
		t.Error(c.Body)
	}
	c = must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, ThingModelJson: tea.String("{")}))
	if tea.StringValue(c.Body.Code) != "iot.prod.BatchCreateThingModelFailed" {
		t.Error(c.Body)
	}

	properties := func(document *string) int {
		var d struct{ Properties []json.RawMessage }
		if err := json.Unmarshal([]byte(tea.StringValue(document)), &d); err != nil {
			t.Fatal(err)
		}
		return len(d.Properties)
	}
	q := must[*sdk.QueryThingModelResponse](t)(s.QueryThingModel(&sdk.QueryThingModelRequest{ProductKey: &pk}))
	if n := properties(q.Body.Data.ThingModelJson); n != 3 || tea.StringValue(q.Body.ProductKey) != pk {
		t.Errorf("draft: %v", q.Body)
	}
	qp := must[*sdk.QueryThingModelPublishedResponse](t)(s.QueryThingModelPublished(&sdk.QueryThingModelPublishedRequest{ProductKey: &pk}))
	if n := properties(qp.Body.Data.ThingModelJson); n != 0 {
		t.Errorf("published before it was: %v", qp.Body)
	}
	p := must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk, ModelVersion: tea.String("1.0"), Description: tea.String("first")}))
	same(t, p.Body, `{"Success":true}`)
	qp = must[*sdk.QueryThingModelPublishedResponse](t)(s.QueryThingModelPublished(&sdk.QueryThingModelPublishedRequest{ProductKey: &pk, ModelVersion: tea.String("1.0")}))
	if !strings.Contains(tea.StringValue(qp.Body.Data.ThingModelJson), `"_ppk":{"description":"first","version":"1.0"}`) {
		t.Errorf("published: %v", qp.Body)
	}
	g := must[*sdk.GetThingModelTslPublishedResponse](t)(s.GetThingModelTslPublished(&sdk.GetThingModelTslPublishedRequest{ProductKey: &pk}))
	document := tea.StringValue(g.Body.Data.TslStr)
	if !strings.Contains(document, `"thing.event.property.post"`) || !strings.Contains(document, `"version":"1.0"`) {
		t.Errorf("TSL %s", document)
	}
	gs := must[*sdk.GetThingModelTslResponse](t)(s.GetThingModelTsl(&sdk.GetThingModelTslRequest{ProductKey: &pk, Simple: tea.Bool(true)}))
	if simple := tea.StringValue(gs.Body.Data.TslStr); properties(&simple) != 3 || strings.Contains(simple, "accessMode") {
		t.Errorf("simple TSL %s", simple)
	}

	u := must[*sdk.UpdateThingModelResponse](t)(s.UpdateThingModel(&sdk.UpdateThingModelRequest{ProductKey: &pk, Identifier: tea.String("label"), ThingModelJson: tea.String(
		`{"properties":[{"productKey":"` + pk + `","identifier":"title","name":"Title","dataType":"TEXT","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecs":{"dataType":"TEXT","length":16,"custom":true}}]}`)}))
	same(t, u.Body, `{"Success":true}`)
	u = must[*sdk.UpdateThingModelResponse](t)(s.UpdateThingModel(&sdk.UpdateThingModelRequest{ProductKey: &pk, Identifier: tea.String("absent"), ThingModelJson: tea.String(
		`{"properties":[{"productKey":"` + pk + `","identifier":"x","name":"X","dataType":"DATE","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecs":{"dataType":"DATE","custom":true}}]}`)}))
	if tea.StringValue(u.Body.Code) != "iot.prod.QueryProductAbilityFailed" {
		t.Error(u.Body)
	}
	d := must[*sdk.DeleteThingModelResponse](t)(s.DeleteThingModel(&sdk.DeleteThingModelRequest{ProductKey: &pk, PropertyIdentifier: []*string{tea.String("absent")}}))
	if tea.StringValue(d.Body.Code) != "iot.prod.QueryProductAbilitiesFailed" {
		t.Error(d.Body)
	}
	d = must[*sdk.DeleteThingModelResponse](t)(s.DeleteThingModel(&sdk.DeleteThingModelRequest{ProductKey: &pk, PropertyIdentifier: []*string{tea.String("title"), tea.String("temp")}}))
	same(t, d.Body, `{"Success":true}`)
	q = must[*sdk.QueryThingModelResponse](t)(s.QueryThingModel(&sdk.QueryThingModelRequest{ProductKey: &pk}))
	if properties(q.Body.Data.ThingModelJson) != 1 {
		t.Errorf("after deletion: %v", q.Body)
	}
	i := must[*sdk.ImportThingModelTslResponse](t)(s.ImportThingModelTsl(&sdk.ImportThingModelTslRequest{ProductKey: &pk, TslStr: &document}))
	same(t, i.Body, `{"Success":true}`)
	q = must[*sdk.QueryThingModelResponse](t)(s.QueryThingModel(&sdk.QueryThingModelRequest{ProductKey: &pk}))
	if properties(q.Body.Data.ThingModelJson) != 3 {
		t.Errorf("after import: %v", q.Body)
	}
	d = must[*sdk.DeleteThingModelResponse](t)(s.DeleteThingModel(&sdk.DeleteThingModelRequest{ProductKey: &pk}))
	same(t, d.Body, `{"Success":true}`)
	q = must[*sdk.QueryThingModelResponse](t)(s.QueryThingModel(&sdk.QueryThingModelRequest{ProductKey: &pk}))
	if properties(q.Body.Data.ThingModelJson) != 0 {
		t.Errorf("after deletion of all: %v", q.Body)
	}

	for range 11 {
		p = must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk}))
		same(t, p.Body, `{"Success":true}`)
	}
	p = must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk, ModelVersion: tea.String("no spaces")}))
	if tea.StringValue(p.Body.Code) != "iot.common.InvalidFormattedParameter" {
		t.Error(p.Body)
	}
	v = must[*sdk.ListThingModelVersionResponse](t)(s.ListThingModelVersion(&sdk.ListThingModelVersionRequest{ProductKey: &pk}))
	if n := len(v.Body.Data.ModelVersions); n != 10 || tea.Int64Value(v.Body.Data.ModelVersions[0].GmtCreate) < tea.Int64Value(v.Body.Data.ModelVersions[9].GmtCreate) {
		t.Errorf("%d versions: %v", n, v.Body)
	}
	basic := must[*sdk.CreateProductResponse](t)(s.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: tea.String("basic")})).Body.ProductKey
	gs = must[*sdk.GetThingModelTslResponse](t)(s.GetThingModelTsl(&sdk.GetThingModelTslRequest{ProductKey: basic}))
	if tea.StringValue(gs.Body.Code) != "iot.prod.NotSeniorProduct" {
		t.Error(gs.Body)
	}
}
