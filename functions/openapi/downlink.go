package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"relink/shared/downlink"
	"relink/shared/fc"
	"relink/shared/iot"
)

// A commander hands a command to the function `command`, which finds the connector that holds the device.
type commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// An invoker is what fcCommander needs of Function Compute.
type invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// fcCommander is the commander over Function Compute.
type fcCommander struct{ fc invoker }

func (f fcCommander) Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error) {
	event, err := json.Marshal(c)
	if err != nil {
		return downlink.Outcome{}, err
	}
	result, err := f.fc.Invoke(ctx, "command", event)
	if err != nil {
		return downlink.Outcome{}, commandError(err)
	}
	var o downlink.Outcome
	if err := json.Unmarshal(result.Body, &o); err != nil || o.State == "" {
		return downlink.Outcome{}, iot.Wrap(iot.Internal, fmt.Errorf("answer of command (request %s): %w", result.RequestID, errors.Join(err, errors.New("no state"))), "")
	}
	return o, nil
}

// commandError gives an invocation that failed the kind that the caller can act on.
func commandError(err error) error {
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

// publish sends one message. Its error has the kind of what became of it; a nil error means that it was written to the
// device's connection and, if the call is synchronous, answered.
func publish(ctx context.Context, to commander, p *downlink.Publish) (downlink.Outcome, error) {
	o, err := to.Command(ctx, downlink.Command{Publish: p})
	if err != nil {
		return o, err
	}
	switch o.State {
	case downlink.Sent:
		return o, nil
	case downlink.Offline:
		return o, iot.Errorf(iot.DeviceOffline, "device offline (9201): nothing was sent, and nothing is kept for later")
	case downlink.Unsubscribed:
		if p.WaitMS > 0 { // who waits for a device that does not listen waits in vain; it need not be for the whole time
			return o, iot.Errorf(iot.Timeout, "the device is connected, but has not subscribed %s", p.Topic)
		}
		return o, iot.Errorf(iot.SubscriptionNone, "the device is connected, but has not subscribed %s", p.Topic)
	case downlink.Refused:
		return o, iot.Errorf(iot.NotPermitted, "the device may not receive %s", p.Topic)
	case downlink.Busy:
		return o, iot.Errorf(iot.Throttled, "the device does not take messages as fast as they come")
	case downlink.TimedOut:
		return o, iot.Errorf(iot.Timeout, "the device did not answer within %d ms", p.WaitMS)
	}
	return o, iot.Wrap(iot.Internal, fmt.Errorf("the command's state is %q", o.State), "")
}

// dropper ends connections through a commander.
type dropper struct{ to commander }

// dropTries is how often a drop is tried: who disables a device wants it off, and one lost packet should not prevent that.
const dropTries = 3

// Drop ends the device's live connection; that there is none is as good.
func (d dropper) Drop(ctx context.Context, dev iot.DeviceRef, reason string) error {
	command := downlink.Command{Drop: &downlink.Drop{ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, Reason: reason}}
	var failed []string
	for range dropTries {
		o, err := d.to.Command(ctx, command)
		if err == nil && (o.State == downlink.Dropped || o.State == downlink.Offline) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("the command's state is %q", o.State)
		}
		failed = append(failed, err.Error())
		if ctx.Err() != nil {
			break
		}
	}
	return iot.Wrap(iot.Internal, errors.New(strings.Join(failed, "; ")), "the live connection could not be ended; repeat the call")
}
