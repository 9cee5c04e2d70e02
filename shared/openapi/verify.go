package openapi

import (
	"net/http"
	"strings"
	"time"
)

// Window is how far a request's timestamp may be off, either way.
const Window = 15 * time.Minute

// A Caller is who signed a request.
type Caller struct {
	KeyID    string // as claimed until Verified
	Scheme   string // acs3, v1; empty if the request carries no signature
	Verified bool
}

// A Verifier checks signatures and timestamps, and that no nonce is used twice.
//
// Nonces are kept in the memory of this process, and their number is bounded. Function Compute may run several instances: a
// replay within the window that reaches another one is not noticed. To replay, one must have read the request, which TLS
// prevents; a table of nonces would cost a conditional write on every call, and is not worth that.
type Verifier struct {
	keys   Keys
	now    func() time.Time
	nonces *nonces
}

// NewVerifier makes a Verifier; now is the clock.
func NewVerifier(keys Keys, now func() time.Time) *Verifier {
	return &Verifier{keys: keys, now: now, nonces: newNonces(maxNonces)}
}

// Verify finds out who signed a request. Its error is a *Failure; the Caller is then what the request claims.
func (v *Verifier) Verify(r *Request, p Params) (Caller, error) {
	switch auth := r.Header.Get("Authorization"); {
	case strings.HasPrefix(auth, "ACS3-"):
		return v.verifyACS3(r, auth)
	case p.Has("Signature"):
		return v.verifyV1(r, p)
	case p.Has("AccessKeyId"):
		return Caller{KeyID: p.String("AccessKeyId")}, failMissing("Signature")
	default:
		return Caller{}, failMissing("AccessKeyId")
	}
}

// admit makes the checks that both signatures share, after the signature itself proved right. Only then is the nonce
// remembered: who has no key cannot fill the memory.
func (v *Verifier) admit(c Caller, stamp, nonce string) (Caller, error) {
	if nonce == "" {
		return c, failMissing("SignatureNonce")
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", stamp)
	if err != nil {
		return c, failf(http.StatusBadRequest, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
	}
	now := v.now()
	if d := now.Sub(at); d > Window || d < -Window {
		return c, failf(http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired; the server's clock says %s.", now.UTC().Format(time.RFC3339))
	}
	if !v.nonces.add(c.KeyID+"\x00"+nonce, now) {
		return c, failf(http.StatusBadRequest, "SignatureNonceUsed", "Specified signature nonce was used already.")
	}
	c.Verified = true
	return c, nil
}

func failUnknownKey() error {
	return failf(http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
}

// failToken answers temporary credentials, which this API does not issue.
func failToken() error {
	return failf(http.StatusBadRequest, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatches with the AccessKey: the keys of this installation have none.")
}

// maxSigned bounds the string to sign that an answer repeats.
const maxSigned = 64 << 10

func failMismatch(explain string) error {
	if len(explain) > maxSigned {
		explain = explain[:maxSigned] + "…"
	}
	return failf(http.StatusBadRequest, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. %s", explain)
}
