package alink

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Requests of "Golden examples", as devices send them.
var golden = []struct {
	name, payload  string
	id, params     string
	ack            bool
	code           int
	data, reply    string // reply is what the device hears
	method, errMsg string
}{
	{"G-01", `{"id":"1","version":"1.0","params":{"power":1,"temp":24.35,"mode":2},"method":"thing.event.property.post"}`,
		"1", `{"power":1,"temp":24.35,"mode":2}`, true, 200, "",
		`{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`, "thing.event.property.post", ""},
	{"G-02", `{"id":"2","version":"1.0","params":{"temp":{"value":24.4,"time":1767225600000},"pos":{"lat":30.25,"lng":120.1}},"sys":{"ack":0}}`,
		"2", `{"temp":{"value":24.4,"time":1767225600000},"pos":{"lat":30.25,"lng":120.1}}`, false, 200, "", "", "thing.event.property.post", ""},
	{"G-03", `{"id":"3|exp-topic|/sys/a1GoldenPk1/thermo-01/thing/event/property/post_reply","version":"1.0","params":{"label":"hall"},"method":"thing.event.property.post"}`,
		"3|exp-topic|/sys/a1GoldenPk1/thermo-01/thing/event/property/post_reply", `{"label":"hall"}`, true, 200, "",
		`{"code":200,"data":{},"id":"3|exp-topic|/sys/a1GoldenPk1/thermo-01/thing/event/property/post_reply","message":"success","method":"thing.event.property.post","version":"1.0"}`, "thing.event.property.post", ""},
	{"G-04", `{"id":"4","version":"1.0","params":{"temp":25.0,"bogus":7,"mode":"2","meter:kwh":1.5},"method":"thing.event.property.post"}`,
		"4", `{"temp":25.0,"bogus":7,"mode":"2","meter:kwh":1.5}`, true, 200, `{"bogus":"property not found","mode":"tsl parse: data type is not enum -> mode"}`,
		`{"code":200,"data":{"bogus":"property not found","mode":"tsl parse: data type is not enum -> mode"},"id":"4","message":"success","method":"thing.event.property.post","version":"1.0"}`, "thing.event.property.post", ""},
	{"G-05", `{'id':5,'version':'1.0','params':{'power':0,},'method':'thing.event.property.post'}`,
		"5", `{"power":0}`, true, 200, "",
		`{"code":200,"data":{},"id":"5","message":"success","method":"thing.event.property.post","version":"1.0"}`, "thing.event.property.post", ""},
	{"G-05 not JSON", `hello`, "", `{}`, true, 6207, "",
		`{"code":6207,"data":{},"id":"","message":"payload is not JSON","method":"thing.event.property.post","version":"1.0"}`, "thing.event.property.post", ""},
	{"G-06", `{"id":"6","version":"1.0","params":{"value":{"code":17,"text":"over temperature"},"time":1767225600000},"method":"thing.event.alarm.post"}`,
		"6", `{"value":{"code":17,"text":"over temperature"},"time":1767225600000}`, true, 200, "",
		`{"code":200,"data":{},"id":"6","message":"success","method":"thing.event.alarm.post","version":"1.0"}`, "thing.event.alarm.post", ""},
	{"G-07", `{"id":"7","version":"1.0","params":{"properties":{"temp":[{"value":24.1,"time":1767225598000},{"value":24.2,"time":1767225599000}]},"events":{"alarm":[{"value":{"code":1,"text":"a"},"time":1767225599000}]}},"sys":{"ack":1}}`,
		"7", `{"properties":{"temp":[{"value":24.1,"time":1767225598000},{"value":24.2,"time":1767225599000}]},"events":{"alarm":[{"value":{"code":1,"text":"a"},"time":1767225599000}]}}`, true, 200, "",
		`{"code":200,"data":{},"id":"7","message":"success","method":"thing.event.property.batch.post","version":"1.0"}`, "thing.event.property.batch.post", ""},
	{"G-08", `{"id":"8","version":"1.0","params":{"properties":{"uptime":{"value":7,"time":1767225600000}},"events":{},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":55,"time":1767225600000}},"events":{}}]},"method":"thing.event.property.pack.post"}`,
		"8", `{"properties":{"uptime":{"value":7,"time":1767225600000}},"events":{},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":55,"time":1767225600000}},"events":{}}]}`, true, 6401, "",
		`{"code":6401,"data":{},"id":"8","message":"topo relation not exist","method":"thing.event.property.pack.post","version":"1.0"}`, "thing.event.property.pack.post", "topo relation not exist"},
	{"G-09", `{"id":9,"version":"1.0","params":[{"identity":{"productKey":"a1GoldenPk1","deviceName":"thermo-01"},"properties":[{"temp":{"value":20.5,"time":1767139200000}},{"temp":{"value":21.5,"time":1767142800000}}],"events":[{"alarm":{"value":{"code":2,"text":"b"},"time":1767139200000}}]}],"method":"thing.event.property.history.post"}`,
		"9", `[{"identity":{"productKey":"a1GoldenPk1","deviceName":"thermo-01"},"properties":[{"temp":{"value":20.5,"time":1767139200000}},{"temp":{"value":21.5,"time":1767142800000}}],"events":[{"alarm":{"value":{"code":2,"text":"b"},"time":1767139200000}}]}]`, true, 200, "",
		`{"code":200,"data":{},"id":"9","message":"success","method":"thing.event.property.history.post","version":"1.0"}`, "thing.event.property.history.post", ""},
}

func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	for _, c := range golden {
		r, err := Parse([]byte(c.payload))
		code, message := CodeOf(err)
		if c.errMsg != "" { // what the handler found
			code, message = c.code, c.errMsg
		}
		if code != c.code || r.ID != c.id || string(r.Params) != c.params || r.Ack != c.ack {
			t.Errorf("%s: Parse = %+v (params %s), %v", c.name, r, r.Params, err)
		}
		if c.reply == "" {
			continue
		}
		if got := string(AppendReply(nil, code, r.ID, []byte(c.data), message, c.method)); got != c.reply {
			t.Errorf("%s: reply\n got %s\nwant %s", c.name, got, c.reply)
		}
	}
}

func TestGoldenDownlink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, method, id, params, want string }{
		{"G-10", "thing.service.property.set", "65822254", `{"power":1,"label":"hall"}`,
			`{"method":"thing.service.property.set","id":"65822254","params":{"power":1,"label":"hall"},"version":"1.0.0"}`},
		{"G-11", "thing.service.property.get", "65822255", `["power","temp"]`,
			`{"method":"thing.service.property.get","id":"65822255","params":["power","temp"],"version":"1.0.0"}`},
		{"G-12", "thing.service.reboot", "65822256", `{"delay":5}`,
			`{"method":"thing.service.reboot","id":"65822256","params":{"delay":5},"version":"1.0.0"}`},
		{"G-13", "thing.service.add", "65822257", `{"a":2,"b":3}`,
			`{"method":"thing.service.add","id":"65822257","params":{"a":2,"b":3},"version":"1.0.0"}`},
		{"no params", "thing.service.beep", "1", ``, `{"method":"thing.service.beep","id":"1","params":{},"version":"1.0.0"}`},
	} {
		if got := string(AppendRequest(nil, c.method, c.id, []byte(c.params), VersionService)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name, payload, id, data string
		code                    int
	}{
		{"G-10", `{"id":"65822254","code":200,"data":{}}`, "65822254", `{}`, 200},
		{"G-11", `{"id":"65822255","code":200,"data":{"power":1,"temp":24.35}}`, "65822255", `{"power":1,"temp":24.35}`, 200},
		{"G-13", `{"id": "65822258", "code": 200, "data": {"sum": 5}}`, "65822258", `{"sum": 5}`, 200},
		{"code as string", `{"id":1,"code":"100001","data":[1]}`, "1", `[1]`, 100001},
		{"nothing but a code", `{"code":460}`, "", `{}`, 460},
		{"null data", `{"code":200,"data":null,"id":null}`, "", `{}`, 200},
		{"lenient", `{'code':200,'id':'x',}`, "x", `{}`, 200},
		{"scalar data", `{"code":200,"data":"ok"}`, "", `"ok"`, 200},
	} {
		r, err := ParseReply([]byte(c.payload))
		if err != nil || r.ID != c.id || r.Code != c.code || string(r.Data) != c.data {
			t.Errorf("%s: ParseReply = %+v (data %s), %v", c.name, r, r.Data, err)
		}
	}
	for _, payload := range []string{"", "x", `{"code":"yes"}`, `{"code":1e3}`, `{"code":{}}`, `[200]`} {
		if r, err := ParseReply([]byte(payload)); err == nil {
			t.Errorf("ParseReply(%s) = %+v", payload, r)
		}
	}
}

func TestParseTolerates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, payload, id, params string }{
		{"C3 OTA", `{"id":0,"params":{"version":"app-1"}}`, "0", `{"version":"app-1"}`},
		{"C3 config", `{"id" : 0,"version":"1.0","params":{"configScope":"p"},"method":"thing.config.get"}`, "0", `{"configScope":"p"}`},
		{"C4 OTA", `{"id":1, "params":{"a":1}}`, "1", `{"a":1}`},
		{"Python", `{"id": "1", "version": "1.0", "params": {"a": 1}, "method": "m"}`, "1", `{"a": 1}`},
		{"C4 topo get", `{"id":"1","params":"{}"}`, "1", `{}`},
		{"params in a string", `{"id":"1","params":"{\"a\":[1]}"}`, "1", `{"a":[1]}`},
		{"no id", `{"params":{}}`, "", `{}`},
		{"null id", `{"id":null}`, "", `{}`},
		{"escaped id", `{"id":"a\"b\u00e9\\"}`, `a"bé\`, `{}`},
		{"long number", `{"id":12345678901234567890}`, "12345678901234567890", `{}`},
		{"surrounding", "\x00\r\n {\"id\":\"1\"} \x00\x00", "1", `{}`},
		{"byte order mark", "\xef\xbb\xbf{\"id\":\"1\"}", "1", `{}`},
		{"bare names", `{id:'1',params:{a:1,b_2:"x"}}`, "1", `{"a":1,"b_2":"x"}`},
		{"surplus commas", `{"id":"1",,"params":{"a":1,,"b":[1,,2,],},}`, "1", `{"a":1,"b":[1,2]}`},
		{"leading comma", `{,"id":"1"}`, "1", `{}`},
		{"quotes in single quotes", `{'id':'a"b'}`, `a"b`, `{}`},
		{"newline in a string", "{\"id\":\"a\nb\"}", "a\nb", `{}`},
		{"numbers keep their text", `{'params':{'a':25.00,'b':1E5,'c':-0.0}}`, "", `{"a":25.00,"b":1E5,"c":-0.0}`},
		{"chinese", `{"id":"1","params":{"名":"温度"}}`, "1", `{"名":"温度"}`},
		{"escape in a name", `{"\u0069d":"1"}`, "1", `{}`},
		{"surrogates", `{'id':'\ud83d\ude00\ud83d'}`, "😀\uFFFD", `{}`},
		{"null params", `{"id":"1","params":null}`, "1", `{}`},
	} {
		r, err := Parse([]byte(c.payload))
		if err != nil || r.ID != c.id || string(r.Params) != c.params || !r.Ack {
			t.Errorf("%s: Parse = %+v (params %s), %v", c.name, r, r.Params, err)
		}
	}
}

func TestAck(t *testing.T) {
	t.Parallel()
	for sys, want := range map[string]bool{`{"ack":0}`: false, `{"ack":"0"}`: false, `{"x":1,"ack": 0 }`: false, `{"ack":1}`: true, `{"ack":"1"}`: true,
		`{}`: true, `0`: true, `null`: true, `{"ack":false}`: true, `{"ack":null}`: true, `{"ack":0.0}`: true} {
		if r, err := Parse([]byte(`{"id":"1","sys":` + sys + `}`)); err != nil || r.Ack != want {
			t.Errorf("sys %s: ack %v, %v", sys, r.Ack, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, `"p%d":1,`, i)
	}
	for name, c := range map[string]struct {
		payload string
		want    *Error
	}{
		"empty":                {"", ErrEmpty},
		"only blanks":          {" \r\n\x00", ErrEmpty},
		"array":                {`[{"id":"1"}]`, ErrNotJSON},
		"string":               {`"x"`, ErrNotJSON},
		"number":               {`17`, ErrNotJSON},
		"cut off":              {`{"id":"1","params":{"a":1`, ErrNotJSON},
		"two values":           {`{"id":"1"}{"id":"2"}`, ErrNotJSON},
		"too deep":             {`{"params":` + deep + `}`, ErrNotJSON},
		"duplicate":            {`{"id":"1","id":"2"}`, ErrNotJSON},
		"duplicate, escaped":   {`{"id":"1","\u0069d":"2"}`, ErrNotJSON},
		"duplicate in params":  {`{"params":{"a":1,"a":2}}`, ErrNotJSON},
		"duplicate among many": {`{"params":{` + many.String() + `"p299":2}}`, ErrNotJSON},
		"not UTF-8":            {"{\"id\":\"\xff\"}", ErrNotJSON},
		"half a rune":          {"{\"id\":\"\xe6\xb8\"}", ErrNotJSON},
		"bad escape":           {`{"id":"\x"}`, ErrNotJSON},
		"bad number":           {`{"id":01}`, ErrNotJSON},
		"no number":            {`{"id":-}`, ErrNotJSON},
		"NaN":                  {`{"params":{"a":NaN}}`, ErrNotJSON},
		"bare value":           {`{"id":abc}`, ErrNotJSON},
		"no value":             {`{"id":,}`, ErrNotJSON},
		"no colon":             {`{"id" "1"}`, ErrNotJSON},
		"wrong bracket":        {`{"id":[1}`, ErrNotJSON},
		"params number":        {`{"id":"1","params":7}`, ErrParamsMalformed},
		"params text":          {`{"id":"1","params":"x"}`, ErrParamsMalformed},
		"params empty text":    {`{"id":"1","params":""}`, ErrParamsMalformed},
	} {
		r, err := Parse([]byte(c.payload))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: Parse = %+v, %v, want %v", name, r, err, c.want)
		}
		if string(r.Params) != "{}" || !r.Ack {
			t.Errorf("%s: params %s, ack %v", name, r.Params, r.Ack)
		}
		if c.want == ErrParamsMalformed && r.ID != "1" {
			t.Errorf("%s: id %q is lost", name, r.ID)
		}
	}
	if r, err := Parse([]byte(`{"params":{` + many.String() + `"q":2}}`)); err != nil {
		t.Errorf("many members: %v, %v", r, err)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for kind := range iot.KindCount {
		code, message := CodeOf(fmt.Errorf("post: %w", iot.Errorf(kind, "detail")))
		if code < 400 || message == "" || strings.ContainsAny(message, `"[]{}`) {
			t.Errorf("%v: code %d, message %q", kind, code, message)
		}
	}
	if code, message := CodeOf(nil); code != 200 || message != "success" {
		t.Errorf("CodeOf(nil) = %d, %q", code, message)
	}
	if code, _ := CodeOf(errors.New("disk full")); code != 500 {
		t.Errorf("an unknown error has code %d", code)
	}
	err := fmt.Errorf("post: %w", ErrNotJSON)
	if code, _ := CodeOf(err); code != 6207 || iot.KindOf(err) != iot.InvalidParams || refusal.CauseOf(err) != refusal.PayloadNotJSON {
		t.Errorf("%v: code %d, kind %v, cause %v", err, code, iot.KindOf(err), refusal.CauseOf(err))
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", `a"b\c`, "\x00\x1f\n\r\t\x7f", "温度 😀", "<&>", "\u2028"} {
		got := AppendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != s {
			t.Errorf("AppendString(%q) = %s, reads as %q, %v", s, got, back, err)
		}
	}
	if got := string(AppendString(nil, []byte("a\xffb\xe6"))); got != "\"a\uFFFDb\uFFFD\"" {
		t.Errorf("invalid UTF-8 becomes %s", got)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	var got []string
	for name, value := range Members([]byte(` { "a" : 1.50 , "b":{"x":[1,{"y":"}"}]} ,"c":"\"," , "d\u0065":[ ] ,"e":null}`)) {
		got = append(got, string(name)+"="+string(value))
	}
	want := `a=1.50 b={"x":[1,{"y":"}"}]} c="\"," de=[ ] e=null`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("members %s, want %s", s, want)
	}
	for name := range Members([]byte(`{"a":1,"b":2}`)) {
		if string(name) != "a" {
			t.Errorf("member %s after the end of the loop", name)
		}
		break
	}
	got = nil
	for e := range Elements([]byte(`[1, "a,b" ,[2,3],{"x":4}]`)) {
		got = append(got, string(e))
	}
	if s := strings.Join(got, " "); s != `1 "a,b" [2,3] {"x":4}` {
		t.Errorf("elements %s", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range golden {
		f.Add([]byte(c.payload))
	}
	for _, s := range []string{"", "{", `{"a"`, `{'a':`, `{a:1,}`, `[,]`, `{"id":1e308}`, `{"id":"\ud800"}`, "{\"id\":\"\xff\"}", `{"params":"{\"a\":1,}"}`,
		strings.Repeat("[", 10000), `{"id":` + strings.Repeat("{'a':", 100), `{"\u0000":1}`, `{,}`, `{'a\'b':1}`, `{"a":1}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := string(payload)
		if json.Valid(payload) && !Valid(payload) {
			if strict, err := Normalize(payload); err == nil && !json.Valid(strict) {
				t.Errorf("Normalize(%q) = %q", payload, strict)
			}
		}
		if Valid(payload) && !json.Valid(payload) {
			t.Errorf("Valid(%q), but it is not JSON", payload)
		}
		for range Members(payload) {
			continue
		}
		for range Elements(payload) {
			continue
		}
		r, err := Parse(payload)
		if string(payload) != before {
			t.Errorf("Parse changed %q to %q", before, payload)
		}
		if err != nil {
			if code, message := CodeOf(err); code < 400 || message == "" || refusal.CauseOf(err) == "" {
				t.Errorf("Parse(%q): %v has code %d", payload, err, code)
			}
		}
		if !Valid(r.Params) || r.Params[0] != '{' && r.Params[0] != '[' {
			t.Errorf("Parse(%q).Params = %q", payload, r.Params)
		}
		for name, value := range Members(r.Params) {
			if !Valid(value) {
				t.Errorf("member %q of %q is %q", name, r.Params, value)
			}
		}
		reply := AppendReply(nil, 200, r.ID, r.Params, MessageOK, r.Method)
		back, err := ParseReply(reply)
		if err != nil || back.ID != r.ID || string(back.Data) != string(r.Params) || !json.Valid(reply) {
			t.Errorf("Parse(%q): reply %s reads as %+v, %v", payload, reply, back, err)
		}
		request := AppendRequest(nil, r.Method, r.ID, r.Params, r.Version)
		again, err := Parse(request)
		if err != nil || again.ID != r.ID || string(again.Params) != string(r.Params) || again.Method != r.Method || again.Version != r.Version {
			t.Errorf("Parse(%q): request %s reads as %+v, %v", payload, request, again, err)
		}
	})
}

// post is a message of 200 bytes, as benchmarks everywhere in the project send it.
var post = []byte(`{"id":"123456","version":"1.0","params":{"temperature":24.35,"humidity":55,"power":1,"mode":2,"voltage":229.8,"current":0.413,"position":{"lat":30.25,"lng":120.13}},"method":"thing.event.property.post"}`)

func TestAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse(post); err != nil {
			t.Error(err)
		}
	}); n > 1 { // the id
		t.Errorf("Parse: %v allocations", n)
	}
	buffer := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { AppendReply(buffer, 200, "123456", nil, MessageOK, "thing.event.property.post") }); n != 0 {
		t.Errorf("AppendReply: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, value := range Members(post) {
			_ = value
		}
	}); n != 0 {
		t.Errorf("Members: %v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(post)))
	for b.Loop() {
		if _, err := Parse(post); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLenient(b *testing.B) {
	lenient := []byte(strings.ReplaceAll(string(post), `"`, `'`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(lenient); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendReply(b *testing.B) {
	buffer := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		AppendReply(buffer, 200, "123456", nil, MessageOK, "thing.event.property.post")
	}
}
