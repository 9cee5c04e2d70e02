package main

import (
	"strings"
	"testing"

	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/config"
	"relink/shared/downlink"

	client "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
)

// testInternalKey signs the URLs of downloads.
var testInternalKey = config.Key{9}

// call calls an action that the vendor's SDK has no method for, and gives the members of the answer.
func (s *system) call(t *testing.T, action string, query map[string]string) map[string]any {
	t.Helper()
	q := make(map[string]*string)
	for k, v := range query {
		q[k] = &v
	}
	r, err := s.CallApi(&client.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &client.OpenApiRequest{Query: q}, &util.RuntimeOptions{})
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	body, _ := r["body"].(map[string]any)
	return body
}

func TestRemoteConfig(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "configured")
	if r := s.call(t, "RelinkPushRemoteConfig", map[string]string{"ProductKey": pk}); r["Success"] != false || !strings.Contains(r["ErrorMessage"].(string), "publish one") {
		t.Errorf("push of nothing: %v", r)
	}
	if r := s.call(t, "RelinkGetRemoteConfig", map[string]string{"ProductKey": pk}); r["Success"] != true || r["Data"] != nil || r["Enabled"] != true {
		t.Errorf("get of nothing: %v", r)
	}
	if r := s.call(t, "RelinkPublishRemoteConfig", map[string]string{"ProductKey": pk, "Content": "nonsense"}); r["Success"] != false || r["Code"] != "iot.common.InvalidFormattedParameter" {
		t.Errorf("nonsense: %v", r)
	}
	r := s.call(t, "RelinkPublishRemoteConfig", map[string]string{"ProductKey": pk, "Content": `{"interval":30}`, "Draft": "true"})
	if r["Success"] != true {
		t.Fatal(r)
	}
	if r = s.call(t, "RelinkPublishRemoteConfig", map[string]string{"ProductKey": pk, "Description": "first"}); r["Success"] != true {
		t.Fatal(r)
	}
	id := r["Data"].(map[string]any)["ConfigId"].(string)
	r = s.call(t, "RelinkGetRemoteConfig", map[string]string{"ProductKey": pk})
	if d := r["Data"].(map[string]any); d["Content"] != `{"interval":30}` || d["ConfigId"] != id || d["InForce"] != true || d["Description"] != "first" {
		t.Errorf("get: %v", r)
	}
	if r := s.call(t, "RelinkGetRemoteConfig", map[string]string{"ProductKey": pk, "ConfigId": "none"}); r["Success"] != false {
		t.Errorf("get of a version that is not there: %v", r)
	}
	if r := s.call(t, "RelinkPublishRemoteConfig", map[string]string{"ProductKey": pk, "Content": `{"interval":60}`}); r["Success"] != true {
		t.Fatal(r)
	}
	r = s.call(t, "RelinkListRemoteConfigVersions", map[string]string{"ProductKey": pk})
	if l := r["Data"].(map[string]any)["Version"].([]any); len(l) != 2 || l[1].(map[string]any)["ConfigId"] != id {
		t.Errorf("versions: %v", r)
	}
	for _, name := range []string{"lamp-1", "lamp-2"} {
		s.thing(t, pk, name)
	}
	dev := s.thing(t, pk, "lamp-3")
	s.connect(t, dev)
	s.commands.answer(downlink.Outcome{State: downlink.Sent}, nil)
	r = s.call(t, "RelinkPushRemoteConfig", map[string]string{"ProductKey": pk})
	if d, ok := r["Data"].(map[string]any); !ok || d["NextToken"] != nil || len(d) != 4 {
		t.Errorf("push: %v", r)
	}
	sent := s.commands.take()
	if len(sent) != 1 || sent[0].Publish.DeviceName != "lamp-3" || sent[0].Publish.Topic != "/sys/"+pk+"/lamp-3/thing/config/push" || !strings.Contains(string(sent[0].Publish.Payload), `"url":"http://dl.example/d/`) {
		t.Errorf("sent %v", sent)
	}
	if r := s.call(t, "RelinkSwitchRemoteConfig", map[string]string{"ProductKey": pk, "Enabled": "false"}); r["Success"] != true {
		t.Errorf("switch: %v", r)
	}
	if r := s.call(t, "RelinkPushRemoteConfig", map[string]string{"ProductKey": pk}); r["Success"] != false || !strings.Contains(r["ErrorMessage"].(string), "switched off") {
		t.Errorf("push while off: %v", r)
	}
	if r := s.call(t, "RelinkPushRemoteConfig", map[string]string{"ProductKey": "a1NoProduct"}); r["Success"] != false || r["Code"] != "iot.prod.NotExistedProduct" {
		t.Errorf("no product: %v", r)
	}
}
