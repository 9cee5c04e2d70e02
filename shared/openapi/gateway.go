package openapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"relink/shared/iot"
)

// A Gateway serves a table of actions on one path. All fields are read-only while it serves.
type Gateway struct {
	Verifier *Verifier
	Actions  Table
	Limits   *Limits // nil: none
	Now      func() time.Time

	// Observe is told of every call once it is decided and before it is answered: a function freezes after its answer, so this
	// is the last moment to write a log line.
	Observe func(ctx context.Context, c *Call)
}

// ServeHTTP answers one call.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), CallTimeout)
	defer cancel()
	c := &Call{RequestID: newRequestID(), At: g.Now(), Remote: remoteAddr(r), Base: Base(r)}
	answer, err := g.call(ctx, c, r)
	resp, err := g.respond(c, r.Host, answer, err)
	c.Err, c.Status, c.Latency = err, resp.status, g.Now().Sub(c.At)
	g.Observe(ctx, c)
	// A client that went away hears nothing; what it asked for is done and logged.
	_ = resp.write(w, c.RequestID, wantsXML(c))
}

// call does everything up to the handler's answer.
func (g *Gateway) call(ctx context.Context, c *Call, r *http.Request) (any, error) {
	req, err := ReadRequest(r)
	if err != nil {
		return nil, err
	}
	c.Params = req.Params()
	c.Action = c.Params.String("Action")
	version := c.Params.String("Version")
	if c.Action == "" {
		c.Action = r.Header.Get("X-Acs-Action")
	}
	if version == "" {
		version = r.Header.Get("X-Acs-Version")
	}
	if c.Caller, err = g.Verifier.Verify(req, c.Params); err != nil {
		return nil, err
	}
	if c.Action == "" {
		return nil, failMissing("Action")
	}
	if version == "" {
		return nil, failMissing("Version")
	}
	if version != Version {
		return nil, failf(http.StatusBadRequest, "InvalidVersion", "Specified parameter Version is not valid; use %s.", Version)
	}
	if f := c.Params.String("Format"); c.Caller.Scheme == "v1" && f != "" && !strings.EqualFold(f, "JSON") && !strings.EqualFold(f, "XML") {
		return nil, failInvalid("Format")
	}
	a := g.Actions[c.Action]
	if a == nil {
		return nil, failNoAction()
	}
	if err := g.Limits.take(c.Caller.KeyID, a, c.At); err != nil {
		return nil, err
	}
	for _, name := range a.Required {
		if !c.Params.hasAny(name) {
			return nil, failMissing(name)
		}
	}
	answer, err := a.run(ctx, c)
	if err != nil {
		return nil, &handlerError{cause: err, shown: a.translate(err)}
	}
	return answer, nil
}

// run contains a panic: it costs one call, not the instance and the other calls in it.
func (a *Action) run(ctx context.Context, c *Call) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return a.Handle(ctx, c)
}

// A handlerError keeps what happened beside what is shown of it.
type handlerError struct{ cause, shown error }

func (e *handlerError) Error() string { return e.cause.Error() }
func (e *handlerError) Unwrap() error { return e.cause }

// respond makes the answer, sets the call's code, and gives back the error for the log.
func (g *Gateway) respond(c *Call, host string, answer any, err error) (*response, error) {
	shown := err
	if h, ok := errors.AsType[*handlerError](err); ok {
		shown = h.shown
	}
	if shown == nil {
		resp, encodeErr := succeed(c, answer)
		if encodeErr == nil {
			c.Code = CodeOK
			return resp, nil
		}
		err = fmt.Errorf("encode the answer: %w", encodeErr)
		shown = &Failure{Status: http.StatusInternalServerError, Code: codeInternalFailure, Message: iot.Internal.String()}
	}
	if r, ok := errors.AsType[*Refusal](shown); ok {
		c.Code = r.Code
		if resp, encodeErr := refuse(c, r); encodeErr == nil {
			return resp, err
		}
	}
	f, ok := errors.AsType[*Failure](shown)
	if !ok {
		f = &Failure{Status: http.StatusInternalServerError, Code: codeInternalFailure, Message: iot.Internal.String()}
	}
	c.Code = f.Code
	resp, encodeErr := fail(c, host, f)
	return resp, errors.Join(err, encodeErr)
}

// wantsXML: signature v1 without Format means XML ("Common parameters", Format); everybody else speaks JSON.
func wantsXML(c *Call) bool {
	f := c.Params.String("Format")
	return strings.EqualFold(f, "XML") || f == "" && c.Caller.Scheme == "v1"
}

// remoteAddr is the client's address for the audit line. In front of a function stands the service's gateway, which appends
// the address it sees to X-Forwarded-For: the last entry is the one that no client can choose.
func remoteAddr(r *http.Request) string {
	if all := r.Header.Values("X-Forwarded-For"); len(all) > 0 {
		last := all[len(all)-1]
		if addr := strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]); net.ParseIP(addr) != nil {
			return addr
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
