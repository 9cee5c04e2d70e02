package rulesql

import (
	"context"
	"fmt"
	"testing"

	"relink/shared/iot"
)

// alinkPost is a converted property post as the rule engine sees it, cut to what matters.
const alinkPost = `{"iotId":"4z81","productKey":"a1x","deviceName":"d1","gmtCreate":1510799670074,"items":{"temp":{"value":39.5,"time":1510799670074}}}`

func benchMessage() *Message {
	return &Message{Topic: "/a1x/d1/thing/event/property/post", Device: iot.DeviceRef{ProductKey: "a1x", DeviceName: "d1"}, ID: "123",
		Payload: []byte(alinkPost)}
}

func mustCompile(t testing.TB, sql string) *Rule {
	t.Helper()
	r, err := CompileSQL(sql, JSON)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// BenchmarkEval is a typical rule on a message of its own: reading the payload is part of it.
func BenchmarkEval(b *testing.B) {
	for name, sql := range map[string]string{
		"typical":  `SELECT items.temp.value AS temp, deviceName() AS dn, gmtCreate AS t FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value > 30`,
		"notmet":   `SELECT items.temp.value AS temp, deviceName() AS dn, gmtCreate AS t FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value > 60`,
		"star":     `SELECT *, deviceName() AS dn FROM "/a1x/+/thing/event/property/post"`,
		"flat":     `SELECT thingPropertyFlatMap(), gmtCreate AS t FROM "/a1x/+/thing/event/property/post"`,
		"strings":  `SELECT concat(deviceName(), '-x') AS a, upper(productKey) AS b, timestamp('yyyy-MM-dd HH:mm:ss') AS c FROM "/a1x/+/thing/event/property/post" WHERE deviceName LIKE 'd%'`,
		"function": `SELECT abs(items.temp.value) AS a, case deviceName when 'd2' then 1 else 0 end AS b FROM "/a1x/+/thing/event/property/post" WHERE deviceName IN ('d1', 'd2') AND NOT items.temp.value < 10`,
	} {
		b.Run(name, func(b *testing.B) {
			r, m, ctx := mustCompile(b, sql), benchMessage(), context.Background()
			template := *m
			want := Matched
			if name == "notmet" {
				want = NotMet
			}
			b.ReportAllocs()
			for b.Loop() {
				m.Reset()
				m.Topic, m.Device, m.ID, m.Payload = template.Topic, template.Device, template.ID, template.Payload
				if res := r.Eval(ctx, nil, m); res.Outcome != want {
					b.Fatal(res)
				}
			}
		})
	}
}

// BenchmarkRules is a message against all rules of a product of which one matches: the cost with 1,000 is to be that with one.
func BenchmarkRules(b *testing.B) {
	for _, kind := range []struct{ name, sql string }{
		{"topic", `SELECT items.temp.value AS temp, deviceName() AS dn FROM "/a1x/d%d/thing/event/property/post" WHERE items.temp.value > 30`},
		{"device", `SELECT items.temp.value AS temp, deviceName() AS dn FROM "/a1x/+/thing/event/property/post" WHERE deviceName() = 'd%d' AND items.temp.value > 30`},
		{"threshold", `SELECT items.temp.value AS temp, deviceName() AS dn FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value >= 38.5 + %d`},
		{"constant", `SELECT items.temp.value AS temp, deviceName() AS dn FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value >= 3%d.5`},
	} {
		for _, n := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				var rules []*Rule
				for i := range n {
					if kind.name == "constant" && i > 0 {
						i += 9 // 310.5 and above
					}
					rules = append(rules, mustCompile(b, fmt.Sprintf(kind.sql, i+1)))
				}
				x, m, ctx := NewIndex(rules), benchMessage(), context.Background()
				template := *m
				b.ReportAllocs()
				for b.Loop() {
					m.Reset()
					m.Topic, m.Device, m.ID, m.Payload = template.Topic, template.Device, template.ID, template.Payload
					matched := 0
					x.Match(nil, m, func(i int) bool {
						if rules[i].Eval(ctx, nil, m).Outcome == Matched {
							matched++
						}
						return true
					})
					if matched != 1 {
						b.Fatal(matched)
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, `SELECT items.temp.value AS temp, deviceName() AS dn, gmtCreate AS t FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value > 30`)
	}
}

func BenchmarkTemplate(b *testing.B) {
	t, err := CompileTemplate("/a1x/${dn}/user/set")
	if err != nil {
		b.Fatal(err)
	}
	d, err := ParseDocument([]byte(`{"temp":39.5,"dn":"d1","t":1510799670074}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, err := t.Text(d, nil); err != nil || s != "/a1x/d1/user/set" {
			b.Fatal(s, err)
		}
	}
}
