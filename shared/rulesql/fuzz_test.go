package rulesql

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func goldenSeeds(f *testing.F) []goldenCase {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	var cases []goldenCase
	for _, file := range files {
		cases = append(cases, readGolden(f, file)...)
	}
	return cases
}

// FuzzParse: what parses, prints so that it parses to the same; what does not, says where.
func FuzzParse(f *testing.F) {
	for _, c := range goldenSeeds(f) {
		f.Add(c.selects, c.where)
	}
	f.Add("a x, \"a[0]\" \"b\", 1.50", "not (a = 1 or b) and -(-5) in (1, null)")
	f.Fuzz(func(t *testing.T, selects, where string) {
		checkError := func(err error) {
			e, ok := err.(*SyntaxError)
			if !ok || e.Reason == "" || e.Column < 0 || !utf8.ValidString(e.Error()) {
				t.Errorf("error %#v", err)
			}
		}
		if fields, err := ParseSelect(selects); err != nil {
			checkError(err)
		} else {
			s := &Statement{Fields: fields}
			printed := s.SelectText()
			again, err := ParseSelect(printed)
			if len(printed) > MaxStatement {
				return // aliases that were left out are written
			}
			if err != nil {
				t.Fatalf("%q printed as %q: %v", selects, printed, err)
			}
			if twice := (&Statement{Fields: again}).SelectText(); twice != printed {
				t.Errorf("%q printed as %q, then as %q", selects, printed, twice)
			}
			for i := range fields {
				if fields[i].Key != again[i].Key || !reflect.DeepEqual(fields[i].Expr, again[i].Expr) {
					t.Errorf("%q: %+v became %+v", selects, fields[i], again[i])
				}
			}
		}
		e, err := ParseWhere(where)
		if err != nil {
			checkError(err)
			return
		}
		if e == nil {
			return
		}
		again, err := ParseWhere(e.String())
		if len(e.String()) <= MaxStatement && (err != nil || !reflect.DeepEqual(e, again)) {
			t.Errorf("%q printed as %q: %v", where, e, err)
		}
		_, err = Parse("SELECT " + selects + " FROM x WHERE " + where)
		if err != nil {
			checkError(err)
		}
	})
}

// FuzzDocument: it accepts what encoding/json accepts, within its depth, and gives back the same value.
func FuzzDocument(f *testing.F) {
	for _, c := range goldenSeeds(f) {
		f.Add(c.m.Payload)
	}
	f.Add([]byte(`{"a":[1,-0.5e+3,"\ud83d\ude00\ud800",{"":[]}],"a":null} `))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDocument(data)
		clean := bytes.TrimLeft(bytes.ToValidUTF8(data, []byte("\uFFFD")), " \t\r\n")
		want := json.Valid(clean) && (clean[0] == '{' || clean[0] == '[') && len(data) <= MaxPayload
		if (err == nil) != want {
			if err != nil && strings.Contains(err.Error(), "inside each other") {
				return
			}
			t.Fatalf("%q: %v, want %v", data, err, want)
		}
		if err != nil {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, clean); err != nil {
			t.Fatal(err)
		}
		if got := d.Root().AppendJSON(nil); !bytes.Equal(got, compact.Bytes()) {
			t.Errorf("%q gives %q", data, got)
		}
		for name, v := range d.Members {
			if again := d.Lookup([]Step{{Key: name}}); name != "" && again != v {
				t.Errorf("member %q of %q: %v, %v", name, data, v, again)
			}
			v.Text()
		}
	})
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return v
}

// walk is what a path means, on decoded JSON.
func walk(v any, steps []Step) any {
	for _, s := range steps {
		if s.Key != "" {
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[s.Key]
			continue
		}
		l, ok := v.([]any)
		if !ok || s.Index >= len(l) {
			return nil
		}
		v = l[s.Index]
	}
	return v
}

// FuzzPath: a path prints as it reads and finds what it finds in the decoded payload.
func FuzzPath(f *testing.F) {
	payload := []byte(`{"a":[{"v":0},{"v":1,"v":2}],"$":{"b":[[1]]},"\u0061b":{"c d":null}}`)
	for _, p := range []string{"a", "a[0]", "$.a[1].v", ".a[1].v", "[0].a", "$", "$[0]", "$.$.b[0][0]", "ab.c d", "a[00]", ".[0]", "a.", "$a", ".$.b"} {
		f.Add(p, payload)
		f.Add(p, []byte(`[{"a":1},[2]]`))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		steps, array, err := ParsePath(path)
		if err != nil {
			return
		}
		printed := pathText(steps, array)
		again, arrayAgain, err := ParsePath(printed)
		if len(printed) <= MaxName && (err != nil || array != arrayAgain || !reflect.DeepEqual(steps, again)) {
			t.Fatalf("%q printed as %q: %v %v %v", path, printed, again, arrayAgain, err)
		}
		d, err := ParseDocument(data)
		if err != nil {
			return
		}
		got := decode(t, d.Lookup(steps).AppendJSON(nil))
		want := walk(decode(t, bytes.ToValidUTF8(data, []byte("\uFFFD"))), steps)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q of %q: %v, want %v", path, data, got, want)
		}
		if array && want != nil {
			v := d.lookup(steps, true, &run{steps: 1 << 30})
			if !reflect.DeepEqual(decode(t, v.AppendJSON(nil)), []any{want}) {
				t.Errorf("%q of %q: %s", path, data, v.Text())
			}
		}
	})
}

// FuzzEval: a rule ends soon, gives JSON, gives the same again and printed, and is found by the index if it matches.
func FuzzEval(f *testing.F) {
	for _, c := range goldenSeeds(f) {
		f.Add(c.selects, c.where, c.m.Payload, c.format == Binary)
	}
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, selects, where string, payload []byte, binary bool) {
		format := JSON
		if binary {
			format = Binary
		}
		from := From{Pattern: "/a1x/+/user/#", Source: Custom}
		r, err := Compile(Definition{Format: format, Select: selects, From: from, Where: where})
		if err != nil {
			return
		}
		env := testEnv()
		env.MaxSteps = 100_000
		m := &Message{Topic: "/a1x/d1/user/x", Payload: payload, ID: "1", Attributes: tagMap{"k": "v"}}
		m.Device.ProductKey, m.Device.DeviceName = "a1x", "d1"
		start := time.Now()
		res := r.Eval(ctx, env, m)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if (res.Err == nil) != (res.Outcome == Matched || res.Outcome == NotMet) || (res.Outcome == Matched) != (res.Body != nil) && len(payload) > 0 {
			t.Errorf("%v %v %q", res.Outcome, res.Err, res.Body)
		}
		if res.Outcome == Matched && !r.passes && (!json.Valid(res.Body) || !utf8.Valid(res.Body) || len(res.Body) > MaxResult+1) {
			t.Errorf("result %q", res.Body)
		}
		if res.Outcome == Matched || res.Outcome == Failed {
			found := false
			NewIndex([]*Rule{r}).Match(env, m, func(int) bool { found = true; return true })
			if !found {
				t.Errorf("the index leaves it out: %v", res.Outcome)
			}
		}
		printed := Definition{Format: format, Select: r.statement.SelectText(), From: from}
		if r.statement.Where != nil {
			printed.Where = r.statement.Where.String()
		}
		if len(printed.Select)+len(printed.Where)+len(from.Pattern) <= MaxStatement {
			again, err := Compile(printed)
			if err != nil {
				t.Fatalf("printed as %+v: %v", printed, err)
			}
			env.Random, m.out = testEnv().Random, nil
			if second := again.Eval(ctx, env, m); second.Outcome != res.Outcome || !bytes.Equal(second.Body, res.Body) {
				t.Errorf("%q and printed as %+v: %q", res.Body, printed, second.Body)
			}
		}
		r.DryRun(ctx, env, m)
	})
}

// FuzzTexts are the small languages: topics, templates, date patterns.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"/a1x/+/user/#", "/sys/a1x/d1/thing/event/property/post", "${a.b[0]}-x", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "a1x/+ota/upgrade", "/as/mqtt/status/a1x/+"} {
		f.Add(s)
	}
	d, err := ParseDocument([]byte(`{"a":{"b":["x"]}}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if from, err := ParseFrom(s); err == nil {
			again, err := ParseFrom(from.Pattern)
			parts, err2 := FromParts(from.ProductKey, from.ShortTopic(), from.TopicType())
			if err != nil || err2 != nil || again != from || parts != from {
				t.Errorf("%q is %+v, that is %+v %v, %+v %v", s, from, again, err, parts, err2)
			}
		}
		if tpl, err := CompileTemplate(s); err == nil {
			if _, err := tpl.Value(d); err != nil {
				if _, ok := err.(*MissingError); !ok {
					t.Error(err)
				}
			}
		}
		if p, err := parsePattern(s); err == nil {
			p.append(nil, time.Unix(1543373798, 0).In(chinaTime))
		}
	})
}
