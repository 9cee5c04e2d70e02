package oss

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Limits of uploads.
const (
	maxPutBytes  = 5 << 30 // one PutObject or UploadPart
	maxMetaBytes = 8 << 10 // all x-oss-meta-* headers of an object
)

// keptHeaders are the headers that an object answers as it was put with.
var keptHeaders = []string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires", "X-Oss-Storage-Class"}

const metaPrefix = "X-Oss-Meta-"

// objectHeaders collects the headers that are kept with an object.
func objectHeaders(r *http.Request) (map[string]string, error) {
	kept := make(map[string]string)
	for _, name := range keptHeaders {
		if v := r.Header.Get(name); v != "" {
			kept[name] = v
		}
	}
	if kept["Content-Type"] == "" {
		kept["Content-Type"] = "application/octet-stream"
	}
	size := 0
	for name, v := range r.Header {
		if strings.HasPrefix(name, metaPrefix) {
			kept[name] = v[0]
			size += len(name) + len(v[0])
		}
	}
	if size > maxMetaBytes {
		return nil, argument("x-oss-meta", "", "User-defined metadata is larger than %d bytes.", maxMetaBytes)
	}
	return kept, nil
}

func md5Sum(b []byte) []byte {
	sum := md5.Sum(b)
	return sum[:]
}

// checkMD5 compares Content-MD5, which is base64 in this service.
func checkMD5(r *http.Request, sum []byte) error {
	want := r.Header.Get("Content-MD5")
	if want == "" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(want)
	if err != nil || string(b) != string(sum) {
		e := fail(InvalidDigest)
		e.ArgumentName, e.ArgumentValue = "Content-MD5", want
		return e
	}
	return nil
}

func etagOf(md5 []byte) string { return strings.ToUpper(hex.EncodeToString(md5)) }

// receive streams the body of a request into a blob and checks it. The caller
// drops the blob if it does not come to use.
func (s *Server) receive(r *http.Request) (written, error) {
	if r.ContentLength > maxPutBytes {
		return written{}, fail(EntityTooLarge)
	}
	w, err := s.blobs.write(&limitedBody{r.Body, maxPutBytes})
	if err != nil {
		var known *Error
		var file *os.PathError
		if errors.As(err, &known) || errors.As(err, &file) {
			return w, err
		}
		return w, fail(IncompleteBody) // the body broke off
	}
	if r.ContentLength >= 0 && w.Size != r.ContentLength {
		s.blobs.drop([]blob{w.blob})
		return w, fail(IncompleteBody)
	}
	if err := checkMD5(r, w.md5); err != nil {
		s.blobs.drop([]blob{w.blob})
		return w, err
	}
	return w, nil
}

// limitedBody fails with EntityTooLarge when more than left bytes come.
type limitedBody struct {
	io.Reader
	left int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, fail(EntityTooLarge)
	}
	return n, err
}

func (s *Server) putObject(q *request) error {
	headers, err := objectHeaders(q.r)
	if err != nil {
		return err
	}
	if err := s.mayPut(q); err != nil { // before the body is sent
		return err
	}
	w, err := s.receive(q.r)
	if err != nil {
		return err
	}
	o := &object{Blobs: []blob{w.blob}, Size: w.Size, ETag: etagOf(w.md5), CRC: w.crc, Headers: headers, Type: "Normal"}
	if err := s.commitObject(q, o, nil); err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("ETag", `"`+o.ETag+`"`)
	h.Set("Content-MD5", base64.StdEncoding.EncodeToString(w.md5))
	h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(o.CRC, 10))
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func forbidsOverwrite(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("x-oss-forbid-overwrite"), "true")
}

// mayPut checks what can be known before an object is written.
func (s *Server) mayPut(q *request) error {
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	if !forbidsOverwrite(q.r) {
		return nil
	}
	found, err := s.get(objectKey(q.bucket, q.key), new(object))
	if err == nil && found {
		err = q.exists()
	}
	return err
}

func (q *request) exists() error {
	e := fail(FileAlreadyExists)
	e.Key = q.key
	return e
}

// commitObject makes o the object of the request's key, with what more adds to
// the same batch, and drops the data it replaces; on failure it drops o's.
func (s *Server) commitObject(q *request, o *object, more func(b *pebble.Batch) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	lock := s.objectLock(q.bucket, q.key)
	lock.Lock()
	defer lock.Unlock()
	var old object
	err := func() error {
		if s.buckets[q.bucket] == nil {
			return noSuchBucket(q.bucket)
		}
		found, err := s.get(objectKey(q.bucket, q.key), &old)
		if err != nil {
			return err
		}
		if found && forbidsOverwrite(q.r) {
			return q.exists()
		}
		o.Modified = s.clock().UTC().Truncate(time.Second)
		return s.update(func(b *pebble.Batch) error {
			if more != nil {
				if err := more(b); err != nil {
					return err
				}
			}
			return set(b, objectKey(q.bucket, q.key), o)
		})
	}()
	if err != nil {
		if more == nil { // parts of an upload stay for another try
			s.blobs.drop(o.Blobs)
		}
		return err
	}
	s.blobs.drop(old.Blobs)
	return nil
}
