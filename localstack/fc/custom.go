package fc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// A customPort calls the HTTP server of a custom runtime: POST /invoke, /initialize, GET /pre-stop.
// Source: Function Compute, "Custom runtime", common request headers.
type customPort struct {
	inst   *instance
	conns  httpConns
	common []byte // header lines that every request carries
}

func newCustomPort(i *instance) *customPort {
	p := &customPort{inst: i}
	p.conns.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port))
	b := []byte("Host: " + p.conns.addr + "\r\nUser-Agent: fc-emulator\r\nContent-Type: application/octet-stream\r\n")
	for _, h := range i.fn.commonHeaders() {
		b = append(append(append(append(b, h[0]...), ": "...), h[1]...), "\r\n"...)
	}
	p.common = b
	return p
}

// commonHeaders are the x-fc-* request headers that do not depend on the invocation.
func (f *function) commonHeaders() [][2]string {
	o := f.s.opt
	return [][2]string{
		{"x-fc-access-key-id", o.AccessKeyID},
		{"x-fc-access-key-secret", o.AccessKeySecret},
		{"x-fc-security-token", ""},
		{"x-fc-function-name", f.Name},
		{"x-fc-function-handler", f.Handler},
		{"x-fc-function-memory", strconv.Itoa(f.MemoryMB)},
		{"x-fc-region", o.Region},
		{"x-fc-account-id", o.AccountID},
		{"x-fc-qualifier", "LATEST"},
		{"x-fc-version-id", "LATEST"},
	}
}

func (p *customPort) close() { p.conns.close() }

// call sends one request. extra are whole header lines.
func (p *customPort) call(ctx context.Context, deadline time.Time, method, path, requestID, extra string, body []byte) (httpAnswer, error) {
	buf := getBuffer(1 << 10)
	defer putBuffer(buf)
	b := append(append(append(append(*buf, method...), ' '), path...), " HTTP/1.1\r\n"...)
	b = append(b, p.common...)
	b = append(append(b, "x-fc-control-path: "...), path...)
	b = append(append(append(b, "\r\nx-fc-request-id: "...), requestID...), "\r\n"...)
	b = append(b, extra...)
	if method != "GET" {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	*buf = b
	return p.conns.do(ctx, deadline, b, body)
}

// invoke runs one event.
func (p *customPort) invoke(ctx context.Context, inv *invocation, deadline time.Time) (outcome, *apiError) {
	extra := ""
	if inv.retry > 0 {
		extra = "x-fc-retry-count: " + strconv.Itoa(inv.retry) + "\r\n"
	}
	begin := time.Now()
	a, err := p.call(ctx, deadline, "POST", "/invoke", inv.requestID, extra, inv.body)
	out := outcome{duration: time.Since(begin)}
	switch {
	case err == nil:
		out.body, out.pooled = *a.body, a.body
		if a.fcStatus != "" && a.fcStatus != "200" {
			out.errorType = unhandledError
		}
		return out, nil
	case ctx.Err() != nil:
		return out, errClientClosed
	case errors.Is(err, errHead), errors.Is(err, errHeadSize), errors.Is(err, errBodySize):
		return out, errBadResponse(err)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() && !time.Now().Before(deadline) {
		return p.inst.timedOut(out.duration), nil
	}
	if p.inst.exitsSoon() {
		return p.inst.exited(out.duration), nil
	}
	return out, errBadResponse(err)
}

// initialize calls the hook when it is configured.
func (p *customPort) initialize(ctx context.Context, requestID string, timeout time.Duration) error {
	a, err := p.call(ctx, time.Now().Add(timeout), "POST", "/initialize", requestID, "", nil)
	return hookResult(a, err)
}

func (p *customPort) preStop(ctx context.Context, requestID string, timeout time.Duration) error {
	a, err := p.call(ctx, time.Now().Add(timeout), "GET", "/pre-stop", requestID, "", nil)
	return hookResult(a, err)
}

func hookResult(a httpAnswer, err error) error {
	if err != nil {
		return err
	}
	defer putBuffer(a.body)
	if a.status/100 != 2 {
		return fmt.Errorf("status %d: %.1000s", a.status, *a.body)
	}
	return nil
}
