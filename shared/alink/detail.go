package alink

import "errors"

// A detailed is an error with more about it than the device is told.
type detailed struct {
	error
	detail string
}

func (d *detailed) Unwrap() error { return d.error }

func (d *detailed) Error() string { return d.error.Error() + " (" + d.detail + ")" }

// Detailed adds to err what the log says about it: which member is wrong, and how. Code, message and cause of err stay what they are, so the
// device's reply does not change. detail must not hold what a device sent as a secret or a signature.
func Detailed(err error, detail string) error { return &detailed{err, detail} }

// DetailOf is what Detailed added to err; empty if nothing.
func DetailOf(err error) string {
	if d, ok := errors.AsType[*detailed](err); ok {
		return d.detail
	}
	return ""
}
