package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"relink/scripts/load"
)

const subTimestamp = "1700000000000"

// signSub signs for a sub-device as Link SDK C 4.x does.
func signSub(d load.Device) string {
	mac := hmac.New(sha256.New, []byte(d.DeviceSecret))
	fmt.Fprintf(mac, "clientId%s.%sdeviceName%sproductKey%stimestamp%s", d.ProductKey, d.DeviceName, d.DeviceName, d.ProductKey, subTimestamp)
	return hex.EncodeToString(mac.Sum(nil))
}

// subEntry is a sub-device as topo/add and combine/login name it.
func subEntry(d load.Device) string {
	return fmt.Sprintf(`{"productKey":"%s","deviceName":"%s","clientId":"%s.%s","timestamp":"%s","signMethod":"hmacSha256","sign":"%s","cleanSession":"true"}`,
		d.ProductKey, d.DeviceName, d.ProductKey, d.DeviceName, subTimestamp, signSub(d))
}
