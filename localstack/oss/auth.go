package oss

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	clockWindow  = 15 * time.Minute
	maxPresigned = 7 * 24 * time.Hour // of V4
	v4Algorithm  = "OSS4-HMAC-SHA256"
	v4Layout     = "20060102T150405Z"
	unsigned     = "UNSIGNED-PAYLOAD"
	isoLayout    = "2006-01-02T15:04:05.000Z"
)

// signedQuery is the query parameters that are part of a V1 signature
// (conn.go signKeyList of the SDK).
var signedQuery = func() map[string]bool {
	m := make(map[string]bool)
	for _, k := range strings.Fields(`acl uploads location cors logging website referer lifecycle delete append tagging
		objectMeta uploadId partNumber security-token position img style styleName replication replicationProgress
		replicationLocation cname bucketInfo comp qos live status vod startTime endTime symlink x-oss-process
		response-content-type x-oss-traffic-limit response-content-language response-expires response-cache-control
		response-content-disposition response-content-encoding udf udfName udfImage udfId udfImageDesc udfApplication
		udfApplicationLog restore callback callback-var qosInfo policy stat encryption versions versioning versionId
		requestPayment x-oss-request-payer sequential inventory inventoryId continuation-token asyncFetch worm wormId
		wormExtend withHashContext x-oss-enable-md5 x-oss-enable-sha1 x-oss-enable-sha256 x-oss-hash-ctx x-oss-md5-ctx
		transferAcceleration regionList cloudboxes x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id
		x-oss-ac-forward-allow metaQuery resourceGroup rtc x-oss-async-process responseHeader`) {
		m[k] = true
	}
	return m
}()

// authenticate checks the signature of a request, in its header or its URL. It
// returns anonymous true if there is none. A temporary key's token is part of
// what is signed and otherwise not looked at.
func (s *Server) authenticate(r *http.Request, a address, query url.Values) (anonymous bool, err error) {
	auth := r.Header.Get("Authorization")
	if rest, ok := strings.CutPrefix(auth, v4Algorithm+" "); ok {
		return false, s.verifyHeaderV4(r, a, query, rest)
	}
	if rest, ok := strings.CutPrefix(auth, "OSS "); ok {
		return false, s.verifyHeaderV1(r, a, query, rest)
	}
	if auth != "" {
		return false, argument("Authorization", "", "The authorization header is invalid: OSS and %s are known.", v4Algorithm)
	}
	switch {
	case query.Has("x-oss-signature-version"):
		return false, s.verifyURLV4(r, a, query)
	case query.Has("Signature"):
		return false, s.verifyURLV1(r, a, query)
	}
	return true, nil
}

func (s *Server) checkKeyID(id string) error {
	if id != s.keyID {
		e := fail(InvalidAccessKeyID)
		e.AccessKeyID = id
		return e
	}
	return nil
}

func (s *Server) checkClock(t time.Time) error {
	now := s.clock()
	if d := now.Sub(t); d > clockWindow || d < -clockWindow {
		e := fail(RequestTimeTooSkewed)
		e.RequestTime, e.ServerTime = t.UTC().Format(isoLayout), now.UTC().Format(isoLayout)
		return e
	}
	return nil
}

func denied(message string) *Error { return &Error{Code: AccessDenied, Message: message} }

// requestDate returns the date of a header signature and the text of it that is
// signed: x-oss-date replaces Date.
func requestDate(r *http.Request) (t time.Time, text string, err error) {
	text = r.Header.Get("x-oss-date")
	if text == "" {
		text = r.Header.Get("Date")
	}
	if t, err = http.ParseTime(text); err != nil {
		if t, err = time.Parse(v4Layout, text); err != nil {
			return t, text, denied("OSS authentication requires a valid Date.")
		}
	}
	return t, text, nil
}

// verifyHeaderV1 checks "OSS AK:base64(hmac-sha1(…))".
func (s *Server) verifyHeaderV1(r *http.Request, a address, query url.Values, auth string) error {
	id, signature, ok := strings.Cut(auth, ":")
	if !ok {
		return argument("Authorization", "", "The authorization header has no signature.")
	}
	t, date, err := requestDate(r)
	if err != nil {
		return err
	}
	if err := s.checkClock(t); err != nil {
		return err
	}
	return s.compareV1(r, a, query, id, date, signature)
}

// verifyURLV1 checks OSSAccessKeyId, Expires and Signature of a presigned URL.
func (s *Server) verifyURLV1(r *http.Request, a address, query url.Values) error {
	expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	if err != nil {
		return denied("Invalid date (should be seconds since epoch): " + query.Get("Expires"))
	}
	if s.clock().Unix() > expires {
		return s.expired(time.Unix(expires, 0))
	}
	return s.compareV1(r, a, query, query.Get("OSSAccessKeyId"), query.Get("Expires"), query.Get("Signature"))
}

func (s *Server) expired(at time.Time) error {
	e := denied("Request has expired.")
	e.ExpireTime, e.ServerTime = at.UTC().Format(isoLayout), s.clock().UTC().Format(isoLayout)
	return e
}

func (s *Server) compareV1(r *http.Request, a address, query url.Values, id, date, signature string) error {
	if err := s.checkKeyID(id); err != nil {
		return err
	}
	text := stringToSignV1(r, a, query, date)
	mac := hmac.New(sha1.New, []byte(s.keySecret))
	mac.Write([]byte(text))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		e := fail(SignatureDoesNotMatch)
		e.StringToSign, e.AccessKeyID = text, id
		return e
	}
	return nil
}

// stringToSignV1 is VERB, Content-MD5, Content-Type, date, the x-oss-* headers
// and /bucket/key with the parameters that count, nothing escaped.
func stringToSignV1(r *http.Request, a address, query url.Values, date string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.Header.Get("Content-MD5") + "\n" + r.Header.Get("Content-Type") + "\n" + date + "\n")
	for _, name := range headerNames(r, nil) {
		b.WriteString(name + ":" + r.Header.Get(name) + "\n")
	}
	b.WriteByte('/')
	if a.bucket != "" {
		b.WriteString(a.bucket + "/" + a.key)
	}
	sep := byte('?')
	for _, k := range sortedKeys(query) {
		if !signedQuery[k] {
			continue
		}
		b.WriteByte(sep)
		b.WriteString(k)
		if v := query.Get(k); v != "" {
			b.WriteString("=" + v)
		}
		sep = '&'
	}
	return b.String()
}

// headerNames returns the sorted lower-case names of the x-oss-* headers of a
// request and of those that more holds for.
func headerNames(r *http.Request, more func(name string) bool) []string {
	var names []string
	for name := range r.Header {
		if l := strings.ToLower(name); strings.HasPrefix(l, "x-oss-") || more != nil && more(l) {
			names = append(names, l)
		}
	}
	slices.Sort(names)
	return names
}

func sortedKeys(query url.Values) []string {
	keys := make([]string, 0, len(query))
	for k := range query {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// A v4Signature is the parts of a V4 signature, from the header or the URL.
type v4Signature struct {
	scope      []string // AK, date, region, product, aliyun_v4_request
	additional string   // names of additional signed headers, joined by ";"
	signature  string
	date       string // as signed
	day        string // of date
}

func (s *Server) verifyHeaderV4(r *http.Request, a address, query url.Values, auth string) error {
	var v v4Signature
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			v.scope = strings.Split(value, "/")
		case "AdditionalHeaders":
			v.additional = value
		case "Signature":
			v.signature = value
		}
	}
	t, date, err := requestDate(r)
	if err != nil {
		return err
	}
	if err := s.checkClock(t); err != nil {
		return err
	}
	v.date, v.day = date, t.UTC().Format("20060102")
	return s.compareV4(r, a, query, v)
}

func (s *Server) verifyURLV4(r *http.Request, a address, query url.Values) error {
	bad := func(text string) error { return &Error{Code: AuthQueryParameterError, Message: text} }
	if v := query.Get("x-oss-signature-version"); v != v4Algorithm {
		return bad("x-oss-signature-version must be " + v4Algorithm)
	}
	v := v4Signature{
		scope:      strings.Split(query.Get("x-oss-credential"), "/"),
		additional: query.Get("x-oss-additional-headers"),
		signature:  query.Get("x-oss-signature"),
		date:       query.Get("x-oss-date"),
	}
	t, err := time.Parse(v4Layout, v.date)
	if err != nil {
		return bad("x-oss-date must be in the ISO8601 format " + v4Layout)
	}
	v.day = v.date[:8]
	seconds, err := strconv.ParseInt(query.Get("x-oss-expires"), 10, 32)
	if err != nil || seconds < 0 {
		return bad("x-oss-expires must be a number of seconds")
	}
	if time.Duration(seconds)*time.Second > maxPresigned {
		return bad("x-oss-expires must be at most a week (604800 seconds)")
	}
	now := s.clock()
	if t.Sub(now) > clockWindow {
		return denied("Request is not valid yet.")
	}
	if end := t.Add(time.Duration(seconds) * time.Second); now.After(end) {
		return s.expired(end)
	}
	signed := make(url.Values, len(query))
	for k, values := range query {
		if k != "x-oss-signature" {
			signed[k] = values
		}
	}
	return s.compareV4(r, a, signed, v)
}

func (s *Server) compareV4(r *http.Request, a address, query url.Values, v v4Signature) error {
	if len(v.scope) != 5 || v.scope[3] != "oss" || v.scope[4] != "aliyun_v4_request" {
		return argument("Credential", strings.Join(v.scope, "/"), "Credential must be AK/DATE/REGION/oss/aliyun_v4_request.")
	}
	if err := s.checkKeyID(v.scope[0]); err != nil {
		return err
	}
	canonical := canonicalV4(r, a, query, v.additional)
	sum := sha256.Sum256([]byte(canonical))
	text := v4Algorithm + "\n" + v.date + "\n" + strings.Join(v.scope[1:], "/") + "\n" + hex.EncodeToString(sum[:])
	key := []byte("aliyun_v4" + s.keySecret)
	for _, part := range append(slices.Clone(v.scope[1:]), text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if v.scope[1] != v.day || !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(v.signature)) {
		e := fail(SignatureDoesNotMatch)
		e.StringToSign, e.CanonicalReq, e.AccessKeyID = text, canonical, v.scope[0]
		return e
	}
	return nil
}

// canonicalV4 is VERB, /bucket/key with escaped segments, the escaped and sorted
// query, the signed headers, the names of the additional ones and the payload.
func canonicalV4(r *http.Request, a address, query url.Values, additional string) string {
	extra := strings.Split(additional, ";")
	var b strings.Builder
	b.WriteString(r.Method + "\n/")
	if a.bucket != "" {
		b.WriteString(a.bucket + "/" + strings.ReplaceAll(escape(a.key), "%2F", "/"))
	}
	b.WriteByte('\n')
	escaped := make(map[string]string, len(query))
	for k, values := range query {
		escaped[escape(k)] = escape(values[0])
	}
	keys := make([]string, 0, len(escaped))
	for k := range escaped {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k)
		if v := escaped[k]; v != "" {
			b.WriteString("=" + v)
		}
	}
	b.WriteByte('\n')
	names := headerNames(r, func(name string) bool {
		return name == "content-md5" || name == "content-type" || slices.Contains(extra, name)
	})
	if slices.Contains(extra, "host") { // net/http keeps it apart
		names = append(names, "host")
		slices.Sort(names)
	}
	for _, name := range names {
		v := strings.TrimSpace(r.Header.Get(name))
		if name == "host" {
			v = r.Host
		}
		b.WriteString(name + ":" + v + "\n")
	}
	payload := r.Header.Get("x-oss-content-sha256")
	if payload == "" {
		payload = unsigned
	}
	b.WriteString("\n" + additional + "\n" + payload)
	return b.String()
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
