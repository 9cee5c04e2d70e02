package openapi

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Params are the parameters of one call, flattened as they travel: Key, Key.N, Key.N.Member. Names are case-sensitive. The
// typed getters answer a *Failure Invalid… for what does not convert.
type Params struct {
	m map[string]string
}

// NewParams makes Params of a map, which it keeps.
func NewParams(m map[string]string) Params { return Params{m: m} }

// Has reports whether a parameter was given, if only empty.
func (p Params) Has(name string) bool {
	_, ok := p.m[name]
	return ok
}

// hasAny reports whether a parameter was given, as a scalar, a list or a list of objects.
func (p Params) hasAny(name string) bool {
	if p.Has(name) {
		return true
	}
	for key := range p.m {
		if len(key) > len(name) && key[len(name)] == '.' && strings.HasPrefix(key, name) {
			return true
		}
	}
	return false
}

// String is a parameter's value, or "".
func (p Params) String(name string) string { return p.m[name] }

// Int reads a number; without the parameter, or if it is empty, absent.
func (p Params) Int(name string, absent int) (int, error) {
	n, err := p.Int64(name, int64(absent))
	if err != nil || int64(int32(n)) != n {
		return 0, failInvalid(name)
	}
	return int(n), nil
}

// Int64 reads a number; without the parameter, or if it is empty, absent.
func (p Params) Int64(name string, absent int64) (int64, error) {
	s := p.m[name]
	if s == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, failInvalid(name)
	}
	return n, nil
}

// Bool reads true or false in any letter case; without the parameter, or if it is empty, absent.
func (p Params) Bool(name string, absent bool) (bool, error) {
	switch s := p.m[name]; {
	case s == "":
		return absent, nil
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, failInvalid(name)
}

// Strings reads the list Key.1, Key.2, … in the order of its indexes; gaps close. Keys that are not of this form are no part
// of it.
func (p Params) Strings(name string) []string {
	items := p.items(name)
	list := make([]string, 0, len(items))
	for _, it := range items {
		if it.member == "" {
			list = append(list, it.value)
		}
	}
	return list
}

// Objects reads the list Key.1.A, Key.1.B, Key.2.A, … : one Params per index, with the names of the members, which may be
// lists again.
func (p Params) Objects(name string) []Params {
	var list []Params
	last := -1
	for _, it := range p.items(name) {
		if it.member == "" {
			continue
		}
		if it.index != last {
			list = append(list, Params{m: make(map[string]string)})
			last = it.index
		}
		list[len(list)-1].m[it.member] = it.value
	}
	return list
}

type item struct {
	index  int
	member string // after the second dot
	value  string
}

// items finds every Key.N and Key.N.Member, sorted by index.
func (p Params) items(name string) []item {
	var items []item
	for key, value := range p.m {
		rest, ok := strings.CutPrefix(key, name)
		if !ok || len(rest) < 2 || rest[0] != '.' {
			continue
		}
		digits, member, dotted := strings.Cut(rest[1:], ".")
		index, ok := parseIndex(digits)
		if !ok || dotted && member == "" {
			continue
		}
		items = append(items, item{index, member, value})
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.index, b.index), strings.Compare(a.member, b.member))
	})
	return items
}

// parseIndex reads 1, 2, … without sign or leading zero, so that no two keys mean the same place.
func parseIndex(s string) (int, bool) {
	if s == "" || len(s) > 9 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

func failMissing(name string) error {
	return failf(http.StatusBadRequest, "Missing"+name, "%s is mandatory for this action.", name)
}

func failInvalid(name string) error {
	return failf(http.StatusBadRequest, "Invalid"+name, "The specified value of %s is not valid.", name)
}
