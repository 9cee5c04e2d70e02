package openapi

import (
	"fmt"
	"net/http"
)

// A Failure is an error of the gateway: it is answered with an HTTP status of 400 and up.
type Failure struct {
	Status  int
	Code    string
	Message string
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

func failf(status int, code, format string, args ...any) error {
	return &Failure{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func failNoAction() error {
	return failf(http.StatusNotFound, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")
}

// Missing is the failure for a parameter that a call cannot do without.
func Missing(name string) error { return failMissing(name) }

// Invalid is the failure for a parameter that does not convert to its type.
func Invalid(name string) error { return failInvalid(name) }

// A Refusal is an error of the business: HTTP 200 with Success false and this code.
type Refusal struct {
	Code    string
	Message string
	Data    any // what else the answer carries, as a JSON object; usually nil
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Refusef makes a Refusal.
func Refusef(code, format string, args ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
