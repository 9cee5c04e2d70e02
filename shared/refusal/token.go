package refusal

// Causes for which a device that speaks with a token, or with a pre-shared key, is refused ("HTTP(S) device access", "CoAP device
// access", "TLS-PSK and DTLS-PSK").
const (
	TokenLoginMalformed  Cause = "token_login_malformed"
	TimestampOutOfWindow Cause = "timestamp_out_of_window"
	TokenMissing         Cause = "token_missing"
	TokenMalformed       Cause = "token_malformed"
	TokenExpired         Cause = "token_expired"
	TokenRevoked         Cause = "token_revoked"
	TokenOtherProtocol   Cause = "token_of_other_protocol"
	PSKIdentityMalformed Cause = "psk_identity_malformed"
)

var tokens = []Explanation{
	{TokenLoginMalformed, "A POST /auth lacks productKey, deviceName or sign, one of them is malformed, or its body is no JSON object of strings and numbers.",
		"Compare with {\"clientId\":\"…\",\"productKey\":\"…\",\"deviceName\":\"…\",\"signmethod\":\"hmacsha256\",\"sign\":\"…\"}; the detail says what is missing."},
	{TimestampOutOfWindow, "The timestamp of a POST /auth is further from the platform's clock than RELINK_AUTH_WINDOW of the function auth allows.",
		"Set the device's clock, send milliseconds, or leave the timestamp out; RELINK_AUTH_WINDOW=0 switches the check off."},
	{TokenMissing, "A post came without a token.",
		"Authenticate first (POST /auth), and send the token with every post: over HTTP in the header password, over CoAP in option 2088."},
	{TokenMalformed, "The token was not issued by this installation, or was cut or changed on its way.",
		"Let the device keep all of the token's characters (166) and authenticate again. After a change of RELINK_INTERNAL_KEY all devices do that once."},
	{TokenExpired, "The token has come to the end of its life (RELINK_TOKEN_LIFE of the function auth, seven days unless set).",
		"Nothing; the device authenticates again by itself. If it does not, its firmware ignores code 20001 (HTTP) or 4.01 (CoAP)."},
	{TokenRevoked, "The secret that the device had proved itself with when it got the token is no longer accepted: it was rotated away, or given out anew.",
		"The device authenticates again, with the secret in force. If it is refused then, it does not have that one yet."},
	{TokenOtherProtocol, "The token was issued for another protocol: HTTP and CoAP have tokens of their own.",
		"Authenticate over the protocol that the post goes over."},
	{PSKIdentityMalformed, "The identity of a pre-shared key is not devicename|hmacsha256|PRODUCT_KEY&DEVICE_NAME|TIMESTAMP.",
		"Use the identity as Link SDK C 4 makes it, and as key the 64 upper-case hex digits of the HMAC as they are."},
}
