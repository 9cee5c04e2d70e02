package refusal

// Causes for which a connection is refused before it has a session ("MQTT CONNECT", decision procedure).
const (
	ClientIDMalformed     Cause = "client_id_malformed"
	ClientIDTooLong       Cause = "client_id_too_long"
	UsernameMalformed     Cause = "username_malformed"
	SecureModeUnsupported Cause = "secure_mode_unsupported"
	SignMethodUnknown     Cause = "sign_method_unknown"
	AuthTypeUnsupported   Cause = "auth_type_unsupported"
	KeepAliveOutOfRange   Cause = "keepalive_out_of_range"
	ProductNotFound       Cause = "product_not_found"
	DeviceNotFound        Cause = "device_not_found"
	DeviceDisabled        Cause = "device_disabled"
	SubDeviceLogin        Cause = "sub_device_login"
	SignMismatch          Cause = "sign_mismatch"
	SignLength            Cause = "sign_length"
	RateLimitedSource     Cause = "rate_limited_source"
	RateLimitedDevice     Cause = "rate_limited_device"
	NodeFull              Cause = "node_full"
	NodeStopping          Cause = "node_stopping"
	BackendUnavailable    Cause = "backend_unavailable"
	ProtocolVersion       Cause = "protocol_version"
	ConnectMalformed      Cause = "connect_malformed"
	ConnectExpected       Cause = "connect_expected"
	PacketTooLargeLogin   Cause = "packet_too_large_before_login"
	HandshakeTimeout      Cause = "handshake_timeout"
	TLSFailed             Cause = "tls_failed"
	TLSRequired           Cause = "tls_required"
	WebSocketFailed       Cause = "websocket_failed"
	FirstByteUnknown      Cause = "first_byte_unknown"
)

var logins = []Explanation{
	{ClientIDMalformed, "The MQTT client id has no parameters: it must look like ID|securemode=3,signmethod=hmacsha256,timestamp=123|.",
		"Send the whole client id with its vertical bars; many clients cut it in the configuration file or shell. The log line shows what arrived."},
	{ClientIDTooLong, "The part of the client id before the first vertical bar is longer than 64 bytes, or the whole is longer than 1024.",
		"Shorten the free text at the front; product key and device name joined by a dot always fit."},
	{UsernameMalformed, "The MQTT user name is not DEVICENAME&PRODUCTKEY.",
		"Put the device name first, one ampersand, then the product key, with the exact case shown by the console. Logins by IotID or ID2 are not offered."},
	{SecureModeUnsupported, "The client id's securemode is not a number that this platform serves.",
		"Use securemode=2 over TLS or securemode=3 over plain TCP; modes 1, 4, 5, 7 and 8 need ID2 hardware, which is not offered."},
	{SignMethodUnknown, "The client id's signmethod is none of hmacmd5, hmacsha1, hmacsha256.",
		"Choose one of the three and compute the password with the same one."},
	{AuthTypeUnsupported, "The client id asks for a way to log in (authType) that this platform does not serve.",
		"Remove authType to log in with the device secret. Dynamic registration must also be switched on for the product."},
	{KeepAliveOutOfRange, "The keep-alive in CONNECT is not between 30 and 1200 seconds; 0 counts as out of range.",
		"Set the client's keep-alive to a value from 30 to 1200, for example 60."},
	{ProductNotFound, "There is no product with the product key in the user name.",
		"Compare the product key in firmware with the console; it is case-sensitive, and test and production installations have different ones."},
	{DeviceNotFound, "The product exists, but no device with this name is registered in it.",
		"Register the device, or correct its name; names are case-sensitive, and leading zeros and blanks count."},
	{DeviceDisabled, "The device is disabled.",
		"Enable it in the console or with EnableThing; it connects at its next attempt."},
	{SubDeviceLogin, "A sub-device tried to open a connection of its own; it speaks through its gateway.",
		"Let the gateway log it in, or register the device under a product of node type device."},
	{SignMismatch, "The password is not the HMAC that the platform computes from the device secret.",
		"Sign exactly the string in field `signed` of the log line, with the device secret's characters as key. Usual mistakes: timestamp differs from the client id's, a wrong secret, or the parameters of the client id were signed too."},
	{SignLength, "The password is not hex digits of the length that the sign method gives: 32 for hmacmd5, 40 for hmacsha1, 64 for hmacsha256.",
		"Send the HMAC in hex, not in base64 and not the secret itself, and name the method that was used in signmethod."},
	{RateLimitedSource, "Too many connections or failed logins came from this address.",
		"Wait a minute. If many devices share the address, raise the limit of failed logins per source; if not, find the device that fails in a loop by its own log lines."},
	{RateLimitedDevice, "This device logs in too often: more than a burst, and then more than some times a minute (RELINK_CONNECTS_PER_DEVICE, RELINK_CONNECTS_PER_MINUTE).",
		"Give the firmware a growing back-off between attempts, and look for a second device with the same identity: they push each other out."},
	{NodeFull, "This connector holds as many connections as it was configured for.",
		"Add a connector behind the load balancer, or raise its limit of connections if memory allows."},
	{NodeStopping, "This connector is being stopped and takes no new sessions.",
		"Nothing; the device reaches another connector at its next attempt."},
	{BackendUnavailable, "The function that checks logins, or the storage behind it, did not answer.",
		"The device tries again by itself. If it lasts, look at errors of the function auth and of Tablestore."},
	{ProtocolVersion, "The CONNECT names a protocol that is neither MQTT 3.1, 3.1.1 nor 5.0.",
		"Configure the client for MQTT 3.1.1 (protocol level 4)."},
	{ConnectMalformed, "The CONNECT packet does not follow the MQTT specification.",
		"Check the client library and its version; the log line says where reading stopped."},
	{ConnectExpected, "The first packet was not CONNECT.",
		"Check that the client speaks MQTT on this port and sends nothing before CONNECT."},
	{PacketTooLargeLogin, "The first packet announces more bytes than a CONNECT can have.",
		"Check that the client speaks MQTT on this port; a will with a large payload has to be shortened."},
	{HandshakeTimeout, "The client connected, but did not finish TLS, WebSocket or CONNECT in time.",
		"Look for a slow or lossy network, or a port scanner or health check that opens the port and waits."},
	{TLSFailed, "The TLS handshake failed.",
		"Give the device the root certificate of this installation, correct its clock, and use TLS 1.2 or later. The log line has the error."},
	{TLSRequired, "This listener serves TLS only, and the client spoke without.",
		"Switch TLS on in the client, or use a port that also takes plain connections."},
	{WebSocketFailed, "The WebSocket upgrade was not valid.",
		"Connect to the path /mqtt with subprotocol mqtt and binary frames."},
	{FirstByteUnknown, "The first byte is neither of MQTT, of TLS nor of HTTP.",
		"Check that the client speaks MQTT on this port. Port scanners cause this too."},
}
