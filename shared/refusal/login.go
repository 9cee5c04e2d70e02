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

	AuthMethodNotAllowed     Cause = "auth_method_not_allowed"
	RegistrationMalformed    Cause = "registration_malformed"
	RegistrationOff          Cause = "registration_off"
	RegistrationSignMismatch Cause = "registration_sign_mismatch"
	AlreadyActivated         Cause = "already_activated"
	TooManyPhysicalDevices   Cause = "too_many_physical_devices"
	TokenMismatch            Cause = "token_mismatch"
	PreAuthTokenMismatch     Cause = "pre_auth_token_mismatch"
	PreAuthTokenExpired      Cause = "pre_auth_token_expired"
	IdentityFlapping         Cause = "identity_flapping"
	CertificateMissing       Cause = "certificate_missing"
	CertificateMalformed     Cause = "certificate_malformed"
	CertificateUntrusted     Cause = "certificate_untrusted"
	CertificateExpired       Cause = "certificate_expired"
	CertificateRevoked       Cause = "certificate_revoked"
	CertificateUnbound       Cause = "certificate_unbound"
	CertificateOtherDevice   Cause = "certificate_of_other_device"
	HTTPMalformed            Cause = "http_malformed"
	HTTPPathUnknown          Cause = "http_path_unknown"
)

var logins = []Explanation{
	{ClientIDMalformed, "The MQTT client id has no parameters: it must look like ID|securemode=3,signmethod=hmacsha256,timestamp=123|.",
		"Send the whole client id with its vertical bars; many clients cut it in the configuration file or shell. The log line shows what arrived."},
	{ClientIDTooLong, "The part of the client id before the first vertical bar is longer than 64 bytes, or the whole is longer than 1024.",
		"Shorten the free text at the front; product key and device name joined by a dot always fit."},
	{UsernameMalformed, "The MQTT user name is not DEVICENAME&PRODUCTKEY.",
		"Put the device name first, one ampersand, then the product key, with the exact case that relink device show prints. A user name that is an IotId belongs to securemode -1 or 0, after a pre-authentication."},
	{SecureModeUnsupported, "The client id's securemode is not a number that this platform serves.",
		"Use securemode=2 over TLS or securemode=3 over plain TCP (-2 with a device token, -1 or 0 after a pre-authentication); modes 1, 4, 5, 7 and 8 need ID2 hardware, which is not offered."},
	{SignMethodUnknown, "The client id's signmethod is none of hmacmd5, hmacsha1, hmacsha256.",
		"Choose one of the three and compute the password with the same one."},
	{AuthTypeUnsupported, "The client id asks for a way to log in (authType) that this platform does not serve.",
		"Remove authType to log in with the device secret; register, regnwl and connwl are those that are served."},
	{KeepAliveOutOfRange, "The keep-alive in CONNECT is not between 30 and 1200 seconds; 0 counts as out of range.",
		"Set the client's keep-alive to a value from 30 to 1200, for example 60."},
	{ProductNotFound, "There is no product with the product key in the user name.",
		"Compare the product key in firmware with relink product list; it is case-sensitive, and test and production installations have different ones."},
	{DeviceNotFound, "The product exists, but no device with this name is registered in it.",
		"Register the device (relink device create), or correct its name after relink device list; names are case-sensitive, and leading zeros and blanks count."},
	{DeviceDisabled, "The device is disabled.",
		"Enable it: relink device enable PRODUCT_KEY DEVICE_NAME, or EnableThing; it connects at its next attempt."},
	{SignMismatch, "The password, or the sign of a POST /auth, is not the HMAC that the platform computes from the device secret.",
		"Sign exactly the string that the server signed, with the device secret's characters as key. Usual mistakes: timestamp differs from the client id's, a wrong secret, the parameters of the client id were signed too, or (POST /auth) a member was added after signing: all are signed but version, sign, signmethod and resources."},
	{SignLength, "The password is not hex digits of the length that the sign method gives: 32 for hmacmd5, 40 for hmacsha1, 64 for hmacsha256.",
		"Send the HMAC in hex, not in base64 and not the secret itself, and name the method that was used in signmethod."},
	{RateLimitedSource, "Too many connections or failed logins came from this address.",
		"Wait a minute. If many devices share the address, raise RELINK_FAILURES_PER_SOURCE and RELINK_FAILURES_PER_MINUTE of the connector, or RELINK_MAX_OPENING_PER_SOURCE if they do not finish; if not, find the device that fails in a loop with relink why --address ADDRESS."},
	{RateLimitedDevice, "This device logs in too often: more than a burst, and then more than some times a minute (RELINK_CONNECTS_PER_DEVICE, RELINK_CONNECTS_PER_MINUTE).",
		"Give the firmware a growing back-off between attempts, and look for a second device with the same identity: they push each other out."},
	{NodeFull, "This connector holds as many connections as it was configured for.",
		"Add a connector behind the load balancer, or raise its RELINK_MAX_CONNECTIONS if memory allows."},
	{NodeStopping, "This connector is being stopped and takes no new sessions.",
		"Nothing; the device reaches another connector at its next attempt."},
	{BackendUnavailable, "The function that checks logins, or the storage behind it, did not answer.",
		"The device tries again by itself. If it lasts, look at the errors of the function auth (relink logs --logstore function) and of Tablestore."},
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
	{AuthMethodNotAllowed, "The device proved who it is, but in a way that its product does not take: a secret where the product has certificates, or the other way round.",
		"Log in the way the product was created for (AuthType), or move the device to a product of the other kind; AuthType cannot be changed."},
	{RegistrationMalformed, "A dynamic registration lacks a parameter (product key, device name, random, sign), or one is malformed (code 460).",
		"Send all of them; over MQTT random is a parameter of the client id. A device name that is to be created has 4 to 32 characters."},
	{RegistrationOff, "The product does not take dynamic registration (code 6288).",
		"Switch it on: relink product registration PRODUCT_KEY on. Leave it off for products whose devices have secrets of their own: the product secret is in every firmware image."},
	{RegistrationSignMismatch, "The signature of a dynamic registration is not the HMAC that the platform computes from the product secret (code 6600).",
		"Sign exactly the string that the server signed, with the product secret's characters as key (relink product show), and send the random that was signed."},
	{AlreadyActivated, "The device has logged in with its credentials already, so it is not given new ones (code 6289).",
		"If the device has lost them, reset it: relink device reset PRODUCT_KEY DEVICE_NAME, or ResetThing. If you do not know of a loss, somebody else knows the product secret."},
	{TooManyPhysicalDevices, "Five physical devices have registered under this device name already, which is the limit.",
		"Give each device a name of its own. relink device reset takes all tokens of the name back, and the devices register again."},
	{TokenMismatch, "The password is not the device token that was issued for this client id (authType connwl).",
		"Log in with the client id and the token of the last registration; after a reset, or where the device was deleted and made again, it has to register again."},
	{PreAuthTokenMismatch, "User name and password are not an IotId and the token that a pre-authentication gave for it.",
		"Pre-authenticate again (POST /auth/devicename); a token ends with the secret that it was asked for with, and with the device."},
	{PreAuthTokenExpired, "The token of the pre-authentication is older than seven days.",
		"Pre-authenticate again (POST /auth/devicename) before each login, as the SDKs do."},
	{IdentityFlapping, "The login was granted, but connections from different addresses take this identity from each other again and again.",
		"Look for two devices with one secret: a cloned image, a spare part, a test rig. Give one of them an identity of its own; if a secret leaked, change it (relink device rotate start). A device that changes networks often looks the same."},
	{CertificateMissing, "The login has neither a password nor a client certificate.",
		"Give the TLS client its certificate and key, and check that it connects over TLS; or log in with a password."},
	{CertificateMalformed, "The client certificate could not be read.",
		"Give the device an X.509 certificate with an RSA or ECDSA key, at most 8 KB."},
	{CertificateUntrusted, "The client certificate was signed neither by the platform nor by a certificate authority that is registered here.",
		"Register the authority (relink ca register), or give the device a certificate of the platform (relink certificate get)."},
	{CertificateExpired, "The client certificate, or the authority that signed it, is not valid at this time.",
		"Renew it and bind the new one (relink certificate bind); check the dates in the detail against the platform's clock."},
	{CertificateRevoked, "The client certificate was revoked.",
		"Give the device another certificate and bind it (relink certificate bind)."},
	{CertificateUnbound, "The client certificate is of a trusted authority, but its serial number is not bound to a device.",
		"Bind it: relink certificate bind PRODUCT_KEY DEVICE_NAME --file CERTIFICATE. A binding ends when its device is deleted."},
	{CertificateOtherDevice, "The user name names another device than the one that the client certificate is bound to.",
		"Send the user name & to be told the identity, or correct the user name, or bind the certificate to this device."},
	{HTTPMalformed, "An HTTP request could not be read, is too large, or is none that devices send.",
		"Send a POST with a form or JSON body of at most 4 KB and 8 KB of headers."},
	{HTTPPathUnknown, "There is nothing at the path of an HTTP request.",
		"Devices POST to /auth, /topic/TOPIC, /auth/register/device, /auth/devicename and /auth/bootstrap; MQTT over WebSocket is at /mqtt."},
}
