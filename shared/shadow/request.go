package shadow

import (
	"bytes"
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Limits ("Errors and limits").
const (
	MaxDocument   = 16 << 10 // bytes, of a message and of what is kept
	MaxDepth      = 5        // objects and arrays within each other, those of a section's own members counted as 1
	MaxAttributes = 128      // leaves of a section
)

// Codes of errors, in the order in which they are looked for.
const (
	codeNotJSON   = 400
	codeEmpty     = 407
	codeNoMethod  = 401
	codeMethod    = 406
	codeNoState   = 402
	codeVersion   = 403
	codeNoSection = 404
	codeReported  = 405
	codeTooMany   = 408
	codeConflict  = 409
	codeInternal  = 500
)

// problem is an error that the device is told with this code.
func problem(code int, message string) *alink.Error {
	cause := refusal.ShadowMalformed
	switch {
	case code == codeConflict:
		cause = refusal.ShadowVersionConflict
	case code == codeTooMany || message == "shadow document is larger than 16 KB" || message == "shadow document is nested too deep":
		cause = refusal.ShadowTooLarge
	}
	return &alink.Error{Code: code, Cause: cause, Message: message, Kind: iot.InvalidParams}
}

// The methods.
const (
	methodUpdate = "update"
	methodDelete = "delete"
	methodGet    = "get"
)

// A request is a message that a device published on /shadow/update/…
type request struct {
	method       string
	token        string // clientToken; "null" if there is none
	version      int64
	hasVersion   bool
	reported     []byte // object; nil if there is none
	dropReported bool   // reported is "null" or null
	dropDesired  bool   // likewise
}

// parse reads a message as leniently as the original did, and checks it in the documented order. What could be read of the token is in
// the answer even then.
func parse(payload []byte) (request, error) {
	r := request{token: "null"}
	if len(bytes.Trim(payload, " \t\r\n\x00")) == 0 {
		return r, problem(codeEmpty, "shadow document is empty")
	}
	if len(payload) > MaxDocument {
		return r, problem(codeNotJSON, "shadow document is larger than 16 KB")
	}
	data, err := alink.Normalize(payload)
	if err != nil || data[0] != '{' {
		return r, problem(codeNotJSON, "payload is not JSON")
	}
	var method, state, version []byte
	for name, value := range alink.Members(data) {
		switch string(name) {
		case "method":
			method = value
		case "state":
			state = value
		case "version":
			version = value
		case "clientToken":
			if s := text(value); s != "" {
				r.token = s
			}
		}
	}
	switch {
	case len(data) == len("{}"):
		return r, problem(codeEmpty, "shadow document is empty")
	case len(method) == 0 || text(method) == "":
		return r, problem(codeNoMethod, "method is missing")
	}
	switch r.method = text(method); r.method {
	case methodGet:
		return r, nil
	case methodUpdate, methodDelete:
	default:
		return r, problem(codeMethod, "method is unknown")
	}
	if len(state) == 0 || state[0] != '{' {
		return r, problem(codeNoState, "state is missing")
	}
	if r.version, r.hasVersion, err = readVersion(version, r.method == methodUpdate); err != nil {
		return r, err
	}
	return r, r.sections(state)
}

// text is a string's content, or another scalar's own text; "" for null, objects, arrays and nothing.
func text(raw []byte) string {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
		return ""
	case raw[0] == '"':
		return string(alink.Unquote(raw))
	}
	return string(raw)
}

// readVersion reads a number of 64 bits. Only a delete can do without.
func readVersion(raw []byte, required bool) (version int64, given bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		if required {
			return 0, false, problem(codeVersion, "version is missing")
		}
		return 0, false, nil
	}
	version, err = strconv.ParseInt(string(raw), 10, 64)
	if err != nil || version < -1 {
		return 0, false, problem(codeVersion, "version is not a number")
	}
	return version, true, nil
}

func (r *request) sections(state []byte) error {
	found := false
	var reported []byte
	for name, value := range alink.Members(state) {
		switch string(name) {
		case "desired": // anything but "null" is for applications to say ("Rules", 5)
			r.dropDesired = null(value, true)
		case "reported":
			found = true
			r.dropReported = null(value, true)
			reported = value
		}
	}
	switch {
	case !found && !r.dropDesired:
		return problem(codeNoSection, "neither reported nor a desired of null")
	case !found || r.dropReported:
		return nil
	case reported[0] != '{' || len(reported) == len("{}"):
		return problem(codeReported, "reported is empty")
	}
	m := measureOf(reported)
	switch {
	case m.leaves > MaxAttributes:
		return problem(codeTooMany, "more than 128 attributes in reported")
	case m.depth > MaxDepth:
		return problem(codeNotJSON, "shadow document is nested too deep")
	case m.badName != "":
		return problem(codeNotJSON, "attribute names have letters, digits, _ and -")
	}
	r.reported = reported
	return nil
}
