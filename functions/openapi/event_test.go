package main

import (
	"context"
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/store"
)

func TestQueryDeviceEventData(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "things")
	dev, name := s.thing(t, pk, "thermo-01"), "thermo-01"
	const at = int64(1767225600000)
	events := []store.Event{
		{Ref: dev, MessageID: "1", Time: at, Identifier: "alarm", Type: "alert", Output: []byte(`{"code":17,"text":"over"}`)},
		{Ref: dev, MessageID: "2", Time: at + 1, Identifier: "odd", Type: "unknown", Output: []byte(`{}`)},
		{Ref: dev, MessageID: "3", Time: at + 2, Identifier: "alarm", Type: "alert", Output: []byte(`{"code":18}`)},
	}
	for _, err := range s.store.Events().Put(context.Background(), events) {
		if err != nil {
			t.Fatal(err)
		}
	}
	query := func(change func(*sdk.QueryDeviceEventDataRequest)) *sdk.QueryDeviceEventDataResponseBody {
		t.Helper()
		r := &sdk.QueryDeviceEventDataRequest{ProductKey: &pk, DeviceName: &name, StartTime: tea.Int64(at), EndTime: tea.Int64(at + 1000)}
		change(r)
		return must[*sdk.QueryDeviceEventDataResponse](t)(s.QueryDeviceEventData(r)).Body
	}
	same(t, query(func(r *sdk.QueryDeviceEventDataRequest) { r.EventType = tea.String("alert"); r.Asc = tea.Int32(1) }), `{"Success":true,"Data":{"NextValid":false,"List":{"EventInfo":[
		{"EventType":"alert","Identifier":"alarm","Name":"Alarm","OutputData":"{\"code\":17,\"text\":\"over\"}","Time":"1767225600000"},
		{"EventType":"alert","Identifier":"alarm","Name":"Alarm","OutputData":"{\"code\":18}","Time":"1767225600002"}]}}}`)
	same(t, query(func(r *sdk.QueryDeviceEventDataRequest) { r.Identifier = tea.String("odd") }), `{"Success":true,"Data":{"NextValid":false,"List":{"EventInfo":[
		{"EventType":"unknown","Identifier":"odd","Name":"odd","OutputData":"{}","Time":"1767225600001"}]}}}`)
	var ids []string
	end := at + 1000
	for range 5 {
		b := query(func(r *sdk.QueryDeviceEventDataRequest) { r.PageSize, r.EndTime = tea.Int32(1), &end })
		for _, e := range b.Data.List.EventInfo {
			ids = append(ids, tea.StringValue(e.Time)[10:])
		}
		if !tea.BoolValue(b.Data.NextValid) {
			break
		}
		end = tea.Int64Value(b.Data.NextTime)
	}
	if got := strings.Join(ids, " "); got != "002 001 000" {
		t.Errorf("pages: %s", got)
	}
	for code, change := range map[string]func(*sdk.QueryDeviceEventDataRequest){
		"iot.device.InvalidTimeBucket": func(r *sdk.QueryDeviceEventDataRequest) { r.EndTime = tea.Int64(at - 1) },
		"iot.common.InvalidPageParams": func(r *sdk.QueryDeviceEventDataRequest) { r.PageSize = tea.Int32(51) },
		"iot.device.NotExistedDevice":  func(r *sdk.QueryDeviceEventDataRequest) { r.DeviceName = tea.String("absent") },
	} {
		if b := query(change); tea.StringValue(b.Code) != code {
			t.Errorf("%v, want %s", b, code)
		}
	}
}
