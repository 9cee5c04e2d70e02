package http

import "relink/shared/refusal"

// A code is how a refusal is told: the HTTP status is 200 all the same.
type code struct {
	number  int
	message string
}

// codes translate causes; what a table does not have is a server error.
type codes map[refusal.Cause]code

func (c codes) of(cause refusal.Cause) code {
	if n, ok := c[cause]; ok {
		return n
	}
	return code{500, "server error"}
}

// registerCodes are those of a dynamic registration ("HTTP (pre-registration only)").
var registerCodes = codes{
	refusal.HTTPMalformed:            {460, "request parameter error"},
	refusal.RegistrationMalformed:    {460, "request parameter error"},
	refusal.RateLimitedSource:        {429, "too many requests"},
	refusal.RateLimitedDevice:        {429, "too many requests"},
	refusal.DeviceNotFound:           {6100, "device not found"},
	refusal.DeviceDisabled:           {6204, "device disabled"},
	refusal.ProductNotFound:          {6250, "product not found"},
	refusal.AuthMethodNotAllowed:     {6288, "dynamic registration not allowed"},
	refusal.RegistrationOff:          {6288, "dynamic registration not allowed"},
	refusal.AlreadyActivated:         {6289, "device already activated"},
	refusal.SignMethodUnknown:        {6292, "unsupported sign method"},
	refusal.RegistrationSignMismatch: {6600, "signature check failed"},
}

// preAuthCodes are those of a pre-authentication ("Pre-authentication and bootstrap"). Whether product, device or signature was wrong is
// not revealed.
var preAuthCodes = codes{
	refusal.HTTPMalformed:         {460, "request parameter error"},
	refusal.RegistrationMalformed: {460, "request parameter error"},
	refusal.RateLimitedSource:     {429, "too many requests"},
	refusal.ProductNotFound:       {401, "request auth error"},
	refusal.DeviceNotFound:        {401, "request auth error"},
	refusal.SignMismatch:          {401, "request auth error"},
	refusal.AuthMethodNotAllowed:  {401, "request auth error"},
	refusal.SignMethodUnknown:     {6292, "unsupported sign method"},
	refusal.DeviceDisabled:        {6204, "device disabled"},
}
