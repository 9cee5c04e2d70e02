package rule

import "unicode"

// validName checks a rule's name ("Identifiers, names, secrets"): Chinese and Japanese count twice.
func validName(name string) bool {
	width := 0
	for _, r := range name {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			width += 2
		case r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
			width++
		default:
			return false
		}
	}
	return width >= 1 && width <= maxNameWidth
}
