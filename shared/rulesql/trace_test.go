package rulesql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"relink/shared/iot"
)

func traceText(t Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %v\n", t.Outcome, t.Body, t.Err)
	for _, list := range [][]Trial{t.Where, t.Fields} {
		for _, trial := range list {
			fmt.Fprintf(&b, "%s%s: %s", strings.Repeat(" ", trial.Depth), trial.Text, trial.Value.AppendJSON(nil))
			if trial.Err != nil {
				fmt.Fprintf(&b, " %v", trial.Err)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Rule engine reference, "Debugging".
func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sql, topic, payload, want string }{
		{`SELECT temperature AS t, deviceName() d, attribute('k') k, none FROM /a1x/+/user/# WHERE temperature > 40 AND humidity < 50`,
			"/a1x/d1/user/x", `{"temperature":39.5}`, `not_met  <nil>
temperature > 40 AND humidity < 50: false
 temperature > 40: false
  temperature: 39.5
 humidity < 50: null
  humidity: null
t: 39.5
d: ""
k: ""
none: null
`},
		{`SELECT *, abs(a) FROM /a1x/+/user/#`, "/a1x/d1/user/x", `{"a":"x"}`, `failed  abs(a): takes a number, not a string
*: null
abs(a): null abs(a): takes a number, not a string
`},
		{`SELECT a, 1 + 1 FROM /a1x/+/user/#`, "/a1x/d1/other", `{"a":"x"}`, "other_topic  <nil>\na: \"x\"\n1 + 1: 2\n"},
		{`SELECT a FROM /a1x/+/user/#`, "/a1x/d1/user/x", `x`, "invalid_format  payload: not a JSON object or array\n"},
		{`SELECT a x, thingPropertyFlatMap() FROM /a1x/+/user/# WHERE a`, "/a1x/d1/user/x", `{"a":true}`,
			"matched {\"x\":true} <nil>\na: true\nx: true\nthingPropertyFlatMap: null\n"},
	} {
		r := mustCompile(t, c.sql)
		m := &Message{Topic: c.topic, Payload: []byte(c.payload)}
		if got := traceText(r.DryRun(context.Background(), testEnv(), m)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
}

type attributesFunc func(key string) (string, bool, error)

func (f attributesFunc) Attribute(_ context.Context, dev iot.DeviceRef, _ iot.IotID, key string) (string, bool, error) {
	if dev.DeviceName != "d1" {
		return "", false, errors.New("asked about another device")
	}
	return f(key)
}

// Tags are asked only by a rule that gets that far, and a failure to read them may be tried again.
func TestAttributes(t *testing.T) {
	t.Parallel()
	r := mustCompile(t, `SELECT attribute('k') k FROM /a1x/+/user/# WHERE a = 1 AND attribute('w') = 'x'`)
	asked := 0
	m := &Message{Topic: "/a1x/d1/user/x", Device: iot.DeviceRef{ProductKey: "a1x", DeviceName: "d1"}, Payload: []byte(`{"a":2}`)}
	m.Attributes = attributesFunc(func(string) (string, bool, error) { asked++; return "x", true, nil })
	if res := r.Eval(context.Background(), nil, m); res.Outcome != NotMet || asked != 0 {
		t.Errorf("%v after %d questions", res.Outcome, asked)
	}
	attributes := m.Attributes
	m.Reset()
	*m = Message{Topic: "/a1x/d1/user/x", Device: iot.DeviceRef{ProductKey: "a1x", DeviceName: "d1"}, Payload: []byte(`{"a":1}`), Attributes: attributes}
	if res := r.Eval(context.Background(), nil, m); string(res.Body) != `{"k":"x"}` || asked != 2 {
		t.Errorf("%s %v after %d questions", res.Body, res.Err, asked)
	}
	broken := errors.New("broken")
	m.Attributes = attributesFunc(func(string) (string, bool, error) { return "", false, broken })
	res := r.Eval(context.Background(), nil, m)
	if res.Outcome != Failed || !errors.Is(res.Err, broken) || !res.IsTemporary() || res.Err.Error() != `attribute("w"): broken` {
		t.Errorf("%v %v", res.Outcome, res.Err)
	}
}

func TestParseStatement(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"select a from /a1x/+/user/# where b=1;":                    `SELECT a FROM "/a1x/+/user/#" WHERE b = 1`,
		"SELECT * FROM '/sys/a1x/d1/thing/event/property/post'":     `SELECT * FROM "/a1x/d1/thing/event/property/post"`,
		"select a.from x,\n b\tfrom\n\"/a1x/d1/user/x\" where\na":   `SELECT a.from AS 'x', b FROM "/a1x/d1/user/x" WHERE a`,
		"select a b, from /a1x/d1/user/x where not(a) or (b and c)": `SELECT a AS 'b' FROM "/a1x/d1/user/x" WHERE NOT a OR b AND c`,
	} {
		r, err := CompileSQL(sql, JSON)
		if err != nil || r.Statement().String() != want {
			t.Errorf("%s: %v %v", sql, r, err)
		}
	}
	for sql, want := range map[string]string{
		"select a":                            `statement, column 9, near "the end": a comma, AS or FROM expected`,
		"select a from":                       `statement, column 14, near "the end": the topic is missing after FROM`,
		"select a from '/a1x":                 `statement, column 15, near "'": the closing quote of the topic is missing`,
		"select a from /a1x/d1/x x":           `statement, column 25, near "x": WHERE, AND, OR or the end expected`,
		"update a":                            `statement, column 1, near "update": SELECT expected`,
		"select a from /a1x/d1/thing/x":       `FROM, near "/a1x/d1/thing/x": there is no such system topic`,
		"select a from /a1x/d1/x where":       `statement, column 30, near "the end": a value expected`,
		"select a from /a1x/d1/x join b":      `statement, column 25, near "join": joins are not supported`,
		"select a from /a1x/d1/x limit 5":     `statement, column 25, near "limit": LIMIT is not supported`,
		"select 温, b c d from /a1x/d1/x":      `statement, column 15, near "d": a comma, AS or FROM expected`,
		"select a from \"/a1x/d1/x\" where '": `statement, column 33, near "'": the closing quote is missing`,
	} {
		if _, err := CompileSQL(sql, JSON); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", sql, err, want)
		}
	}
}
