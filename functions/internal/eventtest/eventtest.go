// Package eventtest runs handlers of record batches over event files. The wire between connector and function is binary, so the
// files are JSON that people can read:
//
//	{"node": "n1", "records": [{"messageId": …, "topic": …, "payload": {…}}, …], "results": [{"code": 200, …}, …]}
//
// A payload that is a string stands for its characters, any other JSON for its own text. Tests run with -update rewrite the
// results.
package eventtest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"relink/shared/iot"
	"relink/shared/record"
)

var update = flag.Bool("update", false, "rewrite the results in event files")

type file struct {
	Note    string   `json:"note,omitempty"`
	Node    string   `json:"node"`
	Records []rec    `json:"records"`
	Results []result `json:"results"`
}

type rec struct {
	MessageID  string          `json:"messageId"`
	ProductKey iot.ProductKey  `json:"productKey,omitempty"`
	DeviceName iot.DeviceName  `json:"deviceName,omitempty"`
	IotID      iot.IotID       `json:"iotId,omitempty"`
	Topic      string          `json:"topic"`
	Payload    json.RawMessage `json:"payload"`
	QoS        byte            `json:"qos,omitempty"`
	ReceivedAt int64           `json:"receivedAt"`
}

type result struct {
	Code    int32           `json:"code"`
	Reason  string          `json:"reason,omitempty"`
	Replies []reply         `json:"replies,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Retry   bool            `json:"retry,omitempty"`
}

type reply struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
	QoS     byte   `json:"qos,omitempty"`
}

// Run invokes a handler with every event file in testdata and compares the results. invoke gets a fresh handler for each.
func Run(t *testing.T, handler func(t *testing.T) func(ctx context.Context, event []byte) ([]byte, error)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no event files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			run(t, path, handler(t))
		})
	}
}

func run(t *testing.T, path string, invoke func(ctx context.Context, event []byte) ([]byte, error)) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	answer, err := invoke(t.Context(), f.event(t))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := record.DecodeResults(answer)
	if err != nil {
		t.Fatal(err)
	}
	want := f.Results
	f.Results = make([]result, len(decoded))
	for i := range decoded {
		f.Results[i] = show(&decoded[i])
	}
	if *update {
		if err := os.WriteFile(path, indent(t, f), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, want := indent(t, f.Results), indent(t, want); !bytes.Equal(got, want) {
		t.Errorf("results:\n got %s\nwant %s", got, want)
	}
}

func (f *file) event(t *testing.T) []byte {
	t.Helper()
	batch := record.Batch{Node: f.Node}
	for _, r := range f.Records {
		payload := []byte(r.Payload)
		var s string
		if json.Unmarshal(r.Payload, &s) == nil {
			payload = []byte(s)
		}
		batch.Records = append(batch.Records, record.Record{
			MessageID: r.MessageID, Device: iot.DeviceRef{ProductKey: r.ProductKey, DeviceName: r.DeviceName}, IotID: r.IotID,
			Topic: r.Topic, Payload: payload, QoS: r.QoS, ReceivedAt: r.ReceivedAt,
		})
	}
	return record.AppendBatch(nil, &batch)
}

func show(r *record.Result) result {
	shown := result{Code: r.Code, Reason: r.Reason, Retry: r.Retry, Data: r.Data}
	for _, p := range r.Replies {
		shown.Replies = append(shown.Replies, reply{p.Topic, string(p.Payload), p.QoS})
	}
	return shown
}

func indent(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
