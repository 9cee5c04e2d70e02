package sls

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// A Status tells how much of an operation the emulator does.
type Status string

// The statuses of the operations table.
const (
	Done    Status = "done"
	Partial Status = "partial" // see the comment beside it
	Missing Status = "missing" // answered NotSupported
)

// An Operation is one line of the table of operations.
type Operation struct {
	Name, Method, Path string // a {name} in Path stands for one segment
	Type               string // value of the query parameter type, if the operation is chosen by it
	Status             Status
	handle             func(*Server, *request) error
	compressed         bool // the body is a compressed LogGroup
	anyHost            bool // the host may name no project
}

// operations is every operation the emulator knows. The first match counts.
var operations = []Operation{
	{Name: "CreateProject", Method: "POST", Path: "/", Status: Done, handle: (*Server).createProject, anyHost: true},
	{Name: "GetProject, ListProject", Method: "GET", Path: "/", Status: Done, handle: (*Server).getProject, anyHost: true},
	{Name: "UpdateProject", Method: "PUT", Path: "/", Status: Done, handle: (*Server).updateProject},
	{Name: "DeleteProject", Method: "DELETE", Path: "/", Status: Done, handle: (*Server).deleteProject},
	{Name: "CreateLogStore", Method: "POST", Path: "/logstores", Status: Done, handle: (*Server).createLogstore},
	{Name: "ListLogStores", Method: "GET", Path: "/logstores", Status: Done, handle: (*Server).listLogstores},
	{Name: "GetHistograms", Method: "GET", Path: "/logstores/{logstore}", Type: "histogram", Status: Done, handle: (*Server).getHistograms},
	{Name: "GetLogs", Method: "GET", Path: "/logstores/{logstore}", Type: "log", Status: Partial, handle: (*Server).getLogsOld}, // SQL: counts only
	{Name: "GetContextLogs", Method: "GET", Path: "/logstores/{logstore}", Type: "context_log", Status: Missing},
	{Name: "GetLogStore", Method: "GET", Path: "/logstores/{logstore}", Status: Done, handle: (*Server).getLogstore},
	{Name: "UpdateLogStore", Method: "PUT", Path: "/logstores/{logstore}", Status: Done, handle: (*Server).updateLogstore},
	{Name: "DeleteLogStore", Method: "DELETE", Path: "/logstores/{logstore}", Status: Done, handle: (*Server).deleteLogstore},
	{Name: "PutLogs", Method: "POST", Path: "/logstores/{logstore}", Status: Done, handle: (*Server).putLogs, compressed: true},
	{Name: "PostLogStoreLogs", Method: "POST", Path: "/logstores/{logstore}/shards/route", Status: Done, handle: (*Server).putLogs, compressed: true},
	{Name: "PostLogStoreLogs", Method: "POST", Path: "/logstores/{logstore}/shards/lb", Status: Done, handle: (*Server).putLogs, compressed: true},
	{Name: "GetLogs", Method: "POST", Path: "/logstores/{logstore}/logs", Status: Partial, handle: (*Server).getLogs}, // SQL: counts only
	{Name: "CreateIndex", Method: "POST", Path: "/logstores/{logstore}/index", Status: Done, handle: (*Server).createIndex},
	{Name: "GetIndex", Method: "GET", Path: "/logstores/{logstore}/index", Status: Done, handle: (*Server).getIndex},
	{Name: "UpdateIndex", Method: "PUT", Path: "/logstores/{logstore}/index", Status: Done, handle: (*Server).updateIndex},
	{Name: "DeleteIndex", Method: "DELETE", Path: "/logstores/{logstore}/index", Status: Done, handle: (*Server).deleteIndex},
	{Name: "ListShards", Method: "GET", Path: "/logstores/{logstore}/shards", Status: Done, handle: (*Server).listShards},
	{Name: "GetCursor", Method: "GET", Path: "/logstores/{logstore}/shards/{shard}", Type: "cursor", Status: Done, handle: (*Server).getCursor},
	{Name: "GetCursorTime", Method: "GET", Path: "/logstores/{logstore}/shards/{shard}", Type: "cursor_time", Status: Done, handle: (*Server).getCursorTime},
	{Name: "PullLogs", Method: "GET", Path: "/logstores/{logstore}/shards/{shard}", Type: "logs", Status: Partial, handle: (*Server).pullLogs}, // no query, no processor
	{Name: "SplitShard, MergeShard", Method: "POST", Path: "/logstores/{logstore}/shards/{shard}", Status: Missing},
	{Name: "CreateConsumerGroup", Method: "POST", Path: "/logstores/{logstore}/consumergroups", Status: Missing},
	{Name: "ListConsumerGroup", Method: "GET", Path: "/logstores/{logstore}/consumergroups", Status: Missing},
	{Name: "ListDashboard", Method: "GET", Path: "/dashboards", Status: Missing},
	{Name: "CreateDashboard", Method: "POST", Path: "/dashboards", Status: Missing},
}

// Operations returns the table of operations.
func Operations() []Operation { return append([]Operation(nil), operations...) }

// A request is one authenticated call. Its body is valid until the answer.
type request struct {
	w       http.ResponseWriter
	r       *http.Request
	project string // from the host, empty if it names none
	args    map[string]string
	query   url.Values
	body    []byte // as sent
}

// arg returns the segment of the path that stands for {name}.
func (q *request) arg(name string) string { return q.args[name] }

// serve routes and authenticates one request. Its error is the answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("malformed query string: %v", err)
	}
	op, args := route(r.Method, r.URL.EscapedPath(), query.Get("type"))
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	body, err := readBody(r, (*buf)[:0])
	*buf = body[:0]
	if err != nil {
		return err
	}
	s.stats.bytesIn.Add(int64(len(body)))
	if err := s.authenticate(r, query, body); err != nil {
		return err
	}
	what := r.Method + " " + r.URL.Path
	if op == nil {
		return fail(BadRequest, what)
	}
	if op.Status == Missing {
		return fail(NotSupported, op.Name)
	}
	q := &request{w: w, r: r, project: projectOf(r.Host), args: args, query: query, body: body}
	if q.project == "" && !op.anyHost {
		return fail(MissingHost, r.Host)
	}
	if err := checkBody(op, q); err != nil {
		return err
	}
	return op.handle(s, q)
}

// checkBody checks the headers that describe the body.
func checkBody(op *Operation, q *request) error {
	size := q.r.Header.Get("x-log-bodyrawsize")
	if len(q.body) > 0 && q.r.Header.Get("Content-Type") == "" {
		return fail(MissingContentType)
	}
	if size == "" {
		if op.compressed {
			return fail(MissingBodyRawSize)
		}
		return nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || !op.compressed && n != len(q.body) && len(q.body) > 0 {
		return fail(InvalidBodyRawSize, size)
	}
	return nil
}

// route finds the operation of a request and the names in its path.
func route(method, path, typ string) (*Operation, map[string]string) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range operations {
		op := &operations[i]
		if op.Method != method || op.Type != "" && op.Type != typ {
			continue
		}
		if args, ok := matchPath(op.Path, segments); ok {
			return op, args
		}
	}
	return nil, nil
}

func matchPath(pattern string, segments []string) (map[string]string, bool) {
	parts := strings.Split(pattern[1:], "/")
	if len(parts) != len(segments) {
		return nil, false
	}
	var args map[string]string
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") {
			if p != segments[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(segments[i])
		if err != nil || v == "" {
			return nil, false
		}
		if args == nil {
			args = make(map[string]string, 2)
		}
		args[p[1:len(p)-1]] = v
	}
	return args, true
}

// projectOf returns the project a host names: its first label, unless the host is
// an address, has one label, or is an endpoint (REGION.log.aliyuncs.com, sls.…,
// log.…) itself.
func projectOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return ""
	}
	first, rest, ok := strings.Cut(host, ".")
	if !ok || first == "sls" || first == "log" || rest == "log.aliyuncs.com" {
		return ""
	}
	return first
}

// buffers hold request bodies and what they decompress to.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 32<<10); return &b }}

// readBody appends the body to b. A body may be as large as a LogGroup that does
// not compress.
func readBody(r *http.Request, b []byte) ([]byte, error) {
	const limit = maxGroupBytes + maxGroupBytes/255 + 1024
	if r.ContentLength > limit {
		return b, fail(PostBodyTooLarge, fmt.Sprint(r.ContentLength))
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return b, fail(PostBodyTooLarge, fmt.Sprint(len(b)))
		}
		if err == io.EOF {
			return b, checkMD5(r, b)
		}
		if err != nil {
			return b, fail(PostBodyInvalid, err)
		}
	}
}

// checkMD5 compares Content-MD5, which is upper-case hex in this service.
func checkMD5(r *http.Request, body []byte) error {
	want := r.Header.Get("Content-MD5")
	if want == "" {
		return nil
	}
	if sum := md5.Sum(body); !strings.EqualFold(want, hexUpper(sum[:])) {
		return fail(PostBodyInvalid, "Content-MD5 "+want+" does not match the body")
	}
	return nil
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // the client may be gone; nothing is left to tell it
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeBody(w, http.StatusOK, "application/json", body)
	return nil
}

// logError tells the operator of answers that mean a fault of the emulator or of
// the program that uses it; the rest is for the client.
func (s *Server) logError(r *http.Request, err error) {
	var e *Error
	attrs := []any{slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("host", r.Host), slog.Any("error", err)}
	switch {
	case !errors.As(err, &e):
		s.log.Error("request failed", attrs...)
	case e.Code == BadRequest || e.Code == NotSupported:
		s.log.Warn("unknown operation", attrs...)
	default:
		s.log.Info("request refused", append(attrs, slog.String("code", string(e.Code)))...)
	}
}
