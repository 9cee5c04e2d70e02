// Package webevent is an HTTP request as an event of a function, and the function's answer: the form in which built-in runtimes
// receive requests of an HTTP trigger (Function Compute, "HTTP triggers", version v1). The connector's front door uses the same
// form, so a function that serves HTTP cannot tell the two apart.
package webevent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// An Event is one request.
type Event struct {
	Version         string            `json:"version"`
	RawPath         string            `json:"rawPath"`
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  RequestContext    `json:"requestContext"`
}

// A RequestContext is what the network knows of a request.
type RequestContext struct {
	DomainName string `json:"domainName"` // the host that was asked, with its port
	HTTP       *HTTP  `json:"http"`
}

// HTTP is the request line and its sender.
type HTTP struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	SourceIP string `json:"sourceIp"`
}

// A Reply is the function's answer.
type Reply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// Decode reads an event; nil means that it is another kind of event.
func Decode(event []byte) *Event {
	if len(event) == 0 || event[0] != '{' || !bytes.Contains(event, []byte(`"requestContext"`)) || !bytes.Contains(event, []byte(`"rawPath"`)) {
		return nil
	}
	var ev Event
	if err := json.Unmarshal(event, &ev); err != nil || ev.Version != "v1" || ev.RequestContext.HTTP == nil {
		return nil
	}
	return &ev
}

// New makes an event of a request whose body has been read. Of a parameter or header that is given several times, the form has
// room for one: the last parameter, and the headers joined by commas.
func New(r *http.Request, body []byte, sourceIP string) *Event {
	ev := &Event{
		Version: "v1", RawPath: r.URL.EscapedPath(), Headers: make(map[string]string, len(r.Header)), QueryParameters: map[string]string{},
		RequestContext: RequestContext{DomainName: r.Host, HTTP: &HTTP{Method: r.Method, Path: r.URL.Path, SourceIP: sourceIP}},
	}
	for k, v := range r.Header {
		ev.Headers[k] = strings.Join(v, ",")
	}
	for k, v := range r.URL.Query() {
		ev.QueryParameters[k] = v[len(v)-1]
	}
	if ev.Body = string(body); !utf8.Valid(body) {
		ev.Body, ev.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return ev
}

// Request makes the request again. Headers of the service itself (X-Fc-…) are left out.
func (ev *Event) Request(ctx context.Context) (*http.Request, error) {
	body, err := decoded(ev.Body, ev.IsBase64Encoded)
	if err != nil {
		return nil, fmt.Errorf("body of HTTP event: %w", err)
	}
	query := make(url.Values, len(ev.QueryParameters))
	for k, v := range ev.QueryParameters {
		query.Set(k, v)
	}
	target := ev.RawPath
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, ev.RequestContext.HTTP.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("HTTP event: %w", err)
	}
	for k, v := range ev.Headers {
		if k = http.CanonicalHeaderKey(k); !strings.HasPrefix(k, "X-Fc-") {
			r.Header.Set(k, v)
		}
	}
	r.Host, r.RequestURI, r.RemoteAddr = ev.RequestContext.DomainName, target, ev.RequestContext.HTTP.SourceIP+":0"
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// Write answers the client with the function's reply.
func (r *Reply) Write(w http.ResponseWriter) error {
	body, err := decoded(r.Body, r.IsBase64Encoded)
	if err != nil {
		return fmt.Errorf("body of HTTP reply: %w", err)
	}
	if r.StatusCode < 200 || r.StatusCode > 599 {
		return fmt.Errorf("status %d in HTTP reply", r.StatusCode)
	}
	for k, v := range r.Headers {
		switch k = http.CanonicalHeaderKey(k); k {
		case "Content-Length", "Connection", "Transfer-Encoding": // of the hop before
		default:
			w.Header().Set(k, v)
		}
	}
	w.WriteHeader(r.StatusCode)
	_, err = w.Write(body)
	return err
}

func decoded(body string, isBase64 bool) ([]byte, error) {
	if !isBase64 {
		return []byte(body), nil
	}
	return base64.StdEncoding.DecodeString(body)
}
