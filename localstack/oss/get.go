package oss

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// openObject returns an object whose blobs are pinned; the caller unpins them.
func (s *Server) openObject(bucket, key string) (*object, error) {
	if _, err := s.bucketOf(bucket); err != nil {
		return nil, err
	}
	lock := s.objectLock(bucket, key)
	lock.RLock()
	defer lock.RUnlock()
	o := new(object)
	found, err := s.get(objectKey(bucket, key), o)
	if err != nil {
		return nil, err
	}
	if !found {
		e := fail(NoSuchKey)
		e.Bucket, e.Key = bucket, key
		return nil, e
	}
	s.blobs.pin(o.Blobs)
	return o, nil
}

// checkConditions evaluates If-Match and so on, whose names begin with prefix.
func checkConditions(h http.Header, prefix string, o *object) error {
	get := func(name string) string { return h.Get(prefix + name) }
	matches := func(list string) bool {
		for tag := range strings.SplitSeq(list, ",") {
			if tag = strings.Trim(strings.TrimSpace(tag), `"`); tag == "*" || strings.EqualFold(tag, o.ETag) {
				return true
			}
		}
		return false
	}
	if v := get("If-Match"); v != "" && !matches(v) {
		return fail(PreconditionFailed)
	}
	if v := get("If-Unmodified-Since"); v != "" {
		if t, err := http.ParseTime(v); err == nil && o.Modified.After(t) {
			return fail(PreconditionFailed)
		}
	}
	if v := get("If-None-Match"); v != "" && matches(v) {
		return fail(NotModified)
	}
	if v := get("If-Modified-Since"); v != "" {
		if t, err := http.ParseTime(v); err == nil && !o.Modified.After(t) {
			return fail(NotModified)
		}
	}
	return nil
}

// overrides are the query parameters of GetObject that replace headers.
var overrides = []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"}

func (s *Server) setHeaders(q *request, o *object) {
	h := q.w.Header()
	for name, v := range o.Headers {
		h.Set(name, v)
	}
	h.Set("ETag", `"`+o.ETag+`"`)
	h.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	h.Set("x-oss-object-type", o.Type)
	h.Set("x-oss-storage-class", o.storageClass())
	h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(o.CRC, 10))
	h.Set("Accept-Ranges", "bytes")
	if o.Type == typeAppendable {
		h.Set("x-oss-next-append-position", strconv.FormatInt(o.Size, 10))
	}
	for _, name := range overrides {
		if v := q.query.Get("response-" + strings.ToLower(name)); v != "" {
			h.Set(name, v)
		}
	}
}

// getObject is GetObject, HeadObject and GetObjectMeta.
func (s *Server) getObject(q *request) error {
	o, err := s.openObject(q.bucket, q.key)
	if err != nil {
		return err
	}
	defer s.blobs.unpin(o.Blobs)
	if err := checkConditions(q.r.Header, "", o); err != nil {
		if err := err.(*Error); err.Code == NotModified {
			s.setHeaders(q, o)
		}
		return err
	}
	standard := strings.EqualFold(q.r.Header.Get("x-oss-range-behavior"), "standard")
	rng, partial, err := byteRange{0, o.Size}, false, error(nil)
	if v := q.r.Header.Get("Range"); v != "" && q.r.Method == http.MethodGet {
		if rng, partial, err = parseRange(v, o.Size, standard); err != nil {
			return err
		}
	}
	s.setHeaders(q, o)
	h := q.w.Header()
	h.Set("Content-Length", strconv.FormatInt(rng.length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", rng.offset, rng.offset+rng.length-1, o.Size))
	}
	q.w.WriteHeader(status)
	if q.r.Method == http.MethodHead {
		return nil
	}
	if err := s.blobs.copyRange(q.w, o.Blobs, rng); err != nil {
		if q.r.Context().Err() != nil {
			return nil // the client left
		}
		return fmt.Errorf("read object: %w", err)
	}
	return nil
}
