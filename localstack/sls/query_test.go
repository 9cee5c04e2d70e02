package sls

import (
	"testing"
)

var searches = []struct{ in, want string }{
	{"", "*"},
	{"*", "*"},
	{"error", "error"},
	{"a b", "(a and b)"},
	{"a AND b or c", "((a and b) or c)"},
	{"a or b and c", "(a or (b and c))"},
	{"a not b", "(a and not b)"},
	{"not (a or b) c", "(not (a or b) and c)"},
	{"key: value", `"key": value`},
	{`key:"two words"`, `"key": "two words"`},
	{`key:#"two words"`, `"key": #"two words"`},
	{"pk: pre*", `"pk": pre*`},
	{"code > 5", `"code" in (5 *]`},
	{"code>=5", `"code" in [5 *]`},
	{"code <= -1.5", `"code" in [* -1.5]`},
	{"code = 3", `"code" in [3 3]`},
	{"code in [1 5)", `"code" in [1 5)`},
	{"code in (1, 5]", `"code" in (1 5]`},
	{"code: [1 5]", `"code" in [1 5]`},
	{"code: > 5", `"code" in (5 *]`},
	{"__tag__:host: a1", `"__tag__:host": a1`},
	{"__topic__: FCInstanceEvents*", `"__topic__": FCInstanceEvents*`},
	{"k:(a or b)", `("k": a or "k": b)`},
	{`"k 1": v`, `"k 1": v`},
	{`a\:b`, `"a:b"`},
	{"in", "in"},
	{"x in y", "((x and in) and y)"},
	{"设备 在线", "(设备 and 在线)"},
	{"key: *", `"key": *`},
}

func TestParseSearch(t *testing.T) {
	t.Parallel()
	for _, c := range searches {
		e, err := parseSearch(c.in)
		if err != nil {
			t.Errorf("parseSearch(%q): %v", c.in, err)
			continue
		}
		if got := e.String(); got != c.want {
			t.Errorf("parseSearch(%q) = %s, want %s", c.in, got, c.want)
		}
	}
	for _, in := range []string{"(a", "a)", "key:", "or a", "not", `"open`, "a > b", "code in [1", "code in [1 2", ": a", "a > inf", "k:(", "(", "a|b"} {
		if e, err := parseSearch(in); err == nil {
			t.Errorf("parseSearch(%q) = %s, want an error", in, e)
		}
	}
}

func FuzzParseSearch(f *testing.F) {
	for _, c := range searches {
		f.Add(c.in)
	}
	x, err := parseIndex([]byte(`{"line":{"token":[" ","-"]},"keys":{"key":{"type":"text","token":[","]},"code":{"type":"long"}}}`))
	if err != nil {
		f.Fatal(err)
	}
	g := &group{topic: []byte("topic"), source: []byte("10.0.0.1")}
	f.Fuzz(func(t *testing.T, s string) {
		search, _, _ := splitQuery(s)
		e, err := parseSearch(search)
		if err != nil {
			return
		}
		again, err := parseSearch(e.String())
		if err != nil {
			t.Fatalf("parseSearch(%q) = %s, which does not parse: %v", search, e, err)
		}
		if again.String() != e.String() {
			t.Fatalf("parseSearch(%q) = %s, which parses to %s", search, e, again)
		}
		m, err := compile(e, x)
		if err != nil {
			return
		}
		data := encodeGroup("topic", "10.0.0.1", []Log{{Fields: []Field{{"key", s}, {"code", "5"}}}}, testNow)
		if err := g.decode(data); err != nil {
			t.Fatal(err)
		}
		r := &record{group: g}
		r.reset(g.logs[0])
		if n := needle(m); n != "" && m.match(r) {
			if found, _ := containsFold(data, []byte(n), nil); !found {
				t.Fatalf("%s matches a log without its needle %q", e, n)
			}
		}
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	x, err := parseIndex([]byte(`{"line":{"token":[" ",",","/",":"]},"keys":{
		"message":{"type":"text","token":[" ",",","."]},"code":{"type":"long"},"ms":{"type":"double"},
		"exact":{"type":"text","token":[" "],"caseSensitive":true},"zh":{"type":"text","token":[" "],"chn":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	data := encodeGroup("/sys/a1/dev", "10.0.0.1", []Log{{Fields: []Field{
		{"message", "Connection refused by peer, retrying. done"}, {"code", "460"}, {"ms", "1.25"}, {"exact", "ABC"}, {"zh", "设备在线"}, {"dn", "sensor-17"},
	}}}, testNow)
	tagged := appendPair(data, groupTags, "host", "node1")
	var g group
	if err := g.decode(tagged); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		search string
		want   bool
	}{
		{"*", true},
		{"refused", true},
		{"REFUSED", true},
		{"refuse", false},
		{"refus*", true},
		{"re?used", true},
		{"r*d", true},
		{"sensor-17", true},
		{"dn", true}, // names of fields are searched too
		{"message: refused", true},
		{`message: "peer connection"`, true},
		{`message: #"peer connection"`, false},
		{`message: #"by peer retrying"`, true},
		{`#"refused by"`, true},
		{"message: retrying and code: 460", true},
		{"message: retrying and code: 461", false},
		{"code > 459 and code < 461", true},
		{"code in [460 500)", true},
		{"code in (460 500]", false},
		{"ms >= 1.25", true},
		{"ms < 1.25", false},
		{"exact: abc", false},
		{"exact: ABC", true},
		{"zh: 在线", true},
		{"zh: 离线", false},
		{"not refused", false},
		{"not nothing", true},
		{"nothing or refused", true},
		{"__topic__: a1", true},
		{`__topic__: "/sys/a1/dev"`, true},
		{"__topic__: a2", false},
		{"__source__: 10.0.0.1", true},
		{"__tag__:host: node1", true},
		{"__tag__:host: node2", false},
		{"__tag__:zone: *", false},
		{"message: *", true},
		{"message:(refused or lost)", true},
		{"message:(absent or lost)", false},
	} {
		e, err := parseSearch(c.search)
		if err != nil {
			t.Errorf("%s: %v", c.search, err)
			continue
		}
		m, err := compile(e, x)
		if err != nil {
			t.Errorf("%s: %v", c.search, err)
			continue
		}
		r := &record{group: &g}
		r.reset(g.logs[0])
		if got := m.match(r); got != c.want {
			t.Errorf("%s: match = %v, want %v", c.search, got, c.want)
		}
	}
	for _, search := range []string{"dn: sensor", "message > 5", "code: high", "*suffix", "message: ?x"} {
		e, err := parseSearch(search)
		if err != nil {
			t.Errorf("%s: %v", search, err)
			continue
		}
		if _, err := compile(e, x); err == nil {
			t.Errorf("%s: compiled, want ParameterInvalid", search)
		}
	}
}

func TestParseSQL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql, key string
		step     int64
		columns  int
	}{
		{"select count(*)", "", 0, 1},
		{"SELECT COUNT(1) AS pv FROM log", "", 0, 1},
		{"select code, count(*) as c group by code order by c desc limit 10", "code", 1, 2},
		{`select "a b" as k, count(*) group by "a b"`, "a b", 1, 2},
		{"select code as k, count(*) group by k;", "code", 1, 2},
		{"select code, count(*) group by 1", "code", 1, 2},
		{"select __time__ - __time__ % 60 as t, count(*) as c group by t order by t", fieldTime, 60, 2},
		{"select count(*) as c group by code", "code", 1, 1},
	} {
		q, err := parseSQL(c.sql)
		if err != nil {
			t.Errorf("parseSQL(%q): %v", c.sql, err)
			continue
		}
		if q.key != c.key || q.step != c.step || len(q.columns) != c.columns {
			t.Errorf("parseSQL(%q) = %+v", c.sql, q)
		}
	}
	for _, sql := range []string{"", "select *", "select sum(x)", "select a, b, count(*) group by a", "select code, count(*)", "delete from log", "select count(*) order by x", "select count(*) from other", "select a, count(*) group by b", "select count(*) where a = 1"} {
		if q, err := parseSQL(sql); err == nil {
			t.Errorf("parseSQL(%q) = %+v, want an error", sql, q)
		}
	}
}

func FuzzParseSQL(f *testing.F) {
	f.Add("select code, count(*) as c group by code order by c desc limit 10")
	f.Add("select __time__ - __time__ % 60 as t, count(*) as c group by t order by t")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseSQL(s)
		if err == nil && (len(q.columns) == 0 || q.orderBy >= len(q.columns) || q.key == fieldTime && q.step < 1) {
			t.Errorf("parseSQL(%q) = %+v", s, q)
		}
	})
}
