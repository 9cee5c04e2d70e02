package downlink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"relink/shared/config"
)

// Headers of a signed request.
const (
	HeaderDate      = "X-Relink-Date"      // Unix milliseconds, decimal
	HeaderSignature = "X-Relink-Signature" // lower-case hex
)

// Window is how far a request's date may be from the receiver's clock, either way.
const Window = 60 * time.Second

// ErrSignature is wrapped by every reason for which Verify turns a request away. What it says is for the log, not for the caller.
var ErrSignature = errors.New("downlink: request not signed for this installation")

// ErrNoKey says that no key is configured. Without one nothing is signed and everything is turned away.
var ErrNoKey = errors.New("downlink: no internal key is configured (RELINK_INTERNAL_KEY)")

// Sign puts date and signature into req's header. body is all that req will carry.
//
//	signature = hex(HMAC-SHA256(key, method "\n" path "\n" date "\n" hex(SHA-256(body))))
//
// The path is as the request line has it, with a query if there is one.
func Sign(req *http.Request, key config.Key, body []byte, now time.Time) error {
	if key.IsZero() {
		return ErrNoKey
	}
	date := strconv.FormatInt(now.UnixMilli(), 10)
	mac := signature(key, req.Method, req.URL.RequestURI(), date, body)
	req.Header.Set(HeaderDate, date)
	req.Header.Set(HeaderSignature, hex.EncodeToString(mac))
	return nil
}

// Verify checks what Sign wrote, in constant time, against the whole body that was received. Its error wraps ErrSignature or
// is ErrNoKey; the answer to the caller is 401 either way.
func Verify(r *http.Request, key config.Key, body []byte, now time.Time) error {
	if key.IsZero() {
		return ErrNoKey
	}
	date := r.Header.Get(HeaderDate)
	ms, err := strconv.ParseInt(date, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: no usable %s", ErrSignature, HeaderDate)
	}
	// Compared without subtracting: a hostile date must not overflow into the window.
	if ms < now.Add(-Window).UnixMilli() || ms > now.Add(Window).UnixMilli() {
		return fmt.Errorf("%w: dated %s, outside of %s around this clock", ErrSignature, date, Window)
	}
	given, err := hex.DecodeString(r.Header.Get(HeaderSignature))
	if err != nil || len(given) != sha256.Size {
		return fmt.Errorf("%w: no usable %s", ErrSignature, HeaderSignature)
	}
	if !hmac.Equal(given, signature(key, r.Method, r.URL.RequestURI(), date, body)) {
		return fmt.Errorf("%w: signature does not match", ErrSignature)
	}
	return nil
}

func signature(key config.Key, method, path, date string, body []byte) []byte {
	digest := sha256.Sum256(body)
	mac := hmac.New(sha256.New, key[:])
	for _, s := range [...]string{method, "\n", path, "\n", date, "\n", hex.EncodeToString(digest[:])} {
		mac.Write([]byte(s)) // never fails
	}
	return mac.Sum(nil)
}
