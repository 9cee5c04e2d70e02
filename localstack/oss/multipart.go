package oss

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Limits of a multipart upload. Every part but the last has minPartBytes.
const (
	maxParts     = 10000
	minPartBytes = 100 << 10
)

// An upload is a multipart upload in progress.
type upload struct {
	Key       string            `json:"key"`
	Initiated time.Time         `json:"initiated"`
	Headers   map[string]string `json:"headers"`
}

// A part is one part of an upload.
type part struct {
	Number   int       `json:"number"`
	Blob     blob      `json:"blob"`
	MD5      string    `json:"md5"` // hex, upper case; its ETag
	CRC      uint64    `json:"crc"`
	Modified time.Time `json:"modified"`
}

func (s *Server) initiateUpload(q *request) error {
	headers, err := objectHeaders(q.r)
	if err != nil {
		return err
	}
	if err := s.mayPut(q); err != nil {
		return err
	}
	id := strings.ToUpper(newID())
	u := upload{Key: q.key, Initiated: s.clock().UTC().Truncate(time.Second), Headers: headers}
	s.mu.RLock() // the bucket stays while the upload is named
	defer s.mu.RUnlock()
	if s.buckets[q.bucket] == nil {
		return noSuchBucket(q.bucket)
	}
	if err := s.update(func(b *pebble.Batch) error { return set(b, uploadKey(q.bucket, id), u) }); err != nil {
		return err
	}
	key := q.key
	encoding := q.query.Get("encoding-type")
	if encoding == "url" {
		key = escape(key)
	}
	return writeXML(q, struct {
		XMLName  struct{} `xml:"InitiateMultipartUploadResult"`
		Encoding string   `xml:"EncodingType,omitempty"`
		Bucket   string   `xml:"Bucket"`
		Key      string   `xml:"Key"`
		UploadID string   `xml:"UploadId"`
	}{Encoding: encoding, Bucket: q.bucket, Key: key, UploadID: id})
}

// uploadOf returns the upload that a request names. It takes no lock, so that it
// may be asked again under the lock of the upload.
func (s *Server) uploadOf(q *request) (id string, u upload, err error) {
	id = q.query.Get("uploadId")
	found := false
	if !strings.Contains(id, "\x00") {
		if found, err = s.get(uploadKey(q.bucket, id), &u); err != nil {
			return id, u, err
		}
	}
	if !found || u.Key != q.key {
		e := fail(NoSuchUpload)
		e.UploadID = id
		return id, u, e
	}
	return id, u, nil
}

func (s *Server) uploadPart(q *request) error {
	number, err := strconv.Atoi(q.query.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return argument("partNumber", q.query.Get("partNumber"), "Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	if _, _, err := s.uploadOf(q); err != nil { // before the body is sent
		return err
	}
	w, err := s.receive(q.r)
	if err != nil {
		return err
	}
	p := part{Number: number, Blob: w.blob, MD5: etagOf(w.md5), CRC: w.crc, Modified: s.clock().UTC().Truncate(time.Second)}
	if err := s.commitPart(q, p); err != nil {
		s.blobs.drop([]blob{w.blob})
		return err
	}
	h := q.w.Header()
	h.Set("ETag", `"`+p.MD5+`"`)
	h.Set("x-oss-hash-crc64ecma", strconv.FormatUint(p.CRC, 10))
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// commitPart names a part, unless the upload has ended meanwhile.
func (s *Server) commitPart(q *request, p part) error {
	lock := s.uploadLock(q)
	lock.Lock()
	defer lock.Unlock()
	id, _, err := s.uploadOf(q)
	if err != nil {
		return err
	}
	var old part
	found, err := s.get(partKey(id, uint32(p.Number)), &old)
	if err != nil {
		return err
	}
	if err := s.update(func(b *pebble.Batch) error { return set(b, partKey(id, uint32(p.Number)), p) }); err != nil {
		return err
	}
	if found {
		s.blobs.drop([]blob{old.Blob})
	}
	return nil
}

// parts returns the parts of an upload behind a number, at most limit of them.
func (s *Server) parts(id string, behind, limit int) (parts []part, more bool, err error) {
	err = s.walk(partKey(id, uint32(behind)+1), after(append([]byte{prefixPart}, id...)), func(_, value []byte) (bool, error) {
		if len(parts) == limit {
			more = true
			return false, nil
		}
		var p part
		err := json.Unmarshal(value, &p)
		parts = append(parts, p)
		return true, err
	})
	return parts, more, err
}

// end puts the end of an upload into a batch.
func endUpload(b *pebble.Batch, bucket, id string) error {
	prefix := append([]byte{prefixPart}, id...)
	if err := b.DeleteRange(prefix, after(prefix), nil); err != nil {
		return err
	}
	return b.Delete(uploadKey(bucket, id), nil)
}

func blobsOf(parts []part) (blobs []blob) {
	for _, p := range parts {
		blobs = append(blobs, p.Blob)
	}
	return blobs
}

func (s *Server) abortUpload(q *request) error {
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	lock := s.uploadLock(q)
	lock.Lock()
	defer lock.Unlock()
	id, _, err := s.uploadOf(q)
	if err != nil {
		return err
	}
	parts, _, err := s.parts(id, 0, maxParts)
	if err != nil {
		return err
	}
	if err := s.update(func(b *pebble.Batch) error { return endUpload(b, q.bucket, id) }); err != nil {
		return err
	}
	s.blobs.drop(blobsOf(parts))
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// partRef is a line of the list that completes an upload.
type partRef struct {
	Number int    `xml:"PartNumber"`
	ETag   string `xml:"ETag"`
}

func (s *Server) completeUpload(q *request) error {
	var in struct {
		XMLName struct{}  `xml:"CompleteMultipartUpload"`
		Parts   []partRef `xml:"Part"`
	}
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	all := strings.EqualFold(q.r.Header.Get("x-oss-complete-all"), "yes")
	if !all {
		if err := readXML(q, &in); err != nil {
			return err
		}
		if len(in.Parts) == 0 || len(in.Parts) > maxParts {
			return fail(MalformedXML)
		}
	}
	o, id, err := s.finishUpload(q, in.Parts, all)
	if err != nil {
		return err
	}
	s.log.Debug("multipart upload completed", "bucket", q.bucket, "upload", id, "bytes", o.Size)
	q.w.Header().Set("x-oss-hash-crc64ecma", strconv.FormatUint(o.CRC, 10))
	q.w.Header().Set("ETag", `"`+o.ETag+`"`)
	key, encoding := q.key, q.query.Get("encoding-type")
	if encoding == "url" {
		key = escape(key)
	}
	return writeXML(q, struct {
		XMLName  struct{} `xml:"CompleteMultipartUploadResult"`
		Encoding string   `xml:"EncodingType,omitempty"`
		Location string   `xml:"Location"`
		Bucket   string   `xml:"Bucket"`
		Key      string   `xml:"Key"`
		ETag     string   `xml:"ETag"`
	}{Encoding: encoding, Location: "http://" + q.r.Host + q.r.URL.EscapedPath(), Bucket: q.bucket, Key: key, ETag: `"` + o.ETag + `"`})
}

// finishUpload makes the parts one object.
func (s *Server) finishUpload(q *request, refs []partRef, all bool) (*object, string, error) {
	lock := s.uploadLock(q)
	lock.Lock()
	defer lock.Unlock()
	id, u, err := s.uploadOf(q)
	if err != nil {
		return nil, id, err
	}
	stored, _, err := s.parts(id, 0, maxParts)
	if err != nil {
		return nil, id, err
	}
	used, err := chooseParts(stored, refs, all)
	if err != nil {
		return nil, id, err
	}
	o := assemble(used)
	o.Headers = u.Headers
	if err := s.commitObject(q, o, func(b *pebble.Batch) error { return endUpload(b, q.bucket, id) }); err != nil {
		return nil, id, err
	}
	unused := slices.DeleteFunc(blobsOf(stored), func(b blob) bool { return slices.Contains(o.Blobs, b) })
	s.blobs.drop(unused)
	return o, id, nil
}

// chooseParts checks a list of parts against what was uploaded.
func chooseParts(stored []part, refs []partRef, all bool) ([]part, error) {
	if all {
		for _, p := range stored {
			refs = append(refs, partRef{p.Number, p.MD5})
		}
	}
	byNumber := make(map[int]part, len(stored))
	for _, p := range stored {
		byNumber[p.Number] = p
	}
	var used []part
	for i, ref := range refs {
		p, ok := byNumber[ref.Number]
		switch {
		case i > 0 && ref.Number <= refs[i-1].Number:
			return nil, fail(InvalidPartOrder)
		case !ok || !strings.EqualFold(strings.Trim(ref.ETag, `"`), p.MD5):
			e := fail(InvalidPart)
			e.ArgumentName, e.ArgumentValue = "PartNumber", fmt.Sprint(ref.Number)
			return nil, e
		case i < len(refs)-1 && p.Blob.Size < minPartBytes:
			return nil, fail(EntityTooSmall)
		}
		used = append(used, p)
	}
	if len(used) == 0 {
		return nil, fail(InvalidPart)
	}
	return used, nil
}

// assemble returns the object of parts one after the other. Its ETag is the MD5
// of the parts' MD5s and their count.
func assemble(parts []part) *object {
	o := &object{Type: "Multipart"}
	sum := md5.New()
	for i, p := range parts {
		o.Blobs = append(o.Blobs, p.Blob)
		o.Size += p.Blob.Size
		if i == 0 {
			o.CRC = p.CRC
		} else {
			o.CRC = combineCRC(o.CRC, p.CRC, p.Blob.Size)
		}
		b, err := hex.DecodeString(p.MD5)
		if err != nil { // written by uploadPart
			panic(err)
		}
		sum.Write(b)
	}
	o.ETag = fmt.Sprintf("%s-%d", etagOf(sum.Sum(nil)), len(parts))
	return o
}
