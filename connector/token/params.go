package token

import (
	"bytes"
	"encoding/json"
)

// maxParams bounds the members of an authentication. Devices send less than ten.
const maxParams = 64

// ParseParams reads the members of an authentication, a JSON object, as the text that is signed: strings as they are, numbers and truth
// values as they appear. Members that are null, objects or lists are not signed, and are left out. Of repeated members the last one holds.
func ParseParams(body []byte) (map[string]string, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil || len(members) > maxParams {
		return nil, false
	}
	params := make(map[string]string, len(members))
	for name, raw := range members {
		switch raw = bytes.TrimSpace(raw); raw[0] {
		case '"':
			var text string
			if json.Unmarshal(raw, &text) != nil {
				return nil, false
			}
			params[name] = text
		case '{', '[', 'n':
		default:
			params[name] = string(raw)
		}
	}
	return params, true
}
