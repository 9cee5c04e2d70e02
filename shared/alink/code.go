package alink

import (
	"errors"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Codes in replies to devices ("Codes in replies"). Those that one function alone gives are with that function.
const (
	CodeOK                = 200
	CodeFailed            = 400 // processing failed, no better code
	CodeTooManyRequests   = 429
	CodeParams            = 460 // payload empty, parameters malformed or too many
	CodeInternal          = 500
	CodeProductNotFound   = 5005
	CodePropertyNotFound  = 5092 // weak validation, in data
	CodeModelLookup       = 5159 // definitions of properties; 5160 of events, 5161 of services
	CodeDeviceNotFound    = 6100
	CodeTooManyDesired    = 6104
	CodeTooManyProperties = 6106
	CodeTopic             = 6203 // topic cannot be parsed
	CodeDeviceDisabled    = 6204
	CodeNotJSON           = 6207
	CodeMethodNotDefined  = 6300
	CodeServiceInput      = 6302 // required input missing
	CodeParamNotInModel   = 6304
	CodeInt               = 6306 // a value does not fit its type, to CodeArray
	CodeFloat             = 6307
	CodeBool              = 6308
	CodeEnum              = 6309
	CodeText              = 6310
	CodeDate              = 6311
	CodeStruct            = 6312
	CodeValidator         = 6313 // the validator could not run
	CodeNotInModel        = 6320
	CodeDouble            = 6322
	CodeArraySize         = 6324
	CodeArrayItem         = 6325
	CodeTime              = 6326
	CodeArray             = 6328
	CodeTooManyEvents     = 6356 // pack post
	CodeTooManySubs       = 6357 // pack post
	CodeNotInTopology     = 6401
	CodeDesiredQuery      = 6661 // desired values could not be read
	CodeChecked           = 6332 // log only: validation failed, reasons per item
)

// MessageOK is the message of CodeOK.
const MessageOK = "success"

// Messages of codes that are not the detail of an error. None has quotes or brackets: firmware cuts at them.
const (
	MessageNotJSON           = "payload is not JSON"
	MessageParams            = "request parameter error"
	MessageTooManyProperties = "map size must less than 200"
	MessageTopic             = "cannot parse topic"
	MessageNotSupported      = "not supported by this platform"
)

// A code is what a device is told of a kind of error.
type code struct {
	number  int
	message string
}

// codes are the numbers of kinds; kinds that no device can cause or understand have those of Internal or CodeFailed.
var codes = [iot.KindCount]code{
	iot.Internal:         {CodeInternal, "server error"},
	iot.InvalidParams:    {CodeParams, MessageParams},
	iot.ProductNotFound:  {CodeProductNotFound, "product not found"},
	iot.DeviceNotFound:   {CodeDeviceNotFound, "device not found"},
	iot.ModelNotFound:    {CodeModelLookup, "thing model not found"},
	iot.NotInModel:       {CodeNotInModel, "not defined in thing model"},
	iot.AlreadyExists:    {CodeFailed, "already exists"},
	iot.Conflict:         {CodeFailed, "changed meanwhile"},
	iot.DeviceDisabled:   {CodeDeviceDisabled, "device disabled"},
	iot.DeviceNeverSeen:  {CodeFailed, "device not activated"},
	iot.DeviceOffline:    {CodeFailed, "device offline"},
	iot.Timeout:          {CodeInternal, "timeout"},
	iot.NotPermitted:     {CodeFailed, "not permitted"},
	iot.QuotaExceeded:    {CodeParams, "limit exceeded"},
	iot.Throttled:        {CodeTooManyRequests, "too many requests"},
	iot.Unavailable:      {CodeInternal, "server error"},
	iot.ProductInUse:     {CodeFailed, "product in use"},
	iot.ProductReleased:  {CodeFailed, "product released"},
	iot.SubscriptionNone: {CodeFailed, "not subscribed"},
}

// An Error is a failure that has a code of its own on the wire, finer than an iot.Kind. It unwraps to an *iot.Error for faces with
// other codes.
type Error struct {
	Code    int
	Cause   refusal.Cause // the log's reason
	Message string        // for the reply; no quotes, no brackets
	Kind    iot.Kind
}

func (e *Error) Error() string { return string(e.Cause) + ": " + e.Message }

func (e *Error) Unwrap() []error {
	return []error{&iot.Error{Kind: e.Kind, Detail: e.Message}, &refusal.Error{Cause: e.Cause, Detail: e.Message}}
}

// The errors of this package and of thing-model checks.
var (
	ErrNotJSON         = &Error{CodeNotJSON, refusal.PayloadNotJSON, MessageNotJSON, iot.InvalidParams}
	ErrEmpty           = &Error{CodeParams, refusal.PayloadEmpty, MessageParams, iot.InvalidParams}
	ErrParamsMissing   = &Error{CodeParams, refusal.ParamsMissing, MessageParams, iot.InvalidParams}
	ErrParamsMalformed = &Error{CodeParams, refusal.ParamsMalformed, MessageParams, iot.InvalidParams}
	// ErrValidator says that the product's model cannot be used ("If the validator itself cannot run").
	ErrValidator = &Error{CodeValidator, refusal.FunctionFailed, "thing model is not usable", iot.Internal}
)

// CodeOf gives the code and the message that a device is told about err; 200 and "success" for nil. The text of an error that
// nobody gave a kind stays in the log.
func CodeOf(err error) (number int, message string) {
	if err == nil {
		return CodeOK, MessageOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code, e.Message
	}
	c := codes[iot.Internal]
	if kind := iot.KindOf(err); kind < iot.KindCount {
		c = codes[kind]
	}
	return c.number, c.message
}
