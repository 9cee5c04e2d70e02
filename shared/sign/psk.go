package sign

import (
	"strings"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// PSKIdentity is the identity that Link SDK C 4 sends for a pre-shared key ("TLS-PSK and DTLS-PSK").
func PSKIdentity(ref iot.DeviceRef, timestamp string) string {
	return "devicename|hmacsha256|" + string(ref.ProductKey) + "&" + string(ref.DeviceName) + "|" + timestamp
}

// maxPSKTimestamp bounds the digits of an identity's timestamp.
const maxPSKTimestamp = 20

// ParsePSKIdentity reads such an identity. The error has the cause PSKIdentityMalformed.
func ParsePSKIdentity(identity string) (ref iot.DeviceRef, timestamp string, err error) {
	malformed := func(detail string) (iot.DeviceRef, string, error) {
		return iot.DeviceRef{}, "", refusal.New(refusal.PSKIdentityMalformed, detail)
	}
	parts := strings.Split(identity, "|")
	if len(parts) != 4 {
		return malformed("it has not four parts")
	}
	if parts[0] != "devicename" || !strings.EqualFold(parts[1], methods[HMACSHA256].name) {
		return malformed("it is not of a device name with hmacsha256")
	}
	pk, dn, found := strings.Cut(parts[2], "&")
	if !found || !iot.ValidProductKey(pk) || !iot.ValidDeviceName(dn) {
		return malformed("product key or device name")
	}
	if parts[3] == "" || len(parts[3]) > maxPSKTimestamp || strings.Trim(parts[3], "0123456789") != "" {
		return malformed("timestamp")
	}
	return iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}, parts[3], nil
}

// PSKContent is the string that a pre-shared key is the HMAC of.
func PSKContent(ref iot.DeviceRef, timestamp string) string {
	return "id" + string(ref.ProductKey) + "&" + string(ref.DeviceName) + "timestamp" + timestamp
}

// PSK is the key itself: the 64 upper-case hex digits of an HMAC-SHA256, as they are.
func PSK(secret iot.Secret, ref iot.DeviceRef, timestamp string) iot.Secret {
	return iot.Secret(strings.ToUpper(Sign(HMACSHA256, secret, PSKContent(ref, timestamp))))
}
