package oss

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

const maxKeyBytes = 1023

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// An address is what a request is about: the service, a bucket or an object.
type address struct{ bucket, key string }

// resolve finds bucket and key in the host and the escaped path of a request:
// BUCKET.domain, BUCKET.oss-….aliyuncs.com, else the first segment of the path.
// The key is unescaped once; the path is not cleaned.
func resolve(host, escapedPath, domain string) (address, error) {
	path := strings.TrimPrefix(escapedPath, "/")
	a := address{bucket: bucketOfHost(host, domain)}
	if a.bucket == "" {
		a.bucket, path, _ = strings.Cut(path, "/")
		var err error
		if a.bucket, err = url.PathUnescape(a.bucket); err != nil {
			return a, fail(InvalidBucketName)
		}
	}
	key, err := url.PathUnescape(path)
	if err != nil {
		return a, argument("key", path, "The object name is not well encoded.")
	}
	a.key = key
	if a.bucket != "" && !bucketName.MatchString(a.bucket) {
		e := fail(InvalidBucketName)
		e.Bucket = a.bucket
		return a, e
	}
	return a, checkKey(a.key)
}

// checkKey accepts the empty key, which stands for the bucket.
func checkKey(key string) error {
	if len(key) > maxKeyBytes || !utf8.ValidString(key) || strings.HasPrefix(key, `\`) {
		e := fail(InvalidObjectName)
		if utf8.ValidString(key) {
			e.Key = key
		}
		return e
	}
	return nil
}

func bucketOfHost(host, domain string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return ""
	}
	if b, ok := strings.CutSuffix(host, "."+domain); ok && domain != "" && !strings.Contains(b, ".") {
		return b
	}
	first, rest, _ := strings.Cut(host, ".")
	if strings.HasPrefix(rest, "oss-") && strings.HasSuffix(rest, ".aliyuncs.com") && !strings.HasPrefix(first, "oss-") {
		return first
	}
	return ""
}
