package rulesql

import (
	"errors"
	"net/url"
	"slices"
	"testing"

	"relink/shared/alink"
)

// Rule engine reference, "Actions", Common: substitution.
func TestTemplate(t *testing.T) {
	t.Parallel()
	result, err := ParseDocument([]byte(`{"device":"bike","n":1.50,"ok":true,"a":{"b":["x", {"c":2}]},"a.b":"whole","deviceName()":"d1","nul":null,"u":"a b/ü","e":"\"q\""}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, json string
		kind       Kind
	}{
		{"constant", `"constant"`, String},
		{"", `""`, String},
		{"${device}", `"bike"`, String},
		{"${ device }", `"bike"`, String},
		{"${n}", `1.50`, Number},
		{"${ok}", `true`, Bool},
		{"${a}", `{"b":["x",{"c":2}]}`, Object},
		{"${a.b}", `"whole"`, String},
		{"${a.b[1].c}", `2`, Number},
		{"${$.a.b[0]}", `"x"`, String},
		{"${deviceName()}", `"d1"`, String},
		{"${nothing}", `null`, Null},
		{"${nul}", `null`, Null},
		{"x-${n}-${ok}", `"x-1.50-true"`, String},
		{"/a1x/${device}/user/${deviceName()}", `"/a1x/bike/user/d1"`, String},
		{"${device}${device}", `"bikebike"`, String},
		{"${a} $ { } $x", `"{\"b\":[\"x\",{\"c\":2}]} $ { } $x"`, String},
		{"=${e}", `"=\"q\""`, String},
	} {
		tpl, err := CompileTemplate(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		v, err := tpl.Value(result)
		if got := string(v.AppendJSON(nil)); err != nil || got != c.json && c.kind != String || v.Kind() != c.kind || c.kind == String && string(alink.AppendString(nil, v.Text())) != c.json {
			t.Errorf("%s: %s %v, %v; want %s", c.text, got, v.Kind(), err, c.json)
		}
		if tpl.String() != c.text || tpl.Constant() != (len(tpl.Names()) == 0) {
			t.Errorf("%s: %q %v %v", c.text, tpl.String(), tpl.Constant(), tpl.Names())
		}
	}
	tpl, err := CompileTemplate("/x/${u}/${nothing}")
	if err != nil {
		t.Fatal(err)
	}
	if got := tpl.Names(); !slices.Equal(got, []string{"u", "nothing"}) {
		t.Error(got)
	}
	s, err := tpl.Text(result, nil)
	if e, ok := errors.AsType[*MissingError](err); !ok || e.Name != "nothing" || s != "" {
		t.Errorf("%q, %v", s, err)
	}
	tpl, err = CompileTemplate("/x y/${u}")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := tpl.Text(result, url.PathEscape); err != nil || s != "/x y/a%20b%2F%C3%BC" {
		t.Errorf("%q, %v", s, err)
	}
	for text, want := range map[string]string{
		"a ${b": `template, column 3, near "$": ${ has no }`, "${}": `template, column 1, near "$": ${} names nothing`,
		"${a${b}}": `template, column 1, near "$": ${ inside ${`,
	} {
		if _, err := CompileTemplate(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := CompileTemplate(string(make([]byte, MaxTemplate+1))); err == nil {
		t.Error("a long template passed")
	}
}

// The OTS example of "Golden cases": the members beside the keys, with their types.
func TestDocumentMembers(t *testing.T) {
	t.Parallel()
	d, err := ParseDocument([]byte(`{"device":"bike","message":"hello","data":[{"x": 1}],"n":5,"device":"car","f":1.5}`))
	if err != nil {
		t.Fatal(err)
	}
	var names, texts []string
	for name, v := range d.Members {
		names, texts = append(names, name), append(texts, v.Text())
	}
	if !slices.Equal(names, []string{"message", "data", "n", "device", "f"}) || !slices.Equal(texts, []string{"hello", `[{"x":1}]`, "5", "car", "1.5"}) {
		t.Errorf("%q %q", names, texts)
	}
	for range d.Members {
		break
	}
	steps, _, err := ParsePath("n")
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := d.Lookup(steps).Int64(); i != 5 || !ok {
		t.Error(i, ok)
	}
	if f, ok := d.Lookup([]Step{{Key: "f"}}).Float64(); f != 1.5 || !ok {
		t.Error(f, ok)
	}
	if _, ok := d.Lookup([]Step{{Key: "f"}}).Int64(); ok {
		t.Error("1.5 is an integer")
	}
}
