package deviceinfo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topic"
)

var lamp = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

const at = 1767225600000

type fakeSink struct {
	mu    sync.Mutex
	lines []logs.Uploaded
	err   error
}

func (f *fakeSink) Upload(_ context.Context, lines []logs.Uploaded) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, lines...)
	return f.err
}

type bench struct {
	*Service
	store *memory.Store
	sink  fakeSink
}

func newBench() *bench {
	b := &bench{store: memory.New()}
	b.Service = New(Stores{
		Products: b.store.Products(), Infos: b.store.DeviceInfos(), Network: b.store.NetworkStatuses(),
		Links: b.store.Topology(),
	}, &b.sink, func() time.Time { return time.UnixMilli(at) })
	return b
}

// ask lets a server answer a request on a topic of the device.
func (b *bench) ask(t *testing.T, suffix, payload string) exchange.Answer {
	t.Helper()
	name := "/sys/" + lamp.String() + "/" + suffix
	up, err := topic.ParseUplink(name)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := b.Families()[up.Family]
	if !ok {
		t.Fatalf("%s is not served", suffix)
	}
	r := &exchange.Request{Up: up, Record: &record.Record{MessageID: "m1", Device: lamp, Topic: name, Payload: []byte(payload), ReceivedAt: at}}
	if !f.Raw {
		if r.Alink, err = alink.Parse([]byte(payload)); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
	}
	return f.Serve(t.Context(), r)
}

func (b *bench) info(t *testing.T, dev iot.DeviceRef) *store.DeviceInfo {
	t.Helper()
	d, err := b.Info(t.Context(), dev)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (b *bench) wants(t *testing.T, suffix, payload string, code int, cause refusal.Cause) {
	t.Helper()
	a := b.ask(t, suffix, payload)
	if got, _ := alink.CodeOf(a.Err); got != code || a.Err != nil && exchange.CauseOf(a.Err) != cause {
		t.Errorf("%s %.80s: %d %v, want %d %s", suffix, payload, got, a.Err, code, cause)
	}
}

func TestTagLimits(t *testing.T) {
	t.Parallel()
	b := newBench()
	const update = "thing/deviceinfo/update"
	tag := func(key, value string) string { return fmt.Sprintf(`{"attrKey":%q,"attrValue":%q}`, key, value) }
	many := func(n int, domain string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"attrKey":"k%d","attrValue":"v"%s}`, i, domain)
		}
		return `{"params":[` + strings.Join(list, ",") + `]}`
	}
	for _, c := range []struct {
		params string
		code   int
		cause  refusal.Cause
	}{
		{`{"room":"1"}`, 460, refusal.ParamsMalformed},
		{`[]`, 460, refusal.ParamsMissing},
		{`["room"]`, 460, refusal.ParamsMalformed},
		{`[{"attrValue":"1"}]`, 460, refusal.TagMalformed},
		{`[` + tag(strings.Repeat("k", 65), "") + `]`, 460, refusal.TagMalformed},
		{`[` + tag("k", strings.Repeat("v", 4097)) + `]`, 460, refusal.TagMalformed},
		{`[` + tag(strings.Repeat("k", 64), strings.Repeat("v", 4096)) + `]`, 200, ""},
		{`[{"attrKey":"SYS_SDK_IF_INFO","attrValue":"","domain":"SYSTEM"},{"attrKey":"n","attrValue":7}]`, 200, ""}, // as the Python SDK
	} {
		b.wants(t, update, `{"params":`+c.params+`}`, c.code, c.cause)
	}
	if d := b.info(t, lamp); len(d.Tags) != 2 || len(d.Facts) != 1 || d.Tags[1] != (store.Tag{Key: "n", Value: "7"}) {
		t.Errorf("%+v", d)
	}
	b.wants(t, update, many(201, ""), 460, refusal.TooManyTags)
	b.wants(t, update, many(99, ""), 460, refusal.TooManyTags) // with the two that are there
	b.wants(t, update, many(100, `,"domain":"SYSTEM"`), 460, refusal.TooManyTags)
	b.wants(t, update, many(98, ""), 200, "")
	b.wants(t, "thing/deviceinfo/delete", many(98, ""), 200, "")
	if d := b.info(t, lamp); len(d.Tags) != 2 {
		t.Errorf("after the deletion: %d tags", len(d.Tags))
	}
	if a := b.ask(t, "thing/deviceinfo/get", `{"params":["n","nothing"]}`); string(a.Data) != `[{"attrKey":"n","attrValue":"7"}]` {
		t.Errorf("get of two: %s %v", a.Data, a.Err)
	}
	if a := b.ask(t, "thing/deviceinfo/get", `{"params":["nothing"]}`); string(a.Data) != `[]` {
		t.Errorf("get of nothing: %s %v", a.Data, a.Err)
	}
	b.wants(t, "thing/deviceinfo/get", `{"params":[1]}`, 460, refusal.ParamsMalformed)
}

// What changes nothing writes nothing.
func TestSameTagsAgain(t *testing.T) {
	t.Parallel()
	b := newBench()
	for range 2 {
		b.wants(t, "thing/deviceinfo/update", `{"params":[{"attrKey":"room","attrValue":"2.14"}]}`, 200, "")
	}
	if d := b.info(t, lamp); d.Revision != 1 {
		t.Errorf("written %d times", d.Revision)
	}
}

func TestApplicationTags(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{"room": true, "a-#@%&*._9": true, "abc": false, "": false, "灯": false, "a:b": false, strings.Repeat("k", 31): false} {
		if ValidKey(key) != want {
			t.Errorf("key %q: %t", key, !want)
		}
	}
	for value, want := range map[string]bool{"": true, "2.14:x": true, strings.Repeat("灯", 64): true, strings.Repeat("灯", 65): false, "カタ": true, "a b": false, "é": false} {
		if ValidValue(value) != want {
			t.Errorf("value %q: %t", value, !want)
		}
	}
	b := newBench()
	tags := make([]store.Tag, MaxTags)
	for i := range tags {
		tags[i].Key = fmt.Sprint("k", i)
	}
	if err := b.SaveTags(t.Context(), lamp, tags); err != nil {
		t.Fatal(err)
	}
	if err := b.SaveTags(t.Context(), lamp, []store.Tag{{Key: "more"}}); !iot.Is(err, iot.QuotaExceeded) {
		t.Errorf("the 101st: %v", err)
	}
	for range 2 {
		if err := b.DeleteTag(t.Context(), lamp, "k0"); err != nil {
			t.Error(err)
		}
	}
	if d := b.info(t, lamp); len(d.Tags) != 99 || d.Tags[0].Key != "k1" {
		t.Errorf("%d tags, first %+v", len(d.Tags), d.Tags[0])
	}
}

// Writers that come between are not overwritten.
func TestRace(t *testing.T) {
	t.Parallel()
	b := newBench()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for {
				err := b.SaveTags(t.Context(), lamp, []store.Tag{{Key: fmt.Sprint("k", i), Value: "v"}})
				if err == nil {
					return
				}
				if !iot.Is(err, iot.Throttled) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if d := b.info(t, lamp); len(d.Tags) != 16 {
		t.Errorf("%d tags of 16", len(d.Tags))
	}
}

func TestLogSwitch(t *testing.T) {
	t.Parallel()
	b := newBench()
	const line = `{"params":[{"utcTime":"2026-01-01T00:00:00.000+0000","logLevel":"WARN","module":"APP","code":"200","traceContext":"4","logContent":"sensor slow"}]}`
	if a := b.ask(t, "thing/log/post", line); a.Err != nil || a.Cause != refusal.LogUploadOff || len(b.sink.lines) != 0 {
		t.Errorf("while it is off: %+v, %d lines", a, len(b.sink.lines))
	}
	for want, on := range []bool{false, true, true} {
		if changed, err := b.SetLogUpload(t.Context(), lamp, on); err != nil || changed != (want == 1) {
			t.Errorf("switch %t: changed %t, %v", on, changed, err)
		}
	}
	if a := b.ask(t, "thing/config/log/get", `{"params":{"configScope":"device","getType":"content"}}`); string(a.Data) != `{"getType":"content","content":{"mode":1}}` {
		t.Errorf("config: %s %v", a.Data, a.Err)
	}
	b.wants(t, "thing/log/post", line, 200, "")
	want := logs.Uploaded{Device: lamp, MessageID: "m1", At: at, ReceivedAt: at, Level: "WARN", Module: "APP", Code: "200", TraceContext: "4", Content: "sensor slow"}
	if len(b.sink.lines) != 1 || b.sink.lines[0] != want {
		t.Errorf("lines %+v", b.sink.lines)
	}
	b.sink.err = iot.Errorf(iot.Unavailable, "away")
	if a := b.ask(t, "thing/log/post", line); !iot.Is(a.Err, iot.Unavailable) {
		t.Errorf("without a log service: %v", a.Err)
	}
}

func TestReadLog(t *testing.T) {
	t.Parallel()
	line := logs.Uploaded{At: at, ReceivedAt: at, Level: "INFO"}
	with := func(change func(*logs.Uploaded)) []logs.Uploaded { l := line; change(&l); return []logs.Uploaded{l} }
	for params, want := range map[string][]logs.Uploaded{
		`[{"utcTime":"2026-01-01T08:00:01.500+08:00","logLevel":"debug","code":200,"logContent":"x"}]`: with(func(l *logs.Uploaded) {
			l.At, l.Level, l.Code, l.Content = at+1500, "DEBUG", "200", "x"
		}),
		`[{"utcTime":"2026-01-01T00:00:00Z","logLevel":"VERBOSE"}]`: with(func(l *logs.Uploaded) { l.Level = "OTHER" }),
		`[{"utcTime":"now","module":"net_rt","logContent":"time=1767225600000^rtt=35"}]`: with(func(l *logs.Uploaded) {
			l.Module, l.Content = "net_rt", "time=1767225600000^rtt=35"
		}),
		`{"template":"traceContext logContent","contents":["65822254 recv","65822254 all done"]}`: {
			with(func(l *logs.Uploaded) { l.TraceContext, l.Content = "65822254", "recv" })[0],
			with(func(l *logs.Uploaded) { l.TraceContext, l.Content = "65822254", "all done" })[0],
		},
		`{"template":"timestamp logLevel module traceContext logContent","contents":["1767225600001 ERROR wifi 7  two  spaces"]}`: with(func(l *logs.Uploaded) {
			l.At, l.Level, l.Module, l.TraceContext, l.Content = at+1, "ERROR", "wifi", "7", " two  spaces"
		}),
		`[{"logContent":"` + strings.Repeat("é", 2100) + `"}]`: with(func(l *logs.Uploaded) { l.Content, l.Truncated = strings.Repeat("é", 2048), true }),
	} {
		got, err := readLog([]byte(params), at)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%.90s\n got %+v %v\nwant %+v", params, got, err, want)
		}
	}
	for _, params := range []string{`[]`, `{}`, `[1]`, `{"template":"logContent"}`, `{"template":"logContent","contents":[]}`, `{"template":"","contents":["x"]}`,
		`[` + strings.Repeat(`{"code":""},`, 40) + `{}]`, `{"template":"logContent","contents":["x"` + strings.Repeat(`,"x"`, 40) + `]}`} {
		if got, err := readLog([]byte(params), at); err == nil {
			t.Errorf("%.60s: %d lines", params, len(got))
		}
	}
}

func TestNetworkStatus(t *testing.T) {
	t.Parallel()
	b := newBench()
	const diag = "_thing/diag/post"
	b.wants(t, diag, `{"params":{"p":[{"wifi":{"rssi":-60},"_time":1767225500000},{"cellular":{"x":1},"_time":"1767225400000"},{"wifi":{},"_time":99999999999999}],"model":"format=simple|quantity=batch|time=history"}}`, 200, "")
	b.wants(t, diag, `{"params":{"p":{}}}`, 200, "")
	got, next, err := b.Network(t.Context(), lamp, 0, at, 10)
	if err != nil || next != 0 || len(got) != 4 || got[2].Time != 1767225500000 || string(got[3].JSON) != `{"cellular":{"x":1},"_time":"1767225400000"}` ||
		got[3].Model != "format=simple|quantity=batch|time=history" || got[0].Time != at {
		t.Errorf("%+v %v", got, err)
	}
	for params, cause := range map[string]refusal.Cause{
		`{}`: refusal.ParamsMissing, `{"p":7}`: refusal.ParamsMissing, `{"p":[1]}`: refusal.ParamsMalformed,
		`{"p":[{}` + strings.Repeat(`,{}`, 200) + `]}`: refusal.ParamsMalformed,
	} {
		b.wants(t, diag, `{"params":`+params+`}`, 460, cause)
	}
}

func TestLANPrefix(t *testing.T) {
	t.Parallel()
	b := newBench()
	type answer struct {
		Code int
		Data struct{ DeviceSecret, Prefix, ProductKey, DeviceName string }
	}
	get := func(params string) (a answer) {
		t.Helper()
		r := b.ask(t, "thing/lan/prefix/get", `{"id":"3","params":`+params+`}`)
		if len(r.Replies) != 1 || json.Unmarshal(r.Replies[0].Payload, &a) != nil {
			t.Fatalf("%s: %+v", params, r)
		}
		return a
	}
	own := get(`"{}"`)
	if own.Code != 200 || len(own.Data.Prefix) != 8 || len(own.Data.DeviceSecret) != 32 || own.Data.DeviceName != "thermo-01" {
		t.Errorf("%+v", own)
	}
	if again := get(`{}`); again != own {
		t.Errorf("again another: %+v, %+v", again, own)
	}
	for _, err := range b.store.Topology().Add(t.Context(), lamp, []iot.DeviceRef{{ProductKey: "a1SubDevPk1", DeviceName: "sub-01"}}, 1) {
		if err != nil {
			t.Fatal(err)
		}
	}
	sub := get(`{"productKey":"a1SubDevPk1","deviceName":"sub-01"}`)
	if sub.Code != 200 || sub.Data.DeviceName != "sub-01" || sub.Data.Prefix == own.Data.Prefix {
		t.Errorf("sub-device: %+v", sub)
	}
	if foreign := get(`{"productKey":"a1SubDevPk1","deviceName":"sub-02"}`); foreign.Code != 6401 || foreign.Data.Prefix != "" {
		t.Errorf("a device of somebody else: %+v", foreign)
	}
	if bad := get(`{"productKey":"a/b","deviceName":"sub-02"}`); bad.Code != 460 {
		t.Errorf("a malformed name: %+v", bad)
	}
	if r := b.ask(t, "thing/lan/prefix/get", `{"id":"3","sys":{"ack":0}}`); len(r.Replies) != 0 {
		t.Errorf("a reply that nobody wants: %+v", r)
	}
	b.store.Fault = func(string, iot.DeviceRef) error { return iot.Errorf(iot.Unavailable, "away") }
	if r := b.ask(t, "thing/lan/prefix/get", `{"id":"3"}`); len(r.Replies) != 0 || !iot.Is(r.Err, iot.Unavailable) {
		t.Errorf("without a database: %+v", r)
	}
}

func TestModelMissing(t *testing.T) {
	t.Parallel()
	b := newBench()
	if err := b.store.Products().Create(t.Context(), &store.Product{Key: lamp.ProductKey}); err != nil {
		t.Fatal(err)
	}
	b.wants(t, "thing/dsltemplate/get", `{"id":"1"}`, 5159, refusal.ModelMissing)
	b.wants(t, "thing/dynamicTsl/get", `{"id":"1","params":{"nodes":["type"]}}`, 5159, refusal.ModelMissing)
}

// Whatever a device sends, the answer is valid JSON, and what is stored is within bounds.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		`[{"attrKey":"room","attrValue":"2.14"}]`, `{"nodes":["type"],"addDefault":true}`, `{"p":[{"_time":1}],"model":"x"}`, `"{}"`,
		`[{"utcTime":"2026-01-01T00:00:00.000+0000","logContent":"x"}]`, `{"template":"timestamp logContent","contents":["1 x"]}`, `{"configScope":"device","getType":"content"}`,
		`{"productKey":"p","deviceName":"sub-01"}`, `null`,
	} {
		f.Add(seed)
	}
	topics := []string{"thing/deviceinfo/update", "thing/deviceinfo/delete", "thing/deviceinfo/get", "thing/dynamicTsl/get", "thing/config/log/get", "thing/log/post",
		"_thing/diag/post", "thing/lan/prefix/get"}
	f.Fuzz(func(t *testing.T, params string) {
		payload := `{"id":"1","params":` + params + `}`
		if _, err := alink.Parse([]byte(payload)); err != nil {
			return
		}
		b := newBench()
		if _, err := b.SetLogUpload(t.Context(), lamp, true); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range topics {
			a := b.ask(t, suffix, payload)
			if len(a.Data) > 0 && !json.Valid(a.Data) {
				t.Errorf("%s %q: %s", suffix, params, a.Data)
			}
			for _, reply := range a.Replies {
				if !json.Valid(reply.Payload) {
					t.Errorf("%s %q: %s", suffix, params, reply.Payload)
				}
			}
		}
		if d := b.info(t, lamp); len(d.Tags) > MaxTags || len(d.Facts) > MaxTags {
			t.Errorf("%q: %d tags", params, len(d.Tags))
		}
		if len(b.sink.lines) > maxLogLines {
			t.Errorf("%q: %d lines", params, len(b.sink.lines))
		}
	})
}
