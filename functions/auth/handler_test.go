package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/access"
	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/token"
)

func clock() time.Time { return time.UnixMilli(1_700_000_000_000) }

// chacha8 is chance that is the same each time, so that the results of event files are.
func chacha8(t testing.TB) *rand.ChaCha8 {
	t.Helper()
	return rand.NewChaCha8([32]byte{1})
}

// newTestHandler has the devices that the protocol's test vectors name.
func newTestHandler(t testing.TB, logTo *bytes.Buffer) (*handler, *memory.Store) {
	t.Helper()
	s := memory.New()
	if err := s.Products().Create(t.Context(), &store.Product{Key: "a1B2c3D4e5F", DataFormat: 1, Topics: store.DefaultTopics("a1")}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []iot.DeviceName{"lamp-001", "lamp-off"} {
		d := &store.Device{Ref: iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: name}, IotID: iot.IotID("iot-" + name), Disabled: i == 1,
			Secret: "0123456789abcdefghijklmnopqrstuv"}
		if err := s.Devices().Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	chance := chacha8(t)
	sealer, err := token.New(config.Key{1}, chance)
	if err != nil {
		t.Fatal(err)
	}
	service := access.New(s, 0, clock)
	tokens := access.NewTokens(service, access.TokenOptions{Sealer: sealer, Random: chance})
	return &handler{access: service, tokens: tokens, log: slog.New(slog.NewTextHandler(logTo, nil))}, s
}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) {
		h, _ := newTestHandler(t, new(bytes.Buffer))
		return h.Invoke
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	login := record.Record{MessageID: "m1", Topic: device.TopicLogin, Payload: []byte(`{"clientId":"lamp-001&a1B2c3D4e5F|securemode=2|",` +
		`"username":"lamp-001&a1B2c3D4e5F","password":"961b4e3a99677d020867828650508cbe","node":"n1","at":1}`)}
	for name, c := range map[string]struct {
		err    error
		retry  bool
		code   int32
		logged bool
	}{
		"throttled":   {iot.Errorf(iot.Throttled, "busy"), true, 503, false},
		"unavailable": {iot.Errorf(iot.Unavailable, "gone"), true, 503, false},
		"broken":      {errors.New("broken"), false, 500, true},
	} {
		var logged bytes.Buffer
		h, s := newTestHandler(t, &logged)
		s.Fault = func(op string, _ iot.DeviceRef) error {
			if op == "sessions.take" {
				return c.err
			}
			return nil
		}
		answer, err := h.Invoke(t.Context(), record.AppendBatch(nil, &record.Batch{Node: "n1", Records: []record.Record{login}}))
		if err != nil {
			t.Fatal(err)
		}
		results, err := record.DecodeResults(answer)
		if err != nil {
			t.Fatal(err)
		}
		if r := results[0]; r.Retry != c.retry || r.Code != c.code || r.Reason != string(refusal.BackendUnavailable) {
			t.Errorf("%s: %+v", name, r)
		}
		if (logged.Len() > 0) != c.logged || bytes.Contains(logged.Bytes(), []byte("961b4e3a")) {
			t.Errorf("%s: logged %s", name, logged.Bytes())
		}
	}
}

func TestUnreadableBatch(t *testing.T) {
	t.Parallel()
	h, _ := newTestHandler(t, new(bytes.Buffer))
	if _, err := h.Invoke(t.Context(), []byte("{}")); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("%v, want %v", err, record.ErrMalformed)
	}
}

func BenchmarkInvoke(b *testing.B) {
	h, _ := newTestHandler(b, new(bytes.Buffer))
	batch := record.Batch{Node: "n1"}
	for i := range 100 {
		batch.Records = append(batch.Records, record.Record{MessageID: fmt.Sprint(i), Topic: device.TopicLogin, Payload: []byte(`{"clientId":"lamp-001&a1B2c3D4e5F|securemode=2|",` +
			`"username":"lamp-001&a1B2c3D4e5F","password":"961b4e3a99677d020867828650508cbe","node":"n1","at":1}`)})
	}
	event := record.AppendBatch(nil, &batch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch.Records)), "ns/login")
}
