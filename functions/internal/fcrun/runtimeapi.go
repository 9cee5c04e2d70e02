package fcrun

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"

	"relink/shared/logs"
)

// poll runs the handler under the Runtime API until ctx ends. The SDK's loop cannot be stopped, so it is left to end
// with the process.
func (s *server) poll(ctx context.Context) error {
	// The SDK uses the default transport, which keeps two connections per host.
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.MaxIdleConnsPerHost = 256
	}
	fc.RegisterInitializerFunction(func(ctx context.Context) {
		ctx = sdkContext(ctx)
		if err := s.guard(ctx, func() error { return s.initialize(ctx) }); err != nil {
			panic(err) // the SDK has no other way to report a failed hook
		}
	})
	fc.RegisterPreStopFunction(func(ctx context.Context) {
		ctx = sdkContext(ctx)
		if err := s.guard(ctx, func() error { return s.close(ctx) }); err != nil {
			panic(err)
		}
	})
	if !s.InvokeLog {
		// The SDK prints two lines per invocation, which cost more than the invocation once they are stored.
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		os.Stdout = null
	}
	var active sync.RWMutex // held for reading by calls; the last writer is the end of the process
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fc.Start(func(ctx context.Context, event []byte) (any, error) {
			active.RLock()
			defer active.RUnlock()
			return s.builtin(sdkContext(ctx), event)
		})
	}()
	select {
	case <-ended:
		return fmt.Errorf("the Runtime API at %s ended", s.RuntimeAPI)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), s.Drain)
	defer cancel()
	idle := make(chan struct{})
	go func() {
		active.Lock() // for good: an event that still comes would be cut off
		close(idle)
	}()
	select {
	case <-idle:
	case <-drain.Done():
		s.log.Warn("calls cut off", logs.Err(drain.Err()))
	}
	return s.close(drain)
}

// sdkContext adds what fccontext carries in the form of this package. The SDK has set the deadline.
func sdkContext(ctx context.Context) context.Context {
	fctx, ok := fccontext.FromContext(ctx)
	if !ok {
		return ctx
	}
	c := fctx.Credentials
	return withInvocation(ctx, &invocation{requestID: fctx.RequestID,
		credentials: Credentials{c.AccessKeyId, c.AccessKeySecret, c.SecurityToken}})
}

// builtin runs one event of go1: an invocation, or an HTTP-trigger request in its JSON form.
func (s *server) builtin(ctx context.Context, event []byte) (any, error) {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	result, err := s.invoke(ctx, event)
	if err != nil {
		return nil, err
	}
	return encodeRaw(result), nil
}
