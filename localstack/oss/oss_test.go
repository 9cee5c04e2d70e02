package oss_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"relink/localstack/oss"
	"relink/localstack/oss/osstest"
)

const bucketName = "fw-test"

// A style is a way to address and sign.
type style struct {
	name    string
	v4      bool
	virtual bool // bucket in the host name
}

var styles = []style{{"path_v1", false, false}, {"path_v4", true, false}, {"host_v1", false, true}, {"host_v4", true, true}}

// client returns an SDK client of the instance.
func client(t testing.TB, in *osstest.Instance, st style) *sdk.Client {
	t.Helper()
	var options []sdk.ClientOption
	if st.v4 {
		options = append(options, sdk.AuthVersion(sdk.AuthV4), sdk.Region("cn-hangzhou"))
	}
	endpoint := in.URL
	if st.virtual {
		endpoint = "http://oss-cn-hangzhou.aliyuncs.com"
		options = append(options, sdk.HTTPClient(dialing(t, in)))
	}
	c, err := sdk.New(endpoint, in.AccessKeyID, in.AccessKeySecret, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dialing returns a client that dials the instance for every host name.
func dialing(t testing.TB, in *osstest.Instance) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, in.Addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func makeBucket(t testing.TB, c *sdk.Client) *sdk.Bucket {
	t.Helper()
	if err := c.CreateBucket(bucketName); err != nil {
		t.Fatalf("CreateBucket: %v", err)
	}
	b, err := c.Bucket(bucketName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var e sdk.ServiceError
	if !errors.As(err, &e) || e.StatusCode != status || e.Code != code || e.RequestID == "" {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

func read(t testing.TB, b *sdk.Bucket, key string, options ...sdk.Option) string {
	t.Helper()
	r, err := b.GetObject(key, options...)
	if err != nil {
		t.Fatalf("GetObject(%q): %v", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("GetObject(%q): %v", key, err)
	}
	return string(data)
}

func TestObjects(t *testing.T) {
	t.Parallel()
	for _, st := range styles {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), st))
			for _, key := range []string{"a.bin", "dir/a b.bin", "设备/固件+1.bin", "../../etc/passwd", "/leading", "a%2Fb", "q?x=1&y", "tilde~*'()"} {
				body := "data of " + key
				var h http.Header
				if err := b.PutObject(key, strings.NewReader(body), sdk.ContentType("text/x-fw"), sdk.Meta("version", "1.0"), sdk.GetResponseHeader(&h)); err != nil {
					t.Errorf("PutObject(%q): %v", key, err)
					continue
				}
				if want := fmt.Sprintf("\"%X\"", md5.Sum([]byte(body))); h.Get("ETag") != want || h.Get("x-oss-hash-crc64ecma") == "" {
					t.Errorf("PutObject(%q): headers %v", key, h)
				}
				if got := read(t, b, key); got != body {
					t.Errorf("GetObject(%q) = %q", key, got)
				}
				meta, err := b.GetObjectDetailedMeta(key)
				if err != nil || meta.Get("Content-Type") != "text/x-fw" || meta.Get("x-oss-meta-version") != "1.0" ||
					meta.Get("Content-Length") != fmt.Sprint(len(body)) || meta.Get("x-oss-object-type") != "Normal" {
					t.Errorf("GetObjectDetailedMeta(%q) = %v, %v", key, meta, err)
				}
				if ok, err := b.IsObjectExist(key); !ok || err != nil {
					t.Errorf("IsObjectExist(%q) = %v, %v", key, ok, err)
				}
				if err := b.DeleteObject(key); err != nil {
					t.Errorf("DeleteObject(%q): %v", key, err)
				}
				if ok, err := b.IsObjectExist(key); ok || err != nil {
					t.Errorf("IsObjectExist(%q) after delete = %v, %v", key, ok, err)
				}
			}
			_, err := b.GetObject("absent")
			wantCode(t, "GetObject", err, 404, "NoSuchKey")
			if err := b.DeleteObject("absent"); err != nil {
				t.Errorf("DeleteObject of nothing: %v", err)
			}
		})
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for _, st := range styles {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			c := client(t, osstest.Start(t, oss.Options{}), st)
			b := makeBucket(t, c)
			wantCode(t, "CreateBucket again", c.CreateBucket(bucketName), 409, "BucketAlreadyExists")
			info, err := c.GetBucketInfo(bucketName)
			if err != nil || info.BucketInfo.Name != bucketName || info.BucketInfo.ACL != "private" || info.BucketInfo.Location != "oss-cn-hangzhou" || info.BucketInfo.CreationDate.IsZero() {
				t.Errorf("GetBucketInfo = %+v, %v", info, err)
			}
			if l, err := c.GetBucketLocation(bucketName); err != nil || l != "oss-cn-hangzhou" {
				t.Errorf("GetBucketLocation = %q, %v", l, err)
			}
			if ok, err := c.IsBucketExist(bucketName); !ok || err != nil {
				t.Errorf("IsBucketExist = %v, %v", ok, err)
			}
			if err := c.CreateBucket("another", sdk.ACL(sdk.ACLPublicRead)); err != nil {
				t.Errorf("CreateBucket: %v", err)
			}
			if acl, err := c.GetBucketACL("another"); err != nil || acl.ACL != "public-read" {
				t.Errorf("GetBucketACL = %+v, %v", acl, err)
			}
			if err := c.SetBucketACL("another", sdk.ACLPrivate); err != nil {
				t.Errorf("SetBucketACL: %v", err)
			}
			list, err := c.ListBuckets(sdk.MaxKeys(1))
			if err != nil || len(list.Buckets) != 1 || list.Buckets[0].Name != "another" || !list.IsTruncated {
				t.Errorf("ListBuckets = %+v, %v", list, err)
			}
			if list, err = c.ListBuckets(sdk.Marker(list.NextMarker)); err != nil || len(list.Buckets) != 1 || list.Buckets[0].Name != bucketName {
				t.Errorf("ListBuckets behind the first = %+v, %v", list, err)
			}
			_, err = c.GetBucketInfo("none-such")
			wantCode(t, "GetBucketInfo", err, 404, "NoSuchBucket")
			_, err = c.GetBucketLifecycle(bucketName)
			wantCode(t, "GetBucketLifecycle", err, 501, "NotImplemented")
			if err := b.PutObject("k", strings.NewReader("v")); err != nil {
				t.Fatal(err)
			}
			wantCode(t, "DeleteBucket with an object", c.DeleteBucket(bucketName), 409, "BucketNotEmpty")
			if err := errors.Join(b.DeleteObject("k"), c.DeleteBucket(bucketName)); err != nil {
				t.Errorf("DeleteBucket: %v", err)
			}
			wantCode(t, "PutObject", b.PutObject("k", strings.NewReader("v")), 404, "NoSuchBucket")
		})
	}
}

func TestRangesAndConditions(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[1]))
	body := strings.Repeat("0123456789", 100)
	var h http.Header
	if err := b.PutObject("k", strings.NewReader(body), sdk.GetResponseHeader(&h)); err != nil {
		t.Fatal(err)
	}
	var got http.Header
	if s := read(t, b, "k", sdk.Range(5, 14), sdk.GetResponseHeader(&got)); s != body[5:15] || got.Get("Content-Range") != "bytes 5-14/1000" || got.Get("x-oss-hash-crc64ecma") != h.Get("x-oss-hash-crc64ecma") {
		t.Errorf("range = %q, %v", s, got)
	}
	if s := read(t, b, "k", sdk.NormalizedRange("-3")); s != "789" {
		t.Errorf("suffix = %q", s)
	}
	if s := read(t, b, "k", sdk.Range(990, 2000)); s != body {
		t.Errorf("range beyond the end has %d bytes, want the whole object", len(s))
	}
	if s := read(t, b, "k", sdk.Range(990, 2000), sdk.RangeBehavior("standard")); s != body[990:] {
		t.Errorf("standard range beyond the end has %d bytes", len(s))
	}
	_, err := b.GetObject("k", sdk.Range(1000, 2000), sdk.RangeBehavior("standard"))
	wantCode(t, "range behind the end", err, 416, "InvalidRange")

	if s := read(t, b, "k", sdk.IfMatch(h.Get("ETag"))); s != body {
		t.Error("If-Match of the ETag fails")
	}
	_, err = b.GetObject("k", sdk.IfMatch(`"other"`))
	wantCode(t, "If-Match", err, 412, "PreconditionFailed")
	_, err = b.GetObject("k", sdk.IfUnmodifiedSince(time.Now().Add(-time.Hour)))
	wantCode(t, "If-Unmodified-Since", err, 412, "PreconditionFailed")
	if _, err = b.GetObject("k", sdk.IfNoneMatch(h.Get("ETag"))); err == nil || !strings.Contains(err.Error(), "304") {
		t.Errorf("If-None-Match: %v", err)
	}
	if _, err = b.GetObject("k", sdk.IfModifiedSince(time.Now().Add(time.Hour))); err == nil || !strings.Contains(err.Error(), "304") {
		t.Errorf("If-Modified-Since: %v", err)
	}
	if read(t, b, "k", sdk.ResponseContentDisposition("attachment"), sdk.GetResponseHeader(&got)); got.Get("Content-Disposition") != "attachment" {
		t.Errorf("response-content-disposition: %v", got)
	}
}

func TestPutChecks(t *testing.T) {
	t.Parallel()
	in := osstest.Start(t, oss.Options{})
	b := makeBucket(t, client(t, in, styles[0]))
	sum := md5.Sum([]byte("body"))
	if err := b.PutObject("k", strings.NewReader("body"), sdk.ContentMD5(base64.StdEncoding.EncodeToString(sum[:]))); err != nil {
		t.Errorf("PutObject with Content-MD5: %v", err)
	}
	wantCode(t, "wrong Content-MD5", b.PutObject("k", strings.NewReader("other"), sdk.ContentMD5(base64.StdEncoding.EncodeToString(sum[:]))), 400, "InvalidDigest")
	wantCode(t, "forbid overwrite", b.PutObject("k", strings.NewReader("new"), sdk.ForbidOverWrite(true)), 409, "FileAlreadyExists")
	if s := read(t, b, "k"); s != "body" {
		t.Errorf("object after refused writes = %q", s)
	}
	if err := b.PutObject("k", strings.NewReader("new")); err != nil {
		t.Errorf("PutObject over an object: %v", err)
	}
	if s := read(t, b, "k"); s != "new" {
		t.Errorf("object after overwriting = %q", s)
	}
	wantCode(t, "key of 1024 bytes", b.PutObject(strings.Repeat("k", 1024), strings.NewReader("")), 400, "InvalidObjectName")
	if st := in.Stats(); st.Requests < 6 || st.Errors < 3 || st.BytesIn == 0 || st.BytesOut == 0 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[2]))
	keys := []string{"a", "a/1", "a/2", "a/b/3", "b c/1", "c", "设备/1"}
	for _, k := range keys {
		if err := b.PutObject(k, strings.NewReader(k)); err != nil {
			t.Fatal(err)
		}
	}
	collect := func(v2 bool, prefix, delimiter string, page int) (all []string) {
		t.Helper()
		next := ""
		for {
			var objects []sdk.ObjectProperties
			var prefixes []string
			var more bool
			if v2 {
				options := []sdk.Option{sdk.Prefix(prefix), sdk.Delimiter(delimiter), sdk.MaxKeys(page)}
				if next != "" {
					options = append(options, sdk.ContinuationToken(next))
				}
				r, err := b.ListObjectsV2(options...)
				if err != nil {
					t.Fatalf("ListObjectsV2: %v", err)
				}
				objects, prefixes, more, next = r.Objects, r.CommonPrefixes, r.IsTruncated, r.NextContinuationToken
			} else {
				r, err := b.ListObjects(sdk.Prefix(prefix), sdk.Delimiter(delimiter), sdk.MaxKeys(page), sdk.Marker(next))
				if err != nil {
					t.Fatalf("ListObjects: %v", err)
				}
				objects, prefixes, more, next = r.Objects, r.CommonPrefixes, r.IsTruncated, r.NextMarker
			}
			if len(objects)+len(prefixes) > page {
				t.Errorf("page of %d has %d entries", page, len(objects)+len(prefixes))
			}
			for _, o := range objects {
				all = append(all, o.Key)
				if o.Size != int64(len(o.Key)) || o.LastModified.IsZero() || o.Type != "Normal" || o.StorageClass != "Standard" {
					t.Errorf("listed %+v", o)
				}
			}
			for _, p := range prefixes {
				all = append(all, p+"…")
			}
			if !more {
				return all
			}
		}
	}
	for _, c := range []struct{ prefix, delimiter, want string }{
		{"", "", "a|a/1|a/2|a/b/3|b c/1|c|设备/1"},
		{"a/", "", "a/1|a/2|a/b/3"},
		{"", "/", "a|a/…|b c/…|c|设备/…"},
		{"a/", "/", "a/1|a/2|a/b/…"},
		{"none", "/", ""},
	} {
		for _, v2 := range []bool{false, true} {
			if got := strings.Join(collect(v2, c.prefix, c.delimiter, 1), "|"); got != c.want {
				t.Errorf("v2 %v, prefix %q, delimiter %q, one by one: %s, want %s", v2, c.prefix, c.delimiter, got, c.want)
			}
			got := collect(v2, c.prefix, c.delimiter, 1000)
			if want := strings.Split(c.want, "|"); c.want != "" && len(got) != len(want) {
				t.Errorf("v2 %v, prefix %q, delimiter %q: %s, want %s", v2, c.prefix, c.delimiter, got, c.want)
			}
		}
	}
	r, err := b.ListObjectsV2(sdk.StartAfter("a/2"), sdk.FetchOwner(true))
	if err != nil || len(r.Objects) != 4 || r.Objects[0].Key != "a/b/3" || r.Objects[0].Owner.ID == "" {
		t.Errorf("ListObjectsV2 after a/2 = %+v, %v", r.Objects, err)
	}
	_, err = b.ListObjects(sdk.MaxKeys(1001))
	wantCode(t, "max-keys 1001", err, 400, "InvalidArgument")
	deleted, err := b.DeleteObjects(append(keys, "absent"))
	if err != nil || len(deleted.DeletedObjects) != len(keys)+1 {
		t.Errorf("DeleteObjects = %v, %v", deleted, err)
	}
	if got := collect(true, "", "", 100); len(got) != 0 {
		t.Errorf("after DeleteObjects: %v", got)
	}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	for _, st := range styles[:2] {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), st))
			up, err := b.InitiateMultipartUpload("dir/big.bin", sdk.Meta("a", "b"), sdk.ContentType("x/y"))
			if err != nil {
				t.Fatalf("InitiateMultipartUpload: %v", err)
			}
			var whole []byte
			var parts []sdk.UploadPart
			for i := 1; i <= 3; i++ {
				data := bytes.Repeat([]byte{byte('a' + i)}, 100<<10+i)
				whole = append(whole, data...)
				if i == 2 { // overwritten below
					if _, err := b.UploadPart(up, strings.NewReader("first try"), 9, i); err != nil {
						t.Fatal(err)
					}
				}
				p, err := b.UploadPart(up, bytes.NewReader(data), int64(len(data)), i)
				if err != nil {
					t.Fatalf("UploadPart: %v", err)
				}
				parts = append(parts, p)
			}
			listed, err := b.ListUploadedParts(up, sdk.MaxParts(2))
			if err != nil || len(listed.UploadedParts) != 2 || !listed.IsTruncated || listed.NextPartNumberMarker != "2" || listed.UploadedParts[1].Size != 100<<10+2 {
				t.Errorf("ListUploadedParts = %+v, %v", listed, err)
			}
			uploads, err := b.ListMultipartUploads()
			if err != nil || len(uploads.Uploads) != 1 || uploads.Uploads[0].UploadID != up.UploadID || uploads.Uploads[0].Key != "dir/big.bin" {
				t.Errorf("ListMultipartUploads = %+v, %v", uploads, err)
			}
			bad := append([]sdk.UploadPart(nil), parts...)
			bad[1].ETag = `"00"`
			_, err = b.CompleteMultipartUpload(up, bad)
			wantCode(t, "Complete with a wrong ETag", err, 400, "InvalidPart")
			done, err := b.CompleteMultipartUpload(up, parts)
			if err != nil || !strings.HasSuffix(done.ETag, `-3"`) || done.Key != "dir/big.bin" {
				t.Fatalf("CompleteMultipartUpload = %+v, %v", done, err)
			}
			if got := read(t, b, "dir/big.bin"); got != string(whole) { // the SDK checks the CRC
				t.Errorf("object has %d bytes, want %d", len(got), len(whole))
			}
			if got := read(t, b, "dir/big.bin", sdk.Range(100<<10-5, 205<<10)); got != string(whole[100<<10-5:205<<10+1]) {
				t.Errorf("range over parts has %d bytes", len(got))
			}
			meta, err := b.GetObjectDetailedMeta("dir/big.bin")
			if err != nil || meta.Get("x-oss-meta-a") != "b" || meta.Get("Content-Type") != "x/y" || meta.Get("x-oss-object-type") != "Multipart" {
				t.Errorf("GetObjectDetailedMeta = %v, %v", meta, err)
			}
			_, err = b.CompleteMultipartUpload(up, parts)
			wantCode(t, "Complete again", err, 404, "NoSuchUpload")

			up, err = b.InitiateMultipartUpload("small")
			if err != nil {
				t.Fatal(err)
			}
			parts = nil
			for i := 1; i <= 2; i++ {
				p, err := b.UploadPart(up, strings.NewReader("small"), 5, i)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, p)
			}
			_, err = b.CompleteMultipartUpload(up, parts)
			wantCode(t, "Complete with a small part", err, 400, "EntityTooSmall")
			if err := b.AbortMultipartUpload(up); err != nil {
				t.Errorf("AbortMultipartUpload: %v", err)
			}
			wantCode(t, "Abort again", b.AbortMultipartUpload(up), 404, "NoSuchUpload")
			_, err = b.UploadPart(up, strings.NewReader("late"), 4, 1)
			wantCode(t, "UploadPart after abort", err, 404, "NoSuchUpload")
		})
	}
}

func TestUploadAndDownloadFile(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[1]))
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	data := bytes.Repeat([]byte("firmware"), 100<<10)
	if err := os.WriteFile(from, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.UploadFile("fw.bin", from, 128<<10, sdk.Routines(4)); err != nil {
		t.Fatalf("UploadFile: %v", err)
	}
	if err := b.DownloadFile("fw.bin", to, 200<<10, sdk.Routines(4)); err != nil {
		t.Fatalf("DownloadFile: %v", err)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, data) {
		t.Errorf("downloaded %d bytes, %v", len(got), err)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[0]))
	if err := b.PutObject("dir/a b", strings.NewReader("data"), sdk.Meta("v", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.CopyObject("dir/a b", "copy"); err != nil {
		t.Fatalf("CopyObject: %v", err)
	}
	if _, err := b.CopyObject("dir/a b", "dir/a b", sdk.Meta("v", "2"), sdk.MetadataDirective(sdk.MetaReplace)); err != nil {
		t.Fatalf("CopyObject onto itself: %v", err)
	}
	if err := b.DeleteObject("dir/a b"); err != nil {
		t.Fatal(err)
	}
	meta, err := b.GetObjectDetailedMeta("copy")
	if got := read(t, b, "copy"); got != "data" || err != nil || meta.Get("x-oss-meta-v") != "1" {
		t.Errorf("copy = %q, %v, %v", got, meta, err)
	}
	_, err = b.CopyObject("absent", "x")
	wantCode(t, "CopyObject", err, 404, "NoSuchKey")
}

func TestPresigned(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, st := range styles {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			in := osstest.Start(t, oss.Options{})
			later := osstest.Start(t, oss.Options{Clock: func() time.Time { return now.Add(10 * time.Minute) }})
			b := makeBucket(t, client(t, in, st))
			web := dialing(t, in)
			put, err := b.SignURL("ota/fw 1.bin", sdk.HTTPPut, 60, sdk.ContentType("application/x-fw"))
			if err != nil {
				t.Fatal(err)
			}
			do := func(c *http.Client, method, u, body string, headers ...string) (int, string) {
				t.Helper()
				req, err := http.NewRequest(method, u, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i+1 < len(headers); i += 2 {
					req.Header.Set(headers[i], headers[i+1])
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				data, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(data)
			}
			if code, body := do(web, "PUT", put, "firmware", "Content-Type", "application/x-fw"); code != 200 {
				t.Fatalf("presigned PUT: %d %s", code, body)
			}
			if code, body := do(web, "PUT", put, "firmware", "Content-Type", "text/plain"); code != 403 || !strings.Contains(body, "<Code>SignatureDoesNotMatch</Code>") {
				t.Errorf("presigned PUT with another type: %d %s", code, body)
			}
			get, err := b.SignURL("ota/fw 1.bin", sdk.HTTPGet, 60)
			if err != nil {
				t.Fatal(err)
			}
			if code, body := do(web, "GET", get, ""); code != 200 || body != "firmware" {
				t.Errorf("presigned GET: %d %s", code, body)
			}
			if code, body := do(web, "GET", get, "", "Range", "bytes=4-7"); code != 206 || body != "ware" {
				t.Errorf("presigned GET with Range: %d %s", code, body)
			}
			if code, body := do(web, "PUT", get, "x"); code != 403 || !strings.Contains(body, "<Code>SignatureDoesNotMatch</Code>") {
				t.Errorf("PUT with a URL for GET: %d %s", code, body)
			}
			if !st.v4 {
				if code, body := do(web, "GET", get+"&utm=x", ""); code != 200 || body != "firmware" {
					t.Errorf("presigned GET with an unknown parameter: %d %s", code, body)
				}
			}
			if code, body := do(dialing(t, later), "GET", strings.Replace(get, in.URL, later.URL, 1), ""); code != 403 || !strings.Contains(body, "Request has expired") {
				t.Errorf("expired URL: %d %s", code, body)
			}
			if code, body := do(web, "GET", strings.Split(get, "?")[0], ""); code != 403 || !strings.Contains(body, "<Code>AccessDenied</Code>") {
				t.Errorf("URL without signature: %d %s", code, body)
			}
			if st.v4 {
				week, err := b.SignURL("ota/fw 1.bin", sdk.HTTPGet, 8*86400)
				if err != nil {
					t.Fatal(err)
				}
				if code, body := do(web, "GET", week, ""); code != 400 {
					t.Errorf("URL for eight days: %d %s", code, body)
				}
			}
			r, err := b.GetObjectWithURL(get)
			if err != nil {
				t.Fatalf("GetObjectWithURL: %v", err)
			}
			r.Close()
		})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	now := time.Now()
	in := osstest.Start(t, oss.Options{AccessKeyID: "id", AccessKeySecret: "secret"})
	skew := osstest.Start(t, oss.Options{Clock: func() time.Time { return now.Add(-16 * time.Minute) }})
	for _, st := range styles {
		_, err := client(t, skew, st).ListBuckets()
		wantCode(t, "skewed clock", err, 403, "RequestTimeTooSkewed")
		wrong := *in
		wrong.AccessKeySecret = "wrong"
		_, err = client(t, &wrong, st).ListBuckets()
		wantCode(t, "wrong secret", err, 403, "SignatureDoesNotMatch")
		wrong.AccessKeyID = "nobody"
		_, err = client(t, &wrong, st).ListBuckets()
		wantCode(t, "wrong key", err, 403, "InvalidAccessKeyId")
		if _, err := client(t, in, st).ListBuckets(); err != nil {
			t.Errorf("right key: %v", err)
		}
	}
	c, err := sdk.New(in.URL, in.AccessKeyID, in.AccessKeySecret, sdk.SecurityToken("temporary-token"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListBuckets(); err != nil {
		t.Errorf("temporary key: %v", err)
	}
}

func TestPublicBucketAndCORS(t *testing.T) {
	t.Parallel()
	in := osstest.Start(t, oss.Options{})
	c := client(t, in, styles[0])
	b := makeBucket(t, c)
	if err := errors.Join(b.PutObject("k", strings.NewReader("v")), c.SetBucketACL(bucketName, sdk.ACLPublicRead)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(in.URL + "/" + bucketName + "/k")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("anonymous GET of a public object: %s", resp.Status)
	}
	req, err := http.NewRequest("OPTIONS", in.URL+"/"+bucketName+"/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://console.example")
	req.Header.Set("Access-Control-Request-Method", "PUT")
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "http://console.example" {
		t.Errorf("preflight: %s %v", resp.Status, resp.Header)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := oss.Open(oss.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := makeBucket(t, client(t, osstest.Serve(t, first, oss.Options{}), styles[1]))
	up, err := b.InitiateMultipartUpload("multi")
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.UploadPart(up, strings.NewReader("part"), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.PutObject("k", strings.NewReader("old")), b.PutObject("k", strings.NewReader("data")), first.Close()); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(dir, "data", "ab", "ab00000000000000000000000000000f")
	if err := os.MkdirAll(filepath.Dir(orphan), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(orphan, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err = client(t, osstest.Start(t, oss.Options{Dir: dir}), styles[1]).Bucket(bucketName)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, "k"); got != "data" {
		t.Errorf("object after restart = %q", got)
	}
	if _, err := b.CompleteMultipartUpload(up, []sdk.UploadPart{p}); err != nil {
		t.Errorf("CompleteMultipartUpload after restart: %v", err)
	}
	if got := read(t, b, "multi"); got != "part" {
		t.Errorf("multipart object after restart = %q", got)
	}
	if _, err := os.Stat(orphan); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("orphan after restart: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("data files %v, %v, want 2", files, err)
	}
}

func TestReaderOutlivesDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{Dir: dir}), styles[0]))
	body := strings.Repeat("x", 32<<20) // more than the buffers of a socket
	if err := b.PutObject("k", strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	r, err := b.GetObject("k")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteObject("k"); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); n != int64(len(body)) || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for { // the server unpins after its last write
		files, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("files left: %v", files)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	in := osstest.Start(t, oss.Options{})
	b := makeBucket(t, client(t, in, styles[0]))
	in.SetFaults(oss.Faults{Fail: 1})
	wantCode(t, "every request fails", b.PutObject("k", strings.NewReader("v")), 503, "ServiceUnavailable")
	in.SetFaults(oss.Faults{Lose: 1, Delay: time.Millisecond})
	if err := b.PutObject("k", strings.NewReader("v")); err == nil {
		t.Error("PutObject succeeds though its answer is lost")
	}
	in.SetFaults(oss.Faults{})
	if got := read(t, b, "k"); got != "v" {
		t.Errorf("object of the lost answer = %q", got)
	}
}

func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := osstest.Start(t, oss.Options{Dir: dir})
	b := makeBucket(t, client(t, in, styles[0]))
	u, err := b.SignURL("k", sdk.HTTPPut, 60)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", in.Addr)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(u, in.URL)
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\nhalf", path, in.Addr)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if cerr := conn.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	if len(answer) > 0 && !strings.Contains(string(answer), "IncompleteBody") {
		t.Errorf("answer %s", answer)
	}
	if ok, err := b.IsObjectExist("k"); ok || err != nil {
		t.Errorf("IsObjectExist = %v, %v", ok, err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*")); err != nil || len(files) != 0 {
		t.Errorf("files left: %v, %v", files, err)
	}
}

func TestOperationsTable(t *testing.T) {
	t.Parallel()
	for _, op := range oss.Operations() {
		if op.Name == "" || op.Level == "" || op.Status == "" {
			t.Errorf("incomplete line %+v", op)
		}
	}
}

// copyDir copies the files of a running emulator, as a crash would leave them.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{Dir: dir}), styles[1]))
	for i := range 5 {
		if err := b.PutObject("k", strings.NewReader(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	crashed, err := client(t, osstest.Start(t, oss.Options{Dir: copyDir(t, dir)}), styles[1]).Bucket(bucketName)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, crashed, "k"); got != "4" {
		t.Errorf("object after a crash = %q", got)
	}
}
