package mqtt

import (
	"relink/shared/refusal"
)

// connackCode is how a refused login is told: in 3.x and in 5.0 ("Decision procedure and CONNACK").
type connackCode struct{ v3, v5 byte }

// connackCodes has every cause for which a CONNECT is refused. Whether product, device or signature was wrong is not revealed.
var connackCodes = map[refusal.Cause]connackCode{
	refusal.ProtocolVersion:       {1, 0x84},
	refusal.ConnectMalformed:      {2, 0x81},
	refusal.ClientIDMalformed:     {2, 0x85},
	refusal.ClientIDTooLong:       {2, 0x85},
	refusal.UsernameMalformed:     {2, 0x82},
	refusal.SecureModeUnsupported: {2, 0x85},
	refusal.SignMethodUnknown:     {2, 0x85},
	refusal.AuthTypeUnsupported:   {2, 0x85},
	refusal.TLSRequired:           {2, 0x82},
	refusal.KeepAliveOutOfRange:   {2, 0x82},
	refusal.RateLimitedSource:     {3, 0x89},
	refusal.RateLimitedDevice:     {3, 0x89},
	refusal.NodeFull:              {3, 0x89},
	refusal.NodeStopping:          {3, 0x88},
	refusal.BackendUnavailable:    {3, 0x88},
	refusal.ProductNotFound:       {4, 0x86},
	refusal.DeviceNotFound:        {4, 0x86},
	refusal.SignMismatch:          {4, 0x86},
	refusal.SignLength:            {4, 0x86},
	refusal.DeviceDisabled:        {5, 0x87},

	refusal.RegistrationMalformed:    {2, 0x82},
	refusal.RegistrationSignMismatch: {4, 0x86},
	refusal.RegistrationOff:          {4, 0x86},
	refusal.AlreadyActivated:         {4, 0x86},
	refusal.TooManyPhysicalDevices:   {4, 0x86},
	refusal.TokenMismatch:            {4, 0x86},
	refusal.PreAuthTokenMismatch:     {4, 0x86},
	refusal.PreAuthTokenExpired:      {4, 0x86},
	refusal.CertificateMissing:       {4, 0x86},
	refusal.CertificateMalformed:     {4, 0x86},
	refusal.CertificateUntrusted:     {4, 0x86},
	refusal.CertificateExpired:       {4, 0x86},
	refusal.CertificateRevoked:       {4, 0x86},
	refusal.CertificateUnbound:       {4, 0x86},
	refusal.CertificateOtherDevice:   {4, 0x86},
	refusal.AuthMethodNotAllowed:     {5, 0x87},
}

// silentCauses are those for which there is no CONNACK: the client did not get as far as a CONNECT.
var silentCauses = map[refusal.Cause]bool{
	refusal.ConnectExpected:     true,
	refusal.PacketTooLargeLogin: true,
	refusal.HandshakeTimeout:    true,
	refusal.TLSFailed:           true,
	refusal.WebSocketFailed:     true,
	refusal.FirstByteUnknown:    true,
	refusal.HTTPMalformed:       true, // answered over HTTP
	refusal.HTTPPathUnknown:     true,
	refusal.IdentityFlapping:    true, // the login is granted
	refusal.PSKMismatch:         true, // of DTLS alone
}

// connackOf is the code for a cause; of one that nobody foresaw, the server is to blame.
func connackOf(cause refusal.Cause, version byte) byte {
	code, ok := connackCodes[cause]
	if !ok {
		code = connackCodes[refusal.BackendUnavailable]
	}
	if version == 5 {
		return code.v5
	}
	return code.v3
}

// disconnectReason is how a 5.0 device is told of the end of its session; false if it is not.
func disconnectReason(cause refusal.Cause) (byte, bool) {
	switch cause {
	case refusal.Disconnected, refusal.ConnectionClosed, refusal.WriteTimeout:
		return 0, false
	case refusal.TakenOver:
		return 0x8e, true
	case refusal.Disabled, refusal.Deleted, refusal.Kicked:
		return 0x98, true
	case refusal.KeepAliveExpired:
		return 0x8d, true
	case refusal.GrantExpired:
		return 0x87, true
	case refusal.Shutdown:
		return 0x8b, true
	case refusal.DeadlineExceeded, refusal.StoreThrottled, refusal.BackendUnavailable:
		return 0x89, true // server busy; 0x88, server unavailable, is for CONNACK alone [MQTT-3.14.2.1]
	case refusal.FunctionFailed:
		return 0x83, true
	case refusal.QoS2Unsupported:
		return 0x9b, true
	case refusal.PayloadTooLarge:
		return 0x95, true
	case refusal.TopicMalformed:
		return 0x90, true
	case refusal.TopicAliasOutOfRange:
		return 0x94, true
	case refusal.ProtocolError, refusal.ConnectMalformed:
		return 0x82, true
	}
	return 0x80, true
}

// endCode is the code, in the log, of the end of a session: 200 for what happens in order, so that it may be sampled; 400 for what
// somebody will look for.
func endCode(cause refusal.Cause) int {
	switch cause {
	case refusal.Disconnected, refusal.ConnectionClosed, refusal.TakenOver, refusal.Shutdown:
		return 200
	}
	return 400
}
