package fcrun

import (
	"context"
	"net/http"
)

// A Handler is a function. Invoke is called concurrently under a custom runtime. The event belongs to the call; the
// result is sent as it is under a custom runtime and in the form of encodeRaw under go1. An error means that nothing was
// decided: it becomes the invocation's error, and an asynchronous event is tried again.
//
// A function must have finished its work when Invoke returns: instances freeze between invocations.
type Handler interface {
	Invoke(ctx context.Context, event []byte) ([]byte, error)
}

// HTTPHandler is implemented by a function with an HTTP trigger, beside Handler or alone. Request headers that begin with X-Fc- are the
// service's and have been removed; see RequestID and CredentialsFrom.
type HTTPHandler = http.Handler

// Initializer may be implemented by a Handler whose function has an initializer hook.
type Initializer interface {
	Initialize(ctx context.Context) error
}

// Closer may be implemented by a Handler that must release something when its instance ends. It is called once, after
// the last invocation, by the preStop hook or SIGTERM.
type Closer interface {
	Close(ctx context.Context) error
}

// HandlerFunc is a Handler that is a function.
type HandlerFunc func(ctx context.Context, event []byte) ([]byte, error)

// Invoke calls f.
func (f HandlerFunc) Invoke(ctx context.Context, event []byte) ([]byte, error) { return f(ctx, event) }
