package iot

import (
	"errors"
	"fmt"
)

// A Kind says what went wrong in words that every face of the platform can translate into its own code: Alink's numbers, the
// OpenAPI's strings, MQTT's return codes, HTTP's status. Each face owns one table from Kind to its code.
type Kind uint8

// The kinds. A face that has no code of its own for a kind uses the one it has for Internal.
const (
	Internal         Kind = iota // nothing the caller did; the cause is in the log
	InvalidParams                // a parameter is missing or malformed
	ProductNotFound              // no product with this key
	DeviceNotFound               // no device with this name or IotID
	ModelNotFound                // the product has no (published) thing model, or not this version
	NotInModel                   // the thing model has no such property, event or service
	AlreadyExists                // the name is taken
	Conflict                     // somebody else changed it meanwhile; read again and retry
	DeviceDisabled               // the device is disabled
	DeviceNeverSeen              // the device has never connected
	DeviceOffline                // the device is not connected, and the call cannot wait for it
	Timeout                      // the device did not answer in time
	NotPermitted                 // the topic or the object is not this caller's
	QuotaExceeded                // a documented limit is reached
	Throttled                    // too many requests; the same request may succeed later
	Unavailable                  // a service this one stands on does not answer; the same request may succeed later
	ProductInUse                 // the product still has devices
	ProductReleased              // the product is released, its model cannot change
	SubscriptionNone             // the device is connected but has not subscribed the topic
	KindCount                    // the number of kinds, for tests that walk through all of them
)

var kindNames = [KindCount]string{
	"internal", "invalid_params", "product_not_found", "device_not_found", "model_not_found", "not_in_model", "already_exists",
	"conflict", "device_disabled", "device_never_seen", "device_offline", "timeout", "not_permitted", "quota_exceeded",
	"throttled", "unavailable", "product_in_use", "product_released", "no_subscription",
}

// String is the kind's name in logs.
func (k Kind) String() string {
	if k < KindCount {
		return kindNames[k]
	}
	return fmt.Sprintf("kind_%d", uint8(k))
}

// An Error is an error that a caller can act on. Detail is safe to show to whoever called; Err is for the log.
type Error struct {
	Kind   Kind
	Detail string
	Err    error
}

// Errorf makes an *Error of a kind with a detail that is safe to show.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes an *Error of a kind around a cause; detail is safe to show, the cause is not.
func Wrap(kind Kind, err error, detail string) *Error {
	return &Error{Kind: kind, Detail: detail, Err: err}
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf finds the kind of err; Internal if nobody gave it one.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of a kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}
