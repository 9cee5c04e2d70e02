package fcrun

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

// webEvent is an HTTP-trigger request as built-in runtimes receive it. Source: Function Compute, "HTTP triggers", version v1.
type webEvent struct {
	Version         string            `json:"version"`
	RawPath         string            `json:"rawPath"`
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  struct {
		DomainName string `json:"domainName"`
		HTTP       *struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

// webReply is what the trigger turns back into a response.
type webReply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// webEventOf decodes an HTTP-trigger event; nil means that it is another event.
func webEventOf(event []byte) *webEvent {
	if len(event) == 0 || event[0] != '{' || !bytes.Contains(event, []byte(`"requestContext"`)) || !bytes.Contains(event, []byte(`"rawPath"`)) {
		return nil
	}
	var ev webEvent
	if err := json.Unmarshal(event, &ev); err != nil || ev.Version != "v1" || ev.RequestContext.HTTP == nil {
		return nil
	}
	return &ev
}

func (s *server) webEvent(ctx context.Context, ev *webEvent) (any, error) {
	r, err := ev.request(ctx)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: make(http.Header)}
	if err := s.guard(ctx, func() error { s.web.ServeHTTP(w, r); return nil }); err != nil {
		return nil, err
	}
	reply := webReply{StatusCode: w.status, Headers: make(map[string]string, len(w.header)), Body: w.body.String()}
	if reply.StatusCode == 0 {
		reply.StatusCode = http.StatusOK
	}
	if w.header.Get("Content-Type") == "" && w.body.Len() > 0 {
		w.header.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
	}
	for k, v := range w.header {
		reply.Headers[k] = strings.Join(v, ",")
	}
	if !utf8.ValidString(reply.Body) {
		reply.Body, reply.IsBase64Encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
	}
	return reply, nil
}

func (ev *webEvent) request(ctx context.Context) (*http.Request, error) {
	body := []byte(ev.Body)
	if ev.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(ev.Body); err != nil {
			return nil, fmt.Errorf("body of HTTP event: %w", err)
		}
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

// recorder is a ResponseWriter in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
