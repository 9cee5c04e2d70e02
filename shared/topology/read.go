package topology

import (
	"fmt"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/sign"
)

// An entry is one sub-device of a request, with what was presented for it.
type entry struct {
	ref    iot.DeviceRef
	sign   string
	method string // as spelled; "" if absent
	random string
	clean  bool // cleanSession
	fields []sign.Field
	serial int64 // of the secret that signed, once that is known
}

// readEntries reads params: an array of entries, at most most, or one entry alone. Entries that name the same device are one.
func readEntries(params []byte, most int) ([]entry, error) {
	if len(params) > 0 && params[0] == '{' {
		e, err := readEntry(params)
		return []entry{e}, err
	}
	var entries []entry
	seen := make(map[iot.DeviceRef]bool)
	n := 0
	for raw := range alink.Elements(params) {
		if n++; n > most {
			return nil, tooMany(params, most)
		}
		e, err := readEntry(raw)
		if err != nil {
			return []entry{e}, alink.Detailed(err, fmt.Sprintf("entry %d: %s", n, alink.DetailOf(err)))
		}
		if !seen[e.ref] {
			seen[e.ref] = true
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil, alink.Detailed(errEntries, fmt.Sprintf("no entries, at most %d", most))
	}
	return entries, nil
}

// tooMany says how many entries a list has that has more than most.
func tooMany(list []byte, most int) error {
	n := 0
	for range alink.Elements(list) {
		n++
	}
	return alink.Detailed(errEntries, fmt.Sprintf("%d entries, at most %d", n, most))
}

// malformed is errParams with what is wrong for the log.
func malformed(detail string) error { return alink.Detailed(errParams, detail) }

// readEntry reads one entry. The error is a malformed one; what could be read of the names is there even then.
func readEntry(raw []byte) (entry, error) {
	var e entry
	bad := ""
	if len(raw) == 0 || raw[0] != '{' {
		bad = "is not an object"
	}
	for name, value := range alink.Members(raw) {
		text, ok := scalar(value)
		if !ok {
			if bad == "" && string(value) != "null" {
				bad = string(name[:min(len(name), 64)]) + " is neither text nor a number"
			}
			continue
		}
		switch string(name) {
		case "productKey":
			e.ref.ProductKey = iot.ProductKey(text)
		case "deviceName":
			e.ref.DeviceName = iot.DeviceName(text)
		case "sign":
			e.sign = text
		case "signMethod", "signmethod":
			e.method = text
		case "random":
			e.random = text
		case "cleanSession":
			e.clean = text == "true"
		}
		e.fields = append(e.fields, sign.Field{Name: string(name), Value: text})
	}
	switch {
	case bad != "":
		return e, malformed(bad)
	case !iot.ValidProductKey(string(e.ref.ProductKey)):
		return e, malformed("productKey is missing or not a product key")
	case !iot.ValidDeviceName(string(e.ref.DeviceName)):
		return e, malformed("deviceName is missing or not a device name")
	}
	return e, nil
}

// scalar is the text of a string, a number or a truth value.
func scalar(value []byte) (string, bool) {
	switch {
	case len(value) == 0 || value[0] == '{' || value[0] == '[' || value[0] == 'n':
		return "", false
	case value[0] == '"':
		return string(alink.Unquote(value)), true
	}
	return string(value), true
}

// refs are the devices of entries.
func refsOf(entries []entry) []iot.DeviceRef {
	refs := make([]iot.DeviceRef, len(entries))
	for i := range entries {
		refs[i] = entries[i].ref
	}
	return refs
}

// resolve reads the method that the entry was signed with; ok is false for one that there is not, such as Sha256, which some manuals
// name and none describes.
func (e *entry) resolve() (m sign.Method, ok bool) {
	if e.method == "" {
		return sign.Unspecified, true
	}
	m = sign.ParseMethod(e.method)
	return m, m != sign.Unspecified
}

// appendRef appends {"productKey":…,"deviceName":…}, or with the name first.
func appendRef(dst []byte, ref iot.DeviceRef, nameFirst bool) []byte {
	key := func(dst []byte) []byte {
		return alink.AppendString(append(dst, `"productKey":`...), string(ref.ProductKey))
	}
	name := func(dst []byte) []byte {
		return alink.AppendString(append(dst, `"deviceName":`...), string(ref.DeviceName))
	}
	first, second := key, name
	if nameFirst {
		first, second = name, key
	}
	return append(second(append(first(append(dst, '{')), ',')), '}')
}

// appendRefs appends an array of them.
func appendRefs(dst []byte, refs []iot.DeviceRef, nameFirst bool) []byte {
	dst = append(dst, '[')
	for i, ref := range refs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRef(dst, ref, nameFirst)
	}
	return append(dst, ']')
}
