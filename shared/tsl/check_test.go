package tsl

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

const now = int64(1767225600000) // 2026-01-01T00:00:00Z

// show writes a result in one line: values, then failures.
func show(c Checked) string {
	var parts []string
	for _, v := range c.Values {
		s := v.Identifier + "=" + string(v.JSON)
		if v.Time != now {
			s += fmt.Sprintf("@%d", v.Time-now)
		}
		parts = append(parts, s)
	}
	for _, f := range c.Failed {
		parts = append(parts, fmt.Sprintf("!%s %d", f.Identifier, f.Code))
	}
	return strings.Join(parts, " ")
}

func TestCheckPost(t *testing.T) {
	t.Parallel()
	m := golden(t)
	for _, c := range []struct{ name, params, weak, strong string }{
		{"G-01", `{"power":1,"temp":24.35,"mode":2}`, `power=1 temp=24.35 mode=2`, `power=1 temp=24.35 mode=2`},
		{"G-02", `{"temp":{"value":24.4,"time":1767225600000},"pos":{"lat":30.25,"lng":120.1}}`,
			`temp=24.4 pos={"lat":30.25,"lng":120.1}`, `temp=24.4 pos={"lat":30.25,"lng":120.1}`},
		{"G-04", `{"temp":25.0,"bogus":7,"mode":"2","meter:kwh":1.5}`, `temp=25.0 meter:kwh=1.5 !bogus 5092 !mode 6309`, `temp=25.0 meter:kwh=1.5 !bogus 6304 !mode 6309`},
		{"float_integer", `{"temp":25}`, `temp=25`, `temp=25`},
		{"float_exponent", `{"temp":2.5E+1}`, `temp=2.5E+1`, `temp=2.5E+1`},
		{"float_infinite", `{"temp":1e999}`, `!temp 6307`, `!temp 6307`},
		{"float_infinite_by_digits", `{"temp":1` + strings.Repeat("0", 400) + `}`, `!temp 6307`, `!temp 6307`},
		{"float_text", `{"temp":"25"}`, `!temp 6307`, `!temp 6307`},
		{"float_out_of_range", `{"temp":125.01}`, `temp=125.01`, `!temp 6307`},
		{"float_at_limits", `{"temp":-40}`, `temp=-40`, `temp=-40`},
		{"float_null", `{"temp":null}`, `!temp 6307`, `!temp 6307`},
		{"double_text", `{"meter:kwh":"1"}`, `!meter:kwh 6322`, `!meter:kwh 6322`},
		{"bool_word", `{"power":true}`, `!power 6308`, `!power 6308`},
		{"bool_two", `{"power":2}`, `!power 6308`, `!power 6308`},
		{"bool_float", `{"power":1.0}`, `!power 6308`, `!power 6308`},
		{"enum_undefined", `{"mode":3}`, `!mode 6309`, `!mode 6309`},
		{"enum_float", `{"mode":1.0}`, `!mode 6309`, `!mode 6309`},
		{"text_number", `{"label":0}`, `!label 6310`, `!label 6310`},
		{"text_16_bytes", `{"label":"0123456789abcdef"}`, `label="0123456789abcdef"`, `label="0123456789abcdef"`},
		{"text_17_bytes", `{"label":"0123456789abcde\u00e9"}`, `label="0123456789abcde\u00e9"`, `!label 6310`},
		{"struct_number", `{"pos":1}`, `!pos 6312`, `!pos 6312`},
		{"struct_unknown_member", `{"pos":{"lat":1,"alt":2}}`, `!pos 6304`, `!pos 6304`},
		{"struct_member_type", `{"pos":{"lat":"1"}}`, `!pos 6322`, `!pos 6322`},
		{"struct_member_range", `{"pos":{"lat":91}}`, `pos={"lat":91}`, `!pos 6322`},
		{"struct_empty", `{"pos":{}}`, `pos={}`, `pos={}`},
		{"struct_wrapped", `{"pos":{"value":{"lat":1}}}`, `pos={"lat":1}`, `pos={"lat":1}`},
		{"array", `{"log":[1, 2]}`, `log=[1, 2]`, `log=[1, 2]`},
		{"array_item", `{"log":[1,"2"]}`, `!log 6306`, `!log 6306`},
		{"array_int32", `{"log":[2147483647,-2147483648]}`, `log=[2147483647,-2147483648]`, `log=[2147483647,-2147483648]`},
		{"array_beyond_int32", `{"log":[2147483648]}`, `!log 6306`, `!log 6306`},
		{"array_int_with_exponent", `{"log":[1e3]}`, `!log 6306`, `!log 6306`},
		{"array_object", `{"log":{}}`, `!log 6328`, `!log 6328`},
		{"array_too_long", `{"log":[1,2,3,4,5]}`, `log=[1,2,3,4,5]`, `!log 6324`},
		{"time_text", `{"temp":{"value":1,"time":"1767225599000"}}`, `temp=1@-1000`, `temp=1@-1000`},
		{"time_past", `{"temp":{"value":1,"time":0}}`, `temp=1@-1767225600000`, `temp=1@-1767225600000`},
		{"time_24h_ahead", `{"temp":{"value":1,"time":1767312000000}}`, `temp=1@86400000`, `temp=1@86400000`},
		{"time_over_24h_ahead", `{"temp":{"value":1,"time":1767312000001}}`, `!temp 6326`, `!temp 6326`},
		{"time_word", `{"temp":{"value":1,"time":"now"}}`, `!temp 6326`, `!temp 6326`},
		{"time_fraction", `{"temp":{"value":1,"time":1.5}}`, `!temp 6326`, `!temp 6326`},
		{"time_negative", `{"temp":{"value":1,"time":-1}}`, `!temp 6326`, `!temp 6326`},
		{"time_null", `{"temp":{"value":1,"time":null}}`, `!temp 6326`, `!temp 6326`},
		{"time_overflow", `{"temp":{"value":1,"time":99999999999999999999}}`, `!temp 6326`, `!temp 6326`},
		{"only_time", `{"temp":{"time":1}}`, `!temp 6307`, `!temp 6307`},
		{"wrapped_with_more", `{"temp":{"value":1,"time":1,"x":1}}`, `!temp 6307`, `!temp 6307`},
		{"module_alone", `{"kwh":1}`, `!kwh 5092`, `!kwh 6304`},
	} {
		for mode, want := range map[Mode]string{Weak: c.weak, Strong: c.strong} {
			got, err := CheckPost(m, []byte(c.params), mode, now)
			if err != nil || show(got) != want {
				t.Errorf("%s, mode %d: CheckPost(%.80s) = %s, %v, want %s", c.name, mode, c.params, show(got), err, want)
			}
			for _, f := range got.Failed {
				if _, ok := refusal.Explain(f.Cause); !ok {
					t.Errorf("%s: cause %q is not in the list", c.name, f.Cause)
				}
			}
		}
		got, err := CheckPost(nil, []byte(c.params), None, now)
		if err != nil {
			t.Errorf("%s, no check: %v", c.name, err)
		}
		for _, f := range got.Failed {
			if f.Code != alink.CodeTime {
				t.Errorf("%s, no check: %s fails with %d", c.name, f.Identifier, f.Code)
			}
		}
	}
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	m := golden(t)
	for params, want := range map[string]string{
		`{"temp":25.0,"bogus":7,"mode":"2","meter:kwh":1.5}`: `{"bogus":"property not found","mode":"tsl parse: data type is not enum -> mode"}`,
		`{"power":true}`:           `{"power":"tsl parse: value of bool type must be int -> power"}`,
		`{"pos":{"lat":"1"}}`:      `{"pos":"tsl parse: data type is not double -> pos.lat"}`,
		`{"pos":{"alt":1}}`:        `{"pos":"tsl parse: params not exist -> pos.alt"}`,
		`{"log":[1,2,"x"]}`:        `{"log":"tsl parse: data type is not int -> log[2]"}`,
		`{"power":1}`:              `{}`,
		`{"quo\"te":1}`:            `{"quo\"te":"property not found"}`,
		`{"temp":{"time":"soon"}}`: `{"temp":"tsl parse: data type is not float -> temp"}`,
	} {
		c, err := CheckPost(m, []byte(params), Weak, now)
		if got := string(c.AppendData(nil)); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", params, got, err, want)
		}
	}
	c, err := CheckPost(m, []byte(`{"bogus":{"value":7,"time":1767225600000}}`), Weak, now)
	if err != nil || string(c.Failed[0].JSON) != "7" || c.Failed[0].Cause != refusal.PropertyNotInModel {
		t.Errorf("failed value: %+v, %v", c.Failed, err)
	}
	c, err = CheckPost(m, []byte(`{"bogus":1}`), Strong, now)
	if err != nil || c.Failed[0].Message != "tsl parse: params not exist -> bogus" {
		t.Errorf("failed value: %+v, %v", c.Failed, err)
	}
}

func TestCheckPostFailsWhole(t *testing.T) {
	t.Parallel()
	m := golden(t)
	post := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"p%d":1`, i)
		}
		return []byte("{" + b.String()[1:] + "}")
	}
	for _, c := range []struct {
		name   string
		params []byte
		code   int
		cause  refusal.Cause
	}{
		{"nothing", nil, 460, refusal.ParamsMalformed},
		{"empty", []byte(`{}`), 460, refusal.ParamsMissing},
		{"array", []byte(`[1]`), 460, refusal.ParamsMalformed},
		{"201 properties", post(201), 6106, refusal.TooManyProperties},
	} {
		got, err := CheckPost(m, c.params, Weak, now)
		if code, _ := alink.CodeOf(err); code != c.code || refusal.CauseOf(err) != c.cause {
			t.Errorf("%s: CheckPost = %v, %v, want %d", c.name, got, err, c.code)
		}
	}
	if c, err := CheckPost(m, post(200), Weak, now); err != nil || len(c.Failed) != 200 {
		t.Errorf("200 properties: %d failed, %v", len(c.Failed), err)
	}
	if _, err := CheckPost(nil, post(1), Weak, now); iot.KindOf(err) != iot.ModelNotFound {
		t.Errorf("no model: %v", err)
	}
}

func TestCheckSet(t *testing.T) {
	t.Parallel()
	m, err := golden(t).AddFeatures([]byte(`{"properties":[{"identifier":"target","name":"Target","rwFlag":"READ_WRITE","dataType":"FLOAT","dataSpecs":{"min":"0","max":"40"}},
{"identifier":"zone","name":"Zone","rwFlag":"READ_WRITE","dataType":"STRUCT","dataSpecsList":[{"identifier":"x","childName":"X","childDataType":"DOUBLE","dataSpecs":{"min":"0","max":"9"}},
{"identifier":"n","childName":"N","childDataType":"INT","dataSpecs":{"min":"0","max":"9"}}]},
{"identifier":"curve","name":"Curve","rwFlag":"READ_WRITE","dataType":"ARRAY","dataSpecs":{"size":3,"childDataType":"FLOAT"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		{`{"power":1,"label":"hall"}`, `{"power":1,"label":"hall"}`},
		{` { 'power' : 1, } `, `{"power":1}`},
		{`{"target":10}`, `{"target":10.0}`},
		{`{"target":-0}`, `{"target":-0.0}`},
		{`{"target":10.50}`, `{"target":10.50}`},
		{`{"target":1e1}`, `{"target":1e1}`},
		{`{"zone":{"x":1,"n":2}}`, `{"zone":{"x":1.0,"n":2}}`},
		{`{"curve":[1,2.5,3]}`, `{"curve":[1.0,2.5,3.0]}`},
		{`{"mode":2}`, `{"mode":2}`},
	} {
		if got, err := CheckSet(m, []byte(c.in), Strong); err != nil || string(got) != c.want {
			t.Errorf("CheckSet(%s) = %s, %v, want %s", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]iot.Kind{
		``: iot.InvalidParams, `{}`: iot.InvalidParams, `[]`: iot.InvalidParams, `power`: iot.InvalidParams, `{"power":true}`: iot.InvalidParams,
		`{"power":1,"power":0}`: iot.InvalidParams, `{"temp":1.0}`: iot.InvalidParams, `{"bogus":1}`: iot.NotInModel, `{"target":41}`: iot.InvalidParams,
		`{"kwh":1}`: iot.NotInModel, `{"meter:kwh":1}`: iot.InvalidParams, `{"power":null}`: iot.InvalidParams,
	} {
		if got, err := CheckSet(m, []byte(in), Strong); iot.KindOf(err) != want || err == nil {
			t.Errorf("CheckSet(%s) = %s, %v, want %v", in, got, err, want)
		}
	}
	if got, err := CheckSet(m, []byte(`{"target":41}`), Weak); err != nil || string(got) != `{"target":41.0}` {
		t.Errorf("out of range, weak: %s, %v", got, err)
	}
	if got, err := CheckSet(m, []byte(`{"target":true,"any":{"x":1}}`), None); err != nil || string(got) != `{"target":true,"any":{"x":1}}` {
		t.Errorf("no check: %s, %v", got, err)
	}
	if _, err := CheckSet(nil, []byte(`{"a":1}`), Weak); iot.KindOf(err) != iot.ModelNotFound {
		t.Errorf("no model: %v", err)
	}
}

func TestCheckServiceInput(t *testing.T) {
	t.Parallel()
	m := golden(t)
	for _, c := range []struct {
		service, in, want string
		mode              Mode
	}{
		{"add", `{"a":2,"b":3}`, `{"a":2,"b":3}`, Strong},
		{"add", `{"a":2}`, `{"a":2}`, Weak},
		{"add", ``, `{}`, Weak},
		{"reboot", ` {} `, `{}`, Weak},
		{"reboot", `{"delay":600}`, `{"delay":600}`, Weak},
		{"anything", `{"x":[1]}`, `{"x":[1]}`, None},
	} {
		if got, err := CheckServiceInput(m, c.service, []byte(c.in), c.mode); err != nil || string(got) != c.want {
			t.Errorf("%s(%s) = %s, %v, want %s", c.service, c.in, got, err, c.want)
		}
	}
	for _, c := range []struct {
		service, in string
		mode        Mode
		want        iot.Kind
	}{
		{"add", `{"a":2}`, Strong, iot.InvalidParams},
		{"add", `{"a":"2","b":3}`, Weak, iot.InvalidParams},
		{"add", `{"a":2,"c":3}`, Weak, iot.NotInModel},
		{"reboot", `{"delay":61}`, Strong, iot.InvalidParams},
		{"explode", `{}`, Weak, iot.NotInModel},
		{"add", `[]`, Weak, iot.InvalidParams},
		{"set", `{}`, Weak, iot.NotInModel},
	} {
		if got, err := CheckServiceInput(m, c.service, []byte(c.in), c.mode); err == nil || iot.KindOf(err) != c.want {
			t.Errorf("%s(%s) = %s, %v, want %v", c.service, c.in, got, err, c.want)
		}
	}
	if _, err := CheckServiceInput(nil, "add", nil, Weak); iot.KindOf(err) != iot.ModelNotFound {
		t.Errorf("no model: %v", err)
	}
}

func FuzzCheckPost(f *testing.F) {
	m := golden(f)
	for _, s := range []string{`{"power":1,"temp":24.35,"mode":2}`, `{"temp":{"value":24.4,"time":1767225600000},"pos":{"lat":30.25,"lng":120.1}}`,
		`{"temp":25.0,"bogus":7,"mode":"2","meter:kwh":1.5}`, `{"log":[1,2,{}]}`, `{"pos":{"value":{"lat":null}}}`, `{"label":"\ud800"}`, `{"temp":1e308}`,
		`{"temp":-}`, `{"log":[`, `{"":""}`, `{"temp":{"time":"","value":""}}`, `{"power":`} {
		f.Add([]byte(s), byte(1))
	}
	f.Fuzz(func(t *testing.T, params []byte, mode byte) {
		c, err := CheckPost(m, params, Mode(mode%3), now)
		if !alink.Valid(params) {
			return // must not panic, no more
		}
		if err != nil {
			if refusal.CauseOf(err) == "" {
				t.Errorf("CheckPost(%q): %v has no cause", params, err)
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(params, &members); err != nil {
			t.Fatal(err)
		}
		if len(members) != len(c.Values)+len(c.Failed) {
			t.Errorf("CheckPost(%q): %d members, %d values, %d failures", params, len(members), len(c.Values), len(c.Failed))
		}
		for _, v := range c.Values {
			if !json.Valid(v.JSON) || !strings.Contains(string(params), string(v.JSON)) || v.Time > now+maxAhead {
				t.Errorf("CheckPost(%q): value %s = %q at %d", params, v.Identifier, v.JSON, v.Time)
			}
		}
		if data := c.AppendData(nil); !json.Valid(data) {
			t.Errorf("CheckPost(%q): data %s", params, data)
		}
		down, err := CheckSet(m, params, Mode(mode%3))
		if err == nil && !alink.Valid(down) {
			t.Errorf("CheckSet(%q) = %q", params, down)
		}
		if err != nil && iot.KindOf(err) == iot.Internal {
			t.Errorf("CheckSet(%q): %v has no kind", params, err)
		}
	})
}

// benchParams are the parameters of a message of 200 bytes.
var benchParams = []byte(`{"temp":24.35,"power":1,"mode":2,"meter:kwh":229.8,"label":"hall","log":[1,2,3],"pos":{"lat":30.25,"lng":120.13}}`)

func TestAllocations(t *testing.T) {
	m := golden(t)
	if n := testing.AllocsPerRun(100, func() {
		if c, err := CheckPost(m, benchParams, Weak, now); err != nil || len(c.Failed) != 0 {
			t.Error(errors.Join(err, fmt.Errorf("%v", c.Failed)))
		}
	}); n > 1 { // the slice of values
		t.Errorf("CheckPost: %v allocations", n)
	}
}

func BenchmarkCheckPost(b *testing.B) {
	m := golden(b)
	for name, mode := range map[string]Mode{"weak": Weak, "strong": Strong, "none": None} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(benchParams)))
			for b.Loop() {
				if c, err := CheckPost(m, benchParams, mode, now); err != nil || len(c.Failed) != 0 {
					b.Fatal(c, err)
				}
			}
		})
	}
}
