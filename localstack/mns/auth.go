package mns

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	clockWindow     = 15 * time.Minute
	version         = "2015-06-06"
	headerPrefix    = "x-mns-"
	headerRequestID = "X-Mns-Request-Id"
)

// authenticate checks the headers that every request must have, the clock window, the signature and the account that the address
// names. A temporary key's token (security-token) is not part of what is signed, and not looked at.
func (s *Server) authenticate(r *http.Request, account, resource string) error {
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return fail(MissingAuthorizationHeader)
	}
	credentials, ok := strings.CutPrefix(auth, "MNS ")
	keyID, signature, found := strings.Cut(credentials, ":")
	if !ok || !found || keyID == "" || signature == "" {
		return fail(InvalidAuthorizationHeader)
	}
	date := r.Header.Get("Date")
	if date == "" {
		date = r.Header.Get("x-mns-date") // for clients that cannot set Date
	}
	if date == "" {
		return fail(MissingDateHeader)
	}
	sent, err := http.ParseTime(date)
	if err != nil {
		return fail(InvalidDateHeader)
	}
	switch v := r.Header.Get("x-mns-version"); v {
	case version:
	case "":
		return fail(MissingVersionHeader)
	default:
		return fail(InvalidVersionHeader, v)
	}
	if d := s.clock().Sub(sent); d > clockWindow || d < -clockWindow {
		return fail(TimeExpired)
	}
	if keyID != s.keyID {
		return fail(InvalidAccessKeyID)
	}
	mac := hmac.New(sha1.New, []byte(s.keySecret))
	mac.Write([]byte(stringToSign(r.Method, r.Header, date, resource)))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		return fail(SignatureDoesNotMatch)
	}
	if isAccount(account) && account != s.account {
		return fail(AccessDenied)
	}
	return nil
}

// isAccount tells an account id, 16 digits, from the other things that an address may have in its place.
func isAccount(s string) bool {
	return len(s) == 16 && strings.Trim(s, "0123456789") == ""
}

// stringToSign is METHOD, Content-MD5, Content-Type, Date, the x-mns-* headers and the resource with its query, as sent
// ("Sign requests"). Notifications are signed over the same.
func stringToSign(method string, h http.Header, date, resource string) string {
	var b strings.Builder
	b.WriteString(method + "\n" + h.Get("Content-MD5") + "\n" + h.Get("Content-Type") + "\n" + date + "\n")
	type header struct{ name, value string }
	var list []header
	for name, values := range h {
		if l := strings.ToLower(name); strings.HasPrefix(l, headerPrefix) {
			list = append(list, header{l, strings.TrimSpace(values[0])})
		}
	}
	slices.SortFunc(list, func(a, b header) int { return strings.Compare(a.name, b.name) })
	for _, x := range list {
		b.WriteString(x.name + ":" + x.value + "\n")
	}
	b.WriteString(resource)
	return b.String()
}

// checkBody checks the type of a body and its Content-MD5, which clients send as base64 of the hex digits or of the sum itself.
func checkBody(r *http.Request, body []byte) error {
	if want := r.Header.Get("Content-MD5"); want != "" {
		sum := md5.Sum(body)
		digits := hex.EncodeToString(sum[:])
		decoded, err := base64.StdEncoding.DecodeString(want)
		if err != nil || !strings.EqualFold(string(decoded), digits) && string(decoded) != string(sum[:]) {
			return fail(InvalidDegist)
		}
	}
	if len(body) == 0 {
		return nil
	}
	switch t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err != nil, t != "text/xml" && t != "application/xml":
		return fail(InvalidContentType, r.Header.Get("Content-Type"))
	}
	return nil
}
