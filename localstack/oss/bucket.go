package oss

import (
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// maxBuckets is the quota of an account.
const maxBuckets = 100

// bucketInfo is a bucket. It is never changed, only replaced.
type bucketInfo struct {
	Created      time.Time `json:"created"`
	Region       string    `json:"region"`
	ACL          string    `json:"acl"` // private, public-read, public-read-write
	StorageClass string    `json:"storage_class"`
	Redundancy   string    `json:"redundancy"`
}

type ownerXML struct {
	ID          string `xml:"ID"`
	DisplayName string `xml:"DisplayName"`
}

// owner is the account that everything belongs to.
var owner = ownerXML{"1000000000000000", "1000000000000000"}

func noSuchBucket(name string) error {
	e := fail(NoSuchBucket)
	e.Bucket = name
	return e
}

// bucket returns a bucket or NoSuchBucket.
func (s *Server) bucketOf(name string) (*bucketInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	return nil, noSuchBucket(name)
}

func (s *Server) isPublic(name string) bool {
	b, err := s.bucketOf(name)
	return err == nil && b.ACL != "private"
}

func parseACL(v string) (string, error) {
	switch v {
	case "":
		return "private", nil
	case "private", "public-read", "public-read-write":
		return v, nil
	}
	return "", argument("x-oss-acl", v, "no such bucket access control exists")
}

func (s *Server) putBucket(q *request) error {
	var in struct {
		StorageClass string `xml:"StorageClass"`
		Redundancy   string `xml:"DataRedundancyType"`
	}
	if err := readOptionalXML(q, &in); err != nil {
		return err
	}
	acl, err := parseACL(q.r.Header.Get("x-oss-acl"))
	if err != nil {
		return err
	}
	info := &bucketInfo{Created: s.clock().UTC().Truncate(time.Second), Region: s.region, ACL: acl, StorageClass: in.StorageClass, Redundancy: in.Redundancy}
	if info.StorageClass == "" {
		info.StorageClass = "Standard"
	}
	if info.Redundancy == "" {
		info.Redundancy = "LRS"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[q.bucket] != nil {
		e := fail(BucketAlreadyExists)
		e.Bucket = q.bucket
		return e
	}
	if len(s.buckets) >= maxBuckets {
		return fail(TooManyBuckets)
	}
	if err := s.storeBucket(q.bucket, info); err != nil {
		return err
	}
	q.w.Header().Set("Location", "/"+q.bucket)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// readOptionalXML is readXML for operations whose body may be empty.
func readOptionalXML(q *request, into any) error {
	body := q.r.Body
	var first [1]byte
	n, err := io.ReadFull(body, first[:])
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return fail(IncompleteBody)
	}
	q.r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(string(first[:n])), body), body}
	return readXML(q, into)
}

// storeBucket makes a bucket durable and visible; the caller holds mu.
func (s *Server) storeBucket(name string, info *bucketInfo) error {
	err := s.update(func(b *pebble.Batch) error { return set(b, append([]byte{prefixBucket}, name...), info) })
	if err == nil {
		s.buckets[name] = info
	}
	return err
}

func (s *Server) putBucketACL(q *request) error {
	acl, err := parseACL(q.r.Header.Get("x-oss-acl"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.buckets[q.bucket]
	if old == nil {
		return noSuchBucket(q.bucket)
	}
	info := *old
	info.ACL = acl
	if err := s.storeBucket(q.bucket, &info); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) deleteBucket(q *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[q.bucket] == nil {
		return noSuchBucket(q.bucket)
	}
	for _, prefix := range [][]byte{objectKey(q.bucket, ""), uploadKey(q.bucket, "")} {
		empty := true
		err := s.walk(prefix, after(prefix), func(_, _ []byte) (bool, error) { empty = false; return false, nil })
		if err != nil {
			return err
		}
		if !empty {
			e := fail(BucketNotEmpty)
			e.Bucket = q.bucket
			return e
		}
	}
	err := s.update(func(b *pebble.Batch) error { return b.Delete(append([]byte{prefixBucket}, q.bucket...), nil) })
	if err != nil {
		return err
	}
	delete(s.buckets, q.bucket)
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) getBucketInfo(q *request) error {
	b, err := s.bucketOf(q.bucket)
	if err != nil {
		return err
	}
	type sse struct {
		Algorithm string `xml:"SSEAlgorithm"`
	}
	type bucketXML struct {
		Name             string   `xml:"Name"`
		Location         string   `xml:"Location"`
		CreationDate     string   `xml:"CreationDate"`
		ExtranetEndpoint string   `xml:"ExtranetEndpoint"`
		IntranetEndpoint string   `xml:"IntranetEndpoint"`
		Grant            string   `xml:"AccessControlList>Grant"`
		Redundancy       string   `xml:"DataRedundancyType"`
		Owner            ownerXML `xml:"Owner"`
		StorageClass     string   `xml:"StorageClass"`
		SSE              sse      `xml:"ServerSideEncryptionRule"`
		AccessMonitor    string   `xml:"AccessMonitor"`
	}
	return writeXML(q, struct {
		XMLName xml.Name  `xml:"BucketInfo"`
		Bucket  bucketXML `xml:"Bucket"`
	}{Bucket: bucketXML{
		Name: q.bucket, Location: "oss-" + b.Region, CreationDate: b.Created.Format(isoLayout),
		ExtranetEndpoint: "oss-" + b.Region + ".aliyuncs.com", IntranetEndpoint: "oss-" + b.Region + "-internal.aliyuncs.com",
		Grant: b.ACL, Redundancy: b.Redundancy, Owner: owner, StorageClass: b.StorageClass, SSE: sse{"None"}, AccessMonitor: "Disabled",
	}})
}

func (s *Server) getBucketLocation(q *request) error {
	b, err := s.bucketOf(q.bucket)
	if err != nil {
		return err
	}
	return writeXML(q, struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Text    string   `xml:",chardata"`
	}{Text: "oss-" + b.Region})
}

func (s *Server) getBucketACL(q *request) error {
	b, err := s.bucketOf(q.bucket)
	if err != nil {
		return err
	}
	return writeXML(q, struct {
		XMLName xml.Name `xml:"AccessControlPolicy"`
		Owner   ownerXML `xml:"Owner"`
		Grant   string   `xml:"AccessControlList>Grant"`
	}{Owner: owner, Grant: b.ACL})
}

func (s *Server) listBuckets(q *request) error {
	limit, err := q.number("max-keys", 100, 1, 1000)
	if err != nil {
		return err
	}
	type bucketXML struct {
		Name         string `xml:"Name"`
		Location     string `xml:"Location"`
		Region       string `xml:"Region"`
		CreationDate string `xml:"CreationDate"`
		StorageClass string `xml:"StorageClass"`
	}
	out := struct {
		XMLName     xml.Name    `xml:"ListAllMyBucketsResult"`
		Prefix      string      `xml:"Prefix"`
		Marker      string      `xml:"Marker"`
		MaxKeys     int         `xml:"MaxKeys"`
		IsTruncated bool        `xml:"IsTruncated"`
		NextMarker  string      `xml:"NextMarker,omitempty"`
		Owner       ownerXML    `xml:"Owner"`
		Buckets     []bucketXML `xml:"Buckets>Bucket"`
	}{Prefix: q.query.Get("prefix"), Marker: q.query.Get("marker"), MaxKeys: limit, Owner: owner}
	s.mu.RLock()
	for name, b := range s.buckets {
		if strings.HasPrefix(name, out.Prefix) && name > out.Marker {
			out.Buckets = append(out.Buckets, bucketXML{name, "oss-" + b.Region, b.Region, b.Created.Format(isoLayout), b.StorageClass})
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(out.Buckets, func(a, b bucketXML) int { return strings.Compare(a.Name, b.Name) })
	if len(out.Buckets) > limit {
		out.Buckets = out.Buckets[:limit]
		out.IsTruncated, out.NextMarker = true, out.Buckets[limit-1].Name
	}
	return writeXML(q, out)
}
