package openapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

const acs3Method = "ACS3-HMAC-SHA256"

// acs3Signed are the headers that a signature must cover.
var acs3Signed = []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}

// verifyACS3 checks
//
//	Authorization: ACS3-HMAC-SHA256 Credential=<AccessKeyId>,SignedHeaders=<a;b;c>,Signature=<hex>
//
// as darabonba-openapi's GetAuthorization makes it.
func (v *Verifier) verifyACS3(r *Request, auth string) (Caller, error) {
	c := Caller{Scheme: "acs3"}
	method, rest, _ := strings.Cut(auth, " ")
	if method != acs3Method {
		return c, failf(http.StatusBadRequest, "InvalidSignatureMethod", "Specified signature method is not supported; use %s.", acs3Method)
	}
	var signedHeaders, signature string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			c.KeyID = value
		case "SignedHeaders":
			signedHeaders = value
		case "Signature":
			signature = value
		}
	}
	if c.KeyID == "" {
		return c, failMissing("AccessKeyId")
	}
	if signedHeaders == "" || signature == "" {
		return c, failf(http.StatusBadRequest, "IncompleteSignature", "The header Authorization lacks SignedHeaders or Signature.")
	}
	secret, known := v.keys.secret(c.KeyID)
	if !known {
		return c, failUnknownKey()
	}
	if r.Header.Get("X-Acs-Security-Token") != "" {
		return c, failToken()
	}
	names := strings.Split(signedHeaders, ";")
	for _, name := range acs3Signed {
		if !slices.Contains(names, name) {
			return c, failf(http.StatusBadRequest, "IncompleteSignature", "The signature does not cover the header %s.", name)
		}
	}
	sum := sha256.Sum256(r.Body)
	if !hmac.Equal([]byte(r.Header.Get("X-Acs-Content-Sha256")), []byte(hex.EncodeToString(sum[:]))) {
		return c, failMismatch("The header x-acs-content-sha256 is not the hash of the body.")
	}
	request := acs3Canonical(r, names)
	toSign := acs3StringToSign(request)
	if !hmac.Equal([]byte(signature), []byte(acs3Sign(secret.Reveal(), toSign))) {
		return c, failMismatch("server canonical request is:" + request + "\nserver string to sign is:" + toSign)
	}
	return v.admit(c, r.Header.Get("X-Acs-Date"), r.Header.Get("X-Acs-Signature-Nonce"))
}

func acs3Canonical(r *Request, signed []string) string {
	var b strings.Builder
	b.WriteString(r.Method)
	b.WriteString("\n" + r.Path + "\n")
	b.WriteString(canonical(r.Query))
	b.WriteByte('\n')
	for _, name := range signed {
		value := r.Host
		if name != "host" {
			value = strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n")
	b.WriteString(r.Header.Get("X-Acs-Content-Sha256"))
	return b.String()
}

func acs3StringToSign(canonicalRequest string) string {
	sum := sha256.Sum256([]byte(canonicalRequest))
	return acs3Method + "\n" + hex.EncodeToString(sum[:])
}

func acs3Sign(secret, toSign string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(toSign))
	return hex.EncodeToString(mac.Sum(nil))
}
