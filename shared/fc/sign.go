package fc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// scratch holds a canonical request while it is signed.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// signedHeader makes the headers of a synchronous InvokeFunction, signed with ACS3-HMAC-SHA256:
//
//	canonical = METHOD \n PATH \n QUERY \n name:value\n … \n names;… \n hex(sha256(body))
//	string    = "ACS3-HMAC-SHA256\n" + hex(sha256(canonical))
//	signature = hex(hmac-sha256(secret, string))
//
// Signed are host, content-type and every x-acs-*; x-fc-* are not. Source: darabonba-openapi/v2, utils/client.go,
// GetAuthorization.
func signedHeader(who *caller, host, path string, event []byte, now time.Time) http.Header {
	var nonce [16]byte
	rand.Read(nonce[:])
	sum := sha256.Sum256(event)
	hash := hex.EncodeToString(sum[:])

	fields := [...]struct{ lower, name, value string }{ // in the order of the signature
		{"content-type", "Content-Type", "application/octet-stream"},
		{"host", "", host},
		{"x-acs-accesskey-id", "X-Acs-Accesskey-Id", ""},
		{"x-acs-action", "X-Acs-Action", "InvokeFunction"},
		{"x-acs-content-sha256", "X-Acs-Content-Sha256", hash},
		{"x-acs-date", "X-Acs-Date", now.UTC().Format("2006-01-02T15:04:05Z")},
		{"x-acs-security-token", "X-Acs-Security-Token", who.token},
		{"x-acs-signature-nonce", "X-Acs-Signature-Nonce", hex.EncodeToString(nonce[:])},
		{"x-acs-version", "X-Acs-Version", apiVersion},
	}
	if who.token != "" {
		fields[2].value = who.accessKeyID
	}

	buf := scratch.Get().(*[]byte)
	b := append((*buf)[:0], "POST\n"...)
	b = append(append(b, path...), "\n\n"...)
	for i := range fields {
		if f := &fields[i]; f.value != "" {
			b = append(append(append(append(b, f.lower...), ':'), f.value...), '\n')
		}
	}
	b = append(b, '\n')
	namesAt := len(b)
	for i := range fields {
		if f := &fields[i]; f.value != "" {
			b = append(append(b, f.lower...), ';')
		}
	}
	b = b[:len(b)-1]
	namesEnd := len(b)
	b = append(append(b, '\n'), hash...)
	sum = sha256.Sum256(b)

	mac := hmac.New(sha256.New, who.secret)
	stringAt := len(b)
	b = append(b, "ACS3-HMAC-SHA256\n"...)
	b = hex.AppendEncode(b, sum[:])
	mac.Write(b[stringAt:])

	authAt := len(b)
	b = append(append(b, "ACS3-HMAC-SHA256 Credential="...), who.accessKeyID...)
	b = append(append(b, ",SignedHeaders="...), b[namesAt:namesEnd]...)
	b = append(b, ",Signature="...)
	b = hex.AppendEncode(b, mac.Sum(sum[:0]))

	values := make([]string, 0, len(fields)+2) // one backing array for all
	header := make(http.Header, len(fields)+2)
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	for i := range fields {
		if f := &fields[i]; f.value != "" && f.name != "" {
			set(f.name, f.value)
		}
	}
	set("Authorization", string(b[authAt:]))
	set("User-Agent", "relink")
	*buf = b
	scratch.Put(buf)
	return header
}
