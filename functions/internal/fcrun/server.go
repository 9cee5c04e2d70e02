package fcrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"relink/shared/fc/webevent"
	"relink/shared/logs"
)

// maxEvent is the documented limit of a synchronous request body.
const maxEvent = 32 << 20

// server is what both runtimes call.
type server struct {
	config
	handler any          // for Initializer and Closer
	events  Handler      // nil: only HTTP
	web     http.Handler // nil: only events
	log     *slog.Logger
	print   io.Writer // of the invoke lines

	closeOnce sync.Once
	closeErr  error
}

func newServer(c config, handler any, log *slog.Logger, print io.Writer) (*server, error) {
	s := &server{config: c, handler: handler, log: log, print: print}
	s.events, _ = handler.(Handler)
	s.web, _ = handler.(http.Handler)
	if s.events == nil && s.web == nil {
		return nil, fmt.Errorf("setup returned %T: neither a fcrun.Handler nor an http.Handler", handler)
	}
	return s, nil
}

var errNoEvents = errors.New("this function takes HTTP requests only")

// ServeHTTP is the HTTP contract of custom runtimes. x-fc-control-path tells the service's own calls from those of an
// HTTP trigger, whatever their path.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.Header.Get("X-Fc-Control-Path")
	if path == "" {
		path = r.URL.Path
	}
	inv := invocationOf(r.Header)
	ctx := withInvocation(r.Context(), inv)
	if deadline, ok := deadlineOf(r.Header, time.Now(), s.Timeout); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	switch {
	case path == "/invoke" && r.Method == http.MethodPost:
		s.event(ctx, w, r)
	case path == "/initialize" && r.Method == http.MethodPost:
		s.answer(ctx, w, nil, s.guard(ctx, func() error { return s.initialize(ctx) }))
	case path == "/pre-stop" && r.Method == http.MethodGet:
		s.answer(ctx, w, nil, s.guard(ctx, func() error { return s.close(ctx) }))
	default:
		s.request(ctx, w, r)
	}
}

func (s *server) event(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	event, err := readEvent(w, r)
	if err != nil {
		s.answer(ctx, w, nil, fmt.Errorf("read event: %w", err))
		return
	}
	result, err := s.invoke(ctx, event)
	s.answer(ctx, w, wrapQuoted(result), err)
}

// readEvent reads the body into a buffer of its size.
func readEvent(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if n := r.ContentLength; n >= 0 && n <= maxEvent {
		event := make([]byte, n)
		_, err := io.ReadFull(r.Body, event)
		return event, err
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
}

// invoke calls the handler; a panic becomes an error and a log line with its stack.
func (s *server) invoke(ctx context.Context, event []byte) (result []byte, err error) {
	if s.InvokeLog {
		id := RequestID(ctx)
		fmt.Fprintf(s.print, "FC Invoke Start RequestId: %s\n", id)
		defer fmt.Fprintf(s.print, "FC Invoke End RequestId: %s\n", id)
	}
	err = s.guard(ctx, func() error {
		if s.web != nil {
			if ev := webevent.Decode(event); ev != nil {
				var err error
				result, err = s.webEvent(ctx, ev)
				return err
			}
		}
		if s.events == nil {
			return errNoEvents
		}
		var err error
		result, err = s.events.Invoke(ctx, event)
		return err
	})
	return result, err
}

// guard calls f and logs its failure.
func (s *server) guard(ctx context.Context, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
			s.log.LogAttrs(ctx, slog.LevelError, "function panicked", slog.Any(logs.FieldReason, p), slog.String("stack", string(debug.Stack())))
		}
	}()
	if err = f(); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "function failed", logs.Err(err))
	}
	return err
}

type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// functionError is the body of a failed invocation, as the built-in runtimes have it.
type functionError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func failure(err error) functionError {
	var p *panicError
	if errors.As(err, &p) {
		return functionError{err.Error(), "panic"}
	}
	return functionError{err.Error(), strings.TrimPrefix(reflect.TypeOf(err).String(), "*")}
}

// answer writes a result, or an error with x-fc-status 404: the service drops the status of the response and decides
// by that header.
func (s *server) answer(ctx context.Context, w http.ResponseWriter, result []byte, err error) {
	status, h := http.StatusOK, w.Header()
	if err != nil {
		var jsonErr error
		if result, jsonErr = json.Marshal(failure(err)); jsonErr != nil { // strings always marshal
			panic(jsonErr)
		}
		status = http.StatusInternalServerError
		h["X-Fc-Status"] = []string{"404"}
		h["Content-Type"] = []string{"application/json"}
	} else {
		h["X-Fc-Status"] = []string{"200"}
		h["Content-Type"] = []string{"application/octet-stream"}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(result))}
	w.WriteHeader(status)
	if _, err := w.Write(result); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "result not delivered", logs.Err(err))
	}
}

// request hands an HTTP-trigger request to the handler.
func (s *server) request(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if s.web == nil {
		http.Error(w, "this function has no HTTP interface", http.StatusNotFound)
		return
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Fc-") {
			delete(r.Header, name)
		}
	}
	started := &startedWriter{ResponseWriter: w}
	err := s.guard(ctx, func() error { s.web.ServeHTTP(started, r.WithContext(ctx)); return nil })
	if err != nil {
		if started.yes {
			panic(http.ErrAbortHandler) // the caller must not take half a response for a whole one
		}
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// startedWriter knows whether a response has begun.
type startedWriter struct {
	http.ResponseWriter
	yes bool
}

func (w *startedWriter) WriteHeader(status int) {
	w.yes = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *startedWriter) Write(b []byte) (int, error) {
	w.yes = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *startedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *server) initialize(ctx context.Context) error {
	if i, ok := s.handler.(Initializer); ok {
		return i.Initialize(ctx)
	}
	return nil
}

// close releases the handler once.
func (s *server) close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		if c, ok := s.handler.(Closer); ok {
			s.closeErr = c.Close(ctx)
		}
	})
	return s.closeErr
}
