package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/iot"
)

func (s *system) batchStatus(t *testing.T, pk string, id *int64) *sdk.QueryBatchRegisterDeviceStatusResponseBody {
	t.Helper()
	return must[*sdk.QueryBatchRegisterDeviceStatusResponse](t)(s.QueryBatchRegisterDeviceStatus(&sdk.QueryBatchRegisterDeviceStatusRequest{ProductKey: &pk, ApplyId: id})).Body
}

func TestBatchRegisterDevice(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "batches")
	r := must[*sdk.BatchRegisterDeviceResponse](t)(s.BatchRegisterDevice(&sdk.BatchRegisterDeviceRequest{ProductKey: &pk, Count: tea.Int32(120)}))
	id := r.Body.Data.ApplyId
	if n := tea.Int64Value(id); n <= 0 || n >= 1<<53 {
		t.Errorf("ApplyId %d does not fit a JavaScript number", n)
	}
	same(t, s.batchStatus(t, pk, id), `{"Success":true,"Data":{"Status":"CREATE_SUCCESS","InvalidList":{},"ValidList":{},"InvalidDetailList":{}}}`)
	names := make(map[string]bool)
	for page := int32(1); page <= 3; page++ {
		p := must[*sdk.QueryPageByApplyIdResponse](t)(s.QueryPageByApplyId(&sdk.QueryPageByApplyIdRequest{ApplyId: id, CurrentPage: &page, PageSize: tea.Int32(50)})).Body
		if tea.Int32Value(p.Total) != 120 || tea.Int32Value(p.PageCount) != 3 || tea.Int32Value(p.Page) != page {
			t.Errorf("page %d: %v", page, p)
		}
		for _, d := range p.ApplyDeviceList.ApplyDeviceInfo {
			if len(tea.StringValue(d.DeviceSecret)) != 32 || tea.StringValue(d.IotId) == "" || tea.StringValue(d.DeviceId) != tea.StringValue(d.IotId) {
				t.Errorf("device %v", d)
			}
			names[tea.StringValue(d.DeviceName)] = true
		}
	}
	if n, err := s.store.Devices().Count(context.Background(), iot.ProductKey(pk)); len(names) != 120 || n != 120 || err != nil {
		t.Errorf("%d names, %d devices, %v", len(names), n, err)
	}
	for _, count := range []int32{0, -1, 10_001} {
		r = must[*sdk.BatchRegisterDeviceResponse](t)(s.BatchRegisterDevice(&sdk.BatchRegisterDeviceRequest{ProductKey: &pk, Count: &count}))
		if tea.StringValue(r.Body.Code) != "iot.device.DeviceCountExceeded" {
			t.Errorf("%d: %v", count, r.Body)
		}
	}
	if b := s.batchStatus(t, pk, tea.Int64(1)); tea.StringValue(b.Code) != "iot.device.DeviceApplyIsNotFound" {
		t.Error(b)
	}
	if b := s.batchStatus(t, s.emptyProduct(t, "others"), id); tea.StringValue(b.Code) != "iot.device.DeviceApplyIsNotFound" {
		t.Errorf("a batch of another product: %v", b)
	}
}

func TestBatchCheckDeviceNames(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "batches")
	check := func(names ...string) *sdk.BatchCheckDeviceNamesResponseBody {
		t.Helper()
		return must[*sdk.BatchCheckDeviceNamesResponse](t)(s.BatchCheckDeviceNames(&sdk.BatchCheckDeviceNamesRequest{ProductKey: &pk, DeviceName: tea.StringSlice(names)})).Body
	}
	apply := func(id *int64) *sdk.BatchRegisterDeviceWithApplyIdResponseBody {
		t.Helper()
		return must[*sdk.BatchRegisterDeviceWithApplyIdResponse](t)(s.BatchRegisterDeviceWithApplyId(&sdk.BatchRegisterDeviceWithApplyIdRequest{ProductKey: &pk, ApplyId: id})).Body
	}
	same(t, check("fine-1", "x", "twice", "twice", "a/bcd", "twice"), `{"Success":false,"Code":"iot.device.InvalidFormattedDeviceName","ErrorMessage":"some names are malformed or repeated","Data":{
		"InvalidDetailList":{"InvalidDetailList":[{"DeviceName":"x","ErrorMsg":"a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:"},{"DeviceName":"a/bcd","ErrorMsg":"a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:"}]},
		"InvalidDeviceNameList":{"InvalidDeviceName":["x","a/bcd"]},"InvalidDeviceNicknameList":{},"RepeatedDeviceNameList":{"RepeatDevieNameList":["twice"]}}}`)
	if b := check(); tea.StringValue(b.Code) != "iot.device.NoneDeviceNameElement" {
		t.Error(b)
	}

	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("device-%05d", i)
	}
	all := check(names...)
	if !tea.BoolValue(all.Success) {
		t.Fatal(all)
	}
	id := all.Data.ApplyId
	same(t, s.batchStatus(t, pk, id), `{"Success":true,"Data":{"Status":"CHECK_SUCCESS","InvalidList":{},"ValidList":{},"InvalidDetailList":{}}}`)
	same(t, apply(id), fmt.Sprintf(`{"Success":true,"Data":{"ApplyId":%d}}`, tea.Int64Value(id)))
	if b := s.batchStatus(t, pk, id); tea.StringValue(b.Data.Status) != "CREATE_SUCCESS" {
		t.Error(b)
	}
	if b := apply(id); tea.StringValue(b.Code) != "iot.device.IncorrentDeviceApplyInfo" {
		t.Errorf("the second time: %v", b)
	}

	taken := check("fresh-1", names[0])
	same(t, s.batchStatus(t, pk, taken.Data.ApplyId), `{"Success":true,"Data":{"Status":"CHECK_FAILED","InvalidList":{"Name":["device-00000"]},"ValidList":{"Name":["fresh-1"]},
		"InvalidDetailList":{"invalidDetailList":[{"DeviceName":"device-00000","ErrorMsg":"the name is taken"}]}}}`)

	// A name that is taken between check and registration fails alone.
	raced := check("raced-1", "raced-2")
	s.thing(t, pk, "raced-1")
	if b := apply(raced.Data.ApplyId); !tea.BoolValue(b.Success) {
		t.Error(b)
	}
	b := s.batchStatus(t, pk, raced.Data.ApplyId)
	if tea.StringValue(b.Data.Status) != "CREATE_FAILED" || !slices.Equal(tea.StringSliceValue(b.Data.InvalidList.Name), []string{"raced-1"}) ||
		!slices.Equal(tea.StringSliceValue(b.Data.ValidList.Name), []string{"raced-2"}) {
		t.Error(b)
	}
	p := must[*sdk.QueryPageByApplyIdResponse](t)(s.QueryPageByApplyId(&sdk.QueryPageByApplyIdRequest{ApplyId: raced.Data.ApplyId})).Body
	if l := p.ApplyDeviceList.ApplyDeviceInfo; len(l) != 1 || tea.StringValue(l[0].DeviceName) != "raced-2" {
		t.Errorf("the page has what is not this batch's: %v", p)
	}

	nick := must[*sdk.BatchCheckDeviceNamesResponse](t)(s.BatchCheckDeviceNames(&sdk.BatchCheckDeviceNamesRequest{ProductKey: &pk, DeviceNameList: []*sdk.BatchCheckDeviceNamesRequestDeviceNameList{
		{DeviceName: tea.String("listed-1")}, {DeviceName: tea.String("listed-2"), DeviceNickname: tea.String("nick")}}})).Body
	if tea.StringValue(nick.Code) != "iot.device.InvalidDeviceNickNameExisted" || !slices.Equal(tea.StringSliceValue(nick.Data.InvalidDeviceNicknameList.InvalidDeviceNickname), []string{"nick"}) {
		t.Error(nick)
	}
}

// A batch that ran out of time is carried on by the next question for its status, and what was done is not done again.
func TestBatchIsCarriedOn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	ctx := context.Background()
	pk := s.emptyProduct(t, "batches")
	checked := must[*sdk.BatchCheckDeviceNamesResponse](t)(s.BatchCheckDeviceNames(&sdk.BatchCheckDeviceNamesRequest{ProductKey: &pk, DeviceName: tea.StringSlice([]string{"made", "todo", "alien"})})).Body.Data.ApplyId
	app, err := s.store.Applications().Get(ctx, tea.Int64Value(checked))
	if err != nil {
		t.Fatal(err)
	}
	done := *app
	done.Names = []iot.DeviceName{"made"}
	if err := s.store.Applications().Put(ctx, &done); err != nil {
		t.Fatal(err)
	}
	must[*sdk.BatchRegisterDeviceWithApplyIdResponse](t)(s.BatchRegisterDeviceWithApplyId(&sdk.BatchRegisterDeviceWithApplyIdRequest{ProductKey: &pk, ApplyId: checked}))
	before, err := s.store.Devices().Get(ctx, iot.DeviceRef{ProductKey: app.ProductKey, DeviceName: "made"})
	if err != nil {
		t.Fatal(err)
	}
	s.thing(t, pk, "alien")
	app.Status = "CREATE" // as if time had run out after the first
	if err := s.store.Applications().Put(ctx, app); err != nil {
		t.Fatal(err)
	}
	b := s.batchStatus(t, pk, checked)
	if tea.StringValue(b.Data.Status) != "CREATE_FAILED" || !slices.Equal(tea.StringSliceValue(b.Data.InvalidList.Name), []string{"alien"}) {
		t.Error(b)
	}
	made, err := s.store.Devices().Get(ctx, iot.DeviceRef{ProductKey: app.ProductKey, DeviceName: "made"})
	if err != nil || !reflect.DeepEqual(made, before) {
		t.Errorf("made again: %+v, %v", made, err)
	}
	if _, err := s.store.Devices().Get(ctx, iot.DeviceRef{ProductKey: app.ProductKey, DeviceName: "todo"}); err != nil {
		t.Errorf("not carried on: %v", err)
	}
}
