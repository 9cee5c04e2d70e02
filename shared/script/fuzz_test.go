package script_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/script"
	"relink/shared/script/sandbox"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topic"
)

var dev = iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"}

// fixed answers every call with the same output.
type fixed []byte

func (f fixed) Call(context.Context, sandbox.Script, sandbox.Function, string, []byte) (sandbox.Run, error) {
	return sandbox.Run{Output: f}, nil
}

func withScript(t testing.TB, runner script.Runner) (*memory.Store, *script.Service) {
	t.Helper()
	s := memory.New()
	if err := s.Scripts().Put(t.Context(), &store.Script{ProductKey: dev.ProductKey, Type: script.JavaScript, Source: "x"}); err != nil {
		t.Fatal(err)
	}
	return s, script.New(s, runner, slog.New(slog.DiscardHandler), nil)
}

// FuzzResult: whatever a script makes of raw data, what is handled is a post of the device itself, and every record is answered.
func FuzzResult(f *testing.F) {
	for _, seed := range []string{
		`{"method":"thing.event.property.post","id":"101","version":"1.0","params":{"temp":24.35,"power":1}}`, `{"id":"4097","code":200,"data":{},"version":"1.0"}`,
		`{"code":"200","data":{},"id":"2241348","version":"1.0"}`, `{}`, `{"method":5}`, `{"method":"thing.event.a:b.post","params":{"value":{}}}`,
		`{"method":"thing.event.property.pack.post"}`, `{"method":"thing.event.x/../../../other/thing/event/y.post"}`, `{"method":"thing.service.property.set"}`,
		`{"method":"thing.event.a+b.post"}`, `{"method":"thing.event.` + strings.Repeat("x", 200) + `.post"}`, `{"method":"thing..post"}`, "", "[", `{"method":"thing.event.?.post"}`,
		`{"method":"thing.event.a\u0000.post"}`, `{"code":1e99}`, `{"code":"x"}`, `{"params":5,"method":"thing.event.property.post"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, output []byte) {
		_, s := withScript(t, fixed(output))
		handled := 0
		next := func(_ context.Context, _ string, records []record.Record) []record.Result {
			results := make([]record.Result, len(records))
			for i := range records {
				handled++
				up, err := topic.ParseUplink(records[i].Topic)
				if err != nil || up.Device != dev || !strings.HasPrefix(up.Method, "thing.event.") {
					t.Errorf("%q went to %q (%+v), %v", output, records[i].Topic, up, err)
				}
				results[i] = record.Result{Code: 200, Replies: []record.Reply{{Topic: records[i].Topic + "_reply", Payload: []byte(`{}`)}}}
			}
			return results
		}
		results := s.Serve(t.Context(), "n", []record.Record{{Device: dev, MessageID: "1", Topic: "/sys/a1RawProduct/raw-01/thing/model/up_raw", Payload: []byte{1}}}, next)
		if len(results) != 1 || results[0].Code == 0 || results[0].Retry || handled == 0 && len(results[0].Replies) != 0 {
			t.Errorf("%q: %+v", output, results)
		}
	})
}

// TestFailuresAreBounded: a fleet whose script fails at every message writes no more than its ring at once, and a row a second then.
func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	s, service := withScript(t, failing{})
	writes := 0
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "scripts.put_failure" {
			writes++
		}
		return nil
	}
	for range 200 {
		if _, err := service.Decode(t.Context(), script.Source{Device: dev, MessageID: "1"}, []byte{1}); err == nil {
			t.Fatal("no error")
		}
	}
	if writes < store.FailuresKept || writes > store.FailuresKept+2 {
		t.Errorf("%d failures were written", writes)
	}
	kept, err := service.Failures(t.Context(), dev.ProductKey)
	if err != nil || len(kept) != store.FailuresKept || kept[0].Line != 3 {
		t.Errorf("%d kept, %v", len(kept), err)
	}
}

type failing struct{}

func (failing) Call(context.Context, sandbox.Script, sandbox.Function, string, []byte) (sandbox.Run, error) {
	return sandbox.Run{}, &sandbox.Failure{Kind: sandbox.Exception, Message: "x", Line: 3}
}

// TestEveryFailureIsExplained walks through the kinds: each has a code of the protocol and a cause of the list.
func TestEveryFailureIsExplained(t *testing.T) {
	t.Parallel()
	codes := map[int]bool{6201: true, 26002: true, 26006: true, 26007: true, 26010: true}
	for k := sandbox.Exception; k <= sandbox.Throttled; k++ {
		e := script.Explain(&sandbox.Failure{Kind: k})
		if !codes[e.Code] || !strings.HasPrefix(string(e.Cause), "script_") {
			t.Errorf("%s: %+v", k, e)
		}
		if (k == sandbox.Throttled) != (e.Cause == refusal.ScriptThrottled) {
			t.Errorf("%s: cause %s", k, e.Cause)
		}
	}
}
