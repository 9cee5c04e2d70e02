package alink

import (
	"strconv"
	"unicode/utf8"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Versions of requests to a device: VersionService for property set, property get and services, Version for all others. Replies carry
// Version.
const (
	Version        = "1.0"
	VersionService = "1.0.0"
)

// AppendReply appends the answer to a device's request: compact, in the order that shipped firmware scans for,
//
//	{"code":200,"data":{},"id":"123","message":"success","method":"thing.event.property.post","version":"1.0"}
//
// data is valid JSON, {} if empty; id is repeated as a string, byte for byte.
func AppendReply(dst []byte, code int, id string, data []byte, message, method string) []byte {
	if len(data) == 0 {
		data = emptyObject
	}
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	dst = append(dst, `,"id":`...)
	dst = AppendString(dst, id)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, message)
	dst = append(dst, `,"method":`...)
	dst = AppendString(dst, method)
	return append(dst, `,"version":"`+Version+`"}`...)
}

// AppendRequest appends a request to a device, all members, in the original's order ("Interoperability rules", 5). params is valid,
// compact JSON, {} if empty; id is a string of at most ten digits.
func AppendRequest(dst []byte, method, id string, params []byte, version string) []byte {
	if len(params) == 0 {
		params = emptyObject
	}
	dst = append(dst, `{"method":`...)
	dst = AppendString(dst, method)
	dst = append(dst, `,"id":`...)
	dst = AppendString(dst, id)
	dst = append(dst, `,"params":`...)
	dst = append(dst, params...)
	dst = append(dst, `,"version":`...)
	dst = AppendString(dst, version)
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD, and nothing else is changed.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + n
			}
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// A Reply is what a device answers to the platform's request.
type Reply struct {
	ID      string
	Code    int    // 200 if absent; other codes go to the caller unchanged
	Data    []byte // strict JSON of any type; {} if absent. It may alias the payload
	Message string
	Method  string
	Version string
}

// ParseReply reads a device's answer as leniently as Parse; code may be a string. The error is an *Error: ErrEmpty, ErrNotJSON, or one
// for a code that is no number.
func ParseReply(payload []byte) (Reply, error) {
	data, e, err := open(payload)
	if err != nil {
		return Reply{Data: emptyObject}, err
	}
	r := Reply{
		ID:      text(data[e.id.value:e.id.end]),
		Code:    CodeOK,
		Data:    emptyObject,
		Message: text(data[e.message.value:e.message.end]),
		Method:  text(data[e.method.value:e.method.end]),
		Version: text(data[e.version.value:e.version.end]),
	}
	if raw := data[e.data.value:e.data.end]; len(raw) > 0 && raw[0] != 'n' {
		r.Data = raw
	}
	if s := text(data[e.code.value:e.code.end]); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return r, &Error{CodeParams, refusal.ParamsMalformed, "code is not a number", iot.InvalidParams}
		}
		r.Code = int(n)
	}
	return r, nil
}
