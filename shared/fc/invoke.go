package fc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Invoke runs a function with the event, at most 32 MB, and waits for its result. A result of a built-in Go runtime arrives as a
// JSON string of base64 and is unwrapped. The error is an *Error. Event is not read any more once Invoke has returned.
func (c *Client) Invoke(ctx context.Context, function string, event []byte) (Result, error) {
	name, err := c.name(function)
	if err != nil {
		return Result{}, err
	}
	if len(event) > maxEvent {
		return Result{}, tooLarge(name, len(event), maxEvent)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()

	// A copy, because the transport may go on reading a request's body after it has returned (an early answer, a cancelled
	// context). And of a type that net/http knows to be in memory, because it sends the header of others in a packet of its own.
	event = bytes.Clone(event)
	body := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(event)), nil }
	path := "/" + apiVersion + "/functions/" + name + "/invocations"
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Scheme: c.scheme, Host: c.host, Path: path},
		Host:          c.host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        signedHeader(c.caller.Load(), c.host, path, event, time.Now()),
		ContentLength: int64(len(event)),
		GetBody:       body, // for when a kept connection turns out to be closed
	}).WithContext(ctx)
	if len(event) == 0 {
		req.Body, req.GetBody = http.NoBody, nil
	} else {
		req.Body, _ = body()
	}
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return Result{}, transportError(ctx, name, "", err)
	}
	return readResponse(ctx, name, resp)
}

// readResponse reads the body to its end, so that the connection is kept, and judges the answer.
func readResponse(ctx context.Context, name string, resp *http.Response) (Result, error) {
	defer resp.Body.Close()
	requestID := resp.Header.Get("X-Fc-Request-Id")
	raw, err := readBody(resp)
	if err != nil {
		return Result{RequestID: requestID}, transportError(ctx, name, requestID, err)
	}
	res, err := judge(name, resp.StatusCode, resp.Header.Get("X-Fc-Error-Type"), requestID, raw)
	return res, err
}

func readBody(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n > maxResult {
		return nil, fmt.Errorf("result of %d bytes is over %d", n, maxResult)
	} else if n >= 0 {
		raw := make([]byte, n)
		if _, err := io.ReadFull(resp.Body, raw); err != nil {
			return nil, err
		}
		_, err := io.Copy(io.Discard, resp.Body) // sees the end
		return raw, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResult+1))
	if err == nil && len(raw) > maxResult {
		err = fmt.Errorf("result is over %d bytes", maxResult)
	}
	return raw, err
}

// judge turns an answer that was read whole into a result or an error. Status 200 alone is no success ("InvokeFunction",
// X-Fc-Error-Type).
func judge(name string, status int, errorType, requestID string, raw []byte) (Result, error) {
	switch {
	case status == http.StatusOK && errorType == "":
		body, err := unwrap(raw)
		if err != nil {
			return Result{RequestID: requestID}, &Error{Status: status, Code: codeMalformedResult, Message: "result is neither bytes nor base64",
				RequestID: requestID, Function: name, Err: err}
		}
		return Result{Body: body, RequestID: requestID}, nil
	case status == http.StatusOK:
		var failure struct{ ErrorMessage, ErrorType string }
		message := cut(raw)
		if json.Unmarshal(raw, &failure) == nil && failure.ErrorMessage != "" {
			message = cut([]byte(failure.ErrorMessage))
			if failure.ErrorType != "" {
				message += " (" + failure.ErrorType + ")"
			}
		}
		return Result{RequestID: requestID}, &Error{Status: status, Code: errorType, Message: message, RequestID: requestID, Function: name}
	case status == http.StatusAccepted:
		return Result{RequestID: requestID}, nil
	}
	e := &Error{Status: status, Message: cut(raw), RequestID: requestID, Function: name}
	// Both spellings: "Code" by the service, "code" by the gateway before it. encoding/json takes either.
	var refusal struct{ Code, Message, RequestID string }
	if json.Unmarshal(raw, &refusal) == nil && refusal.Code != "" {
		e.Code, e.Message = refusal.Code, cut([]byte(refusal.Message))
		if e.RequestID == "" {
			e.RequestID = refusal.RequestID
		}
	}
	return Result{RequestID: e.RequestID}, e
}

// cut bounds a text that goes into a log.
func cut(text []byte) string { return string(text[:min(len(text), 2048)]) }

func transportError(ctx context.Context, name, requestID string, err error) *Error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return &Error{RequestID: requestID, Function: name, Err: err}
}

func tooLarge(name string, size, limit int) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "EntityTooLarge", Function: name,
		Message: fmt.Sprintf("event of %d bytes is over the %d that an invocation of this kind may carry", size, limit)}
}
