package fc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// unwrap takes the bytes out of what a runtime makes of them. The built-in runtime go1 marshals a handler's []byte to JSON, so
// that it arrives as a quoted base64 text; custom runtimes hand bytes through. Our own encodings never begin with a quotation
// mark (package record).
func unwrap(raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	quoted := bytes.TrimRight(raw, "\r\n\t ")
	if len(quoted) >= 2 && quoted[len(quoted)-1] == '"' {
		text := quoted[1 : len(quoted)-1]
		out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		if n, err := base64.StdEncoding.Decode(out, text); err == nil {
			return out[:n], nil
		}
	}
	var out []byte // with escapes in it
	err := json.Unmarshal(quoted, &out)
	return out, err
}
