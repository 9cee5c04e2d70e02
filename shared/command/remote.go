package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"relink/shared/downlink"
	"relink/shared/fc"
	"relink/shared/iot"
)

// functionCommand is the function that carries commands out.
const functionCommand = "command"

// An Invoker is what Remote needs of Function Compute; *fc.Client is one.
type Invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// A Remote has commands carried out by the function `command`, for everything that is itself a function. It is safe for concurrent use.
type Remote struct{ FC Invoker }

// Command answers what became of a command. Errors are *iot.Error: Throttled, Timeout, Unavailable, Internal.
func (r Remote) Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error) {
	event, err := json.Marshal(c)
	if err != nil {
		return downlink.Outcome{}, err
	}
	result, err := r.FC.Invoke(ctx, functionCommand, event)
	if err != nil {
		return downlink.Outcome{}, remoteError(err)
	}
	var o downlink.Outcome
	if err := json.Unmarshal(result.Body, &o); err != nil || o.State == "" {
		return downlink.Outcome{}, iot.Wrap(iot.Internal, fmt.Errorf("answer of command (request %s): %w", result.RequestID, errors.Join(err, errors.New("no state"))), "")
	}
	return o, nil
}

// remoteError gives an invocation that failed the kind that the caller can act on.
func remoteError(err error) error {
	var e *fc.Error
	switch {
	case errors.As(err, &e) && e.Throttled():
		return iot.Wrap(iot.Throttled, err, "too many commands")
	case errors.Is(err, context.DeadlineExceeded):
		return iot.Wrap(iot.Timeout, err, "no answer in time")
	case errors.As(err, &e) && e.Retryable():
		return iot.Wrap(iot.Unavailable, err, "the command service does not answer")
	}
	return iot.Wrap(iot.Internal, err, "")
}
