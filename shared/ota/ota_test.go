package ota_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/ota"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var dev = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

const (
	notice  = `{"size":21,"sign":"9fcc4f0554a6569bdb399819c1f2cc74","version":"1.0.1","url":"https://dl.relink.example/o/x7k2m9","signMethod":"Md5","md5":"9fcc4f0554a6569bdb399819c1f2cc74"}`
	content = "relink-firmware-1.0.1"
)

// tasks have one update, of the default module.
type tasks struct{ informed, progressed []string }

func (f *tasks) Informed(_ context.Context, _ iot.DeviceRef, module, version string) ([]record.Reply, error) {
	f.informed = append(f.informed, module+" "+version)
	return nil, nil
}

func (f *tasks) Progressed(_ context.Context, _ iot.DeviceRef, module string, step int, desc string) error {
	f.progressed = append(f.progressed, module+" "+desc)
	return nil
}

func (f *tasks) Pending(_ context.Context, _ iot.DeviceRef, module string, _ bool) ([]byte, error) {
	if module != ota.DefaultModule {
		return nil, nil
	}
	return []byte(notice), nil
}

func (f *tasks) Block(_ context.Context, _ iot.DeviceRef, stream, file, offset int64, size int) ([]byte, int64, bool, error) {
	if stream != 12332 || file != 1 || offset > int64(len(content)) {
		return nil, 0, false, nil
	}
	return []byte(content[offset:min(int(offset)+size, len(content))]), int64(len(content)), true, nil
}

func serve(t *testing.T, s *ota.Service, topic, payload string) (record.Result, string) {
	t.Helper()
	desk := &exchange.Desk{Families: s.Families(), Log: slog.New(slog.DiscardHandler)}
	r := desk.Serve(t.Context(), "n1", []record.Record{{MessageID: "1", Device: dev, Topic: topic, Payload: []byte(payload)}})[0]
	if len(r.Replies) == 0 {
		return r, ""
	}
	return r, r.Replies[0].Topic + " " + string(r.Replies[0].Payload)
}

const (
	inform   = "/ota/device/inform/a1GoldenPk1/thermo-01"
	progress = "/ota/device/progress/a1GoldenPk1/thermo-01"
	request  = "/ota/device/request/a1GoldenPk1/thermo-01"
	get      = "/sys/a1GoldenPk1/thermo-01/thing/ota/firmware/get"
	download = "/sys/a1GoldenPk1/thermo-01/thing/file/download"
	block    = `{"id":"31","version":"1.0","params":{"fileToken":"default","fileInfo":{"streamId":12332,"fileId":1,},"fileBlock":{"size":16,"offset":0}}}`
)

// Without rollouts: reports are stored, and there is nothing for anybody.
func TestNothing(t *testing.T) {
	t.Parallel()
	m := memory.New()
	hooked := 0
	s := ota.New(m.DeviceVersions(), nil, func() time.Time { return time.UnixMilli(7) }, func(context.Context, iot.DeviceRef) ([]record.Reply, error) {
		hooked++
		return []record.Reply{{Topic: "/waiting"}}, nil
	})
	for _, payload := range []string{`{"id":0,"params":{"version":"1.0.0"}}`, `{"id":2, "params":{"version":"2.0","module":"MCU"}}`} { // G-50
		if r, reply := serve(t, s, inform, payload); r.Code != 200 || reply != "/waiting " {
			t.Errorf("%s: %+v", payload, r)
		}
	}
	for _, payload := range []string{`{"id":0,"params":{}}`, `{"params":{"version":""}}`} {
		if r, reply := serve(t, s, inform, payload); r.Code != 460 || reply != "" {
			t.Errorf("%s: %+v", payload, r)
		}
	}
	list, err := m.DeviceVersions().List(t.Context(), dev)
	if err != nil || len(list) != 2 || list[1] != (store.DeviceVersion{Module: "default", Version: "1.0.0", At: 7}) || hooked != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, payload := range []string{`{"id":0,"params":{"step":"50","desc":""}}`, `{"params":{"step":-3,"desc":"md5 mismatch","module":"MCU"}}`} { // G-54
		if r, reply := serve(t, s, progress, payload); r.Code != 200 || reply != "" {
			t.Errorf("%s: %+v", payload, r)
		}
	}
	if r, _ := serve(t, s, progress, `{"params":{"step":"x"}}`); r.Code != 460 {
		t.Errorf("%+v", r)
	}
	if _, reply := serve(t, s, get, `{"id":3, "params":{}}`); reply != get+`_reply {"code":200,"data":{},"id":"3","message":"success","method":"thing.ota.firmware.get","version":"1.0"}` { // G-57
		t.Errorf("get: %s", reply)
	}
	if r, reply := serve(t, s, request, `{"id":0,"params":{"version":"1.0.0"}}`); r.Code != 200 || reply != "" {
		t.Errorf("request: %s", reply)
	}
	head := `{"id":"31","code":400,"msg":"no such file","data":{"fileToken":"default","fileLength":0,"bSize":0,"bOffset":0}}`
	if r, reply := serve(t, s, download, block); r.Reason != string(refusal.FileStreamUnknown) || reply != download+"_reply \x00"+string(rune(len(head)))+head+"\x00\x00" {
		t.Errorf("download: %q", reply)
	}
	if _, reply := serve(t, s, download, "x"); reply == "" {
		t.Error("a broken request has no answer")
	}
}

// G-56, G-59 and G-60, and what rollouts hear.
func TestTasks(t *testing.T) {
	t.Parallel()
	f := new(tasks)
	s := ota.New(memory.New().DeviceVersions(), f, func() time.Time { return time.UnixMilli(1_767_225_600_000) })
	serve(t, s, inform, `{"id":0,"params":{"version":"1.0.0"}}`)
	serve(t, s, progress, `{"id":0,"params":{"step":"50","desc":"half"}}`)
	if len(f.informed) != 1 || f.informed[0] != "default 1.0.0" || len(f.progressed) != 1 || f.progressed[0] != "default half" {
		t.Errorf("%+v", f)
	}
	if _, reply := serve(t, s, get, `{"id":3, "params":{}}`); reply != get+`_reply {"code":200,"data":`+notice+`,"id":"3","message":"success","method":"thing.ota.firmware.get","version":"1.0"}` {
		t.Errorf("get: %s", reply)
	}
	if _, reply := serve(t, s, request, `{"id":0,"params":{"version":"1.0.0"}}`); reply != request+` {"code":"1000","data":`+notice+`,"id":1767225600000,"message":"success"}` {
		t.Errorf("request: %s", reply)
	}
	for payload, want := range map[string]string{
		block: "006c7b226964223a223331222c22636f6465223a3230302c226d7367223a2273756363657373222c2264617461223a7b2266696c65546f6b656e223a2264656661756c74222c2266696c654c656e677468223a32312c226253697a65223a31362c22624f6666736574223a307d7d72656c696e6b2d6669726d776172652d6cb2",
		`{"id":"32","version":"1.0","params":{"fileToken":"default","fileInfo":{"streamId":12332,"fileId":1,},"fileBlock":{"size":16,"offset":16}}}`: "006c7b226964223a223332222c22636f6465223a3230302c226d7367223a2273756363657373222c2264617461223a7b2266696c65546f6b656e223a2264656661756c74222c2266696c654c656e677468223a32312c226253697a65223a352c22624f6666736574223a31367d7d312e302e31a897",
	} {
		frame, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if _, reply := serve(t, s, download, payload); reply != download+"_reply "+string(frame) {
			t.Errorf("%s\n got %q\nwant %q", payload, reply, frame)
		}
	}
}
