package sandbox_test

import (
	"encoding/json"
	"errors"
	"testing"

	"relink/shared/script/sandbox"
)

// FuzzScript: whatever a script is, its call ends with JSON of an object or with a failure of its own, and the next call works.
func FuzzScript(f *testing.F) {
	for _, a := range attacks {
		if a.kind == sandbox.Exception || a.kind == sandbox.WrongType { // the others take their time to stop
			f.Add(a.body)
		}
	}
	f.Add("for (var i = 0; i < 3; i++); return {a: [i, {b: 'x'}]}")
	p := newPool(f, 1)
	golden, frame := read(f, "golden.js"), bytes(f, "00 00000065 0983 01")
	f.Fuzz(func(t *testing.T, body string) {
		run, err := p.Call(t.Context(), sandbox.Script{ID: body[:min(len(body), 200)], Source: attack(body)}, sandbox.RawDataToProtocol, "", []byte{1, 2, 0xff})
		if failure, ok := errors.AsType[*sandbox.Failure](err); err != nil && (!ok || failure.Kind == sandbox.Crashed || len(failure.Message) > 512) {
			t.Errorf("%v", err)
		}
		if err == nil && (!json.Valid(run.Output) || run.Output[0] != '{' || run.Steps > sandbox.DefaultSteps) {
			t.Errorf("%d steps, %.200s", run.Steps, run.Output)
		}
		if _, err := p.Call(t.Context(), golden, sandbox.RawDataToProtocol, "", frame); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}
