package fcrun

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Credentials are the keys of the function's role, fresh with every invocation. All fields are empty when the function
// has no role. They print as ***.
type Credentials struct {
	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string
}

// String hides the secrets.
func (Credentials) String() string { return "***" }

// GoString hides the secrets.
func (Credentials) GoString() string { return "***" }

// invocation is what the context of a call carries.
type invocation struct {
	requestID   string
	credentials Credentials
}

type invocationKey struct{}

func withInvocation(ctx context.Context, inv *invocation) context.Context {
	return context.WithValue(ctx, invocationKey{}, inv)
}

func fromContext(ctx context.Context) *invocation {
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	return inv
}

// RequestID is the request id of the invocation that ctx belongs to, empty outside of one.
func RequestID(ctx context.Context) string {
	if inv := fromContext(ctx); inv != nil {
		return inv.requestID
	}
	return ""
}

// CredentialsFrom returns the credentials that came with the invocation; ok is false when there were none. The copies in
// the environment date from the start of the instance and expire in a long-lived one.
func CredentialsFrom(ctx context.Context) (c Credentials, ok bool) {
	if inv := fromContext(ctx); inv != nil {
		return inv.credentials, inv.credentials.AccessKeyID != ""
	}
	return c, false
}

// invocationOf reads the common request headers.
func invocationOf(h http.Header) *invocation {
	return &invocation{
		requestID: h.Get("X-Fc-Request-Id"),
		credentials: Credentials{
			AccessKeyID: h.Get("X-Fc-Access-Key-Id"), AccessKeySecret: h.Get("X-Fc-Access-Key-Secret"), SecurityToken: h.Get("X-Fc-Security-Token"),
		},
	}
}

// deadlineOf says when the invocation is to be over: when the service will give it up, and the configured timeout if that is
// earlier. The headers are documented for go1 only; a custom runtime that does not get them has the configured timeout alone.
func deadlineOf(h http.Header, now time.Time, configured time.Duration) (deadline time.Time, ok bool) {
	if ms, err := strconv.ParseInt(h.Get("X-Fc-Function-Deadline"), 10, 64); err == nil {
		deadline, ok = time.UnixMilli(ms), true
	} else if s, err := strconv.Atoi(h.Get("X-Fc-Function-Timeout")); err == nil && s > 0 {
		deadline, ok = now.Add(time.Duration(s)*time.Second), true
	}
	if own := now.Add(configured); configured > 0 && (!ok || own.Before(deadline)) {
		deadline, ok = own, true
	}
	return deadline, ok
}
