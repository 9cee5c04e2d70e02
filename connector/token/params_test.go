package token

import (
	"maps"
	"testing"
)

func TestParseParams(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]map[string]string{
		`{"productKey":"a","seq":10,"x":true,"resources":{"mqtt":1},"n":null,"e":1e3,"l":[1]}`: {"productKey": "a", "seq": "10", "x": "true", "e": "1e3"},
		` {"a":"1","a":"\u00e92"} `: {"a": "é2"},
		`{}`:                        {},
		`{"a":1}}`:                  nil,
		`[]`:                        nil,
		`null`:                      nil,
		``:                          nil,
		`{"a"`:                      nil,
	} {
		if got, ok := ParseParams([]byte(body)); ok != (want != nil) || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %t", body, got, ok)
		}
	}
}

// What is read is text, and bounded.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{`{"productKey":"a","seq":10,"x":true,"resources":{"mqtt":1},"n":null,"e":1e3}`, `{}`, `[]`, `{"a":{}}`, "", "null", `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		params, ok := ParseParams(body)
		if !ok && params != nil || len(params) > maxParams {
			t.Errorf("%v %t", params, ok)
		}
	})
}
