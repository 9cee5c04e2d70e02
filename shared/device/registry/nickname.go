package registry

import "unicode"

// iotText tells whether s is made of CJK (counted twice), letters, digits and _, and is between least and most long.
func iotText(s string, least, most int) bool {
	n := 0
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			n++
		case unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			n += 2
		default:
			return false
		}
	}
	return n >= least && n <= most
}
