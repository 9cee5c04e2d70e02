package fcrun

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// The runtime go1 marshals results as JSON, so bytes that are not JSON need a wrapping that callers can undo whatever
// the runtime: a result that begins with a quotation mark is a JSON string with base64 of the result; everything else
// is the result itself. Package shared/fc undoes it for our callers. Formats of results should therefore not begin with a quotation mark, and then only binary
// results under go1 are ever wrapped.
//
// JSON results arrive from go1 as equivalent JSON: compact, and with <, > and & escaped.

// encodeRaw gives the value that fc-runtime-go-sdk marshals into the rule above.
func encodeRaw(result []byte) any {
	if trimmed := bytes.TrimLeft(result, " \t\r\n"); len(trimmed) > 0 && trimmed[0] != '"' && json.Valid(result) {
		return json.RawMessage(result)
	}
	if result == nil {
		result = []byte{} // a nil slice would become null
	}
	return result // marshals to a base64 string
}

// wrapQuoted gives the bytes that a caller receives under a custom runtime.
func wrapQuoted(result []byte) []byte {
	if len(result) == 0 || result[0] != '"' {
		return result
	}
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(result))+2)
	out = append(out, '"')
	out = base64.StdEncoding.AppendEncode(out, result)
	return append(out, '"')
}
