// Package messagetest is a rule engine for tests of sources: it wants what it is told to want, and keeps what it is given.
package messagetest

import (
	"bytes"
	"context"
	"sync"

	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/message"
)

// An Engine wants messages and takes them. Set its members before it is used.
type Engine struct {
	Product iot.ProductKey // that something is wanted of; all products if empty
	Only    []message.Kind // that are wanted; all if empty
	Unknown error          // if set, it is not known what is wanted
	mu      sync.Mutex
	fails   []error
	list    []message.Message
}

// Sender is one whose messages the engine takes.
func (e *Engine) Sender() *message.Sender { return message.NewSender(e, e, "test", nil) }

// Fail has the next calls fail.
func (e *Engine) Fail(errs ...error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails = errs
}

// Take answers what was taken since the last time.
func (e *Engine) Take() []message.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

// Refresh fails if Unknown is set.
func (e *Engine) Refresh(context.Context) error { return e.Unknown }

// Any is true for Product.
func (e *Engine) Any(pk iot.ProductKey) bool { return e.Product == "" || e.Product == pk }

// Wants is true for Product and Only.
func (e *Engine) Wants(kind message.Kind, pk iot.ProductKey, _ string) bool {
	return e.Any(pk) && (len(e.Only) == 0 || bytes.IndexByte(kindsOf(e.Only), byte(kind)) >= 0)
}

func kindsOf(kinds []message.Kind) []byte {
	list := make([]byte, len(kinds))
	for i, k := range kinds {
		list[i] = byte(k)
	}
	return list
}

// InvokeAsync takes a batch.
func (e *Engine) InvokeAsync(_ context.Context, _ string, event []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.fails) > 0 {
		err := e.fails[0]
		e.fails = e.fails[1:]
		if err != nil {
			return err
		}
	}
	b, err := message.DecodeBatch(bytes.Clone(event))
	if err != nil {
		return err
	}
	e.list = append(e.list, b.List...)
	return nil
}

// Invoke takes a batch.
func (e *Engine) Invoke(ctx context.Context, function string, event []byte) (fc.Result, error) {
	return fc.Result{}, e.InvokeAsync(ctx, function, event)
}
