package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"relink/functions/internal/eventtest"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/offline"
	"relink/shared/record"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func newTestHandler(t testing.TB) (*handler, *memory.Store) {
	t.Helper()
	s := memory.New()
	if err := s.Devices().Create(t.Context(), &store.Device{Ref: lamp, IotID: "iot-lamp", CreatedAt: 1, UpdatedAt: 1}); err != nil {
		t.Fatal(err)
	}
	_, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp, Node: "n1", At: 1000}, {Ref: lamp, Node: "n1", At: 1001}})
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	return &handler{devices: s.Devices(), sessions: s.Sessions(), nodes: s.Nodes(), links: s.Topology(), queue: offline.New(s.OfflineMessages(), offline.DefaultBounds(), nil), log: slog.New(slog.DiscardHandler)}, s
}

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) {
		h, s := newTestHandler(t)
		for i, m := range []store.QueuedMessage{{Topic: "/t", Payload: []byte("zero")}, {Topic: "/t", Payload: []byte("one")}, {Topic: "/u", Payload: []byte("two"), ExpiresAt: 6_000_000_000_000}, {Topic: "/u", Payload: []byte("expired"), ExpiresAt: 1}} {
			m.Ref, m.QueueKey = lamp, store.QueueKey{At: int64(5_000_000_000_000 + i), MessageID: fmt.Sprint("m", i)}
			if err := s.OfflineMessages().Put(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
		}
		return h.Invoke
	})
}

func invoke(t *testing.T, h *handler, records ...record.Record) []record.Result {
	t.Helper()
	answer, err := h.Invoke(t.Context(), record.AppendBatch(nil, &record.Batch{Node: "n1", Records: records}))
	if err != nil {
		t.Fatal(err)
	}
	results, err := record.DecodeResults(answer)
	if err != nil || len(results) != len(records) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	return results
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	h, s := newTestHandler(t)
	session := func() store.Session {
		t.Helper()
		x, err := s.Sessions().Get(t.Context(), lamp)
		if err != nil {
			t.Fatal(err)
		}
		return *x
	}
	old := record.Record{MessageID: "1", Device: lamp, Topic: device.TopicOffline, Payload: []byte(`{"epoch":1000,"node":"n1","reason":"taken_over","at":1002}`)}
	if r := invoke(t, h, old)[0]; r.Code != 200 || session().Node != "n1" {
		t.Errorf("the end of an older session: %+v, %+v", r, session())
	}
	end := record.Record{MessageID: "2", Device: lamp, Topic: device.TopicOffline, Payload: []byte(`{"epoch":1001,"node":"n1","reason":"closed","at":1003}`)}
	for range 2 {
		if r := invoke(t, h, old, end, old)[1]; r.Code != 200 || session().Node != "" || session().OfflineAt != 1003 {
			t.Errorf("the end of the session: %+v, %+v", r, session())
		}
	}
}

func TestLeases(t *testing.T) {
	t.Parallel()
	h, s := newTestHandler(t)
	lease := func(payload string) record.Record {
		return record.Record{MessageID: "1", Topic: device.TopicLease, Payload: []byte(payload)}
	}
	invoke(t, h, lease(`{"node":"n1","url":"http://a","until":5,"sessions":1}`), lease(`{"node":"n2","url":"http://b","until":6}`), lease(`{"node":"n1","url":"http://a","until":7,"sessions":2,"lanes":{"event":{"in":3,"stored":2}}}`))
	for id, want := range map[string]store.Node{"n1": {ID: "n1", URL: "http://a", Until: 7, Sessions: 2, Lanes: map[string]device.LaneCounts{"event": {In: 3, Stored: 2}}}, "n2": {ID: "n2", URL: "http://b", Until: 6}} {
		if n, err := s.Nodes().Get(t.Context(), id); err != nil || n == nil || !reflect.DeepEqual(*n, want) {
			t.Errorf("%s: %+v, %v; want %+v", id, n, err, want)
		}
	}
}

func TestBusyStore(t *testing.T) {
	t.Parallel()
	h, s := newTestHandler(t)
	end := record.Record{Device: lamp, Topic: device.TopicOffline, Payload: []byte(`{"epoch":1001}`)}
	lease := record.Record{Topic: device.TopicLease, Payload: []byte(`{"node":"n1"}`)}
	for _, c := range []struct {
		err   error
		code  int32
		retry bool
	}{{iot.Errorf(iot.Throttled, "busy"), 503, true}, {iot.Errorf(iot.Unavailable, "gone"), 503, true}, {errors.New("broken"), 500, false}} {
		s.Fault = func(string, iot.DeviceRef) error { return c.err }
		for _, r := range invoke(t, h, end, lease) {
			if r.Code != c.code || r.Retry != c.retry {
				t.Errorf("%v: %+v", c.err, r)
			}
		}
	}
}

// A device that was disabled or deleted while it logged in is turned away once its session is told.
func TestOnlineLooksAgain(t *testing.T) {
	t.Parallel()
	h, s := newTestHandler(t)
	online := record.Record{MessageID: "1", Device: lamp, Topic: device.TopicOnline, Payload: []byte(`{"epoch":1001,"node":"n1","at":1002}`)}
	check := func(code int32, reason string) {
		t.Helper()
		if r := invoke(t, h, online)[0]; r.Code != code || r.Reason != reason || r.Retry {
			t.Errorf("%+v, want code %d and reason %q", r, code, reason)
		}
	}
	check(200, "")
	if err := s.Devices().SetDisabled(t.Context(), lamp, true, 1003); err != nil {
		t.Fatal(err)
	}
	check(403, "disabled")
	if err := s.Devices().Delete(t.Context(), lamp); err != nil {
		t.Fatal(err)
	}
	check(404, "deleted")
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "devices.get_many" {
			return iot.Errorf(iot.Unavailable, "down")
		}
		return nil
	}
	if r := invoke(t, h, online)[0]; !r.Retry {
		t.Errorf("%+v, want it to be sent again", r)
	}
}
