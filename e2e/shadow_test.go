package e2e

import (
	"fmt"
	"strings"
	"testing"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// A device reports, an application desires, the device hears of it and reports again; what happens while it is away it reads afterwards.
func TestShadowBothWays(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	device := newDevice(t, api, pk, "shadowed-001")
	url := "tcp://" + s.env["RELINK_MQTT"]
	l := connect(t, device, lampOptions(device, url, nil))
	up, down := "/shadow/update/"+pk+"/shadowed-001", "/shadow/get/"+pk+"/shadowed-001"
	l.post(t, up, `{"method":"update","state":{"reported":{"color":"red"}},"version":1}`)
	if got := string(l.next(t, down)); !strings.HasPrefix(got, `{"method":"reply","payload":{"status":"success","version":1},"clientToken":"null","timestamp":`) {
		t.Fatalf("reply to the report: %s", got)
	}
	desire := func(message string) {
		t.Helper()
		r, err := api.UpdateDeviceShadow(&iotapi.UpdateDeviceShadowRequest{ProductKey: &pk, DeviceName: tea.String("shadowed-001"), ShadowMessage: &message, DeltaUpdate: tea.Bool(true)})
		if err != nil || !tea.BoolValue(r.Body.Success) {
			t.Fatalf("UpdateDeviceShadow: %v %v", err, r)
		}
	}
	desire(`{"method":"update","state":{"desired":{"color":"green"}},"version":2}`)
	if got := string(l.next(t, down)); !strings.HasPrefix(got, `{"method":"control","payload":{"state":{"desired":{"color":"green"},"reported":{"color":"red"}},`) || !strings.HasSuffix(got, `,"version":2}`) {
		t.Fatalf("control: %s", got)
	}
	l.Disconnect(100)
	desire(`{"method":"update","state":{"desired":{"size":3}},"version":0}`)
	l = connect(t, device, lampOptions(device, url, nil))
	l.post(t, up, `{"method":"get","clientToken":"t-1"}`)
	if got := string(l.next(t, down)); !strings.Contains(got, `"state":{"desired":{"color":"green","size":3},"reported":{"color":"red"}}`) || !strings.HasSuffix(got, `,"version":3,"clientToken":"t-1"}`) {
		t.Fatalf("get: %s", got)
	}
	l.post(t, up, fmt.Sprintf(`{"method":"update","state":{"reported":{"color":"green","size":3},"desired":"null"},"version":%d}`, 4))
	l.next(t, down)
	r, err := api.GetDeviceShadow(&iotapi.GetDeviceShadowRequest{ProductKey: &pk, DeviceName: tea.String("shadowed-001")})
	if got := tea.StringValue(r.Body.ShadowMessage); err != nil || !strings.HasPrefix(got, `{"method":"update","state":{"reported":{"color":"green","size":3}},"metadata":{"desired":{"timestamp":`) {
		t.Fatalf("GetDeviceShadow: %v %s", err, got)
	}
}
