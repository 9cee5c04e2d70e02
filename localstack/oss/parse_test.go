package oss

import (
	"hash/crc64"
	"net/url"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, path, bucket, key string }{
		{"127.0.0.1:9002", "/", "", ""},
		{"127.0.0.1:9002", "/fw-prod", "fw-prod", ""},
		{"127.0.0.1:9002", "/fw-prod/", "fw-prod", ""},
		{"127.0.0.1:9002", "/fw-prod/a%2Fb.bin", "fw-prod", "a/b.bin"},
		{"127.0.0.1:9002", "/fw-prod/a/b.bin", "fw-prod", "a/b.bin"},
		{"127.0.0.1:9002", "/fw-prod/..%2F..%2Fetc", "fw-prod", "../../etc"},
		{"127.0.0.1:9002", "/fw-prod/a%252Fb", "fw-prod", "a%2Fb"},
		{"[::1]:9002", "/fw-prod/k", "fw-prod", "k"},
		{"fw-prod.oss-cn-hangzhou.aliyuncs.com", "/a/b", "fw-prod", "a/b"},
		{"fw-prod.oss-cn-hangzhou-internal.aliyuncs.com", "/", "fw-prod", ""},
		{"oss-cn-hangzhou.aliyuncs.com", "/fw-prod/k", "fw-prod", "k"},
		{"fw-prod.localhost:80", "/k%20k", "fw-prod", "k k"},
		{"localhost", "/fw-prod/k", "fw-prod", "k"},
	} {
		a, err := resolve(c.host, c.path, "localhost")
		if err != nil || a.bucket != c.bucket || a.key != c.key {
			t.Errorf("resolve(%s, %s) = %q, %q, %v, want %q, %q", c.host, c.path, a.bucket, a.key, err, c.bucket, c.key)
		}
	}
	for _, path := range []string{"/UPPER/k", "/x", "/..%2F/k", "/fw-prod/%zz", "/fw-prod/%ff", "/fw-prod/" + strings.Repeat("k", 1024), "/fw-prod/%5Cx"} {
		if a, err := resolve("127.0.0.1", path, ""); err == nil {
			t.Errorf("resolve(%s) = %+v, want an error", path, a)
		}
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("127.0.0.1:9002", "/fw-prod/a%2Fb.bin")
	f.Add("fw-prod.oss-cn-hangzhou.aliyuncs.com", "/a/../b")
	f.Fuzz(func(t *testing.T, host, path string) {
		a, err := resolve(host, path, "localhost")
		if err != nil {
			return
		}
		if a.bucket != "" && !bucketName.MatchString(a.bucket) || len(a.key) > maxKeyBytes {
			t.Fatalf("resolve(%q, %q) = %+v", host, path, a)
		}
		if a.bucket == "" {
			return
		}
		again, err := resolve("127.0.0.1", "/"+a.bucket+"/"+url.PathEscape(a.key), "")
		if err != nil || again != a {
			t.Fatalf("resolve(%q, %q) = %+v, in path style %+v, %v", host, path, a, again, err)
		}
	})
}

// "Obtain OSS resources by segmenting HTTP Range requests": an object of 1,000 bytes.
var ranges = []struct {
	header   string
	standard bool
	partial  bool
	offset   int64
	length   int64
}{
	{"bytes=0-499", false, true, 0, 500},
	{"bytes=500-999", false, true, 500, 500},
	{"bytes=-500", false, true, 500, 500},
	{"bytes=500-", false, true, 500, 500},
	{"bytes=0-", false, true, 0, 1000},
	{"bytes=0-0", false, true, 0, 1},
	{"bytes=0-99,200-299", false, true, 0, 100},
	{"byte=0-499", false, false, 0, 1000},
	{"bytes=0-1000", false, false, 0, 1000},
	{"bytes=500-2000", false, false, 0, 1000},
	{"bytes=500-2000", true, true, 500, 500},
	{"bytes=1000-2000", false, false, 0, 1000},
	{"bytes=1000-", false, false, 0, 1000},
	{"bytes=-2000", false, false, 0, 1000},
	{"bytes=-2000", true, true, 0, 1000},
	{"bytes=5-1", false, false, 0, 1000},
	{"bytes=-", false, false, 0, 1000},
	{"bytes=+1-2", false, false, 0, 1000},
	{"bytes=a-b", true, false, 0, 1000},
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, c := range ranges {
		r, partial, err := parseRange(c.header, 1000, c.standard)
		if err != nil || partial != c.partial || r != (byteRange{c.offset, c.length}) {
			t.Errorf("parseRange(%q, standard %v) = %+v, %v, %v", c.header, c.standard, r, partial, err)
		}
	}
	for _, header := range []string{"bytes=1000-2000", "bytes=1000-", "bytes=-0"} {
		if r, _, err := parseRange(header, 1000, true); err == nil {
			t.Errorf("parseRange(%q, standard) = %+v, want InvalidRange", header, r)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, c := range ranges {
		f.Add(c.header, int64(1000), c.standard)
	}
	f.Add("bytes=0-0", int64(0), true)
	f.Add("bytes=0-9223372036854775807", int64(10), true)
	f.Fuzz(func(t *testing.T, header string, size int64, standard bool) {
		if size < 0 {
			return
		}
		r, partial, err := parseRange(header, size, standard)
		if r.offset < 0 || r.length < 0 || r.offset+r.length > size || r.offset+r.length < 0 {
			t.Fatalf("parseRange(%q, %d) = %+v leaves the object", header, size, r)
		}
		if (err != nil || !partial) && r != (byteRange{0, size}) || partial && r.length == 0 {
			t.Fatalf("parseRange(%q, %d) = %+v, partial %v, %v", header, size, r, partial, err)
		}
	})
}

func TestCombineCRC(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 50))
	want := crc64.Checksum(text, crcTable)
	for _, cut := range []int{0, 1, 7, 8, 100, len(text) - 1, len(text)} {
		a, b := text[:cut], text[cut:]
		if got := combineCRC(crc64.Checksum(a, crcTable), crc64.Checksum(b, crcTable), int64(len(b))); got != want {
			t.Errorf("cut at %d: combineCRC = %x, want %x", cut, got, want)
		}
	}
}

func FuzzCopySource(f *testing.F) {
	f.Add("/bucket/a%2Fb")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := parseCopySource(s); err == nil && (a.key == "" || !bucketName.MatchString(a.bucket)) {
			t.Errorf("parseCopySource(%q) = %+v", s, a)
		}
	})
}
