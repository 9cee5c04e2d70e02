package sign

import (
	"strings"

	"relink/shared/iot"
)

// PSKIdentity is the identity that Link SDK C 4 sends for a pre-shared key ("TLS-PSK and DTLS-PSK").
func PSKIdentity(ref iot.DeviceRef, timestamp string) string {
	return "devicename|hmacsha256|" + string(ref.ProductKey) + "&" + string(ref.DeviceName) + "|" + timestamp
}

// PSKContent is the string that a pre-shared key is the HMAC of.
func PSKContent(ref iot.DeviceRef, timestamp string) string {
	return "id" + string(ref.ProductKey) + "&" + string(ref.DeviceName) + "timestamp" + timestamp
}

// PSK is the key itself: the 64 upper-case hex digits of an HMAC-SHA256, as they are.
func PSK(secret iot.Secret, ref iot.DeviceRef, timestamp string) iot.Secret {
	return iot.Secret(strings.ToUpper(Sign(HMACSHA256, secret, PSKContent(ref, timestamp))))
}
