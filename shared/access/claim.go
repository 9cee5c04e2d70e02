package access

import (
	"errors"
	"strconv"
	"strings"

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
	content string // the string that the server signs; empty until that is known, and for proofs that are not signatures
	proof   proof
	iotID   iot.IotID // of a login after pre-authentication; ref is looked up
}

// A proof is how a device proves who it is.
type proof int

const (
	bySignature   proof = iota
	byToken             // password is a device token (authType connwl)
	byPreAuth           // user name and password are of a pre-authentication
	byCertificate       // TLS client certificate, no password
)

// authTypeX509 is the AuthType of products whose devices have certificates.
const authTypeX509 = "x509"

// readClaim reads a login as far as it goes without asking anybody. The error is a *refusal.Error; the claim has what was read
// before it.
func readClaim(l *device.Login) (claim, error) {
	var c claim
	var err error
	certified := l.Password == "" && len(l.Certificate) > 0
	c.id, err = sign.ParseClientID(l.ClientID)
	ref, userErr := sign.ParseUsername(l.Username)
	if userErr == nil {
		c.ref = ref // who it may be helps whoever reads the log, even if the client id is not understood
	}
	// Without parameters only logins with a certificate or after a pre-authentication make sense, which need none.
	bare := refusal.CauseOf(err) == refusal.ClientIDMalformed && !strings.Contains(l.ClientID, "|")
	switch {
	case err != nil && !bare:
		return c, err
	case certified:
		c.proof = byCertificate
		if l.Username == "" || l.Username == "&" {
			return c, nil
		}
		return c, userErr
	case userErr != nil && l.Username != "" && !strings.Contains(l.Username, "&") && (bare || c.id.PreAuthenticated()):
		c.proof, c.iotID = byPreAuth, iot.IotID(l.Username)
		if len(l.Username) > 64 {
			return c, userErr
		}
		return c, nil
	case err != nil:
		return c, err
	case (l.Username == "" || l.Username == "&") && l.Password == "":
		return c, refusal.New(refusal.CertificateMissing, "")
	case userErr != nil:
		return c, userErr
	case c.id.Registers():
		return c, refusal.New(refusal.AuthTypeUnsupported, "a registration is not a login: authType="+c.id.AuthType)
	case c.id.ByToken():
		c.proof = byToken
		return c, nil
	case c.id.SecureMode == -2:
		return c, refusal.New(refusal.SecureModeUnsupported, "securemode=-2 needs authType")
	case c.id.PreAuthenticated():
		return c, refusal.New(refusal.SecureModeUnsupported, "after a pre-authentication the user name is the IotId: securemode="+strconv.Itoa(c.id.SecureMode))
	}
	c.content = sign.Content(c.id, c.ref)
	c.method, err = sign.Resolve(c.id.SignMethod, l.Password)
	if l.Password == "" {
		err = refusal.New(refusal.SignLength, "there is no password, and no client certificate either")
	}
	return c, err
}

// asRefusal makes sure that there is a cause.
func asRefusal(err error) *refusal.Error {
	if e, ok := errors.AsType[*refusal.Error](err); ok {
		return e
	}
	return refusal.New(refusal.ClientIDMalformed, err.Error())
}
