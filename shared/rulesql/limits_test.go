package rulesql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func anyFrom() From { return From{Pattern: "#", Source: Custom} }

func evalText(t *testing.T, selects, where, payload string) Result {
	t.Helper()
	r, err := Compile(Definition{Select: selects, From: anyFrom(), Where: where})
	if err != nil {
		t.Fatalf("%.100s: %v", selects+where, err)
	}
	return r.Eval(context.Background(), testEnv(), &Message{Topic: "/a1x/d1/user/x", Payload: []byte(payload)})
}

// The limits of a rule's text: at the limit it compiles, one more is refused with a reason.
func TestLimitsOfText(t *testing.T) {
	t.Parallel()
	fields := func(n int) string { return strings.Repeat("a, ", n-1) + "a" }
	nested := func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) }
	calls := func(n int) string { return strings.Repeat("abs(", n) + "a" + strings.Repeat(")", n) }
	for _, c := range []struct{ name, passes, fails, reason string }{
		{"fields", fields(50), fields(51), "SELECT has more fields"},
		{"fields with flat map", "thingPropertyFlatMap(), " + fields(499), "thingPropertyFlatMap(), " + fields(500), "SELECT has more fields"},
		{"text as name", "1+" + strings.Repeat("1", 50) + strings.Repeat(" ", MaxKey-55) + "+ 1", "1+" + strings.Repeat("1", 50) + strings.Repeat(" ", MaxKey) + "+ 1", "another with AS"},
		{"depth", nested(MaxDepth - 1), nested(MaxDepth), "inside each other"},
		{"depth of calls", calls(MaxDepth - 1), calls(MaxDepth), "inside each other"},
		{"nodes", "a" + strings.Repeat("+1", 1023) + " s", "a" + strings.Repeat("+1", 1024) + " s", "more than 2048"},
		{"string", "'" + strings.Repeat("x", MaxString) + "' s", "'" + strings.Repeat("x", MaxString+1) + "' s", "longer than 4096"},
		{"number", strings.Repeat("1", MaxNumber) + " n", strings.Repeat("1", MaxNumber+1) + " n", "longer than 64"},
		{"alias", "a as " + strings.Repeat("x", MaxKey), "a as " + strings.Repeat("x", MaxKey+1), "longer than 1024"},
		{"path", strings.Repeat("x", MaxName), strings.Repeat("x", MaxName+1), "longer than 256"},
		{"quoted path", `"` + strings.Repeat("x", MaxName) + `"`, `"` + strings.Repeat("x", MaxName+1) + `"`, "at most 256"},
		{"statement", "a" + strings.Repeat(" ", MaxStatement-2), "a" + strings.Repeat(" ", MaxStatement), "longer than 16 KiB"},
	} {
		if _, err := Compile(Definition{Select: c.passes, From: anyFrom()}); err != nil {
			t.Errorf("%s: at the limit: %.200s", c.name, err)
		}
		_, err := Compile(Definition{Select: c.fails, From: anyFrom()})
		if e, ok := errors.AsType[*SyntaxError](err); !ok || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%s: beyond the limit: %v", c.name, err)
		}
	}
	if _, err := ParseSelect(strings.Repeat("x", MaxStatement+1)); err == nil {
		t.Error("a long text was read")
	}
	if _, err := ParseWhere("\xff"); err == nil {
		t.Error("bytes were read")
	}
}

// The limits of what a message may make a rule do.
func TestLimitsOfWork(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	wide := "{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 40_000), ",") + "}"
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	many := strings.TrimSuffix(strings.Repeat("b,", 50), ",")
	for _, c := range []struct {
		name, selects, where, payload string
		outcome                       Outcome
		reason                        string
	}{
		{"depth", "a", "", deep(MaxPayloadDepth), Matched, ""},
		{"too deep", "a", "", deep(MaxPayloadDepth + 1), InvalidFormat, "inside each other"},
		{"too long", "a", "", `{"a":"` + strings.Repeat("x", MaxPayload) + `"}`, InvalidFormat, "longer than"},
		{"result", "a x, a y", "", `{"a":"` + long + `"}`, Matched, ""},
		{"result too long", "a x, a y, a z", "", `{"a":"` + long + `"}`, Failed, "result becomes too long"},
		{"result with * too long", "*, a y, a z", "", `{"a":"` + long + `"}`, Failed, "result becomes too long"},
		{"concat too long", "concat(a,a,a) x", "", `{"a":"` + long + `"}`, Failed, "text becomes too long"},
		{"replace too long", "replace(a,'x','yyyy') x", "", `{"a":"` + long + `"}`, Failed, "text becomes too long"},
		{"hex too long", "to_hex(*) x", "", `{"a":"` + long + long + `"}`, Failed, "text becomes too long"},
		{"names too long", "thingPropertyFlatMap()", "", `{"items":{"` + strings.Repeat("k", 4000) + `":{"value":` + wide[:len(wide)-1] + `,"b":2}}}}`, Failed, "text becomes too long"},
		{"long number", "a, a + 1 x", "", `{"a":` + strings.Repeat("1", 500) + `}`, Matched, ""},
		{"steps", "b", "", wide, Matched, ""},
		{"too many steps", many, "", wide, Failed, "too much work"},
		{"too many steps in WHERE", "1 x", "b = 1 or " + strings.Repeat("b = 2 or ", 40) + "b = 3", wide, Failed, "too much work"},
	} {
		res := evalText(t, c.selects, c.where, c.payload)
		if res.Outcome != c.outcome || c.reason != "" && (res.Err == nil || !strings.Contains(res.Err.Error(), c.reason)) {
			t.Errorf("%s: %v %v %.40q", c.name, res.Outcome, res.Err, res.Body)
		}
		if res.IsTemporary() {
			t.Errorf("%s: trying again does not help", c.name)
		}
	}
	r := mustCompile(t, "SELECT a + 1 x FROM /a1x/+/user/#")
	m := &Message{Topic: "/a1x/d1/user/x", Payload: []byte(`{"a":1}`)}
	if res := r.Eval(context.Background(), &Env{MaxSteps: 1}, m); res.Outcome != Failed {
		t.Errorf("one step: %v", res.Outcome)
	}
	if res := r.Eval(context.Background(), &Env{MaxSteps: 10}, m); string(res.Body) != `{"x":2}` {
		t.Errorf("the same message with more steps: %s", res.Body)
	}
}

// A Rule is safe for concurrent use, a Message may be used again after Reset, and an evaluation allocates what it returns.
func TestRuleIsShared(t *testing.T) {
	t.Parallel()
	r := mustCompile(t, `SELECT *, concat(a, '-', deviceName()) AS c, rand() AS r, newuuid() AS u FROM /a1x/+/user/# WHERE a > 0 OR b LIKE '%x'`)
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			var m Message
			for i := range 200 {
				m.Reset()
				m.Topic, m.Device.DeviceName = "/a1x/d1/user/x", "d1"
				m.Payload = fmt.Appendf(nil, `{"a":%d,"g":%d}`, i+1, g)
				res := r.Eval(context.Background(), nil, &m)
				want := fmt.Sprintf(`{"a":%d,"g":%d,"c":"%d-d1","r":0.`, i+1, g, i+1)
				if res.Outcome != Matched || !strings.HasPrefix(string(res.Body), want[:len(want)-2]) {
					t.Errorf("%s, want %s", res.Body, want)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestEvalAllocatesItsResult(t *testing.T) {
	r := mustCompile(t, `SELECT items.temp.value AS temp, deviceName() AS dn, gmtCreate AS t FROM "/a1x/+/thing/event/property/post" WHERE items.temp.value > 30`)
	m := benchMessage()
	template := *m
	if n := testing.AllocsPerRun(100, func() {
		m.Reset()
		m.Topic, m.Device, m.Payload = template.Topic, template.Device, template.Payload
		if res := r.Eval(context.Background(), nil, m); res.Outcome != Matched {
			t.Fatal(res)
		}
	}); n > 2 {
		t.Errorf("%v allocations; the payload's text and the body are two", n)
	}
}
