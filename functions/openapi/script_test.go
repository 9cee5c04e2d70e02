package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	utils "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

const upDown = `
function rawDataToProtocol(bytes) {
  return {id: '7', code: '200', data: {n: bytes.length}};
}
function protocolToRawData(json) {
  if (json.params && json.params.silent) return [];
  var out = [json.method.length];
  for (var k in json.params) out.push(k.length);
  return out;
}`

// rawProduct makes a product of the data format custom with the model of testdata.
func (s *system) rawProduct(t *testing.T, name string) string {
	t.Helper()
	pk := s.product(t, name)
	p, err := s.store.Products().Get(t.Context(), iot.ProductKey(pk))
	if err != nil {
		t.Fatal(err)
	}
	p.DataFormat = dataFormatRaw
	if err := s.store.Products().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return pk
}

// own calls an action that the SDK has no method for.
func (s *system) own(t *testing.T, action string, query map[string]string) map[string]any {
	t.Helper()
	q := map[string]*string{}
	for k, v := range query {
		q[k] = tea.String(v)
	}
	result, err := s.CallApi(&utils.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &utils.OpenApiRequest{Query: q}, &dara.RuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(result["body"])
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	delete(body, "RequestId")
	return body
}

func TestThingScript(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.rawProduct(t, "raw_one")
	alink := s.product(t, "json_one")
	create := func(pk, typ, content string) string {
		t.Helper()
		r := must[*sdk.CreateThingScriptResponse](t)(s.CreateThingScript(&sdk.CreateThingScriptRequest{ProductKey: &pk, ScriptType: &typ, ScriptContent: &content}))
		return tea.StringValue(r.Body.Code)
	}
	get := must[*sdk.GetThingScriptResponse](t)(s.GetThingScript(&sdk.GetThingScriptRequest{ProductKey: &pk}))
	if tea.StringValue(get.Body.Code) != codeScriptMissing {
		t.Errorf("%+v", get.Body)
	}
	for _, c := range []struct{ pk, typ, content, code string }{
		{pk, "Lua", "x", codeScriptType},
		{pk, "JavaScript", "function (", codeScriptFormat},
		{pk, "JavaScript", "for (;;);", codeScriptFormat},
		{pk, "JavaScript", strings.Repeat("x", 128<<10+1), "iot.common.InvalidFormattedParameter"},
		{alink, "JavaScript", upDown, codeScriptFormat},
		{alink, "JavaScript", "function transformPayload(topic, bytes) { return {} }", ""},
		{"a1nosuchone", "JavaScript", upDown, "iot.prod.NotExistedProduct"},
		{pk, "JavaScript", "function rawDataToProtocol() {}", codeScriptFormat},
		{pk, "JavaScript", "function protocolToRawData() {}", codeScriptFormat},
		{pk, "JavaScript", "function transformPayload() {}", codeScriptFormat},
		{pk, "JavaScript", upDown, ""},
		{pk, "JavaScript", upDown, codeScriptExisted},
	} {
		if code := create(c.pk, c.typ, c.content); code != c.code {
			t.Errorf("%s %.40s: %s, want %s", c.typ, c.content, code, c.code)
		}
	}
	u := must[*sdk.UpdateThingScriptResponse](t)(s.UpdateThingScript(&sdk.UpdateThingScriptRequest{ProductKey: &pk, ScriptType: tea.String("JavaScript"), ScriptContent: tea.String(upDown)}))
	same(t, u.Body, `{"Success":true}`)

	get = must[*sdk.GetThingScriptResponse](t)(s.GetThingScript(&sdk.GetThingScriptRequest{ProductKey: &pk}))
	if tea.StringValue(get.Body.Data.ScriptType) != "JavaScript" {
		t.Fatalf("%+v", get.Body)
	}
	link := tea.StringValue(get.Body.Data.ScriptUrl)
	for url, want := range map[string]int{link: 200, strings.Replace(link, pk, alink, 1): 403, link + "0": 403, s.url + scriptPath: 403} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want || want == 200 && string(text) != upDown {
			t.Errorf("%s: %d %q, %v; want %d", url, resp.StatusCode, text, err, want)
		}
	}
}

// TestScriptFunctionMissing: a raw product's script without one of both functions does not go live, whichever way it comes.
func TestScriptFunctionMissing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.rawProduct(t, "raw_half")
	const half = "function rawDataToProtocol(bytes) { return {} }"
	query := map[string]string{"ProductKey": pk, "ScriptType": "JavaScript", "ScriptContent": half}
	refused := func(action string) {
		t.Helper()
		r := s.own(t, action, query)
		if text, _ := r["ErrorMessage"].(string); r["Code"] != codeScriptFormat || !strings.Contains(text, "lacks protocolToRawData") || !strings.Contains(text, "26006") {
			t.Errorf("%s: %v", action, r)
		}
		if r := s.own(t, "GetThingScript", query); r["Code"] != codeScriptMissing {
			t.Errorf("after %s: %v", action, r)
		}
	}
	refused("CreateThingScript")
	refused("UpdateThingScript")
	if r := s.own(t, "RelinkSaveThingScriptDraft", query); r["Success"] != true {
		t.Fatalf("a draft may be unfinished: %v", r)
	}
	refused("RelinkSubmitThingScriptDraft")
}

func TestRunThingScript(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.rawProduct(t, "raw_two")
	source, err := os.ReadFile("../../shared/script/testdata/golden.js")
	if err != nil {
		t.Fatal(err)
	}
	golden := string(source)
	run := func(query map[string]string) map[string]any {
		t.Helper()
		query["ProductKey"] = pk
		body := s.own(t, "RelinkRunThingScript", query)
		data, _ := body["Data"].(map[string]any)
		if data == nil {
			return body
		}
		return data
	}
	if r := run(map[string]string{"Input": "0x00"}); r["Code"] != codeScriptMissing {
		t.Errorf("%v", r)
	}
	if r := s.own(t, "RelinkSubmitThingScriptDraft", map[string]string{"ProductKey": pk}); r["Code"] != codeScriptMissing {
		t.Errorf("%v", r)
	}
	if r := s.own(t, "RelinkSaveThingScriptDraft", map[string]string{"ProductKey": pk, "ScriptType": "JavaScript", "ScriptContent": golden}); r["Success"] != true {
		t.Fatalf("%v", r)
	}
	if r := run(map[string]string{"Input": "0x00"}); r["Code"] != codeScriptMissing { // a draft has no effect
		t.Errorf("%v", r)
	}
	if r := run(map[string]string{"Draft": "true", "Input": "0x00 00000065 0983 01"}); r["Function"] != "rawDataToProtocol" || r["Code"] != 200.0 || r["Steps"] == 0.0 ||
		r["Output"] != `{"method":"thing.event.property.post","id":"101","version":"1.0","params":{"temp":24.35,"power":1}}` {
		t.Errorf("%v", r)
	}
	if r := s.own(t, "RelinkSubmitThingScriptDraft", map[string]string{"ProductKey": pk}); r["Success"] != true {
		t.Fatalf("%v", r)
	}
	if r := run(map[string]string{"Input": `{"method":"thing.service.property.set","id":"4097","params":{"power":1},"version":"1.0.0"}`}); r["Output"] != "0x010000100101" {
		t.Errorf("%v", r)
	}
	if r := run(map[string]string{"Input": "0x00", "ScriptContent": "function rawDataToProtocol(b) {\n  return b.x.y;\n}\nfunction protocolToRawData() {}"}); r["Code"] != 26002.0 || r["Line"] != 2.0 || r["Failure"] != "exception" {
		t.Errorf("%v", r)
	}
	if r := run(map[string]string{"Input": "hello", "Topic": "/a/b/user/update", "ScriptContent": "function transformPayload(topic, bytes) { return {t: topic, b: bytes[0]} }"}); r["Output"] != `{"t":"/a/b/user/update","b":104}` {
		t.Errorf("%v", r)
	}
	for _, input := range []string{"0xzz", "nonsense"} {
		if r := run(map[string]string{"Input": input}); r["Code"] != "iot.common.InvalidFormattedParameter" {
			t.Errorf("%s: %v", input, r)
		}
	}
	if r := s.own(t, "RelinkQueryScriptFailures", map[string]string{"ProductKey": pk}); r["Success"] != true || strings.Contains(toJSON(t, r), "Exception") {
		t.Errorf("dry runs were kept: %v", r)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRawDownlink: what goes to a device of a raw product goes through its script, both ways.
func TestRawDownlink(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.rawProduct(t, "raw_three")
	dev := s.thing(t, pk, "raw-01")
	s.connect(t, dev)
	set := func(items string) *sdk.SetDevicePropertyResponseBody {
		t.Helper()
		return must[*sdk.SetDevicePropertyResponse](t)(s.SetDeviceProperty(&sdk.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: tea.String("raw-01"), Items: &items})).Body
	}
	if r := set(`{"power":1}`); tea.StringValue(r.Code) != "iot.device.SetDevicePropertyFailed" || !strings.Contains(tea.StringValue(r.ErrorMessage), "no submitted parsing script") {
		t.Errorf("%v", r)
	}
	if err := s.store.Scripts().Put(t.Context(), &store.Script{ProductKey: dev.ProductKey, Type: "JavaScript", Source: upDown}); err != nil {
		t.Fatal(err)
	}
	s.offset.Add(int64(5e9)) // what is cached ends
	s.commands.take()
	if r := set(`{"power":1}`); !tea.BoolValue(r.Success) {
		t.Fatalf("%v", r)
	}
	p := s.commands.take()[0].Publish
	if want := "/sys/" + pk + "/raw-01/thing/model/down_raw"; p.Topic != want || hex.EncodeToString(p.Payload) != "1a05" {
		t.Errorf("%s %x, want %s 1a05", p.Topic, p.Payload, want)
	}
	// What the application sends by itself is its own.
	pub := must[*sdk.PubResponse](t)(s.Pub(&sdk.PubRequest{ProductKey: &pk, TopicFullName: tea.String("/" + pk + "/raw-01/user/get"), MessageContent: tea.String("aGVsbG8=")}))
	if got := s.commands.take(); !tea.BoolValue(pub.Body.Success) || string(got[0].Publish.Payload) != "hello" {
		t.Errorf("%v %v", pub.Body, got)
	}
	s.commands.answer(downlink.Outcome{State: downlink.Sent, Reply: []byte{1, 2, 3}}, nil)
	service := must[*sdk.InvokeThingServiceResponse](t)(s.InvokeThingService(&sdk.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: tea.String("raw-01"),
		Identifier: tea.String("add"), Args: tea.String(`{}`)}))
	if got := tea.StringValue(service.Body.Data.Result); got != `{"id":"7","code":"200","data":{"n":3}}` {
		t.Errorf("result %s, %v", got, service.Body)
	}
	p = s.commands.take()[0].Publish
	if !strings.HasSuffix(p.ExtTopic, "/sys/"+pk+"/raw-01/thing/model/down_raw") || !strings.HasPrefix(p.ExtTopic, "/ext/rrpc/") || !strings.Contains(p.Topic, "/rrpc/request/") || len(p.Payload) > 4 {
		t.Errorf("%+v", p)
	}
}
