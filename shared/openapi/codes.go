package openapi

import (
	"errors"
	"net/http"

	"relink/shared/iot"
)

// Codes of the answers that several actions spell themselves. The names are the vendor's, "Error codes".
const (
	CodeSystem          = "iot.system.SystemException"
	CodePage            = "iot.common.InvalidPageParams"
	CodeFormat          = "iot.common.InvalidFormattedParameter"
	CodeNotSupported    = "iot.common.APINotSupportedInInstance"
	CodeDenied          = "iot.common.AuthActionPermissionDeny"
	CodeNullProductKey  = "iot.prod.NullProductKey"
	CodeBadProductKey   = "iot.prod.InvalidFormattedProductkey"
	CodeNoProduct       = "iot.prod.NotExistedProduct"
	CodeNotSenior       = "iot.prod.NotSeniorProduct"
	CodeNoDevice        = "iot.device.NotExistedDevice"
	CodeBadIotID        = "iot.device.InvalidIoTId"
	CodeNullDeviceName  = "iot.device.NullDeviceName"
	CodeBadDeviceName   = "iot.device.InvalidFormattedDeviceName"
	CodeNoDeviceNames   = "iot.device.NoneDeviceNameElement"
	CodeTooManyDevices  = "iot.device.DeviceCountExceeded"
	CodeInactive        = "iot.device.InactiveDevice"
	CodeOffline         = "iot.messagebroker.OFFLINE"
	CodeTimeout         = "iot.messagebroker.TIMEOUT"
	CodeRateLimit       = "iot.messagebroker.RateLimit"
	CodePublishFailed   = "iot.messagebroker.PublishMessageFailed"
	CodeThrottlingUser  = "Throttling.User" // the caller's limit; Throttling is the platform's
	codeThrottling      = "Throttling"
	codeUnavailable     = "ServiceUnavailable"
	codeInternalFailure = "InternalError"
)

// Codes is one group's table from Kind to code. A code without a dot is the gateway's and has the HTTP status of statuses.
type Codes [iot.KindCount]string

// statuses are the HTTP statuses of the gateway's own codes.
var statuses = map[string]int{
	codeThrottling:      http.StatusBadRequest,
	codeUnavailable:     http.StatusServiceUnavailable,
	codeInternalFailure: http.StatusInternalServerError,
}

// common holds for every group; a group changes what is different there.
var common = Codes{
	iot.Internal:         CodeSystem,
	iot.InvalidParams:    CodeFormat,
	iot.ProductNotFound:  CodeNoProduct,
	iot.DeviceNotFound:   CodeNoDevice,
	iot.ModelNotFound:    CodeNotSenior,
	iot.NotInModel:       "iot.prod.QueryProductAbilityFailed",
	iot.AlreadyExists:    "iot.prod.AlreadyExistedProductName",
	iot.Conflict:         CodeSystem, // "internal error; retry" is what the caller of a lost race should do
	iot.DeviceDisabled:   CodeOffline,
	iot.DeviceNeverSeen:  CodeInactive,
	iot.DeviceOffline:    CodeOffline,
	iot.Timeout:          CodeTimeout,
	iot.NotPermitted:     CodeDenied,
	iot.QuotaExceeded:    "iot.prod.ProductCountExceedMax",
	iot.Throttled:        codeThrottling,
	iot.Unavailable:      codeUnavailable,
	iot.ProductInUse:     "iot.prod.QueryDeviceCountActionError",
	iot.ProductReleased:  "iot.prod.UpdateProductFailed",
	iot.SubscriptionNone: CodePublishFailed,
}

// The groups.
var (
	ProductCodes = common.with(nil)
	ModelCodes   = common.with(map[iot.Kind]string{
		iot.InvalidParams:   "iot.prod.BatchCreateThingModelFailed",
		iot.AlreadyExists:   "iot.prod.ThingModelNameDuplicated",
		iot.QuotaExceeded:   "iot.prod.BatchCreateThingModelFailed",
		iot.ProductReleased: "iot.prod.BatchCreateThingModelFailed",
	})
	DeviceCodes = common.with(map[iot.Kind]string{
		iot.AlreadyExists: "iot.device.AlreadyExistedDeviceName",
		iot.QuotaExceeded: CodeTooManyDevices,
	})
	ThingCodes = common.with(map[iot.Kind]string{ // properties and services
		iot.InvalidParams: "iot.device.SetDevicePropertyFailed",
		iot.NotInModel:    "iot.device.SetDevicePropertyFailed",
		iot.NotPermitted:  "iot.device.SetDevicePropertyFailed",
		iot.QuotaExceeded: "iot.device.TooManyDevicePropertiesPerTime",
		iot.Throttled:     CodeRateLimit,
	})
	MessageCodes = common.with(map[iot.Kind]string{
		iot.InvalidParams: "iot.messagebroker.InvalidFormattedTopicName",
		iot.NotPermitted:  CodePublishFailed,
		iot.Throttled:     CodeRateLimit,
	})
)

func (c *Codes) with(changes map[iot.Kind]string) *Codes {
	n := *c
	for kind, code := range changes {
		n[kind] = code
	}
	return &n
}

// translate turns any error of a handler into a *Failure or a *Refusal. Only what an *iot.Error calls its Detail is shown.
func (a *Action) translate(err error) error {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	kind, detail := iot.KindOf(err), ""
	if e, ok := errors.AsType[*iot.Error](err); ok {
		detail = e.Detail
	}
	code := a.Special[kind]
	if code == "" {
		code = a.Codes[kind]
	}
	if detail == "" {
		detail = kind.String()
	}
	if status := statuses[code]; status != 0 {
		return &Failure{Status: status, Code: code, Message: detail}
	}
	return &Refusal{Code: code, Message: detail}
}
