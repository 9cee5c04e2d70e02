package fc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/fc-20230330/v4/client"
	"github.com/alibabacloud-go/tea/dara"

	"relink/shared/iot"
)

func (c *Client) newSDK(accessKeyID string, secret, token iot.Secret) (*sdk.Client, error) {
	cfg := &openapi.Config{
		AccessKeyId:     dara.String(accessKeyID),
		AccessKeySecret: dara.String(secret.Reveal()),
		Endpoint:        dara.String(c.host),
		Protocol:        dara.String(c.scheme),
		RegionId:        dara.String(c.cfg.Region),
		MaxIdleConns:    dara.Int(c.cfg.MaxConns),
		UserAgent:       dara.String("relink"),
		HttpClient:      recorder{c.http}, // our transport, and what the SDK's errors forget
	}
	if token != "" {
		cfg.SecurityToken = dara.String(token.Reveal())
	}
	return sdk.NewClient(cfg)
}

// An outcome is what really happened on the wire during one call of the SDK, whose errors lose the status of an answer that is not
// JSON, and the cause of a failed connection.
type outcome struct {
	status    int
	requestID string
	refusal   []byte // the body of an answer of status 400 and above
	err       error  // of the transport
}

type outcomeKey struct{}

// A recorder is the SDK's HTTP client.
type recorder struct{ transport *http.Transport }

// Call sends one request. The transport that the SDK offers is not used: it would be a new one for each request.
func (r recorder) Call(req *http.Request, _ *http.Transport) (*http.Response, error) {
	resp, err := r.transport.RoundTrip(req)
	o, ok := req.Context().Value(outcomeKey{}).(*outcome)
	if !ok {
		return resp, err
	}
	if err != nil {
		o.err = err
		return nil, err
	}
	o.status, o.requestID = resp.StatusCode, resp.Header.Get("X-Fc-Request-Id")
	if o.status >= http.StatusBadRequest {
		o.refusal, o.err = io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(o.refusal))
	}
	return resp, nil
}

// invokeSDK invokes through the official SDK.
func (c *Client) invokeSDK(ctx context.Context, function string, event []byte, async bool) (Result, error) {
	name, err := c.name(function)
	if err != nil {
		return Result{}, err
	}
	kind, limit := "Sync", maxEvent
	if async {
		kind, limit = "Async", maxAsyncEvent
	}
	if len(event) > limit {
		return Result{}, tooLarge(name, len(event), limit)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var seen outcome
	resp, err := c.caller.Load().sdk.InvokeFunctionWithContext(context.WithValue(ctx, outcomeKey{}, &seen), &name,
		&sdk.InvokeFunctionRequest{Body: bytes.NewReader(event)},
		&sdk.InvokeFunctionHeaders{XFcInvocationType: &kind}, // a new one each time: the SDK writes into it
		&dara.RuntimeOptions{})
	if err != nil {
		return Result{RequestID: seen.requestID}, sdkError(ctx, name, &seen, err)
	}
	var raw []byte
	if resp.Body != nil { // the live response: to be read to its end and closed, or the connection leaks
		raw, err = io.ReadAll(io.LimitReader(resp.Body, maxResult+1))
		if closer, ok := resp.Body.(io.Closer); ok {
			closer.Close()
		}
		if err == nil && len(raw) > maxResult {
			err = errors.New("result is over the limit")
		}
		if err != nil {
			return Result{RequestID: seen.requestID}, transportError(ctx, name, seen.requestID, err)
		}
	}
	errorType := dara.StringValue(resp.Headers["x-fc-error-type"]) // header names are lower case here
	return judge(name, int(dara.Int32Value(resp.StatusCode)), errorType, seen.requestID, raw)
}

// sdkError makes an error of what was seen on the wire; what the SDK says about it counts only where nothing was.
func sdkError(ctx context.Context, name string, seen *outcome, err error) error {
	if seen.status >= http.StatusBadRequest && seen.err == nil {
		_, err := judge(name, seen.status, "", seen.requestID, seen.refusal)
		return err
	}
	if seen.err != nil {
		err = seen.err
	}
	return transportError(ctx, name, seen.requestID, err)
}
