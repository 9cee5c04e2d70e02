package main

import (
	"regexp"
	"strings"
	"testing"

	"relink/shared/refusal"
)

// What `relink why` tells to do can be done: the commands and flags exist.
func TestCuresNameCommandsThatExist(t *testing.T) {
	t.Parallel()
	root := newRoot()
	named := 0
	for _, e := range refusal.All() {
		for _, m := range regexp.MustCompile(`\brelink ([a-z-]+(?: [a-z-]+)*)((?: --[a-z-]+)*)`).FindAllStringSubmatch(e.Cure+" "+e.What, -1) {
			c, _, err := root.Find(strings.Fields(m[1]))
			if err != nil || c == root {
				t.Errorf("%s: relink %s: %v", e.Cause, m[1], err)
				continue
			}
			if words := strings.Fields(m[1]); c.HasSubCommands() && c.CommandPath() == "relink "+words[0] {
				t.Errorf("%s: relink %s names no command of %s", e.Cause, m[1], words[0])
			}
			for _, flag := range strings.Fields(m[2]) {
				if c.Flags().Lookup(strings.TrimPrefix(flag, "--")) == nil {
					t.Errorf("%s: %s has no flag %s", e.Cause, c.CommandPath(), flag)
				}
			}
			named++
		}
	}
	if named < 15 {
		t.Errorf("only %d commands are named", named)
	}
}

func TestWhyExpression(t *testing.T) {
	t.Parallel()
	const tail = ` and reason: * and not (operation: offline and code: 200)`
	for address, want := range map[string]string{
		"":                 `((product_key: "a1" and device_name: "d 1") or detail: "a1/d 1")` + tail,
		"203.0.113.7":      `remote_ip: "203.0.113.7"` + tail,
		"::ffff:10.0.0.1":  `remote_ip: "10.0.0.1"` + tail,
		"2001:0db8:0::0:1": `remote_ip: "2001:db8::1"` + tail,
		"203.0.113.7:99":   "",
		"lamp":             "",
	} {
		got, err := whyExpression([]string{"a1", "d 1"}, address)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
}
