package devicelog

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSampler(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		s        sampler
		rate     int // a second
		min, max int // kept of ten seconds
	}{
		{"all", sampler{}, 5000, 50_000, 50_000},
		{"none", sampler{none: true}, 5000, 0, 0},
		{"below_the_limit", sampler{limit: 200}, 200, 2000, 2000},
		{"above", sampler{limit: 200}, 1000, 2600, 3000},
		{"far_above", sampler{limit: 200}, 60_000, 2000 + 2000, 2000 + 2000 + 6000}, // the first second knows no better
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, kept, stands := c.s, 0, 0
			for second := range 10 {
				for i := range c.rate {
					if keep, one := s.keep(int64(second)*1000 + int64(i)*1000/int64(c.rate)); keep {
						kept++
						stands += max(one, 1)
					}
				}
			}
			if kept < c.min || kept > c.max {
				t.Errorf("%d kept", kept)
			}
			if all := 10 * c.rate; kept > 0 && (stands < all*95/100 || stands > all) {
				t.Errorf("what is kept stands for %d of %d", stands, all)
			}
		})
	}
}

var cleanCases = []struct{ in, want string }{
	{"", ""},
	{"/sys/a1/d1/thing", "/sys/a1/d1/thing"},
	{"温度", "温度"},
	{"a\r\nb", `a\r\nb`},
	{"a\x00\x1b[2J\x7f", `a\x00\x1b[2J\x7f`},
	{"a\xffb\xc3", `a\xffb\xc3`},
	{"a\u2028b\u202ec", `a\u2028b\u202ec`},
	{"\u0085", `\u0085`},
	{strings.Repeat("x", 300), strings.Repeat("x", 256) + "…"},
	{strings.Repeat("x", 255) + "温度", strings.Repeat("x", 255) + "…"},
	{"\n" + strings.Repeat("x", 300), `\n` + strings.Repeat("x", 255) + "…"},
}

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range cleanCases {
		if got := clean(c.in, maxName); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, c := range cleanCases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, maxName)
		if !utf8.ValidString(got) || strings.IndexFunc(got, unsafe) >= 0 || len(got) > 6*maxName+len("…") {
			t.Errorf("clean(%q) = %q", s, got)
		}
	})
}
