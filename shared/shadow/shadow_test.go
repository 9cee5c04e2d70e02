package shadow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topic"
)

var lamp = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

// A bench is a service with a clock that stands.
type bench struct {
	*Service
	store *memory.Store
	at    time.Time
	n     int
}

func newBench() *bench {
	b := &bench{store: memory.New(), at: time.Unix(1767225600, 0)}
	b.Service = New(b.store.Shadows(), func() time.Time { return b.at })
	return b
}

// say sends one message of the device and gives the reply.
func (b *bench) say(t *testing.T, payload string) string {
	t.Helper()
	b.n++
	reply, err := b.Message(t.Context(), lamp, fmt.Sprint(b.n), []byte(payload), b.at)
	if (err != nil) != strings.Contains(string(reply), `"status":"error"`) {
		t.Errorf("%s: error %v with reply %s", payload, err, reply)
	}
	return string(reply)
}

func (b *bench) expect(t *testing.T, payload, want string) {
	t.Helper()
	if got := b.say(t, payload); got != want {
		t.Errorf("%s\n got %s\nwant %s", payload, got, want)
	}
}

// "Golden examples", G-44 to G-49.
func TestGolden(t *testing.T) {
	t.Parallel()
	b := newBench()
	const report = `{"method":"update","state":{"reported":{"color":"red"}},"version":1}`
	b.expect(t, report, `{"method":"reply","payload":{"status":"success","version":1},"clientToken":"null","timestamp":1767225600}`)
	b.expect(t, report, `{"method":"reply","payload":{"status":"error","content":{"errorcode":"409","errormessage":"shadow version conflict"}},"clientToken":"null","timestamp":1767225600}`)
	b.at = time.Unix(1767225700, 0)
	control, err := b.Update(t.Context(), lamp, []byte(`{"method":"update","state":{"desired":{"color":"green"}},"version":2}`), false)
	if want := `{"method":"control","payload":{"state":{"desired":{"color":"green"},"reported":{"color":"red"}},"metadata":{"desired":{"color":{"timestamp":1767225700}},"reported":{"color":{"timestamp":1767225600}}}},"timestamp":1767225700,"version":2}`; err != nil || string(control) != want {
		t.Errorf("control\n got %s %v\nwant %s", control, err, want)
	}
	b.at = time.Unix(1767225710, 0)
	b.expect(t, `{"method":"get","clientToken":"thermo-01-3"}`, `{"method":"reply","payload":{"status":"success","state":{"desired":{"color":"green"},"reported":{"color":"red"}},"metadata":{"desired":{"color":{"timestamp":1767225700}},"reported":{"color":{"timestamp":1767225600}}}},"timestamp":1767225710,"version":2,"clientToken":"thermo-01-3"}`)
	b.at = time.Unix(1767225720, 0)
	b.expect(t, `{"method":"update","state":{"reported":{"color":"green"},"desired":"null"},"version":3}`, `{"method":"reply","payload":{"status":"success","version":3},"clientToken":"null","timestamp":1767225720}`)
	b.at = time.Unix(1767225730, 0)
	b.expect(t, `{"method":"delete",,"state":{"reported":{"color":"null"}},"clientToken":"thermo-01-4","version":4}`, `{"method":"reply","payload":{"status":"success","version":4},"clientToken":"thermo-01-4","timestamp":1767225730}`)
	b.expect(t, `{"method":"get"}`, `{"method":"reply","payload":{"status":"success","state":{"reported":{}},"metadata":{"desired":{"timestamp":1767225720},"reported":{}}},"timestamp":1767225730,"version":4,"clientToken":"null"}`)
}

func TestEmptyShadow(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.expect(t, `{"method":"get"}`, `{"method":"reply","payload":{"status":"success","state":{"reported":{}},"metadata":{"reported":{}}},"timestamp":1767225600,"version":0,"clientToken":"null"}`)
	if doc, err := b.Get(t.Context(), lamp); err != nil || string(doc) != `{"state":{},"metadata":{},"timestamp":0,"version":0}` {
		t.Errorf("%s, %v", doc, err)
	}
}

// state gives the sections as applications read them.
func (b *bench) state(t *testing.T) string {
	t.Helper()
	doc, err := b.Get(t.Context(), lamp)
	if err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(string(doc), `"state":`)+8, strings.Index(string(doc), `,"metadata"`)
	return string(doc)[from:to]
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, method, reported, want string }{
		{"first_level", "update", `{"b":2}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2],"b":2}}`},
		{"replace", "update", `{"a":"two"}`, `{"reported":{"a":"two","o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"inside", "update", `{"o":{"y":{"w":3}}}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2,"w":3}},"l":[1,2]}}`},
		{"array_whole", "update", `{"l":[3]}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[3]}}`},
		{"object_for_leaf", "update", `{"a":{"b":1}}`, `{"reported":{"a":{"b":1},"o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"leaf_for_object", "update", `{"o":0}`, `{"reported":{"a":1,"o":0,"l":[1,2]}}`},
		{"null_in_update", "update", `{"a":null,"o":{"x":null}}`, `{"reported":{"o":{"y":{"z":2}},"l":[1,2]}}`},
		{"word_in_update", "update", `{"a":"null"}`, `{"reported":{"a":"null","o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"null_of_nothing", "update", `{"q":{"r":null}}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"empty_object", "update", `{"q":{}}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2],"q":{}}}`},
		{"delete_word", "delete", `{"a":"null"}`, `{"reported":{"o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"delete_null", "delete", `{"l":null}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}}}}`},
		{"delete_last_inside", "delete", `{"o":{"x":"null","y":{"z":"null"}}}`, `{"reported":{"a":1,"l":[1,2]}}`},
		{"delete_value", "delete", `{"a":1}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"delete_unknown", "delete", `{"q":"null"}`, `{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2]}}`},
		{"delete_all", "delete", `"null"`, `{"reported":{}}`},
		{"update_all", "update", `null`, `{"reported":{}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			b.say(t, `{"method":"update","state":{"reported":{"a":1,"o":{"x":1,"y":{"z":2}},"l":[1,2]}},"version":1}`)
			b.expect(t, `{"method":"`+c.method+`","state":{"reported":`+c.reported+`},"version":2}`,
				`{"method":"reply","payload":{"status":"success","version":2},"clientToken":"null","timestamp":1767225600}`)
			if got := b.state(t); got != c.want {
				t.Errorf("state %s\n want %s", got, c.want)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	b := newBench()
	done := func(payload string, want int64) {
		t.Helper()
		b.expect(t, payload, fmt.Sprintf(`{"method":"reply","payload":{"status":"success","version":%d},"clientToken":"null","timestamp":1767225600}`, want))
	}
	refused := func(payload string, code string) {
		t.Helper()
		if got := b.say(t, payload); !strings.Contains(got, `"errorcode":"`+code+`"`) {
			t.Errorf("%s: %s, want %s", payload, got, code)
		}
	}
	refused(`{"method":"update","state":{"reported":{"a":1}},"version":0}`, "409")
	done(`{"method":"update","state":{"reported":{"a":1}},"version":1767225600123}`, 1767225600123) // the Node SDK sends its clock
	refused(`{"method":"delete","state":{"reported":{"a":null}},"version":5}`, "409")
	done(`{"method":"delete","state":{"reported":{"b":null}}}`, 1767225600124)
	done(`{"method":"update","state":{"reported":{"b":1}},"version":-1}`, 0)
	if got := b.state(t); got != `{"reported":{"b":1}}` {
		t.Errorf("after -1: %s", got)
	}
	done(`{"method":"update","state":{"reported":{"b":2}},"version":9223372036854775807}`, 9223372036854775807)
	refused(`{"method":"delete","state":{"reported":{"b":null}}}`, "409")
	done(`{"method":"update","state":{"desired":null},"version":-1}`, 0)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	many := make([]string, 129)
	for i := range many {
		many[i] = fmt.Sprintf(`"a%d":0`, i)
	}
	for _, c := range []struct{ payload, code string }{
		{"hello", "400"},
		{"[1]", "400"},
		{"", "407"},
		{" \x00", "407"},
		{"{}", "407"},
		{`{"state":{"reported":{"a":1}},"version":1}`, "401"},
		{`{"method":null}`, "401"},
		{`{"method":"put","version":"x"}`, "406"},
		{`{"method":"update","version":1}`, "402"},
		{`{"method":"delete","state":7}`, "402"},
		{`{"method":"update","state":{"reported":{"a":1}},"version":"1"}`, "403"},
		{`{"method":"update","state":{}}`, "403"},
		{`{"method":"update","state":{},"version":1.5}`, "403"},
		{`{"method":"delete","state":{},"version":"x"}`, "403"},
		{`{"method":"update","state":{},"version":1}`, "404"},
		{`{"method":"update","state":{"desired":{"a":1}},"version":1}`, "404"},
		{`{"method":"update","state":{"reported":{}},"version":1}`, "405"},
		{`{"method":"update","state":{"reported":5},"version":1}`, "405"},
		{`{"method":"update","state":{"reported":{` + strings.Join(many, ",") + `}},"version":0}`, "408"},
		{`{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}},"version":1}`, "400"},
		{`{"method":"update","state":{"reported":{"a":[[[[[1]]]]]}},"version":1}`, "400"},
		{`{"method":"update","state":{"reported":{"a.b":1}},"version":1}`, "400"},
		{`{"method":"update","state":{"reported":{"a":"` + strings.Repeat("x", MaxDocument) + `"}},"version":1}`, "400"},
		{`{"method":"update","state":{"reported":{"a":1}},"version":0}`, "409"},
	} {
		b := newBench()
		got := b.say(t, c.payload)
		if !strings.Contains(got, `"errorcode":"`+c.code+`"`) || !strings.HasSuffix(got, `,"clientToken":"null","timestamp":1767225600}`) {
			t.Errorf("%.90q: %s, want %s", c.payload, got, c.code)
		}
	}
	b := newBench()
	for _, payload := range []string{
		`{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":1}}}},"2right_control":1,"a-b":2}},"version":1}`,
		`{"method":"update","state":{"reported":{` + strings.Join(many[:125], ",") + `}},"version":2}`, // with the three of the first 128
		"{'method':'update','state':{'reported':{'a-b':[1,2,],}},'version':3}\x00",
	} {
		got := b.say(t, payload)
		if strings.Contains(got, "error") {
			t.Errorf("%.60s: %s", payload, got)
		}
	}
}

// Many small messages add up: what is kept is bounded too.
func TestStoredSize(t *testing.T) {
	t.Parallel()
	b := newBench()
	for i := range 2 {
		got := b.say(t, fmt.Sprintf(`{"method":"update","state":{"reported":{"k%d":"%s"}},"version":%d}`, i, strings.Repeat("x", 12<<10), i+1))
		if full := strings.Contains(got, `"errorcode":"400","errormessage":"shadow document is larger than 16 KB"`); full != (i == 1) {
			t.Errorf("message %d: %s", i, got)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := newBench()
	for in, want := range map[string]string{`"a\"b"`: `"a\"b"`, `17`: `"17"`, `null`: `"null"`, `{}`: `"null"`, `""`: `"null"`} {
		if got := b.say(t, `{"clientToken":`+in+`,"method":"get"}`); !strings.HasSuffix(got, `"clientToken":`+want+`}`) {
			t.Errorf("token %s: %s", in, got)
		}
		if got := b.say(t, `{"clientToken":`+in+`,"method":"x"}`); !strings.Contains(got, `"clientToken":`+want+`,`) {
			t.Errorf("token %s: %s", in, got)
		}
	}
}

// A retry inside the platform carries the same message id and is answered alike, also when an application changed the shadow between.
func TestSameMessageAgain(t *testing.T) {
	t.Parallel()
	b := newBench()
	say := func(id, payload string) string {
		reply, _ := b.Message(t.Context(), lamp, id, []byte(payload), b.at)
		return string(reply)
	}
	const report = `{"method":"update","state":{"reported":{"n":1}},"version":7}`
	first := say("m1", report)
	if _, err := b.Update(t.Context(), lamp, []byte(`{"method":"update","state":{"desired":{"n":2}},"version":0}`), false); err != nil {
		t.Fatal(err)
	}
	if again := say("m1", report); again != first {
		t.Errorf("again: %s, want %s", again, first)
	}
	if other := say("m2", report); !strings.Contains(other, `"409"`) {
		t.Errorf("another message: %s", other)
	}
}

// Two writers at once: both changes are there, each under a version of its own.
func TestRace(t *testing.T) {
	t.Parallel()
	b := newBench()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				for {
					_, err := b.Update(t.Context(), lamp, fmt.Appendf(nil, `{"method":"update","state":{"desired":{"w%d_%d":1}},"version":0}`, i, j), true)
					if err == nil {
						break
					}
					if !iot.Is(err, iot.Throttled) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	row, err := b.store.Shadows().Get(t.Context(), lamp)
	if err != nil || row.Version != 32 || len(row.DesiredAt) != 32 {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	b := newBench()
	serve := func(payload string, at int64) exchange.Answer {
		name := "/shadow/update/" + lamp.String()
		up, err := topic.ParseUplink(name)
		if err != nil {
			t.Fatal(err)
		}
		return b.Serve(t.Context(), &exchange.Request{Up: up, Record: &record.Record{MessageID: "x", Device: lamp, Topic: name, Payload: []byte(payload), ReceivedAt: at}})
	}
	a := serve(`{"method":"get"}`, 1000)
	if a.Err != nil || len(a.Replies) != 1 || a.Replies[0].Topic != Topic(lamp) || a.Replies[0].QoS != 1 || Topic(lamp) != "/shadow/get/a1GoldenPk1/thermo-01" {
		t.Errorf("%+v", a)
	}
	for range 19 {
		serve(`{"method":"get"}`, 1000)
	}
	if a = serve(`{"method":"get"}`, 1001); len(a.Replies) != 0 || refusal.CauseOf(a.Err) != refusal.RateLimitedShadow {
		t.Errorf("the 21st in a second: %+v", a)
	}
	if a = serve(`{"method":"get"}`, 2000); a.Err != nil {
		t.Errorf("a second later: %+v", a)
	}
	for payload, want := range map[string]refusal.Cause{
		`{"method":"x"}`: refusal.ShadowMalformed, `{"method":"update","state":{"reported":{"a":1}},"version":0}`: refusal.ShadowVersionConflict,
		`{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}},"version":1}`: refusal.ShadowTooLarge,
	} {
		if a = serve(payload, 9000); refusal.CauseOf(a.Err) != want || len(a.Replies) != 1 {
			t.Errorf("%s: %+v, want %s", payload, a, want)
		}
	}
	b.store.Fault = func(string, iot.DeviceRef) error { return iot.Errorf(iot.Unavailable, "away") }
	if a = serve(`{"method":"get"}`, 9000); !iot.Is(a.Err, iot.Unavailable) || len(a.Replies) != 0 {
		t.Errorf("without a database: %+v", a)
	}
	b.store.Fault = func(string, iot.DeviceRef) error { return errors.New("secret") }
	if a = serve(`{"method":"get"}`, 9000); len(a.Replies) != 1 || !strings.Contains(string(a.Replies[0].Payload), `"errorcode":"500","errormessage":"internal error"`) {
		t.Errorf("with a broken one: %+v", a)
	}
}

func TestApplication(t *testing.T) {
	t.Parallel()
	many := make([]string, 129)
	for i := range many {
		many[i] = fmt.Sprintf(`"a%d":0`, i)
	}
	for _, c := range []struct {
		message string
		want    Problem
	}{
		{``, NullShadowMessage},
		{`x`, ShadowMessageIsNotJSON},
		{`[]`, ShadowMessageIsNotJSON},
		{`{"state":{}}`, NotFoundMethod},
		{`{"method":"get"}`, MethodValueIsNotUpdate},
		{`{"method":"update"}`, NotFoundState},
		{`{"method":"update","state":{"reported":{}}}`, NotFoundDesire},
		{`{"method":"update","state":{"desired":"null"}}`, DesireValueIsNull},
		{`{"method":"update","state":{"desired":"x"}}`, DesireInfoIsNotJSON},
		{`{"method":"update","state":{"desired":{}}}`, NoneElementInDesire},
		{`{"method":"update","state":{"desired":{"a":null}}}`, ElementKeyOrValueIsNullInDesire},
		{`{"method":"update","state":{"desired":{"":1}}}`, ElementKeyOrValueIsNullInDesire},
		{`{"method":"update","state":{"desired":{"a b":1}}}`, DesireInfoIsNotJSON},
		{`{"method":"update","state":{"desired":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}}}`, DesireInfoIsNotJSON},
		{`{"method":"update","state":{"desired":{` + strings.Join(many, ",") + `}}}`, TooManyElementInDesire},
		{`{"method":"update","state":{"desired":{"a":1}}}`, NotFoundVersionOrNullVersionValue},
		{`{"method":"update","state":{"desired":{"a":1}},"version":"1"}`, InvalidVersionValue},
		{`{"method":"update","state":{"desired":{"a":1}},"version":-2}`, InvalidVersionValue},
		{`{"method":"update","state":{"desired":{"a":1}},"version":3}`, UpdateFailed},
		{strings.Repeat(" ", MaxDocument+1), ShadowMessageLengthIsLarge},
	} {
		b := newBench()
		b.say(t, `{"method":"update","state":{"reported":{"a":1}},"version":3}`)
		_, err := b.Update(t.Context(), lamp, []byte(c.message), false)
		if e, ok := errors.AsType[*ProblemError](err); !ok || e.Problem != c.want {
			t.Errorf("%.80s: %v, want %s", c.message, err, c.want)
		}
	}
}

func TestDesired(t *testing.T) {
	t.Parallel()
	b := newBench()
	update := func(message string, delta bool) string {
		t.Helper()
		control, err := b.Update(t.Context(), lamp, []byte(message), delta)
		if err != nil {
			t.Fatal(err)
		}
		return string(control)
	}
	update(`{"method":"update","state":{"desired":{"a":1,"o":{"x":1}}},"version":0}`, false)
	b.at = b.at.Add(time.Second)
	control := update(`{"method":"update","state":{"desired":{"o":{"y":2}}},"version":0}`, true)
	if want := `{"method":"control","payload":{"state":{"desired":{"a":1,"o":{"x":1,"y":2}},"reported":{}},"metadata":{"desired":{"a":{"timestamp":1767225600},"o":{"x":{"timestamp":1767225600},"y":{"timestamp":1767225601}}},"reported":{}}},"timestamp":1767225601,"version":2}`; control != want {
		t.Errorf("\n got %s\nwant %s", control, want)
	}
	update(`{"method":"update","state":{"desired":{"b":1}},"version":10}`, false)
	if got := b.state(t); got != `{"desired":{"b":1},"reported":{}}` {
		t.Errorf("replaced: %s", got)
	}
	b.say(t, `{"method":"update","state":{"reported":{"r":1},"desired":{"b":9}},"version":11}`) // desired is not the device's to say
	if got := b.state(t); got != `{"desired":{"b":1},"reported":{"r":1}}` {
		t.Errorf("after a report with desired: %s", got)
	}
	control = update(`{"method":"update","state":{"desired":{"c":1}},"version":-1}`, true)
	if !strings.HasSuffix(control, `"version":0}`) || b.state(t) != `{"desired":{"c":1},"reported":{}}` {
		t.Errorf("-1: %s, then %s", control, b.state(t))
	}
}

func TestBrokenRow(t *testing.T) {
	t.Parallel()
	b := newBench()
	for _, row := range []store.Shadow{{Reported: []byte(`[1]`)}, {Reported: []byte(`{"a":1}`), ReportedAt: []int64{1, 2}}} {
		row.Ref = lamp
		row.Ref.DeviceName += iot.DeviceName(fmt.Sprint(len(row.Reported)))
		if err := b.store.Shadows().Put(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		reply, err := b.Message(context.Background(), row.Ref, "1", []byte(`{"method":"get"}`), b.at)
		if code, _ := alink.CodeOf(err); code != alink.CodeInternal || !strings.Contains(string(reply), `"500"`) {
			t.Errorf("%s: %s, %v", row.Reported, reply, err)
		}
	}
}
