package custom

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/message/messagetest"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/script"
)

type fakeScripts struct{ err error }

func (f fakeScripts) Transform(_ context.Context, _ script.Source, topic string, payload []byte) ([]byte, error) {
	return []byte(`{"topic":"` + topic + `","n":` + string(payload) + `}`), f.err
}

func TestServe(t *testing.T) {
	t.Parallel()
	dev := iot.DeviceRef{ProductKey: "pk1", DeviceName: "d1"}
	rec := func(id, name string) record.Record {
		return record.Record{MessageID: id, Device: dev, IotID: "i", Topic: name, Payload: []byte("7"), QoS: 1, ReceivedAt: 5}
	}
	e := new(messagetest.Engine)
	d := &Desk{Rules: e.Sender(), Scripts: fakeScripts{}, Log: slog.New(slog.DiscardHandler)}
	batch := []record.Record{rec("1", "/pk1/d1/user/x"), rec("2", "/pk1/d1/user/x?_sn=default")}
	r := d.Serve(t.Context(), batch)
	got := e.Take()
	if r[0].Code != 200 || r[1].Code != 200 || len(got) != 2 || got[0].ID != "1" || string(got[0].Payload) != "7" ||
		got[1].Topic != "/pk1/d1/user/x" || string(got[1].Payload) != `{"topic":"/pk1/d1/user/x","n":7}` {
		t.Errorf("%+v, %+v", r, got)
	}
	e.Fail(errors.New("down"))
	if r = d.Serve(t.Context(), batch); !r[0].Retry || !r[1].Retry {
		t.Errorf("%+v", r)
	}
	d.Scripts = fakeScripts{&alink.Error{Code: 460, Cause: refusal.ScriptMissing, Message: "no script", Kind: iot.InvalidParams}}
	if r = d.Serve(t.Context(), batch); r[0].Code != 200 || r[1].Retry || r[1].Reason != string(refusal.ScriptMissing) || len(e.Take()) != 1 {
		t.Errorf("%+v", r)
	}
	d.Scripts = fakeScripts{iot.Errorf(iot.Unavailable, "no slot")}
	if r = d.Serve(t.Context(), batch); r[0].Retry || !r[1].Retry {
		t.Errorf("%+v", r)
	}
	if _, err := d.Invoke(t.Context(), []byte("{}")); !errors.Is(err, record.ErrMalformed) {
		t.Error(err)
	}
}
