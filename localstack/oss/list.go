package oss

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"strings"
)

type contentXML struct {
	Key          string    `xml:"Key"`
	LastModified string    `xml:"LastModified"`
	ETag         string    `xml:"ETag"`
	Type         string    `xml:"Type"`
	Size         int64     `xml:"Size"`
	StorageClass string    `xml:"StorageClass"`
	Owner        *ownerXML `xml:"Owner,omitempty"`
}

type prefixXML struct {
	Prefix string `xml:"Prefix"`
}

// listResult is ListBucketResult of both versions.
type listResult struct {
	XMLName     xml.Name     `xml:"ListBucketResult"`
	Name        string       `xml:"Name"`
	Prefix      string       `xml:"Prefix"`
	Marker      *string      `xml:"Marker"` // V1
	StartAfter  *string      `xml:"StartAfter"`
	Token       *string      `xml:"ContinuationToken"`
	MaxKeys     int          `xml:"MaxKeys"`
	Delimiter   string       `xml:"Delimiter"`
	Encoding    string       `xml:"EncodingType,omitempty"`
	IsTruncated bool         `xml:"IsTruncated"`
	NextMarker  string       `xml:"NextMarker,omitempty"`            // V1
	NextToken   string       `xml:"NextContinuationToken,omitempty"` // V2
	KeyCount    *int         `xml:"KeyCount"`                        // V2
	Contents    []contentXML `xml:"Contents"`
	Prefixes    []prefixXML  `xml:"CommonPrefixes"`
}

// A listing is the question of both versions: what comes after a key.
type listing struct {
	bucket, prefix, delimiter string
	after                     string // keys greater than it; a common prefix it begins with is passed
	limit                     int
	owner                     bool
}

// list fills out and returns the last key or common prefix in it.
func (s *Server) list(l listing, out *listResult) (last string, err error) {
	prefix := objectKey(l.bucket, l.prefix)
	lower, upper := prefix, after(prefix)
	base := len(objectKey(l.bucket, ""))
	if l.after >= l.prefix && l.after != "" {
		lower = append(objectKey(l.bucket, l.after), 0) // the key behind it
		if l.delimiter != "" && strings.HasSuffix(l.after, l.delimiter) && strings.HasPrefix(l.after, l.prefix) && len(l.after) > len(l.prefix) {
			if lower = after(objectKey(l.bucket, l.after)); lower == nil {
				return "", nil
			}
		}
	}
	for n := 0; ; {
		next := []byte(nil) // where to go on behind a common prefix
		err = s.walk(lower, upper, func(k, value []byte) (bool, error) {
			if n == l.limit {
				out.IsTruncated = true
				return false, nil
			}
			key := string(k[base:])
			if l.delimiter != "" {
				if i := strings.Index(key[len(l.prefix):], l.delimiter); i >= 0 {
					last = key[:len(l.prefix)+i+len(l.delimiter)]
					out.Prefixes = append(out.Prefixes, prefixXML{last})
					n++
					next = after(objectKey(l.bucket, last))
					return false, nil
				}
			}
			var o object
			if err := json.Unmarshal(value, &o); err != nil {
				return false, err
			}
			c := contentXML{Key: key, LastModified: o.Modified.UTC().Format(isoLayout), ETag: `"` + o.ETag + `"`, Type: o.Type, Size: o.Size, StorageClass: o.storageClass()}
			if l.owner {
				c.Owner = &owner
			}
			out.Contents = append(out.Contents, c)
			last = key
			n++
			return true, nil
		})
		if err != nil || next == nil || string(next) >= string(upper) {
			return last, err
		}
		lower = next
	}
}

func (o *object) storageClass() string {
	if c := o.Headers["X-Oss-Storage-Class"]; c != "" {
		return c
	}
	return "Standard"
}

// listRequest reads the parameters of both versions. With max-keys 0 nothing is
// listed.
func (s *Server) listRequest(q *request) (l listing, out *listResult, err error) {
	if _, err = s.bucketOf(q.bucket); err != nil {
		return
	}
	l = listing{bucket: q.bucket, prefix: q.query.Get("prefix"), delimiter: q.query.Get("delimiter")}
	if l.limit, err = q.number("max-keys", 100, 1, 1000); err != nil {
		return
	}
	if err = checkKey(l.prefix); err != nil {
		return
	}
	out = &listResult{Name: q.bucket, Prefix: l.prefix, Delimiter: l.delimiter, MaxKeys: l.limit, Encoding: q.query.Get("encoding-type")}
	if out.Encoding != "" && out.Encoding != "url" {
		err = argument("encoding-type", out.Encoding, "Invalid Encoding Method specified in Request")
	}
	return
}

func (s *Server) listObjects(q *request) error {
	l, out, err := s.listRequest(q)
	if err != nil {
		return err
	}
	l.after, l.owner = q.query.Get("marker"), true
	out.Marker = &l.after
	last, err := s.list(l, out)
	if err != nil {
		return err
	}
	if out.IsTruncated {
		out.NextMarker = last
	}
	return writeListing(q, out)
}

func (s *Server) listObjectsV2(q *request) error {
	if v := q.query.Get("list-type"); v != "2" {
		return argument("list-type", v, "list-type must be 2")
	}
	l, out, err := s.listRequest(q)
	if err != nil {
		return err
	}
	startAfter, token := q.query.Get("start-after"), q.query.Get("continuation-token")
	l.after, l.owner = startAfter, q.query.Get("fetch-owner") == "true"
	out.StartAfter, out.Token = &startAfter, &token
	if token != "" {
		b, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return argument("continuation-token", token, "The continuation token provided is incorrect")
		}
		l.after = string(b)
	}
	last, err := s.list(l, out)
	if err != nil {
		return err
	}
	if out.IsTruncated {
		out.NextToken = base64.StdEncoding.EncodeToString([]byte(last))
	}
	count := len(out.Contents) + len(out.Prefixes)
	out.KeyCount = &count
	return writeListing(q, out)
}

// writeListing escapes what encoding-type=url asks to be escaped.
func writeListing(q *request, out *listResult) error {
	if out.Encoding == "url" {
		for _, s := range []*string{&out.Prefix, &out.Delimiter, &out.NextMarker, out.Marker, out.StartAfter} {
			if s != nil {
				*s = escape(*s)
			}
		}
		for i := range out.Contents {
			out.Contents[i].Key = escape(out.Contents[i].Key)
		}
		for i := range out.Prefixes {
			out.Prefixes[i].Prefix = escape(out.Prefixes[i].Prefix)
		}
		if out.NextToken != "" {
			out.NextToken = escape(out.NextToken)
		}
	}
	return writeXML(q, out)
}
