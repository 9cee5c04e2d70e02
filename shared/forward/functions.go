package forward

import (
	"context"
	"errors"
	"strings"

	"relink/shared/fc"
)

// An Invoker runs functions by their full names; *fc.Client without a prefix is one.
type Invoker interface {
	InvokeAsync(ctx context.Context, function string, event []byte) error
}

// Functions is the destination FC: functions of the account. Those of the platform are none of them: rules could call themselves.
type Functions struct {
	FC  Invoker
	Own string // prefix of the platform's own functions
}

// maxEvent is what an asynchronous invocation takes (Function Compute, "Limits").
const maxEvent = 128 << 10

// Deliver invokes the function for each item.
func (f Functions) Deliver(ctx context.Context, items []*Item) []error {
	errs := make([]error, len(items))
	each(ctx, len(items), messagesTogether, errs, func(n int) error { return f.deliver(ctx, items[n]) })
	return errs
}

func (f Functions) deliver(ctx context.Context, i *Item) error {
	name := i.Target.Resource
	if f.Own != "" && strings.HasPrefix(name, f.Own) {
		return refused("function %s is the platform's own", name)
	}
	if len(i.Body) > maxEvent {
		return refused("the body has %d bytes, an event at most %d", len(i.Body), maxEvent)
	}
	err := f.FC.InvokeAsync(ctx, name, i.Body)
	var e *fc.Error
	if errors.As(err, &e) && !e.Retryable() && !e.Throttled() && e.Status >= 400 && e.Status < 500 {
		return refused("%v", err)
	}
	return err
}
