package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/record"
	"relink/shared/script/sandbox"
	"relink/shared/store"
	"relink/shared/store/memory"
)

const thing = `{"properties":[
 {"identifier":"temperature","name":"t","accessMode":"rw","required":false,"dataType":{"type":"float","specs":{"min":"-40","max":"80","step":"0.1"}}},
 {"identifier":"LightSwitch","name":"s","accessMode":"rw","required":false,"dataType":{"type":"bool","specs":{"0":"off","1":"on"}}}]}`

func newTestHandler(t testing.TB) *handler {
	t.Helper()
	s := memory.New()
	p := &store.Product{Key: "a1B2c3D4e5F", ValidateType: 1, Models: []store.Model{{Version: "1", TSL: []byte(thing)}}}
	if err := s.Products().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return assemble(s, new(sandbox.Pool), slog.New(slog.DiscardHandler), func() time.Time { return time.UnixMilli(1_700_000_000_000) })
}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) { return newTestHandler(t).Invoke })
}

func TestUnreadableBatch(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t)
	for _, event := range []string{`{"records":[]}`, "\x08\x02", "\x08\x01\x1a\xff"} {
		if _, err := h.Invoke(t.Context(), []byte(event)); !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%q: %v, want %v", event, err, record.ErrMalformed)
		}
	}
}

func BenchmarkInvoke(b *testing.B) {
	h := newTestHandler(b)
	batch := record.Batch{Node: "n1"}
	for range 200 {
		r := record.Record{
			MessageID: "1234567890123456789", IotID: "0123456789abcdefghij000101", Topic: "/sys/a1B2c3D4e5F/lamp-001/thing/event/property/post",
			Payload: []byte(`{"id":"123","version":"1.0","params":{"temperature":25.5,"LightSwitch":1},"method":"thing.event.property.post"}`),
			QoS:     1, ReceivedAt: 1_700_000_000_000,
		}
		r.Device.ProductKey, r.Device.DeviceName = "a1B2c3D4e5F", "lamp-001"
		batch.Records = append(batch.Records, r)
	}
	event := record.AppendBatch(nil, &batch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch.Records)), "ns/record")
}
