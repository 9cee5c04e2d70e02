package oss

import (
	"net/url"
	"strconv"
	"strings"
)

// copyObject links the data of the source, in the same or another bucket.
func (s *Server) copyObject(q *request) error {
	source, err := parseCopySource(q.r.Header.Get("x-oss-copy-source"))
	if err != nil {
		return err
	}
	if err := s.mayPut(q); err != nil {
		return err
	}
	from, err := s.openObject(source.bucket, source.key)
	if err != nil {
		return err
	}
	defer s.blobs.unpin(from.Blobs)
	if err := checkConditions(q.r.Header, "X-Oss-Copy-Source-", from); err != nil {
		return err
	}
	headers := from.Headers
	if strings.EqualFold(q.r.Header.Get("x-oss-metadata-directive"), "REPLACE") {
		if headers, err = objectHeaders(q.r); err != nil {
			return err
		}
	}
	blobs, err := s.blobs.link(from.Blobs)
	if err != nil {
		return err
	}
	o := &object{Blobs: blobs, Size: from.Size, ETag: from.ETag, CRC: from.CRC, Headers: headers, Type: from.Type}
	if err := s.commitObject(q, o, nil); err != nil {
		return err
	}
	q.w.Header().Set("x-oss-hash-crc64ecma", strconv.FormatUint(o.CRC, 10))
	return writeXML(q, struct {
		XMLName      struct{} `xml:"CopyObjectResult"`
		LastModified string   `xml:"LastModified"`
		ETag         string   `xml:"ETag"`
	}{LastModified: o.Modified.Format(isoLayout), ETag: `"` + o.ETag + `"`})
}

// parseCopySource reads "/bucket/escaped-key"; the SDK sends a space as "+".
func parseCopySource(v string) (address, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(v, "/"), "/")
	key, err := url.QueryUnescape(key)
	if !ok || err != nil || key == "" || !bucketName.MatchString(bucket) || strings.Contains(v, "?") {
		return address{}, argument("x-oss-copy-source", v, "Copy Source must be /bucket/key, url-encoded, without a version.")
	}
	return address{bucket, key}, checkKey(key)
}
