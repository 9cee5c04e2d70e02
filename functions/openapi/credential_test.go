package main

import (
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/iot"
	"relink/shared/store"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "rotation")
	d := must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &pk, DeviceName: tea.String("rotating")})).Body.Data
	dev := map[string]string{"ProductKey": pk, "DeviceName": "rotating"}
	with := func(more ...string) map[string]string {
		m := map[string]string{}
		for k, v := range dev {
			m[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	status := func() map[string]any {
		r := s.own(t, "RelinkQueryRotations", dev)
		return r["Data"].(map[string]any)["Rotation"].([]any)[0].(map[string]any)
	}
	if r := status(); r["Rotating"] != false || r["LastUsed"] != "none" {
		t.Errorf("before: %v", r)
	}
	if r := s.own(t, "RelinkRotateDeviceSecret", with("KeepOldFor", "5")); r["Success"] != false {
		t.Errorf("five seconds: %v", r)
	}
	started := s.own(t, "RelinkRotateDeviceSecret", with("KeepOldFor", "3600"))
	secret := started["Data"].(map[string]any)["DeviceSecret"]
	if started["Success"] != true || secret == *d.DeviceSecret {
		t.Fatalf("start: %v", started)
	}
	if r := s.own(t, "RelinkRotateDeviceSecret", dev); r["Success"] != false {
		t.Errorf("a second rotation: %v", r)
	}
	ref := iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: "rotating"}
	row, err := s.store.Devices().Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	secrets, serials := row.Secrets(time.Now().UnixMilli())
	if len(secrets) != 2 || secrets[0].Reveal() != secret || secrets[1].Reveal() != *d.DeviceSecret || serials[0] != 2 || serials[1] != 1 {
		t.Errorf("live secrets %v, serials %v", len(secrets), serials)
	}
	if secrets, _ := row.Secrets(time.Now().Add(2 * time.Hour).UnixMilli()); len(secrets) != 1 {
		t.Error("the old secret does not end")
	}
	login := func(serial int64) {
		if _, _, errs := s.store.Sessions().Take(t.Context(), []store.Take{{Ref: ref, Node: "n1", At: time.Now().UnixMilli(), SecretSerial: serial}}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	login(1)
	if r := status(); r["Rotating"] != true || r["LastUsed"] != "old" {
		t.Errorf("under way: %v", r)
	}
	if r := s.own(t, "RelinkFinishRotation", dev); r["Success"] != false {
		t.Errorf("finished too early: %v", r)
	}
	login(2)
	if r := s.own(t, "RelinkFinishRotation", dev); r["Success"] != true {
		t.Errorf("finish: %v", r)
	}
	if r := status(); r["Rotating"] != false || r["LastUsed"] != "new" {
		t.Errorf("after: %v", r)
	}
	if r := s.own(t, "RelinkQueryRotations", map[string]string{"ProductKey": pk}); r["Total"] != 1.0 {
		t.Errorf("list: %v", r)
	}
}

func TestRegistrationSwitchAndReset(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "registration")
	if r := s.own(t, "RelinkDynamicRegistration", map[string]string{"ProductKey": pk}); r["Data"].(map[string]any)["Enabled"] != true {
		t.Errorf("new product: %v", r)
	}
	if r := s.own(t, "RelinkDynamicRegistration", map[string]string{"ProductKey": pk, "Enabled": "false"}); r["Data"].(map[string]any)["Enabled"] != false {
		t.Errorf("switched off: %v", r)
	}
	if p, err := s.store.Products().Get(t.Context(), iot.ProductKey(pk)); err != nil || p.DynamicRegister {
		t.Errorf("stored %v, %v", p, err)
	}
	must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &pk, DeviceName: tea.String("reset-me")}))
	if r := must[*sdk.ResetThingResponse](t)(s.ResetThing(&sdk.ResetThingRequest{ProductKey: &pk, DeviceName: tea.String("reset-me")})); !*r.Body.Success {
		t.Errorf("ResetThing: %v", r)
	}
	d, err := s.store.Devices().Get(t.Context(), iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: "reset-me"})
	if err != nil || d.Credentials.ResetAt == 0 {
		t.Errorf("after the reset: %+v, %v", d, err)
	}
	if r, err := s.ResetThing(&sdk.ResetThingRequest{ProductKey: &pk, DeviceName: tea.String("nobody")}); err != nil || *r.Body.Success {
		t.Errorf("ResetThing of nobody: %v, %v", r, err)
	}
}
