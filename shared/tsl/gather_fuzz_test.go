package tsl

import (
	"testing"

	"relink/shared/alink"
)

// FuzzGather reads batch, pack and history posts of any kind: what passes is valid JSON, and every failure has a message.
func FuzzGather(f *testing.F) {
	m := golden(f)
	for _, seed := range []string{
		`{"properties":{"temp":[{"value":24.1,"time":1767225598000},{"value":24.2,"time":1767225599000}]},"events":{"alarm":[{"value":{"code":1,"text":"a"},"time":1767225599000}]}}`,
		`{"properties":{"log":[1,2],"temp":1},"events":{"alarm":{"code":1,"time":"x"}}}`, `{"properties":[{"temp":{"Value":1,"Time":1}}],"events":[{"alarm":{"value":{}}}]}`,
		`{"properties":null,"events":{"meter:trip":{"time":5}}}`, `{}`, `[]`, `{"events":[1]}`,
	} {
		f.Add([]byte(seed), byte(Weak))
		f.Add([]byte(seed), byte(Strong))
		f.Add([]byte(seed), byte(None))
	}
	f.Fuzz(func(t *testing.T, params []byte, mode byte) {
		strict, err := alink.Normalize(params)
		if err != nil {
			return
		}
		for _, read := range []func(*Gathered) error{
			func(g *Gathered) error { return g.Batch(m, strict, Mode(mode%3), now) },
			func(g *Gathered) error { return g.Pack(m, strict, Mode(mode%3), now) },
			func(g *Gathered) error { return g.History(m, strict, Mode(mode%3), now) },
		} {
			var g Gathered
			if read(&g) != nil {
				continue
			}
			for _, v := range g.Values {
				if !alink.Valid(v.JSON) {
					t.Errorf("%s passed as %q", v.Identifier, v.JSON)
				}
			}
			for _, e := range g.Events {
				if e.Failed == nil && !alink.Valid(e.JSON) {
					t.Errorf("event %s passed as %q", e.Identifier, e.JSON)
				}
			}
			if data := append(g.AppendData([]byte{'{'}, "x/"), '}'); !alink.Valid(data) {
				t.Errorf("data of the reply: %q", data)
			}
		}
	})
}
