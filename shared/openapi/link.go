package openapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A link is a URL that an answer gives to whoever called, for a document that has no place in an answer: it is good for some time, for
// everybody who has it, and signed with the access key of the caller.

// Base is what a link begins with: the address under which this call reached the platform.
func Base(r *http.Request) string {
	scheme := "http"
	if proto := r.Header.Get("X-Forwarded-Proto"); r.TLS != nil || strings.EqualFold(proto, "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// SignLink signs what a link leads to. The signature ends at a time; it is empty if there is no such key.
func (k Keys) SignLink(keyID, what string, until time.Time) string {
	secret, ok := k.secret(keyID)
	if !ok {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte("relink link\n" + what + "\n" + strconv.FormatInt(until.Unix(), 10)))
	return hex.EncodeToString(mac.Sum(nil))
}

// VerifyLink tells whether a link was signed here and has not ended.
func (k Keys) VerifyLink(keyID, what string, until, now time.Time, signature string) bool {
	want := k.SignLink(keyID, what, until)
	return want != "" && now.Before(until) && hmac.Equal([]byte(want), []byte(signature))
}
