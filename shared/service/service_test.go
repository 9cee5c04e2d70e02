package service_test

import (
	"errors"
	"testing"
	"time"

	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/service"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topic"
)

var lamp = iot.DeviceRef{ProductKey: "pk1", DeviceName: "lamp"}

const begin = 1_700_000_000_000

func newService(t *testing.T, calls ...store.Call) (*service.Service, *memory.Store) {
	t.Helper()
	s := memory.New()
	v := service.New(s.Calls(), func() time.Time { return time.UnixMilli(begin) })
	for i := range calls {
		calls[i].Ref = lamp
	}
	if err := v.Call(t.Context(), calls...); err != nil {
		t.Fatal(err)
	}
	return v, s
}

func TestReplies(t *testing.T) {
	t.Parallel()
	calls := []store.Call{
		{MessageID: "11", Time: begin - 3000, Identifier: "reboot", Input: []byte(`{}`)},
		{MessageID: "12", Time: begin - 2000, Identifier: "reboot", Input: []byte(`{}`)},
		{MessageID: "13", Time: begin - 1000, Identifier: "set", Input: []byte(`{"a":1}`)},
	}
	for _, c := range []struct {
		name, suffix, payload string
		answered              string // message id
		code                  int
		reason                string
	}{
		{"by_id", "service/reboot_reply", `{"id":"12","code":200,"data":{}}`, "12", 200, ""},
		{"own_id", "service/reboot_reply", `{"id":"7","code":"100001"}`, "11", 100001, ""},
		{"of_another_service", "service/other_reply", `{"id":"12","code":200}`, "", 0, "reply_unexpected"},
		{"set", "service/property/set_reply", `{"id":"13","code":200,"data":{}}`, "13", 200, ""},
		{"set_lenient", "service/property/set_reply", `{'id':13,"code":200,}`, "13", 200, ""},
		{"get_of_nothing", "service/property/get_reply", `{"id":"13","code":200}`, "", 0, "reply_unexpected"},
		{"not_json", "service/property/set_reply", `ok`, "", 0, "payload_not_json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, s := newService(t, append([]store.Call(nil), calls...)...)
			d := exchange.Desk{Families: v.Families()}
			rec := record.Record{Device: lamp, Topic: "/sys/pk1/lamp/thing/" + c.suffix, Payload: []byte(c.payload), ReceivedAt: begin}
			for range 2 { // a record that comes again changes nothing
				r := d.Serve(t.Context(), "n1", []record.Record{rec})[0]
				if r.Reason != c.reason && !(c.name == "own_id") || len(r.Replies) != 0 {
					t.Errorf("%+v", r)
				}
				if c.name == "own_id" {
					break
				}
			}
			list, _, err := s.Calls().List(t.Context(), lamp, store.CallQuery{To: begin, Limit: 10})
			if err != nil || len(list) != 3 {
				t.Fatalf("%v %v", list, err)
			}
			for _, call := range list {
				if answered := call.AnsweredAt != 0; answered != (call.MessageID == c.answered) || answered && call.Code != c.code {
					t.Errorf("call %s: %+v", call.MessageID, call)
				}
			}
		})
	}
}

// An answer with an id of the device's own that is taken twice stays with the request that it was taken for.
func TestOwnIDAgain(t *testing.T) {
	t.Parallel()
	const topic, payload = "/sys/pk1/lamp/thing/service/reboot_reply", `{"id":"7","code":200,"data":{}}`
	for name, again := range map[string]record.Record{
		"attempt":    {Attempt: 1, PacketID: 4, ReceivedAt: begin},
		"redelivery": {Dup: true, PacketID: 4, ReceivedAt: begin + 500},
		"other":      {PacketID: 4, ReceivedAt: begin}, // no repetition: the device answers the next request in the same millisecond
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, s := newService(t, store.Call{MessageID: "11", Time: begin - 3000, Identifier: "reboot", Input: []byte(`{}`)},
				store.Call{MessageID: "12", Time: begin - 2000, Identifier: "reboot", Input: []byte(`{}`)})
			d := exchange.Desk{Families: v.Families(), Again: redelivery.New(s.Receipts())}
			for _, rec := range []record.Record{{PacketID: 4, ReceivedAt: begin}, again} {
				rec.MessageID, rec.Device, rec.Topic, rec.Payload, rec.QoS, rec.Since = "m", lamp, topic, []byte(payload), 1, 1
				if r := d.Serve(t.Context(), "n1", []record.Record{rec})[0]; r.Code != 200 || r.Reason != "" {
					t.Errorf("%+v", r)
				}
			}
			list, _, err := s.Calls().List(t.Context(), lamp, store.CallQuery{To: begin, Limit: 10, Ascending: true})
			if err != nil || len(list) != 2 || list[0].AnsweredAt != begin || (list[1].AnsweredAt != 0) != (name == "other") {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

func TestFamiliesAreServed(t *testing.T) {
	t.Parallel()
	v, _ := newService(t)
	for f := range v.Families() {
		if f.Function() != "command" || f.Status() != topic.Done {
			t.Errorf("%s: function %q, %s", f, f.Function(), f.Status())
		}
	}
}

func TestSynchronousAnswer(t *testing.T) {
	t.Parallel()
	v, s := newService(t, store.Call{MessageID: "1", Identifier: "add", Input: []byte(`{}`)})
	call := store.Call{Ref: lamp, MessageID: "1", Time: begin, Identifier: "add"}
	if err := v.Answer(t.Context(), call, []byte("no json")); err != nil {
		t.Fatal(err)
	}
	list, _, err := s.Calls().List(t.Context(), lamp, store.CallQuery{To: begin, Limit: 10})
	if err != nil || len(list) != 1 || string(list[0].Output) != `"no json"` || list[0].Code != 6207 {
		t.Errorf("%+v %v", list, err)
	}
	call.MessageID = "2"
	if err := v.Answer(t.Context(), call, nil); !iot.Is(err, iot.Conflict) {
		t.Errorf("answer to nothing: %v", err)
	}
	s.Fault = func(string, iot.DeviceRef) error { return errors.New("broken") }
	if v.Call(t.Context(), call) == nil {
		t.Error("a call that could not be stored counts as stored")
	}
}
