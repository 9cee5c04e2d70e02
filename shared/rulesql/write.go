package rulesql

import (
	"math"
	"strconv"

	"relink/shared/alink"
)

// AppendJSON appends the value as compact JSON.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.bits == 1)
	case Number:
		switch v.form {
		case asWritten:
			return append(dst, v.text...)
		case float:
			return appendFloat(dst, math.Float64frombits(v.bits))
		}
		return strconv.AppendInt(dst, int64(v.bits), 10)
	case String:
		if v.form == computed {
			return alink.AppendString(dst, v.text)
		}
		dst = append(dst, '"')
		dst = append(dst, v.text...)
		return append(dst, '"')
	case Object, Array:
		if v.loose {
			return appendCompact(dst, v.text)
		}
		return append(dst, v.text...)
	}
	return append(dst, "null"...)
}

// MarshalJSON makes a Value a json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// appendFloat writes the shortest digits that give f again, with an exponent only where the plain form is long.
func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a < 1e-6 || a >= 1e21 {
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-07
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendCompact copies checked JSON without white space between tokens.
func appendCompact(dst []byte, s string) []byte {
	inside := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if inside {
			dst = append(dst, c)
			if c == '\\' {
				i++
				dst = append(dst, s[i])
			} else if c == '"' {
				inside = false
			}
			continue
		}
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '"':
			inside = true
		}
		dst = append(dst, c)
	}
	return dst
}
