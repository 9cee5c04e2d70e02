package access

import (
	"errors"
	"strconv"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
)

// A claim is who a login says it is, and what it must have signed.
type claim struct {
	id      sign.ClientID
	ref     iot.DeviceRef
	method  sign.Method
	content string // the string that the server signs; empty until that is known
}

// readClaim reads a login as far as it goes without asking anybody. The error is a *refusal.Error; the claim has what was read
// before it.
func readClaim(l *device.Login) (claim, error) {
	var c claim
	var err error
	if c.id, err = sign.ParseClientID(l.ClientID); err != nil {
		// Who it may be helps whoever reads the log, and only there.
		c.ref, _ = sign.ParseUsername(l.Username)
		return c, err
	}
	switch {
	case c.id.SecureMode == -2 || c.id.AuthType != "":
		c.ref, _ = sign.ParseUsername(l.Username)
		return c, refusal.New(refusal.AuthTypeUnsupported, "dynamic registration and logins by token are not served: authType="+c.id.AuthType)
	case c.id.SecureMode != 2 && c.id.SecureMode != 3:
		return c, refusal.New(refusal.SecureModeUnsupported, "logins after pre-authentication are not served: securemode="+strconv.Itoa(c.id.SecureMode))
	}
	if c.ref, err = sign.ParseUsername(l.Username); err != nil {
		return c, err
	}
	c.content = sign.Content(c.id, c.ref)
	c.method, err = sign.Resolve(c.id.SignMethod, l.Password)
	return c, err
}

// asRefusal makes sure that there is a cause.
func asRefusal(err error) *refusal.Error {
	if e, ok := errors.AsType[*refusal.Error](err); ok {
		return e
	}
	return refusal.New(refusal.ClientIDMalformed, err.Error())
}
