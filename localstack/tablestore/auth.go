package tablestore

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	contentType = "protocol buffer"
	dateWindow  = 15 * time.Minute
)

// An authenticator verifies request signatures (aliyun-tablestore-go-sdk, ots_header.go and common/credentials.go) and
// signs responses.
type authenticator struct {
	id        string
	secret    []byte
	instances []string

	mu     sync.Mutex
	v4Key  []byte // signing key of the last date and region seen, as text
	v4Date string
	v4Area string
}

func newAuthenticator(o Options) *authenticator {
	return &authenticator{id: o.AccessKeyID, secret: []byte(o.AccessKeySecret), instances: o.Instances}
}

// In canonical form, which http.Header finds without allocating.
var requiredHeaders = []string{"X-Ots-Date", "X-Ots-Apiversion", "X-Ots-Accesskeyid", "X-Ots-Contentmd5", "X-Ots-Instancename"}

// verify checks everything that the headers alone decide and returns the instance. The body's MD5 is part of what is
// signed; the caller compares it once the body is read.
func (a *authenticator) verify(r *http.Request, now time.Time) (instance string, f *failure) {
	for _, h := range requiredHeaders {
		if r.Header.Get(h) == "" {
			return "", &failure{codeMissingHeader, "Missing header: '" + strings.ToLower(h) + "'."}
		}
	}
	date := r.Header.Get("X-Ots-Date")
	// The Go SDK puts month, day and hour where milliseconds belong, so only the seconds can be trusted.
	if len(date) < 19 {
		return "", invalid("Invalid date format: %s.", date)
	}
	t, err := time.Parse("2006-01-02T15:04:05", date[:19])
	if err != nil {
		return "", invalid("Invalid date format: %s.", date)
	}
	if d := now.Sub(t); d > dateWindow || d < -dateWindow {
		return "", &failure{codeAuthFailed, "Mismatch between system time and x-ots-date: " + date + "."}
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Ots-Accesskeyid")), []byte(a.id)) != 1 {
		return "", &failure{codeAuthFailed, "The AccessKeyID does not exist."}
	}
	var want []byte
	given := r.Header.Get("X-Ots-Signaturev4")
	if given != "" {
		region, day := r.Header.Get("X-Ots-Signregion"), r.Header.Get("X-Ots-Signdate")
		d, err := time.Parse("20060102", day)
		if err != nil || region == "" {
			return "", &failure{codeAuthFailed, "Signature mismatch."}
		}
		if now.Before(d.Add(-dateWindow)) || now.After(d.Add(24*time.Hour+dateWindow)) {
			return "", &failure{codeAuthFailed, "Mismatch between system time and x-ots-signdate: " + day + "."}
		}
		mac := hmac.New(sha256.New, a.signingKey(day, region))
		mac.Write([]byte(stringToSign(r) + "ots"))
		want = mac.Sum(nil)
	} else {
		if given = r.Header.Get("X-Ots-Signature"); given == "" {
			return "", &failure{codeMissingHeader, "Missing header: 'x-ots-signature'."}
		}
		mac := hmac.New(sha1.New, a.secret)
		mac.Write([]byte(stringToSign(r)))
		want = mac.Sum(nil)
	}
	if !equalBase64(want, given) {
		return "", &failure{codeAuthFailed, "Signature mismatch."}
	}
	instance = r.Header.Get("X-Ots-Instancename")
	if !validInstance(instance) || (len(a.instances) > 0 && !slices.Contains(a.instances, instance)) {
		return "", &failure{codeAuthFailed, "The instance is not found."}
	}
	return instance, nil
}

// validInstance tells whether a name is one an instance can have: 3 to 16 letters, digits and hyphens.
func validInstance(name string) bool {
	if len(name) < 3 || len(name) > 16 {
		return false
	}
	for _, c := range []byte(name) {
		if nameByte[c] == 0 && c != '-' {
			return false
		}
	}
	return true
}

// equalBase64 compares in constant time; text is what the client sent.
func equalBase64(sum []byte, text string) bool {
	var buf [64]byte
	n := base64.StdEncoding.EncodedLen(len(sum))
	base64.StdEncoding.Encode(buf[:n], sum)
	return subtle.ConstantTimeCompare(buf[:n], []byte(text)) == 1
}

// stringToSign is "/Op\nPOST\n\n" and every x-ots header but the signatures, sorted, as "name:value\n".
func stringToSign(r *http.Request) string {
	var names [24]string
	list := names[:0]
	size := len(r.URL.Path) + 8
	for name, values := range r.Header {
		if len(values) != 1 || values[0] == "" || !strings.HasPrefix(name, "X-Ots-") ||
			name == "X-Ots-Signature" || name == "X-Ots-Signaturev4" {
			continue
		}
		list = append(list, name)
		size += len(name) + len(values[0]) + 2
	}
	slices.Sort(list) // all are canonical, so this is the order of the lower-case names too
	b := make([]byte, 0, size)
	b = append(b, r.URL.Path...)
	b = append(b, '\n')
	b = append(b, r.Method...)
	b = append(b, "\n\n"...)
	for _, name := range list {
		for i := range len(name) {
			c := name[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
		b = append(b, ':')
		b = append(b, strings.TrimSpace(r.Header[name][0])...)
		b = append(b, '\n')
	}
	return string(b)
}

// signingKey derives the V4 key of a day and region. Its base64 text is the key, as in the SDK.
func (a *authenticator) signingKey(day, region string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.v4Date == day && a.v4Area == region {
		return a.v4Key
	}
	key := append([]byte("aliyun_v4"), a.secret...)
	for _, part := range []string{day, region, "ots", "aliyun_v4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	a.v4Key = base64.StdEncoding.AppendEncode(nil, key)
	a.v4Date, a.v4Area = day, region
	return a.v4Key
}

type responseHeaders struct{ md5, date, requestID string }

// signResponse is the Authorization header of an answer: "OTS id:signature".
func (a *authenticator) signResponse(op string, h responseHeaders) string {
	b := make([]byte, 0, 256)
	b = append(append(append(b, "x-ots-contentmd5:"...), h.md5...), '\n')
	b = append(append(append(b, "x-ots-contenttype:"...), contentType...), '\n')
	b = append(append(append(b, "x-ots-date:"...), h.date...), '\n')
	b = append(append(append(b, "x-ots-requestid:"...), h.requestID...), '\n')
	b = append(append(b, '/'), op...)
	mac := hmac.New(sha1.New, a.secret)
	mac.Write(b)
	return "OTS " + a.id + ":" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
