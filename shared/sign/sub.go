package sign

import (
	"cmp"
	"slices"

	"relink/shared/iot"
)

// A Field is one member of what a gateway presents for a sub-device: of an entry of topo/add, combine/login or BatchAddThingTopo. The
// value is its text, whole and verbatim, whether it was a string or a number.
type Field struct{ Name, Value string }

// fieldClean is in the content of old manuals alone.
const fieldClean = "cleanSession"

// SubContent is the string that is signed for a sub-device ("Sub-device signature"): all fields but sign, signMethod, signmethod and
// cleanSession, sorted by name, name and value without separators. withClean takes cleanSession in, as old manuals say.
func SubContent(fields []Field, withClean bool) string {
	signed := make([]Field, 0, len(fields))
	size := 0
	for _, f := range fields {
		switch f.Name {
		case "sign", "signMethod", "signmethod":
			continue
		case fieldClean:
			if !withClean {
				continue
			}
		}
		signed = append(signed, f)
		size += len(f.Name) + len(f.Value)
	}
	slices.SortStableFunc(signed, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	content := make([]byte, 0, size)
	for _, f := range signed {
		content = append(append(content, f.Name...), f.Value...)
	}
	return string(content)
}

// VerifySub reports whether signature is that of a sub-device: of the content without cleanSession, or with it if there is one.
// With Unspecified the signature's length tells the method.
func VerifySub(method Method, secret iot.Secret, fields []Field, signature string) bool {
	return VerifySubAny(method, []iot.Secret{secret}, fields, signature) == 0
}

// VerifySubAny is VerifySub for a sub-device that has more than one live secret (store.Device.Secrets): it answers the index of the
// one that signed, -1 if none did.
func VerifySubAny(method Method, secrets []iot.Secret, fields []Field, signature string) int {
	if i := VerifyAny(method, secrets, SubContent(fields, false), signature); i >= 0 {
		return i
	}
	if slices.ContainsFunc(fields, func(f Field) bool { return f.Name == fieldClean }) {
		return VerifyAny(method, secrets, SubContent(fields, true), signature)
	}
	return -1
}

// RegisterContent is the string that is signed with the product's secret to learn a device's ("Register with the product's secret",
// "Dynamic registration").
func RegisterContent(ref iot.DeviceRef, random string) string {
	return "deviceName" + string(ref.DeviceName) + "productKey" + string(ref.ProductKey) + "random" + random
}
