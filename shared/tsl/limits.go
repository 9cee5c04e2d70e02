package tsl

import (
	"unicode"
	"unicode/utf8"

	"relink/shared/iot"
)

// Limits of a thing model ("Limits and identifiers").
const (
	MaxDocument   = 256 << 10 // bytes of a TSL or ThingModelJson
	maxIdentifier = 50
	maxBlockID    = 30
	minBlockName  = 4 // characters
	maxBlockName  = 30
	maxName       = 40 // 30 in one page of the documentation, 40 in the published schema
	maxDesc       = 2048
	maxFeatures   = 300 // properties, events and services of one module together
	maxPerKind    = 256
	maxServiceArg = 20 // each way
	maxEventArg   = 50
	maxMembers    = 50 // of a struct
	maxNames      = 100
	maxText       = 10240
	maxSize       = 512 // of an array
	maxBlocks     = 20  // the default one included
	maxEdit       = 10  // features of one call
)

func invalid(path, format string, args ...any) error {
	return iot.Errorf(iot.InvalidParams, path+": "+format, args...)
}

func tooMany(path string, limit int) error {
	return iot.Errorf(iot.QuotaExceeded, "%s: more than %d", path, limit)
}

func validIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifier {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			continue
		}
		return false
	}
	return true
}

// reserved names are taken on any level, or by the topics of the default module.
func reserved(s string, feature bool) bool {
	switch s {
	case "set", "get", "post", "time", "value":
		return true
	case "property", "event":
		return feature
	}
	return false
}

func checkIdentifier(path, s string, feature bool) error {
	if !validIdentifier(s) {
		return invalid(path+".identifier", "%q is not 1 to %d of letters, digits and _", s, maxIdentifier)
	}
	if reserved(s, feature) {
		return invalid(path+".identifier", "%q is reserved", s)
	}
	return nil
}

func checkName(path, s string) error {
	n := 0
	for _, r := range s {
		first := unicode.IsLetter(r) || unicode.IsDigit(r)
		if !first && (n == 0 || !containsRune("_-/.() （）", r)) {
			return invalid(path+".name", "%q begins with a letter or digit and has only letters, digits and _-/.() besides", s)
		}
		n++
	}
	if n == 0 || n > maxName {
		return invalid(path+".name", "has %d characters, not 1 to %d", n, maxName)
	}
	return nil
}

func containsRune(set string, r rune) bool {
	for _, c := range set {
		if c == r {
			return true
		}
	}
	return false
}

func checkDesc(path, s string) error {
	if utf8.RuneCountInString(s) > maxDesc {
		return invalid(path+".desc", "has more than %d characters", maxDesc)
	}
	return nil
}

// unique tells names of one list apart.
type unique map[string]struct{}

func (u unique) add(path, what, s string) error {
	if _, found := u[s]; found {
		return iot.Errorf(iot.AlreadyExists, "%s.%s: %q is there twice", path, what, s)
	}
	u[s] = struct{}{}
	return nil
}
