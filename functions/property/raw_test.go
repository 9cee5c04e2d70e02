package main

import (
	"context"
	"encoding/hex"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/script"
	"relink/shared/script/sandbox"
	"relink/shared/store"
	"relink/shared/store/memory"
)

const rawThing = `{"properties":[
 {"identifier":"temp","name":"t","accessMode":"rw","required":false,"dataType":{"type":"float","specs":{"min":"-40","max":"80","step":"0.01"}}},
 {"identifier":"power","name":"s","accessMode":"rw","required":false,"dataType":{"type":"bool","specs":{"0":"off","1":"on"}}}],
 "events":[{"identifier":"alarm","name":"a","type":"alert","required":false,"method":"thing.event.alarm.post","outputData":[]}]}`

// rawHandler has a raw product with a script.
func rawHandler(t *testing.T, typ, source string) (*memory.Store, *handler) {
	t.Helper()
	s := memory.New()
	p := &store.Product{Key: "a1RawProduct", Senior: true, ValidateType: 1, Models: []store.Model{{Version: "1", TSL: []byte(rawThing)}}}
	if err := s.Products().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if source != "" {
		if err := s.Scripts().Put(t.Context(), &store.Script{ProductKey: p.Key, Type: typ, Source: source}); err != nil {
			t.Fatal(err)
		}
	}
	pool := &sandbox.Pool{Size: 1}
	t.Cleanup(pool.Close)
	return s, assemble(s, pool, slog.New(slog.DiscardHandler), func() time.Time { return time.UnixMilli(1_700_000_000_000) })
}

func golden(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../shared/script/testdata/golden.js")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

func raw(name, id, frame string) record.Record {
	payload, err := hex.DecodeString(frame)
	if err != nil {
		panic(err)
	}
	return record.Record{
		MessageID: id, Device: iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: iot.DeviceName(name)}, QoS: 1, ReceivedAt: 1_700_000_000_000,
		Topic: "/sys/a1RawProduct/" + name + "/thing/model/up_raw", Payload: payload,
	}
}

func invoke(t *testing.T, h *handler, records ...record.Record) []record.Result {
	t.Helper()
	out, err := h.Invoke(t.Context(), record.AppendBatch(nil, &record.Batch{Node: "n", Records: records}))
	if err != nil {
		t.Fatal(err)
	}
	results, err := record.DecodeResults(out)
	if err != nil || len(results) != len(records) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	return results
}

// TestRaw is G-43, among posts of other devices in JSON.
func TestRaw(t *testing.T) {
	t.Parallel()
	s, h := rawHandler(t, script.JavaScript, golden(t))
	plain := record.Record{
		MessageID: "2", Device: iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-02"}, ReceivedAt: 1_700_000_000_000,
		Topic: "/sys/a1RawProduct/raw-02/thing/event/property/post", Payload: []byte(`{"id":"7","params":{"temp":1.5}}`),
	}
	results := invoke(t, h, raw("raw-01", "1", "0000000065098301"), plain, raw("raw-01", "3", "00000000660984"+"02"), raw("raw-01", "4", "030000100100c8"))
	for i, want := range []string{"/sys/a1RawProduct/raw-01/thing/model/up_raw_reply 020000006500c8", "/sys/a1RawProduct/raw-02/thing/event/property/post_reply",
		"/sys/a1RawProduct/raw-01/thing/model/up_raw_reply 020000006600c8", ""} {
		r := results[i]
		got := ""
		for _, reply := range r.Replies {
			got = reply.Topic
			if strings.Contains(reply.Topic, "raw_reply") {
				got += " " + hex.EncodeToString(reply.Payload)
			}
		}
		if got != want {
			t.Errorf("record %d: %+v, replies %q, want %q", i, r, got, want)
		}
	}
	if r := results[2]; r.Code != 6332 { // bool 2
		t.Errorf("record 2: %+v", r)
	}
	if r := results[3]; r.Code != 200 || r.Detail != "the device's own code 200, to request 4097" {
		t.Errorf("record 3: %+v", r)
	}
	values, err := s.Properties().Latest(t.Context(), iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"})
	stored := map[string]string{}
	for _, v := range values {
		stored[v.Identifier] = string(v.JSON)
	}
	if err != nil || stored["temp"] != "24.36" || stored["power"] != "1" {
		t.Errorf("stored %v, %v", stored, err)
	}
}

// TestRawRefusals has every way in which raw data is turned away. The device hears none of them.
func TestRawRefusals(t *testing.T) {
	t.Parallel()
	body := func(s string) string {
		return "function rawDataToProtocol(bytes) {" + s + "}\nfunction protocolToRawData(json) { return [1]; }"
	}
	for name, c := range map[string]struct {
		typ, source string
		code        int32
		cause       refusal.Cause
		kept        int
	}{
		"no_script":        {"", "", 26001, refusal.ScriptMissing, 0},
		"python":           {script.Python, "def raw_data_to_protocol(bytes): return {}", 26002, refusal.ScriptLanguage, 0},
		"exception":        {script.JavaScript, body("\nthrow new Error('short frame')"), 26002, refusal.ScriptFailed, 1},
		"endless":          {script.JavaScript, body("for (;;);"), 26002, refusal.ScriptLimit, 1},
		"function_missing": {script.JavaScript, "function rawDataToProtocol() {}", 26006, refusal.ScriptFunctionMissing, 1},
		"wrong_type":       {script.JavaScript, body("return 'x'"), 26007, refusal.ScriptResultType, 1},
		"nothing":          {script.JavaScript, body(""), 6201, refusal.ScriptReturnedNothing, 0},
		"no_method":        {script.JavaScript, body("return {id: 1}"), 6450, refusal.ScriptNoMethod, 0},
		"unknown_method":   {script.JavaScript, body("return {method: 'thing.deviceinfo.update', id: '1'}"), 6300, refusal.ScriptMethodUnknown, 0},
		"foreign_method":   {script.JavaScript, body("return {method: 'thing.event.../../x.post', id: '1'}"), 6300, refusal.ScriptMethodUnknown, 0},
		"too_deep":         {script.JavaScript, body("var a = 1; for (var i = 0; i < 5000; i++) a = [a]; return {method: 'thing.event.property.post', params: {a: a}}"), 6207, refusal.PayloadNotJSON, 0},
		"reply_fails":      {script.JavaScript, "function rawDataToProtocol() { return {method: 'thing.event.property.post', id: '1', params: {temp: 1}} } function protocolToRawData(j) { throw 'no' }", 200, refusal.ReplyNotRendered, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h := rawHandler(t, c.typ, c.source)
			r := invoke(t, h, raw("raw-01", "1", "00ff"))[0]
			if r.Code != c.code || refusal.Cause(r.Reason) != c.cause || len(r.Replies) != 0 || r.Retry {
				t.Errorf("%+v, want %d %s", r, c.code, c.cause)
			}
			failures, err := s.Scripts().Failures(t.Context(), "a1RawProduct")
			if err != nil || len(failures) != c.kept {
				t.Errorf("%d failures kept, %v; want %d", len(failures), err, c.kept)
			}
			if name == "exception" && len(failures) == 1 {
				f := failures[0]
				if f.Line != 2 || f.Column == 0 || hex.EncodeToString(f.Input) != "00ff" || f.DeviceName != "raw-01" || f.MessageID != "1" || f.Function != "rawDataToProtocol" || f.Message != "Error: short frame" {
					t.Errorf("kept %+v", f)
				}
			}
		})
	}
}

// TestRawEvent: raw data may be an event, and the reply object has the event's method.
func TestRawEvent(t *testing.T) {
	t.Parallel()
	s, h := rawHandler(t, script.JavaScript, `
function rawDataToProtocol(b) { return {method: 'thing.event.alarm.post', id: '9', params: {value: {}}}; }
function protocolToRawData(j) { var out = []; for (var i = 0; i < j.method.length; i++) out.push(j.method.charCodeAt(i)); return out; }`)
	r := invoke(t, h, raw("raw-01", "1", "05"))[0]
	if r.Code != 200 || len(r.Replies) != 1 || string(r.Replies[0].Payload) != "thing.event.alarm.post" {
		t.Errorf("%+v", r)
	}
	events, _, err := s.Events().List(t.Context(), iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"}, store.EventQuery{From: 0, To: 1 << 50, Limit: 10})
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestRawUndecided: what could not be decided is tried again, and nothing of the device overtakes it.
func TestRawUndecided(t *testing.T) {
	t.Parallel()
	s, h := rawHandler(t, script.JavaScript, golden(t))
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "scripts.get" {
			return iot.Errorf(iot.Unavailable, "down")
		}
		return nil
	}
	plain := raw("raw-01", "2", "")
	plain.Topic, plain.Payload = "/sys/a1RawProduct/raw-01/thing/event/property/post", []byte(`{"params":{"temp":1}}`)
	for i, r := range invoke(t, h, raw("raw-01", "1", "0000000065098301"), plain) {
		if !r.Retry || len(r.Replies) != 0 {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Fault = nil
	if _, err := h.scripts.Decode(ctx, script.Source{Device: plain.Device}, []byte{1}); !iot.Is(err, iot.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
}
