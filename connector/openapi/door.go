// Package openapi is the front door of the OpenAPI: it hands each HTTP request of an application, whole, to the function `openapi`
// and gives back the answer. It looks at nothing in it; the function verifies the signature.
//
// The function has an HTTP trigger of its own, but Function Compute refuses requests to triggers whose path and query exceed 4 KB,
// and the official SDKs put nearly every parameter into the query: a thing model may have 256 KB. An event may have 32 MB.
package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"relink/shared/fc"
	"relink/shared/fc/webevent"
	"relink/shared/logs"
)

// Limits. A request line has the query of an SDK: a document of 256 KB, three bytes for each that is escaped.
const (
	maxBody        = 8 << 20
	maxHeader      = 1 << 20
	maxConnections = 512
	maxCalls       = 128 // under way; what comes meanwhile waits, and is refused after maxWait
	maxWait        = 5 * time.Second
	callTimeout    = 25 * time.Second // longer than the function's own
)

// function serves the OpenAPI.
const function = "openapi"

// An Invoker calls functions.
type Invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// A Door is the handler. Make it with New.
type Door struct {
	invoker Invoker
	log     *slog.Logger
	calls   chan struct{}
}

// New makes a door.
func New(invoker Invoker, log *slog.Logger) *Door {
	return &Door{invoker: invoker, log: log, calls: make(chan struct{}, maxCalls)}
}

// Server makes the HTTP server of a door. Its listener is to be bounded with Limit.
func (d *Door) Server() *http.Server {
	return &http.Server{
		Handler: d, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
}

// Limit bounds the connections that are open at the same time; more wait to be accepted.
func Limit(l net.Listener) net.Listener { return netutil.LimitListener(l, maxConnections) }

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			refuse(w, r, http.StatusRequestEntityTooLarge, "InvalidParameter", fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit))
		}
		return // or the client has gone
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	wait := time.NewTimer(maxWait)
	defer wait.Stop()
	select {
	case d.calls <- struct{}{}:
		defer func() { <-d.calls }()
	case <-wait.C:
		refuse(w, r, http.StatusServiceUnavailable, "ServiceUnavailable", "Too many calls are under way; try again.")
		return
	case <-ctx.Done():
		return
	}
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	r.Header.Add("X-Forwarded-For", source) // the last entry is the one that no client chooses
	event, err := json.Marshal(webevent.New(r, body, source))
	if err != nil {
		d.failed(ctx, w, r, err)
		return
	}
	result, err := d.invoker.Invoke(ctx, function, event)
	if err != nil {
		d.failed(ctx, w, r, err)
		return
	}
	var reply webevent.Reply
	if err := json.Unmarshal(result.Body, &reply); err != nil {
		d.failed(ctx, w, r, fmt.Errorf("answer of function %s: %w", function, err))
		return
	}
	if err := reply.Write(w); err != nil && ctx.Err() == nil {
		d.log.LogAttrs(ctx, slog.LevelWarn, "openapi answer not delivered", logs.Err(err), slog.String(logs.FieldRequestID, result.RequestID))
	}
}

// failed answers what the gateway of the platform answers when it cannot reach what is behind it ("Gateway errors").
func (d *Door) failed(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	d.log.LogAttrs(ctx, slog.LevelError, "openapi call failed", logs.Err(err))
	refuse(w, r, http.StatusServiceUnavailable, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"RequestId": "", "HostId": r.Host, "Code": code, "Message": message}) // the client has gone if this fails
}
