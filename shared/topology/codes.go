package topology

import (
	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Codes of this part of the protocol ("Error codes of this part").
const (
	codeSign            = 401
	codeOnlineTooMany   = 428
	codeNoSession       = 520
	codeDeleted         = 521
	codeNotSubDevice    = 5244
	codeProductUnknown  = 6250
	codeName            = 6280
	codeLoginSign       = 6287
	codeRegistrationOff = 6288
	codeActivated       = 6289
	codeSignMethod      = 6292
	codeFull            = 6400
	codeNoRelation      = 6401
	codeSelf            = 6402
	codeRegisterSign    = 6600
	codeBoundElsewhere  = 6619
)

// authTypeX509 is the AuthType of products whose devices have certificates. A signature with a secret proves nothing of them.
const authTypeX509 = "x509"

// The refusals. Texts are the protocol's where it has one.
var (
	errParams       = &alink.Error{Code: alink.CodeParams, Cause: refusal.ParamsMalformed, Message: alink.MessageParams, Kind: iot.InvalidParams}
	errEntries      = &alink.Error{Code: alink.CodeParams, Cause: refusal.SubEntriesExcessive, Message: alink.MessageParams, Kind: iot.InvalidParams}
	errSignMethod   = &alink.Error{Code: alink.CodeParams, Cause: refusal.SignMethodUnknown, Message: alink.MessageParams, Kind: iot.InvalidParams}
	errNotGateway   = &alink.Error{Code: alink.CodeParams, Cause: refusal.NotGateway, Message: "not a gateway", Kind: iot.InvalidParams}
	errNotSubDevice = &alink.Error{Code: codeNotSubDevice, Cause: refusal.NotSubDevice, Message: "product is not for sub-devices", Kind: iot.InvalidParams}
	errCertified    = &alink.Error{Code: codeNotSubDevice, Cause: refusal.AuthMethodNotAllowed, Message: "product is not for sub-devices", Kind: iot.NotPermitted}
	errProduct      = &alink.Error{Code: alink.CodeProductNotFound, Cause: refusal.ProductNotFound, Message: "product not found", Kind: iot.ProductNotFound}
	errFoundProduct = &alink.Error{Code: codeProductUnknown, Cause: refusal.ProductNotFound, Message: "product not found", Kind: iot.ProductNotFound}
	errDevice       = &alink.Error{Code: alink.CodeDeviceNotFound, Cause: refusal.DeviceNotFound, Message: "device not found", Kind: iot.DeviceNotFound}
	errDeleted      = &alink.Error{Code: codeDeleted, Cause: refusal.DeviceNotFound, Message: "device deleted", Kind: iot.DeviceNotFound}
	errDisabled     = &alink.Error{Code: alink.CodeDeviceDisabled, Cause: refusal.DeviceDisabled, Message: "device is disabled", Kind: iot.DeviceDisabled}
	errName         = &alink.Error{Code: codeName, Cause: refusal.FoundNameMalformed, Message: "devicename not meet specs", Kind: iot.InvalidParams}
	errAddSign      = &alink.Error{Code: codeSign, Cause: refusal.SubSignMismatch, Message: "request auth error", Kind: iot.NotPermitted}
	errLoginSign    = &alink.Error{Code: codeLoginSign, Cause: refusal.SubSignMismatch, Message: "invalid sign", Kind: iot.NotPermitted}
	errRegisterSign = &alink.Error{Code: codeRegisterSign, Cause: refusal.SubSignMismatch, Message: "signature check failed", Kind: iot.NotPermitted}
	errMethod       = &alink.Error{Code: codeSignMethod, Cause: refusal.SignMethodUnknown, Message: "unsupported sign method", Kind: iot.InvalidParams}
	errOff          = &alink.Error{Code: codeRegistrationOff, Cause: refusal.SubRegistrationOff, Message: "dynamic registration not allowed", Kind: iot.NotPermitted}
	errActivated    = &alink.Error{Code: codeActivated, Cause: refusal.SubActivated, Message: "device already activated", Kind: iot.NotPermitted}
	errBound        = &alink.Error{Code: codeBoundElsewhere, Cause: refusal.BoundElsewhere, Message: "bound to another gateway", Kind: iot.NotPermitted}
	errSelf         = &alink.Error{Code: codeSelf, Cause: refusal.TopologySelf, Message: "topo relation cannot add by self", Kind: iot.InvalidParams}
	errFull         = &alink.Error{Code: codeFull, Cause: refusal.TopologyFull, Message: "too many sub-devices", Kind: iot.QuotaExceeded}
	errNoRelation   = &alink.Error{Code: codeNoRelation, Cause: refusal.TopologyMissing, Message: "topo relation not exist", Kind: iot.NotPermitted}
	errLogins       = &alink.Error{Code: alink.CodeTooManyRequests, Cause: refusal.SubLoginsTooMany,
		Message: "rate limit, too many subDeviceOnline msg in one minute", Kind: iot.QuotaExceeded}
	errOnline     = &alink.Error{Code: codeOnlineTooMany, Cause: refusal.SubDevicesOnline, Message: "too many subdevices under gateway", Kind: iot.QuotaExceeded}
	errNoSession  = &alink.Error{Code: codeNoSession, Cause: refusal.SubSessionMissing, Message: "device no session", Kind: iot.DeviceOffline}
	errSuperseded = &alink.Error{Code: codeNoSession, Cause: refusal.SessionSuperseded, Message: "device no session", Kind: iot.DeviceOffline}
)
