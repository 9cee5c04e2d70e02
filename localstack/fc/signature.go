package fc

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// signatureWindow is how far x-acs-date may be from the server's time (documented for OSS, SLS and MNS;
// unconfirmed for this gateway).
const signatureWindow = 15 * time.Minute

const acs3 = "ACS3-HMAC-SHA256"

// authorization is a parsed ACS3 Authorization header.
type authorization struct {
	accessKeyID string
	signed      string // names as sent, joined with ;
	signature   string
	date        time.Time
	nonce       string
}

// precheck refuses what can be refused without the body: no or a foreign key, a stale date, unsigned headers.
func (s *Server) precheck(r *http.Request) (authorization, *apiError) {
	var a authorization
	value := r.Header.Get("Authorization")
	if value == "" {
		return a, errMissingHeader("Authorization")
	}
	rest, ok := strings.CutPrefix(value, acs3+" ")
	if !ok {
		return a, errInvalidArgument("Authorization: want %s", acs3)
	}
	for _, part := range strings.Split(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Credential":
			a.accessKeyID = v
		case "SignedHeaders":
			a.signed = v
		case "Signature":
			a.signature = v
		}
	}
	if subtle.ConstantTimeCompare([]byte(a.accessKeyID), []byte(s.opt.AccessKeyID)) != 1 {
		return a, &apiError{http.StatusForbidden, "InvalidAccessKeyID", "the AccessKey ID is not found"}
	}
	if r.Header.Get("X-Acs-Security-Token") != "" {
		return a, &apiError{http.StatusForbidden, "InvalidSecurityToken", "the security token was not issued by this service"}
	}
	for _, name := range [...]string{"X-Acs-Date", "X-Acs-Signature-Nonce", "X-Acs-Content-Sha256"} {
		if r.Header.Get(name) == "" {
			return a, errMissingHeader(strings.ToLower(name))
		}
	}
	a.nonce = r.Header.Get("X-Acs-Signature-Nonce")
	date, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("X-Acs-Date"))
	if err != nil {
		return a, errInvalidArgument("x-acs-date: want 2006-01-02T15:04:05Z in UTC")
	}
	if d := s.opt.Clock.Now().Sub(date); d > signatureWindow || d < -signatureWindow {
		return a, errExpired
	}
	a.date = date
	return a, nil
}

var (
	errExpired   = &apiError{http.StatusBadRequest, "InvalidTimeStamp.Expired", "x-acs-date is more than 15 minutes from the time of the service"}
	errNonceUsed = &apiError{http.StatusBadRequest, "SignatureNonceUsed", "the signature nonce was used already"}
	errSignature = &apiError{http.StatusForbidden, "SignatureNotMatch", "the signature does not match the one that the service calculated: check the AccessKey secret and the signing method"}
	errBodyHash  = &apiError{http.StatusForbidden, "SignatureNotMatch", "x-acs-content-sha256 is not the SHA-256 of the body"}
)

// verify checks the signature of a request whose body has been read, and takes its nonce.
// Algorithm: darabonba-openapi/v2 utils.GetAuthorization.
func (s *Server) verify(r *http.Request, a authorization, body []byte) *apiError {
	hash := sha256.Sum256(body)
	var hexHash [64]byte
	hex.Encode(hexHash[:], hash[:])
	if subtle.ConstantTimeCompare(hexHash[:], []byte(r.Header.Get("X-Acs-Content-Sha256"))) != 1 {
		return errBodyHash
	}
	canonical, e := canonicalRequest(r, a.signed, hexHash[:])
	if e != nil {
		return e
	}
	sum := sha256.Sum256(canonical)
	mac := hmac.New(sha256.New, []byte(s.opt.AccessKeySecret))
	toSign := make([]byte, 0, len(acs3)+1+64)
	toSign = append(toSign, acs3+"\n"...)
	toSign = hex.AppendEncode(toSign, sum[:])
	mac.Write(toSign)
	var want [64]byte
	hex.Encode(want[:], mac.Sum(nil))
	if subtle.ConstantTimeCompare(want[:], []byte(a.signature)) != 1 {
		s.log.Info("signature refused", "canonical_request", string(canonical))
		return errSignature
	}
	return s.nonces.take(a.nonce, a.date)
}

// canonicalRequest builds what the client must have signed; it refuses a request that left a header out.
func canonicalRequest(r *http.Request, signed string, bodyHash []byte) ([]byte, *apiError) {
	names := strings.Split(signed, ";")
	if !sort.StringsAreSorted(names) {
		return nil, errInvalidArgument("SignedHeaders are not sorted")
	}
	has := func(name string) bool {
		i := sort.SearchStrings(names, name)
		return i < len(names) && names[i] == name
	}
	if !has("host") {
		return nil, errInvalidArgument("SignedHeaders lacks host")
	}
	for k := range r.Header {
		if lower := strings.ToLower(k); (strings.HasPrefix(lower, "x-acs-") || lower == "content-type") && !has(lower) {
			return nil, errInvalidArgument("SignedHeaders lacks %s", lower)
		}
	}
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, unreserved.Replace(path)...)
	b = append(b, '\n')
	b = appendCanonicalQuery(b, r.URL.RawQuery)
	b = append(b, '\n')
	for _, name := range names {
		b = append(b, name...)
		b = append(b, ':')
		if name == "host" {
			b = append(b, r.Host...)
		} else if values := r.Header[http.CanonicalHeaderKey(name)]; len(values) == 1 {
			b = append(b, strings.TrimSpace(values[0])...)
		} else {
			sorted := append([]string(nil), values...)
			sort.Strings(sorted)
			b = append(b, strings.Join(sorted, ",")...)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, signed...)
	b = append(b, '\n')
	return append(b, bodyHash...), nil
}

var unreserved = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~")

func appendCanonicalQuery(b []byte, raw string) []byte {
	if raw == "" {
		return b
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return append(b, raw...) // cannot be signed by the SDK; the signature will not match
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	first := true
	for _, k := range keys {
		vs := values[k]
		sort.Strings(vs)
		for _, v := range vs {
			if !first {
				b = append(b, '&')
			}
			first = false
			b = append(b, unreserved.Replace(url.QueryEscape(k))...)
			b = append(b, '=')
			b = append(b, unreserved.Replace(url.QueryEscape(v))...)
		}
	}
	return b
}
