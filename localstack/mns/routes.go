package mns

import (
	"errors"
	"io"
	"log/slog"
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
)

// An Operation is one line of the table of operations.
type Operation struct {
	Name, Method, Path string // Q, T and S in Path stand for the names of a queue, a topic and a subscription
	Status             Status
	query              []string // parameters that it knows
	handle             func(*Server, *request) error
}

// Operations of a queue, a topic or a subscription share method and path, and are told apart by the query or the body.
var operations = []Operation{
	{Name: "ListQueue", Method: "GET", Path: "/queues", Status: Done, handle: (*Server).listQueues},
	{Name: "CreateQueue, SetQueueAttributes", Method: "PUT", Path: "/queues/Q", Status: Done, query: []string{"metaoverride"}, handle: (*Server).putQueue},
	{Name: "GetQueueAttributes", Method: "GET", Path: "/queues/Q", Status: Done, handle: (*Server).getQueue},
	{Name: "DeleteQueue", Method: "DELETE", Path: "/queues/Q", Status: Done, handle: (*Server).deleteQueue},
	{Name: "SendMessage, BatchSendMessage", Method: "POST", Path: "/queues/Q/messages", Status: Done, handle: (*Server).sendMessages},
	{Name: "ReceiveMessage, BatchReceiveMessage, PeekMessage, BatchPeekMessage", Method: "GET", Path: "/queues/Q/messages", Status: Done,
		query: []string{"waitseconds", "numOfMessages", "peekonly"}, handle: (*Server).receiveMessages},
	{Name: "DeleteMessage, BatchDeleteMessage", Method: "DELETE", Path: "/queues/Q/messages", Status: Done, query: []string{"ReceiptHandle"}, handle: (*Server).deleteMessages},
	{Name: "ChangeMessageVisibility", Method: "PUT", Path: "/queues/Q/messages", Status: Done, query: []string{"ReceiptHandle", "VisibilityTimeout"}, handle: (*Server).changeVisibility},
	{Name: "ListTopic", Method: "GET", Path: "/topics", Status: Done, handle: (*Server).listTopics},
	{Name: "CreateTopic, SetTopicAttributes", Method: "PUT", Path: "/topics/T", Status: Done, query: []string{"metaoverride"}, handle: (*Server).putTopic},
	{Name: "GetTopicAttributes", Method: "GET", Path: "/topics/T", Status: Done, handle: (*Server).getTopic},
	{Name: "DeleteTopic", Method: "DELETE", Path: "/topics/T", Status: Done, handle: (*Server).deleteTopic},
	{Name: "PublishMessage", Method: "POST", Path: "/topics/T/messages", Status: Partial, handle: (*Server).publishMessage}, // attributes for mail and short messages are ignored
	{Name: "ListSubscriptionByTopic", Method: "GET", Path: "/topics/T/subscriptions", Status: Done, handle: (*Server).listSubscriptions},
	{Name: "Subscribe, SetSubscriptionAttributes", Method: "PUT", Path: "/topics/T/subscriptions/S", Status: Partial, // no mail, no short messages
		query: []string{"metaoverride"}, handle: (*Server).putSubscription},
	{Name: "GetSubscriptionAttributes", Method: "GET", Path: "/topics/T/subscriptions/S", Status: Done, handle: (*Server).getSubscription},
	{Name: "Unsubscribe", Method: "DELETE", Path: "/topics/T/subscriptions/S", Status: Done, handle: (*Server).unsubscribe},
	{Name: "OpenService", Method: "POST", Path: "/commonbuy/openservice", Status: Partial, handle: (*Server).openService}, // it is always open
}

// Operations returns the table of operations.
func Operations() []Operation { return append([]Operation(nil), operations...) }

// A request is one authenticated call.
type request struct {
	w            http.ResponseWriter
	r            *http.Request
	op           *Operation
	base         string // address before /queues and /topics, for the URLs in answers
	name         string // of the queue or topic
	subscription string
	query        url.Values
	body         []byte
}

// serve routes and authenticates one request. Its error is the answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	prefix, resource := splitPrefix(r.URL.EscapedPath())
	account, _, _ := strings.Cut(strings.Trim(prefix, "/"), ".")
	signed := resource
	if r.URL.RawQuery != "" {
		signed += "?" + r.URL.RawQuery
	}
	if err := s.authenticate(r, account, signed); err != nil {
		return err
	}
	q := &request{w: w, r: r, base: "http://" + r.Host + prefix}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	s.stats.bytesIn.Add(int64(len(body)))
	if err := checkBody(r, body); err != nil {
		return err
	}
	q.body = body
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return fail(InvalidQueryString, r.URL.RawQuery)
	}
	if !q.route(resource) {
		s.log.Warn("unknown operation", "method", r.Method, "path", r.URL.Path)
		return fail(InvalidRequestURL)
	}
	for name := range q.query {
		if !contains(q.op.query, name) {
			return fail(InvalidQueryString, name)
		}
	}
	s.stats.calls[q.operationIndex()].Add(1)
	return q.op.handle(s, q)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// splitPrefix cuts the first segment of a path off, if it stands for the account's host name.
func splitPrefix(path string) (prefix, resource string) {
	first, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "queues", "topics", "commonbuy":
		return "", path
	}
	if !more {
		return "", path
	}
	return "/" + first, "/" + rest
}

// route finds the operation of a request and the names in its path.
func (q *request) route(path string) bool {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range segments {
		var err error
		if segments[i], err = url.PathUnescape(segments[i]); err != nil {
			return false
		}
	}
	for i := range operations {
		op := &operations[i]
		if op.Method == q.r.Method && q.match(op.Path, segments) {
			q.op = op
			return true
		}
	}
	return false
}

func (q *request) match(pattern string, segments []string) bool {
	if strings.Count(pattern, "/") != len(segments) {
		return false
	}
	i := 0
	for part := range strings.SplitSeq(pattern[1:], "/") {
		switch part {
		case "Q", "T":
			q.name = segments[i]
		case "S":
			q.subscription = segments[i]
		default:
			if part != segments[i] {
				return false
			}
		}
		i++
	}
	return true
}

// operationIndex is the place of the operation in the table.
func (q *request) operationIndex() int {
	for i := range operations {
		if q.op == &operations[i] {
			return i
		}
	}
	return 0
}

// flag reads a parameter that is true or false.
func (q *request) flag(name string) (bool, error) {
	switch v := q.query.Get(name); strings.ToLower(v) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fail(InvalidQueryString, name)
}

// number reads a parameter; missing tells that there is none.
func (q *request) number(name string, low, high int64, unit string, missing int64) (int64, error) {
	v := q.query.Get(name)
	if v == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, fail(InvalidQueryString, name)
	}
	if n < low || n > high {
		return 0, outOfRange(name, low, high, unit)
	}
	return n, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, outOfRange("Content-Length", 0, maxBody, "bytes")
	case err != nil:
		return nil, fail(InvalidArgument, "The body could not be read.")
	}
	return body, nil
}

// writeBody answers with a document, or with none if body is nil.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "text/xml;charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	w.Write(body) // the client may be gone; nothing is left to tell it
}

// logError tells the operator of answers that mean a fault of the emulator or of the keys that a program uses; the rest is for the
// client. It has what was signed, never a secret.
func (s *Server) logError(r *http.Request, err error) {
	e := asError(err)
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("code", string(e.Code)), slog.String("error", err.Error()),
		slog.String("remote", r.RemoteAddr),
	}
	level := slog.LevelDebug
	switch e.Code {
	case InternalError:
		level = slog.LevelError
	case SignatureDoesNotMatch, AccessDenied, InvalidAccessKeyID, TimeExpired:
		level = slog.LevelWarn
	case MalformedXML, InvalidArgument, InvalidRequestURL:
		level = slog.LevelInfo
	}
	s.log.LogAttrs(r.Context(), level, "request refused", attrs...)
}

// openService answers that the service is open, under an order that stands for the account.
func (s *Server) openService(q *request) error {
	var d document
	d.open("OpenService")
	d.leaf("OrderId", s.account)
	d.close("OpenService")
	writeBody(q.w, http.StatusOK, d.bytes())
	return nil
}
