package sls

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	clockWindow = 15 * time.Minute
	v4Algorithm = "SLS4-HMAC-SHA256"
	v4Layout    = "20060102T150405Z"
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// authenticate checks the headers every request must have, the clock window and
// the signature. A temporary key's token (x-acs-security-token) is part of what
// is signed and otherwise not looked at.
func (s *Server) authenticate(r *http.Request, query url.Values, body []byte) error {
	switch v := r.Header.Get("x-log-apiversion"); v {
	case "0.6.0", "0.4.0":
	case "":
		return fail(MissingAPIVersion)
	default:
		return fail(InvalidAPIVersion, v)
	}
	auth := r.Header.Get("Authorization")
	if rest, ok := strings.CutPrefix(auth, v4Algorithm+" "); ok {
		return s.verifyV4(r, query, body, rest)
	}
	rest, ok := strings.CutPrefix(auth, "LOG ")
	if !ok {
		return fail(MissAccessKeyID, "no Authorization of LOG or "+v4Algorithm)
	}
	return s.verifyV1(r, query, rest)
}

func (s *Server) checkClock(t time.Time, text string) error {
	if d := s.now().Sub(t); d > clockWindow || d < -clockWindow {
		return fail(RequestTimeTooSkewed, text)
	}
	return nil
}

// verifyV1 checks "LOG AK:base64(hmac-sha1(…))" ("Request signature").
func (s *Server) verifyV1(r *http.Request, query url.Values, auth string) error {
	keyID, signature, ok := strings.Cut(auth, ":")
	if !ok {
		return fail(MissAccessKeyID, "Authorization without a signature")
	}
	if m := r.Header.Get("x-log-signaturemethod"); m != "hmac-sha1" {
		return fail(InvalidSignatureMethod, m)
	}
	date := r.Header.Get("Date")
	if date == "" {
		date = r.Header.Get("x-log-date") // browsers cannot set Date
	}
	if date == "" {
		return fail(MissingDate)
	}
	t, err := http.ParseTime(date)
	if err != nil {
		return fail(InvalidDateFormat, date)
	}
	if err := s.checkClock(t, date); err != nil {
		return err
	}
	if keyID != s.keyID {
		return fail(Unauthorized, keyID)
	}
	mac := hmac.New(sha1.New, []byte(s.keySecret))
	mac.Write([]byte(stringToSignV1(r, query, date)))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		return fail(SignatureNotMatch, signature)
	}
	return nil
}

// stringToSignV1 is METHOD, Content-MD5, Content-Type, Date, the x-log-* and
// x-acs-* headers and the escaped path with the sorted, unescaped query.
func stringToSignV1(r *http.Request, query url.Values, date string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.Header.Get("Content-MD5") + "\n" + r.Header.Get("Content-Type") + "\n" + date + "\n")
	var names []string
	for name := range r.Header {
		if l := strings.ToLower(name); strings.HasPrefix(l, "x-log-") || strings.HasPrefix(l, "x-acs-") {
			names = append(names, l)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(name + ":" + strings.TrimSpace(r.Header.Get(name)) + "\n")
	}
	b.WriteString(r.URL.EscapedPath())
	sep := byte('?')
	for _, k := range sortedKeys(query) {
		b.WriteByte(sep)
		for _, v := range query[k] {
			b.WriteString(k + "=" + v)
		}
		sep = '&'
	}
	return b.String()
}

func sortedKeys(query url.Values) []string {
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// verifyV4 checks "SLS4-HMAC-SHA256 Credential=AK/DATE/REGION/sls/aliyun_v4_request,Signature=hex".
func (s *Server) verifyV4(r *http.Request, query url.Values, body []byte, auth string) error {
	var credential, signature string
	for part := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Credential":
			credential = v
		case "Signature":
			signature = v
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[3] != "sls" || scope[4] != "aliyun_v4_request" {
		return fail(MissAccessKeyID, "malformed Credential")
	}
	date := r.Header.Get("x-log-date")
	if date == "" {
		return fail(MissingDate)
	}
	t, err := time.Parse(v4Layout, date)
	if err != nil {
		return fail(InvalidDateFormat, date)
	}
	if err := s.checkClock(t, date); err != nil {
		return err
	}
	if scope[0] != s.keyID {
		return fail(Unauthorized, scope[0])
	}
	digest := r.Header.Get("x-log-content-sha256")
	// The SDK signs streamed bodies with the digest of nothing.
	if sum := sha256.Sum256(body); digest != hex.EncodeToString(sum[:]) && digest != emptySHA256 {
		return fail(PostBodyInvalid, "x-log-content-sha256 does not match the body")
	}
	canonical := sha256.Sum256([]byte(canonicalV4(r, query, digest)))
	toSign := v4Algorithm + "\n" + date + "\n" + strings.Join(scope[1:], "/") + "\n" + hex.EncodeToString(canonical[:])
	key := []byte("aliyun_v4" + s.keySecret)
	for _, part := range append(scope[1:], toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if scope[1] != date[:8] || !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(signature)) {
		return fail(SignatureNotMatch, signature)
	}
	return nil
}

// canonicalV4 is the canonical request of signature_v4.go of the SDK: host and
// Content-Type are signed beside the x-log-* and x-acs-* headers.
func canonicalV4(r *http.Request, query url.Values, digest string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n")
	for i, k := range sortedKeys(query) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k)
		if v := query[k][0]; v != "" {
			b.WriteString("=" + strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
		}
	}
	b.WriteByte('\n')
	names := []string{"host"}
	for name := range r.Header {
		l := strings.ToLower(name)
		if strings.HasPrefix(l, "x-log-meta-") {
			continue
		}
		if strings.HasPrefix(l, "x-log-") || strings.HasPrefix(l, "x-acs-") || l == "content-type" {
			names = append(names, l)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v := r.Header.Get(name)
		if name == "host" {
			v = r.Host
		}
		b.WriteString(name + ":" + v + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + digest)
	return b.String()
}
