package oss

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A Status tells how much of an operation the emulator does.
type Status string

// The statuses of the operations table.
const (
	Done    Status = "done"
	Partial Status = "partial" // see the comment beside it
	Missing Status = "missing" // answered NotImplemented
)

// A Level is what an operation is about.
type Level string

// The levels of the operations table.
const (
	ServiceLevel Level = "service"
	BucketLevel  Level = "bucket"
	ObjectLevel  Level = "object"
)

// An Operation is one line of the table of operations.
type Operation struct {
	Name   string
	Level  Level
	Method string // empty: any
	Query  string // query parameter that chooses the operation, if any
	Header string // header that chooses the operation, if any
	Status Status
	handle func(*Server, *request) error
	read   bool // open to everybody if the bucket is public
}

// operations is every operation the emulator knows. The first match counts, so
// that lines with a parameter come before those without.
var operations = concat(
	[]Operation{
		{Name: "ListBuckets", Level: ServiceLevel, Method: "GET", Status: Done, handle: (*Server).listBuckets},

		{Name: "GetBucketInfo", Level: BucketLevel, Method: "GET", Query: "bucketInfo", Status: Done, handle: (*Server).getBucketInfo},
		{Name: "GetBucketLocation", Level: BucketLevel, Method: "GET", Query: "location", Status: Done, handle: (*Server).getBucketLocation},
		{Name: "GetBucketAcl", Level: BucketLevel, Method: "GET", Query: "acl", Status: Done, handle: (*Server).getBucketACL},
		{Name: "PutBucketAcl", Level: BucketLevel, Method: "PUT", Query: "acl", Status: Done, handle: (*Server).putBucketACL},
		{Name: "ListMultipartUploads", Level: BucketLevel, Method: "GET", Query: "uploads", Status: Partial, handle: (*Server).listUploads}, // no delimiter
		{Name: "DeleteMultipleObjects", Level: BucketLevel, Method: "POST", Query: "delete", Status: Done, handle: (*Server).deleteObjects},
		{Name: "ListObjectsV2", Level: BucketLevel, Method: "GET", Query: "list-type", Status: Done, handle: (*Server).listObjectsV2},

		{Name: "InitiateMultipartUpload", Level: ObjectLevel, Method: "POST", Query: "uploads", Status: Done, handle: (*Server).initiateUpload},
		{Name: "UploadPartCopy", Level: ObjectLevel, Method: "PUT", Query: "uploadId", Header: "x-oss-copy-source", Status: Missing},
		{Name: "UploadPart", Level: ObjectLevel, Method: "PUT", Query: "uploadId", Status: Done, handle: (*Server).uploadPart},
		{Name: "CompleteMultipartUpload", Level: ObjectLevel, Method: "POST", Query: "uploadId", Status: Done, handle: (*Server).completeUpload},
		{Name: "AbortMultipartUpload", Level: ObjectLevel, Method: "DELETE", Query: "uploadId", Status: Done, handle: (*Server).abortUpload},
		{Name: "ListParts", Level: ObjectLevel, Method: "GET", Query: "uploadId", Status: Done, handle: (*Server).listParts},
		{Name: "GetObjectMeta", Level: ObjectLevel, Method: "HEAD", Query: "objectMeta", Status: Done, handle: (*Server).getObject, read: true},
		{Name: "CopyObject", Level: ObjectLevel, Method: "PUT", Header: "x-oss-copy-source", Status: Done, handle: (*Server).copyObject},
		{Name: "AppendObject", Level: ObjectLevel, Method: "POST", Query: "append", Status: Done, handle: (*Server).appendObject},
	},
	missing(BucketLevel, "accessmonitor cname cors encryption inventory lifecycle live logging metaQuery policy qosInfo referer replication requestPayment resourceGroup responseHeader stat style tagging transferAcceleration versioning versions website worm"),
	missing(ObjectLevel, "acl asyncFetch live restore symlink tagging versionId vod x-oss-process x-oss-async-process"),
	[]Operation{
		{Name: "PostObject", Level: BucketLevel, Method: "POST", Status: Missing},
		{Name: "Callback", Level: ObjectLevel, Header: "x-oss-callback", Status: Missing},
		{Name: "PutObjectACL", Level: ObjectLevel, Header: "x-oss-object-acl", Status: Missing},
		{Name: "SSE-C", Level: ObjectLevel, Header: "x-oss-server-side-encryption-customer-algorithm", Status: Missing},

		{Name: "PutBucket", Level: BucketLevel, Method: "PUT", Status: Done, handle: (*Server).putBucket},
		{Name: "DeleteBucket", Level: BucketLevel, Method: "DELETE", Status: Done, handle: (*Server).deleteBucket},
		{Name: "ListObjects", Level: BucketLevel, Method: "GET", Status: Done, handle: (*Server).listObjects},

		{Name: "PutObject", Level: ObjectLevel, Method: "PUT", Status: Done, handle: (*Server).putObject},
		{Name: "GetObject", Level: ObjectLevel, Method: "GET", Status: Done, handle: (*Server).getObject, read: true},
		{Name: "HeadObject", Level: ObjectLevel, Method: "HEAD", Status: Done, handle: (*Server).getObject, read: true},
		{Name: "DeleteObject", Level: ObjectLevel, Method: "DELETE", Status: Done, handle: (*Server).deleteObject},
	},
)

func concat(tables ...[]Operation) (all []Operation) {
	for _, t := range tables {
		all = append(all, t...)
	}
	return all
}

func missing(level Level, parameters string) (ops []Operation) {
	for _, p := range strings.Fields(parameters) {
		ops = append(ops, Operation{Name: string(level) + "?" + p, Level: level, Query: p, Status: Missing})
	}
	return ops
}

// Operations returns the table of operations.
func Operations() []Operation { return append([]Operation(nil), operations...) }

// A request is one authenticated call.
type request struct {
	address
	w     http.ResponseWriter
	r     *http.Request
	query url.Values
}

// serve routes and authenticates one request. Its error is the answer, unless
// the answer has begun.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if cors(w, r) {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return argument("query", "", "malformed query string: %v", err)
	}
	a, err := resolve(r.Host, r.URL.EscapedPath(), s.domain)
	if err != nil {
		return err
	}
	r.Body = &countingBody{r.Body, s}
	op := route(r, a, query)
	anonymous, err := s.authenticate(r, a, query)
	if err != nil {
		return err
	}
	if anonymous && !(op != nil && op.read && s.isPublic(a.bucket)) {
		return denied("Anonymous access is forbidden for this operation.")
	}
	if op == nil {
		return fail(MethodNotAllowed)
	}
	if op.Status == Missing {
		e := fail(NotImplemented)
		e.NotImplemented = op.Name
		return e
	}
	return op.handle(s, &request{address: a, w: w, r: r, query: query})
}

func route(r *http.Request, a address, query url.Values) *Operation {
	level := ObjectLevel
	switch {
	case a.bucket == "":
		level = ServiceLevel
	case a.key == "":
		level = BucketLevel
	}
	for i := range operations {
		op := &operations[i]
		if op.Level == level && (op.Method == "" || op.Method == r.Method) &&
			(op.Query == "" || query.Has(op.Query)) && (op.Header == "" || r.Header.Get(op.Header) != "") {
			return op
		}
	}
	return nil
}

// cors lets browsers of every origin use presigned URLs; it answers preflights.
func cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Content-Length, Content-MD5, x-oss-request-id, x-oss-hash-crc64ecma")
	h.Add("Vary", "Origin")
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, PUT, DELETE, POST, HEAD")
	h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusOK)
	return true
}

type countingBody struct {
	io.ReadCloser
	s *Server
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.s.stats.bytesIn.Add(int64(n))
	return n, err
}

// maxXMLBytes bounds the XML bodies: 10,000 parts or 1,000 keys.
const maxXMLBytes = 8 << 20

// readXML decodes the body of a request.
func readXML(q *request, into any) error {
	body, err := io.ReadAll(io.LimitReader(q.r.Body, maxXMLBytes+1))
	if err != nil {
		return fail(IncompleteBody)
	}
	if len(body) > maxXMLBytes {
		return fail(EntityTooLarge)
	}
	if err := checkMD5(q.r, md5Sum(body)); err != nil {
		return err
	}
	if err := xml.Unmarshal(body, into); err != nil {
		return fail(MalformedXML)
	}
	return nil
}

func writeXML(q *request, v any) error {
	body, err := xml.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(xml.Header)+len(body)))
	q.w.WriteHeader(http.StatusOK)
	io.WriteString(q.w, xml.Header) // the client may be gone; nothing is left to tell it
	q.w.Write(body)
	return nil
}

// number reads a query parameter between low and high.
func (q *request) number(name string, otherwise, low, high int) (int, error) {
	v := q.query.Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, argument(name, v, "Argument %s must be an integer between %d and %d.", name, low, high)
	}
	return n, nil
}
