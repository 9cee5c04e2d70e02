package openapi

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
)

// verifyV1 checks the parameter Signature, "HMAC-SHA1, signature version 1.0".
func (v *Verifier) verifyV1(r *Request, p Params) (Caller, error) {
	c := Caller{KeyID: p.String("AccessKeyId"), Scheme: "v1"}
	for _, name := range []string{"AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"} {
		if p.String(name) == "" {
			return c, failMissing(name)
		}
	}
	if p.String("SignatureMethod") != "HMAC-SHA1" || p.String("SignatureType") != "" {
		return c, failf(http.StatusBadRequest, "InvalidSignatureMethod", "Specified signature method is not supported; use HMAC-SHA1.")
	}
	if p.String("SignatureVersion") != "1.0" {
		return c, failf(http.StatusBadRequest, "InvalidSignatureVersion", "Specified signature version is not supported; use 1.0.")
	}
	secret, known := v.keys.secret(c.KeyID)
	if !known {
		return c, failUnknownKey()
	}
	if p.String("SecurityToken") != "" {
		return c, failToken()
	}
	toSign := v1StringToSign(r.Method, p)
	if !hmac.Equal([]byte(p.String("Signature")), []byte(v1Sign(secret.Reveal(), toSign))) {
		return c, failMismatch("server string to sign is:" + toSign)
	}
	return v.admit(c, p.String("Timestamp"), p.String("SignatureNonce"))
}

// v1StringToSign covers every parameter but Signature, wherever it travelled.
func v1StringToSign(method string, p Params) string {
	pairs := make([]Pair, 0, len(p.m))
	for name, value := range p.m {
		if name != "Signature" {
			pairs = append(pairs, Pair{name, value})
		}
	}
	return method + "&%2F&" + escape(canonical(pairs))
}

func v1Sign(secret, toSign string) string {
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(toSign))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
