package oss

import (
	"fmt"
	"net/http"

	"github.com/cockroachdb/pebble/v2"
)

func (s *Server) deleteObject(q *request) error {
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	if err := s.delete(q.bucket, q.key); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// delete removes an object; that there is none is success.
func (s *Server) delete(bucket, key string) error {
	lock := s.objectLock(bucket, key)
	lock.Lock()
	defer lock.Unlock()
	var old object
	found, err := s.get(objectKey(bucket, key), &old)
	if err != nil || !found {
		return err
	}
	if err := s.update(func(b *pebble.Batch) error { return b.Delete(objectKey(bucket, key), nil) }); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	s.blobs.drop(old.Blobs)
	return nil
}

func (s *Server) deleteObjects(q *request) error {
	var in struct {
		XMLName struct{} `xml:"Delete"`
		Quiet   bool     `xml:"Quiet"`
		Objects []struct {
			Key string `xml:"Key"`
		} `xml:"Object"`
	}
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	if err := readXML(q, &in); err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > 1000 {
		return fail(MalformedXML)
	}
	type deleted struct {
		Key string `xml:"Key"`
	}
	out := struct {
		XMLName  struct{}  `xml:"DeleteResult"`
		Encoding string    `xml:"EncodingType,omitempty"`
		Deleted  []deleted `xml:"Deleted"`
	}{Encoding: q.query.Get("encoding-type")}
	for _, o := range in.Objects {
		if err := checkKey(o.Key); err != nil || o.Key == "" {
			return fail(InvalidObjectName)
		}
		if err := s.delete(q.bucket, o.Key); err != nil {
			return err
		}
		if out.Encoding == "url" {
			o.Key = escape(o.Key)
		}
		if !in.Quiet {
			out.Deleted = append(out.Deleted, deleted{o.Key})
		}
	}
	return writeXML(q, out)
}
