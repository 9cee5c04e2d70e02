package openapi

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func params(t testing.TB, raw string) Params {
	t.Helper()
	pairs, err := ParsePairs(raw)
	if err != nil {
		t.Fatal(err)
	}
	return (&Request{Query: pairs}).Params()
}

func TestParamsLists(t *testing.T) {
	t.Parallel()
	p := params(t, "DeviceName.10=j&DeviceName.2=b&DeviceName.1=a&DeviceName.0=no&DeviceName.01=no&DeviceName.x=no&DeviceName=no&DeviceNames.1=no&"+
		"UserProp.2.Key=k2&UserProp.1.Key=k1&UserProp.1.Value=v1&UserProp.1.Tag.1=t&UserProp.3.=no&A.1=")
	if got, want := p.Strings("DeviceName"), []string{"a", "b", "j"}; !slices.Equal(got, want) {
		t.Errorf("Strings = %q, want %q", got, want)
	}
	if got := p.Strings("A"); len(got) != 1 || got[0] != "" {
		t.Errorf("an empty element gives %q", got)
	}
	objects := p.Objects("UserProp")
	if len(objects) != 2 || objects[0].String("Key") != "k1" || objects[0].String("Value") != "v1" || objects[1].String("Key") != "k2" || objects[1].Has("Value") {
		t.Fatalf("Objects = %+v", objects)
	}
	if got := objects[0].Strings("Tag"); !slices.Equal(got, []string{"t"}) {
		t.Errorf("a list within a list gives %q", got)
	}
	if !p.hasAny("UserProp") || !p.hasAny("DeviceName") || p.hasAny("User") || p.hasAny("UserProp.4") {
		t.Error("hasAny finds the wrong names")
	}
}

func TestParamsScalars(t *testing.T) {
	t.Parallel()
	p := params(t, "I=42&L=9007199254740993&Neg=-1&Big=2147483648&B=TRUE&F=false&Bad=yes&E=&S=a+b%2Bc%26;d")
	if n, err := p.Int("I", 0); n != 42 || err != nil {
		t.Errorf("I = %d, %v", n, err)
	}
	if n, err := p.Int64("L", 0); n != 9007199254740993 || err != nil {
		t.Errorf("L = %d, %v", n, err)
	}
	if n, err := p.Int("Absent", 7); n != 7 || err != nil {
		t.Errorf("Absent = %d, %v", n, err)
	}
	if n, err := p.Int("E", 7); n != 7 || err != nil {
		t.Errorf("E = %d, %v", n, err)
	}
	if b, err := p.Bool("B", false); !b || err != nil {
		t.Errorf("B = %v, %v", b, err)
	}
	if b, err := p.Bool("F", true); b || err != nil {
		t.Errorf("F = %v, %v", b, err)
	}
	if s := p.String("S"); s != "a b+c&;d" {
		t.Errorf("S = %q", s)
	}
	_, bigErr := p.Int("Big", 0)
	_, badIntErr := p.Int64("Bad", 0)
	_, badErr := p.Bool("Bad", false)
	for name, err := range map[string]error{"Big": bigErr, "Bad": badIntErr, "Bad ": badErr} {
		if f, ok := err.(*Failure); !ok || f.Code != "Invalid"+strings.TrimSpace(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePairsBounds(t *testing.T) {
	t.Parallel()
	if _, err := ParsePairs(strings.Repeat("a=1&", maxParams)); err == nil {
		t.Error("too many parameters were accepted")
	}
	for _, raw := range []string{"a=%", "%zz=1", "a=%4"} {
		if _, err := ParsePairs(raw); err == nil {
			t.Errorf("ParsePairs(%q) accepts what is no encoding", raw)
		}
	}
}

// FuzzFlattening: whatever is sent, lists hold only values that were sent under their name, in order of index; and a list that
// is flattened comes back.
func FuzzFlattening(f *testing.F) {
	f.Add("DeviceName.1=a&DeviceName.2=b", "DeviceName")
	f.Add("UserProp.1.Key=k&UserProp.1.Value=v&UserProp.2.Key=", "UserProp")
	f.Add("A.1.B.2=x&A..=y&A.1.=z&A.999999999999=9&A.-1=&A.+1=", "A")
	f.Add("=&&=1&.1=x", "")
	f.Add("%E8%AE%BE.1=%00&;.1", "设")
	f.Fuzz(func(t *testing.T, raw, name string) {
		pairs, err := ParsePairs(raw)
		if err != nil {
			return
		}
		p := (&Request{Query: pairs}).Params()
		list := p.Strings(name)
		values := slices.Collect(maps.Values(p.m))
		for _, v := range list {
			if !slices.Contains(values, v) {
				t.Errorf("%q is in the list and was not sent", v)
			}
		}
		if len(list) > len(p.m) {
			t.Errorf("%d elements of %d parameters", len(list), len(p.m))
		}
		for _, o := range p.Objects(name) {
			if len(o.m) == 0 {
				t.Error("an object without members")
			}
		}
		var b strings.Builder
		for i, v := range list {
			b.WriteString(url.QueryEscape(name+"."+strconv.Itoa(i+1)) + "=" + url.QueryEscape(v) + "&")
		}
		if again := params(t, b.String()).Strings(name); !slices.Equal(again, list) {
			t.Errorf("flattened again: %q, want %q", again, list)
		}
	})
}
