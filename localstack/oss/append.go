package oss

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// typeAppendable is the x-oss-object-type of objects made by AppendObject.
const typeAppendable = "Appendable"

// A mergeBytes bounds the data that one append writes again: a last file shorter than this takes the new data in, so that an object
// of many small appends is not one of many small files.
const mergeBytes = 256 << 10

// appendObject is AppendObject: the body goes behind what there is, if that is as long as the caller thinks. All checks are made under
// the object's lock, so of two callers with one position one is answered PositionNotEqualToLength.
func (s *Server) appendObject(q *request) error {
	position, err := strconv.ParseInt(q.query.Get("position"), 10, 64)
	if err != nil || position < 0 {
		return argument("position", q.query.Get("position"), "The position must be an integer of at least 0.")
	}
	headers, err := objectHeaders(q.r)
	if err != nil {
		return err
	}
	if _, err := s.bucketOf(q.bucket); err != nil { // before the body is sent
		return err
	}
	w, err := s.receive(q.r)
	if err != nil {
		return err
	}
	o, err := s.commitAppend(q, position, headers, w)
	if err != nil {
		s.blobs.drop([]blob{w.blob})
		return err
	}
	h := q.w.Header()
	h.Set("ETag", `"`+o.ETag+`"`)
	h.Set("Content-MD5", base64.StdEncoding.EncodeToString(w.md5))
	h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(o.CRC, 10)) // of the whole object
	h.Set("x-oss-next-append-position", strconv.FormatInt(o.Size, 10))
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) commitAppend(q *request, position int64, headers map[string]string, w written) (*object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.buckets[q.bucket] == nil {
		return nil, noSuchBucket(q.bucket)
	}
	lock := s.objectLock(q.bucket, q.key)
	lock.Lock()
	defer lock.Unlock()
	o := &object{Headers: headers, Type: typeAppendable}
	found, err := s.get(objectKey(q.bucket, q.key), o)
	if err != nil {
		return nil, err
	}
	if found && o.Type != typeAppendable {
		return nil, fail(ObjectNotAppendable)
	}
	if position != o.Size {
		e := fail(PositionNotEqualToLength)
		e.NextPosition = strconv.FormatInt(o.Size, 10)
		return nil, e
	}
	added, obsolete := w.blob, []blob(nil)
	if n := len(o.Blobs); n > 0 && o.Blobs[n-1].Size+w.Size <= mergeBytes {
		last := o.Blobs[n-1]
		if added, err = s.merge(last, w.blob); err != nil {
			return nil, err
		}
		o.Blobs, obsolete = o.Blobs[:n-1], []blob{last, w.blob}
	}
	if found {
		o.CRC = combineCRC(o.CRC, w.crc, w.Size)
	} else {
		o.CRC = w.crc
	}
	o.Blobs, o.Size = append(o.Blobs, added), o.Size+w.Size
	o.ETag = etagOf(md5Sum([]byte(o.ETag + etagOf(w.md5)))) // the service's is not the MD5 of the data either
	o.Modified = s.clock().UTC().Truncate(time.Second)
	if err := s.update(func(b *pebble.Batch) error { return set(b, objectKey(q.bucket, q.key), o) }); err != nil {
		if added != w.blob {
			s.blobs.drop([]blob{added})
		}
		return nil, err
	}
	s.blobs.drop(obsolete)
	return o, nil
}

// merge writes two blobs into a new one.
func (s *Server) merge(a, b blob) (blob, error) {
	var data bytes.Buffer
	if err := s.blobs.copyRange(&data, []blob{a, b}, byteRange{0, a.Size + b.Size}); err != nil {
		return blob{}, err
	}
	w, err := s.blobs.write(io.Reader(&data))
	if err == nil && w.Size != a.Size+b.Size {
		err = errors.New("the merged file is short")
	}
	return w.blob, err
}
