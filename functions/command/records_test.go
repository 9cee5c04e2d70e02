package main

import (
	"log/slog"
	"os"
	"testing"

	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/script"
	"relink/shared/script/sandbox"
	"relink/shared/service"
	"relink/shared/store"
	"relink/shared/store/memory"
)

// TestRawAnswer: a raw answer to a property set is read by the product's script and noted.
func TestRawAnswer(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../shared/script/testdata/golden.js")
	if err != nil {
		t.Fatal(err)
	}
	s, pool := memory.New(), &sandbox.Pool{Size: 1}
	t.Cleanup(pool.Close)
	if err := s.Scripts().Put(t.Context(), &store.Script{ProductKey: "a1RawProduct", Type: script.JavaScript, Source: string(source)}); err != nil {
		t.Fatal(err)
	}
	history := service.New(s.Calls(), nil)
	device := iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"}
	if err := history.Call(t.Context(), store.Call{Ref: device, MessageID: "4097", Time: 1000, Identifier: service.Set, Input: []byte(`{"power":1}`)}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h := &handler{answers: &exchange.Desk{Families: script.New(s, pool, log, nil).Families(history.Replied), Log: log}}
	batch := record.Batch{Node: "n"}
	for _, frame := range []string{"\x03\x00\x00\x10\x01\x00\xc8", ""} {
		batch.Records = append(batch.Records, record.Record{
			MessageID: "1", Device: device, ReceivedAt: 2000, Topic: "/sys/a1RawProduct/raw-01/thing/model/down_raw_reply", Payload: []byte(frame),
		})
	}
	out, err := h.Invoke(t.Context(), record.AppendBatch(nil, &batch))
	if err != nil {
		t.Fatal(err)
	}
	results, err := record.DecodeResults(out)
	if err != nil || len(results) != 2 {
		t.Fatalf("%+v, %v", results, err)
	}
	if r := results[0]; r.Code != 200 || r.Detail != "the device's own code 200, to request 4097" || len(r.Replies) != 0 {
		t.Errorf("%+v", r)
	}
	calls, _, err := s.Calls().List(t.Context(), device, store.CallQuery{To: 5000, Limit: 9})
	if err != nil || len(calls) != 1 || calls[0].Code != 200 || calls[0].AnsweredAt != 2000 {
		t.Errorf("calls %+v, %v", calls, err)
	}
}
