package openapi

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Request is an HTTP request taken apart far enough to verify it.
type Request struct {
	Method string
	Host   string // as the client signed it, with port
	Path   string
	Header http.Header
	Body   []byte
	Query  []Pair // in the order given
	Form   []Pair
}

// A Pair is one decoded parameter.
type Pair struct{ Name, Value string }

// ReadRequest reads an HTTP request's body and parameters. Its error is a *Failure.
func ReadRequest(r *http.Request) (*Request, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, failf(http.StatusMethodNotAllowed, "UnsupportedHTTPMethod", "This http method is not supported.")
	}
	req := &Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: r.Header}
	if req.Path == "" {
		req.Path = "/"
	}
	if req.Path != "/" {
		return nil, failNoAction()
	}
	var err error
	if req.Query, err = ParsePairs(r.URL.RawQuery); err != nil {
		return nil, failf(http.StatusBadRequest, "InvalidParameter", "The query string is malformed: %v.", err)
	}
	if req.Body, err = io.ReadAll(io.LimitReader(r.Body, MaxBody+1)); err != nil {
		return nil, failf(http.StatusBadRequest, "InvalidParameter", "The body did not arrive whole.")
	}
	if len(req.Body) > MaxBody {
		return nil, failf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The body is larger than %d bytes.", MaxBody)
	}
	if len(req.Body) == 0 {
		return req, nil // clients that send none differ in their Content-Type
	}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mediaType, _, err := mime.ParseMediaType(ct); err != nil || mediaType != "application/x-www-form-urlencoded" {
			return nil, failf(http.StatusBadRequest, "InvalidParameter", "The body must be application/x-www-form-urlencoded.")
		}
	}
	if req.Form, err = ParsePairs(string(req.Body)); err != nil {
		return nil, failf(http.StatusBadRequest, "InvalidParameter", "The form is malformed: %v.", err)
	}
	return req, nil
}

// ParsePairs reads a query string or a form. It is not net/url's parser, whose default limit of parameters is below what
// BatchCheckDeviceNames sends, and to which a semicolon is an error.
func ParsePairs(raw string) ([]Pair, error) {
	if raw == "" {
		return nil, nil
	}
	if n := strings.Count(raw, "&") + 1; n > maxParams {
		return nil, fmt.Errorf("more than %d parameters", maxParams)
	}
	var pairs []Pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{n, v})
	}
	return pairs, nil
}

// Params is the one parameter map of the request: the form wins where query and form differ, the last where one name is
// repeated. Every check and every action sees this map, so there is no way to sign one value and act on another.
func (r *Request) Params() Params {
	m := make(map[string]string, len(r.Query)+len(r.Form))
	for _, p := range r.Query {
		m[p.Name] = p.Value
	}
	for _, p := range r.Form {
		m[p.Name] = p.Value
	}
	return Params{m: m}
}

// canonical joins parameters as both signatures want them: sorted by name in byte order, name and value by RFC 3986.
func canonical(pairs []Pair) string {
	pairs = slices.Clone(pairs)
	slices.SortStableFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		escapeTo(&b, p.Name)
		b.WriteByte('=')
		escapeTo(&b, p.Value)
	}
	return b.String()
}

// escapeTo percent-encodes all but the unreserved characters of RFC 3986, in upper case.
func escapeTo(b *strings.Builder, s string) {
	const hexDigits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
}

func escape(s string) string {
	var b strings.Builder
	escapeTo(&b, s)
	return b.String()
}
