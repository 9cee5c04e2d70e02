package refusal

// Causes for which a handshake over DTLS fails, besides those of TLS.
const (
	PSKMismatch Cause = "psk_mismatch"
)

var handshakes = []Explanation{
	{PSKMismatch, "The client does not have the pre-shared key that belongs to the identity it named: its Finished does not open.",
		"The key is the 64 upper-case hex digits of HMAC-SHA256 over idPRODUCT_KEY&DEVICE_NAMEtimestampTIMESTAMP with the device secret, as ASCII. Usual mistakes: the digits were decoded to 32 bytes, lower case, another timestamp than the identity's, an old secret."},
}
