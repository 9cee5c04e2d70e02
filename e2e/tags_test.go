package e2e

import (
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// Tags that a device gives are the application's to read, and the other way round; facts of the SDK are told to operators; the device's
// own log is found with the command line once its upload is on.
func TestTagsAndLogs(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	name := "tagged-001"
	device := newDevice(t, api, pk, name)
	l := connect(t, device, lampOptions(device, "tcp://"+s.env["RELINK_MQTT"], nil))
	ask := func(suffix, payload string) string {
		t.Helper()
		l.post(t, l.sys(suffix), payload)
		r := parseReply(t, l.next(t, l.sys(suffix)+"_reply"))
		if r.Code != 200 {
			t.Fatalf("%s: %+v", suffix, r)
		}
		return string(r.Data)
	}
	ask("thing/deviceinfo/update", `{"id":"1","version":"1.0","params":[{"attrKey":"SYS_LP_SDK_VERSION","attrValue":"3.0.1","domain":"SYSTEM"},{"attrKey":"room","attrValue":"2.14"}]}`)
	saved, err := api.SaveDeviceProp(&iotapi.SaveDevicePropRequest{ProductKey: &pk, DeviceName: &name, Props: tea.String(`{"site":"north"}`)})
	if err != nil || !tea.BoolValue(saved.Body.Success) {
		t.Fatalf("SaveDeviceProp: %v %v", err, saved)
	}
	if got := ask("thing/deviceinfo/get", `{"id":"2","params":[]}`); got != `[{"attrKey":"room","attrValue":"2.14"},{"attrKey":"site","attrValue":"north"}]` {
		t.Errorf("deviceinfo/get: %s", got)
	}
	props, err := api.QueryDeviceProp(&iotapi.QueryDevicePropRequest{ProductKey: &pk, DeviceName: &name})
	if got := tea.StringValue(props.Body.Props); err != nil || got != `{"room":"2.14","site":"north"}` {
		t.Errorf("QueryDeviceProp: %v %s", err, got)
	}
	if out := s.relink(t, "tag", "find", "room=2.14", "site"); !strings.Contains(out, name) {
		t.Errorf("tag find: %s", out)
	}
	s.relink(t, "device", "log", pk, name, "on")
	if got := string(l.next(t, l.sys("thing/config/log/push"))); !strings.Contains(got, `"mode":1`) {
		t.Errorf("config/log/push: %s", got)
	}
	ask("thing/log/post", `{"id":"24","version":"1.0","params":[{"utcTime":"2026-01-01T00:00:00.000+0000","logLevel":"WARN","module":"APP","code":"200","traceContext":"4","logContent":"sensor slow"}]}`)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		out := s.relink(t, "logs", "--uploaded", "--device", pk+"/"+name)
		if strings.Contains(out, `content="sensor slow"`) && strings.Contains(out, "level=WARN") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the uploaded line is not found: %s", out)
		}
	}
	if out := s.relink(t, "device", "show", pk, name); !strings.Contains(out, "SDK version") || !strings.Contains(out, "3.0.1") || !strings.Contains(out, "lan=C,_v=sdk-c-3.0.1") {
		t.Errorf("device show: %s", out)
	}
	s.relink(t, "shadow", "set", pk, name, "color=green")
	if out := s.relink(t, "shadow", "get", pk, name); !strings.Contains(out, `{"color":"green"}`) {
		t.Errorf("shadow get: %s", out)
	}
}
