package shadow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/shared/alink"
	"relink/shared/store/memory"
)

// A reference is the rules once more, on decoded JSON and without any thought for order.
type reference struct{ reported map[string]any }

func (r *reference) update(to, from map[string]any) {
	for name, value := range from {
		object, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(to, name)
		case isObject:
			inner, ok := to[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
			}
			to[name] = inner
			if r.update(inner, object); len(inner) == 0 && len(object) > 0 {
				delete(to, name)
			}
		default:
			to[name] = value
		}
	}
}

func (r *reference) remove(to, from map[string]any) {
	for name, value := range from {
		object, isObject := value.(map[string]any)
		inner, both := to[name].(map[string]any)
		switch {
		case value == nil || value == "null":
			delete(to, name)
		case isObject && both:
			had := len(inner)
			if r.remove(inner, object); had > 0 && len(inner) == 0 {
				delete(to, name)
			}
		}
	}
}

// Whatever a device sends, it gets one reply that is compact JSON, and what is stored is what the reference says.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"method":"update","state":{"reported":{"color":"red"}},"version":1}`,
		`{"method":"delete",,"state":{"reported":{"color":"null"}},"clientToken":"thermo-01-4","version":4}`,
		`{"method":"update","state":{"reported":{"a":{"b":null},"l":[1,{"x":[]}],"e":{}},"desired":"null"},"version":3}`,
		`{'method':'get',clientToken:'x'}`, `{"method":"update","state":{"reported":"null"},"version":-1}`,
		`{"method":"delete","state":{"reported":{"o":{"x":null},"a":1}}}`, `{}`, ``, `{"method":"update","state":{"reported":{"a":"\ud800"}},"version":9}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		s := New(memory.New().Shadows(), nil)
		at := time.Unix(1767225600, 0)
		const first = `{"method":"update","state":{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2]}},"version":1}`
		if _, err := s.Message(t.Context(), lamp, "1", []byte(first), at); err != nil {
			t.Fatal(err)
		}
		reply, err := s.Message(t.Context(), lamp, "2", payload, at)
		var compact bytes.Buffer
		if e := json.Compact(&compact, reply); e != nil || !bytes.Equal(compact.Bytes(), reply) {
			t.Fatalf("reply %q is not compact JSON: %v", reply, e)
		}
		doc, e := s.Get(t.Context(), lamp)
		if e != nil {
			t.Fatal(e)
		}
		var got struct {
			State struct{ Reported map[string]any }
		}
		if e := json.Unmarshal(doc, &got); e != nil {
			t.Fatalf("document %s: %v", doc, e)
		}
		ref := reference{map[string]any{"a": 1.0, "o": map[string]any{"x": 1.0, "y": map[string]any{"z": 2.0}}, "l": []any{1.0, 2.0}}}
		if err == nil {
			ref.message(t, payload)
		}
		if g, w := fmt.Sprint(got.State.Reported), fmt.Sprint(ref.reported); g != w {
			t.Errorf("%s:\nreported %s\nwant     %s", payload, g, w)
		}
	})
}

// message carries out a message that was not refused.
func (r *reference) message(t *testing.T, payload []byte) {
	strict, err := alink.Normalize(payload)
	if err != nil {
		t.Fatalf("%q was taken and is no JSON", payload)
	}
	var m struct {
		Method  any
		State   map[string]any
		Version json.Number
	}
	// json.Unmarshal finds names in any letter case; this protocol does not.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(strict, &members); err != nil {
		t.Fatal(err)
	}
	exact := map[string]json.RawMessage{}
	for _, name := range []string{"method", "state", "version"} {
		if v, ok := members[name]; ok {
			exact[name] = v
		}
	}
	if m.Method = strings.Trim(string(exact["method"]), `"`); m.Method == "get" {
		return
	}
	if err := json.Unmarshal(exact["state"], &m.State); err != nil {
		t.Fatalf("%q was taken and has no state: %v", payload, err)
	}
	if string(exact["version"]) == "-1" {
		r.reported = map[string]any{}
	}
	switch reported := m.State["reported"].(type) {
	case map[string]any:
		if m.Method == "update" {
			r.update(r.reported, reported)
		} else {
			r.remove(r.reported, reported)
		}
	default:
		if _, given := m.State["reported"]; given {
			r.reported = map[string]any{}
		}
	}
}

// Whatever an application sends, the document stays readable.
func FuzzDesired(f *testing.F) {
	f.Add([]byte(`{"method":"update","state":{"desired":{"color":"green","o":{"x":[1]}}},"version":2}`), true)
	f.Add([]byte(`{"method":"update","state":{"desired":{"o":{}}},"version":-1}`), false)
	f.Fuzz(func(t *testing.T, message []byte, delta bool) {
		s := New(memory.New().Shadows(), nil)
		for range 2 {
			control, err := s.Update(t.Context(), lamp, message, delta)
			if err == nil && !json.Valid(control) {
				t.Errorf("%q: control %s", message, control)
			}
			doc, err := s.Get(t.Context(), lamp)
			if err != nil || !json.Valid(doc) {
				t.Errorf("%q: document %s, %v", message, doc, err)
			}
		}
	})
}
