// Package download makes and reads the URLs that devices fetch files from ("Download URL and server"): firmware, configurations, files of
// jobs. Shipped firmware copies host and path into buffers of 256 bytes, without looking, so the object storage's own signed URLs are
// too long for it. These are short:
//
//	https://dl.example.com/d/{22 characters of signature}{expiry}/{key of the object}
//
// The connectors' download door serves them. Whoever knows a URL may read that one object until it expires, and nothing else.
package download

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// MaxPath is the longest path with query that firmware can take ("Interoperability rules", 18).
const MaxPath = 255

// Prefix begins the path of every download.
const Prefix = "/d/"

const (
	macBytes = 16
	macChars = 22 // base64 without padding
)

// A Signer makes and checks URLs. Make it with NewSigner; it is safe for concurrent use.
type Signer struct {
	base string
	key  []byte
	now  func() time.Time
}

// NewSigner makes a signer of an installation: base is the public URL of its download doors, internal the key that its parts share,
// from which that of downloads is derived. An empty base is an installation without downloads: Sign then fails.
func NewSigner(base string, internal config.Key, now func() time.Time) (*Signer, error) {
	if base != "" {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(u.Host) > MaxPath || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
			return nil, fmt.Errorf("configuration: RELINK_DOWNLOAD_URL %q is not a URL such as https://dl.example.com", base)
		}
	}
	mac := hmac.New(sha256.New, internal[:])
	mac.Write([]byte("relink download url 1"))
	return &Signer{base: strings.TrimSuffix(base, "/"), key: mac.Sum(nil), now: now}, nil
}

// URL makes the URL of an object for some time.
func (s *Signer) URL(key string, valid time.Duration) (string, error) {
	if s.base == "" {
		return "", iot.Wrap(iot.Internal, fmt.Errorf("RELINK_DOWNLOAD_URL is not set"), "this installation has no downloads")
	}
	expiry := s.now().Add(valid).Unix()
	path := (&url.URL{Path: Prefix + s.sign(key, expiry) + strconv.FormatInt(expiry, 36) + "/" + key}).EscapedPath()
	if len(path) > MaxPath {
		return "", fmt.Errorf("the download path of %q has %d bytes, devices take %d", key, len(path), MaxPath)
	}
	return s.base + path, nil
}

// Open reads the path of a URL, decoded, and gives the object's key. The error is a *refusal.Error: DownloadRefused or
// DownloadExpired.
func (s *Signer) Open(path string) (key string, err error) {
	rest, ok := strings.CutPrefix(path, Prefix)
	token, key, slash := strings.Cut(rest, "/")
	if !ok || !slash || key == "" || len(token) <= macChars {
		return "", refusal.New(refusal.DownloadRefused, "not the path of a download")
	}
	expiry, err := strconv.ParseInt(token[macChars:], 36, 64)
	if err != nil || expiry < 0 || !hmac.Equal([]byte(token[:macChars]), []byte(s.sign(key, expiry))) {
		return "", refusal.New(refusal.DownloadRefused, "the signature is wrong")
	}
	if s.now().Unix() >= expiry {
		return "", refusal.New(refusal.DownloadExpired, time.Unix(expiry, 0).UTC().Format(time.RFC3339))
	}
	return key, nil
}

func (s *Signer) sign(key string, expiry int64) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(strconv.AppendInt(nil, expiry, 10))
	mac.Write([]byte{'\n'})
	mac.Write([]byte(key))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:macBytes])
}
