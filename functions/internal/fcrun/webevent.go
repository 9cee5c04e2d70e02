package fcrun

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"relink/shared/fc/webevent"
)

// webEvent serves an HTTP request that came as an event: from an HTTP trigger of a built-in runtime, or from the connector's front
// door to any runtime.
func (s *server) webEvent(ctx context.Context, ev *webevent.Event) (json.RawMessage, error) {
	r, err := ev.Request(ctx)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: make(http.Header)}
	if err := s.guard(ctx, func() error { s.web.ServeHTTP(w, r); return nil }); err != nil {
		return nil, err
	}
	reply := webevent.Reply{StatusCode: w.status, Headers: make(map[string]string, len(w.header)), Body: w.body.String()}
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
	return json.Marshal(reply)
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
