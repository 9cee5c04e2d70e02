package oss

import (
	"encoding/json"
	"slices"
	"strings"
)

func (s *Server) listParts(q *request) error {
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	id, _, err := s.uploadOf(q)
	if err != nil {
		return err
	}
	limit, err := q.number("max-parts", 1000, 1, 1000)
	if err != nil {
		return err
	}
	behind, err := q.number("part-number-marker", 0, 0, maxParts)
	if err != nil {
		return err
	}
	parts, more, err := s.parts(id, behind, limit)
	if err != nil {
		return err
	}
	type partXML struct {
		PartNumber   int    `xml:"PartNumber"`
		LastModified string `xml:"LastModified"`
		ETag         string `xml:"ETag"`
		Size         int64  `xml:"Size"`
		CRC          uint64 `xml:"HashCrc64ecma"`
	}
	out := struct {
		XMLName    struct{}  `xml:"ListPartsResult"`
		Encoding   string    `xml:"EncodingType,omitempty"`
		Bucket     string    `xml:"Bucket"`
		Key        string    `xml:"Key"`
		UploadID   string    `xml:"UploadId"`
		Marker     int       `xml:"PartNumberMarker"`
		NextMarker int       `xml:"NextPartNumberMarker"`
		MaxParts   int       `xml:"MaxParts"`
		Truncated  bool      `xml:"IsTruncated"`
		Parts      []partXML `xml:"Part"`
	}{Encoding: q.query.Get("encoding-type"), Bucket: q.bucket, Key: q.key, UploadID: id, Marker: behind, MaxParts: limit, Truncated: more}
	if out.Encoding == "url" {
		out.Key = escape(out.Key)
	}
	for _, p := range parts {
		out.Parts = append(out.Parts, partXML{p.Number, p.Modified.Format(isoLayout), `"` + p.MD5 + `"`, p.Blob.Size, p.CRC})
		out.NextMarker = p.Number
	}
	return writeXML(q, out)
}

func (s *Server) listUploads(q *request) error {
	if _, err := s.bucketOf(q.bucket); err != nil {
		return err
	}
	if q.query.Get("delimiter") != "" {
		e := fail(NotImplemented)
		e.NotImplemented = "ListMultipartUploads?delimiter"
		return e
	}
	limit, err := q.number("max-uploads", 1000, 1, 1000)
	if err != nil {
		return err
	}
	type uploadXML struct {
		Key          string `xml:"Key"`
		UploadID     string `xml:"UploadId"`
		Initiated    string `xml:"Initiated"`
		StorageClass string `xml:"StorageClass"`
	}
	out := struct {
		XMLName      struct{}    `xml:"ListMultipartUploadsResult"`
		Encoding     string      `xml:"EncodingType,omitempty"`
		Bucket       string      `xml:"Bucket"`
		KeyMarker    string      `xml:"KeyMarker"`
		IDMarker     string      `xml:"UploadIdMarker"`
		NextKey      string      `xml:"NextKeyMarker,omitempty"`
		NextUploadID string      `xml:"NextUploadIdMarker,omitempty"`
		Prefix       string      `xml:"Prefix"`
		MaxUploads   int         `xml:"MaxUploads"`
		Truncated    bool        `xml:"IsTruncated"`
		Uploads      []uploadXML `xml:"Upload"`
	}{
		Encoding: q.query.Get("encoding-type"), Bucket: q.bucket, KeyMarker: q.query.Get("key-marker"),
		IDMarker: q.query.Get("upload-id-marker"), Prefix: q.query.Get("prefix"), MaxUploads: limit,
	}
	prefix := uploadKey(q.bucket, "")
	err = s.walk(prefix, after(prefix), func(key, value []byte) (bool, error) {
		var u upload
		err := json.Unmarshal(value, &u)
		id := string(key[len(prefix):])
		behind := u.Key > out.KeyMarker || u.Key == out.KeyMarker && out.IDMarker != "" && id > out.IDMarker
		if strings.HasPrefix(u.Key, out.Prefix) && (out.KeyMarker == "" || behind) {
			out.Uploads = append(out.Uploads, uploadXML{u.Key, id, u.Initiated.Format(isoLayout), "Standard"})
		}
		return true, err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(out.Uploads, func(a, b uploadXML) int {
		return strings.Compare(a.Key+"\x00"+a.UploadID, b.Key+"\x00"+b.UploadID)
	})
	if len(out.Uploads) > limit {
		out.Uploads = out.Uploads[:limit]
		out.Truncated, out.NextKey, out.NextUploadID = true, out.Uploads[limit-1].Key, out.Uploads[limit-1].UploadID
	}
	if out.Encoding == "url" {
		for _, v := range []*string{&out.KeyMarker, &out.NextKey, &out.Prefix} {
			*v = escape(*v)
		}
		for i := range out.Uploads {
			out.Uploads[i].Key = escape(out.Uploads[i].Key)
		}
	}
	return writeXML(q, out)
}
