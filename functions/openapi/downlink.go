package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// A commander hands a command to the function `command`, which finds the connector that holds the device; command.Remote is one.
type commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// publish sends one message. Its error has the kind of what became of it; a nil error means that it was written to the
// device's connection and, if the call is synchronous, answered; or that it waits in the queue of a device whose session is persistent.
func publish(ctx context.Context, to commander, p *downlink.Publish) (downlink.Outcome, error) {
	p.At = time.Now().UnixMilli() // its place in the queue of a device that is away; a retry has the same
	o, err := to.Command(ctx, downlink.Command{Publish: p})
	if err != nil {
		return o, err
	}
	switch o.State {
	case downlink.Sent, downlink.Queued:
		return o, nil
	case downlink.Offline:
		return o, iot.Errorf(iot.DeviceOffline, "device offline (9201): nothing was sent, and nothing is kept for later, because its session is not persistent or the message has QoS 0")
	case downlink.QueueFull:
		return o, iot.Wrap(iot.QuotaExceeded, refusal.New(refusal.OfflineQueueFull, ""), "the device is away, and as many messages as may wait for it already")
	case downlink.Unsubscribed:
		if p.WaitMS > 0 { // who waits for a device that does not listen waits in vain; it need not be for the whole time
			return o, iot.Errorf(iot.Timeout, "the device is connected, but has not subscribed %s", p.Topic)
		}
		return o, iot.Errorf(iot.SubscriptionNone, "the device is connected, but has not subscribed %s", p.Topic)
	case downlink.Refused:
		return o, iot.Errorf(iot.NotPermitted, "the device may not receive %s", p.Topic)
	case downlink.Busy:
		return o, iot.Errorf(iot.Throttled, "the device does not take messages as fast as they come")
	case downlink.Limited:
		return o, iot.Errorf(iot.Throttled, "the device is sent more messages a second than it may")
	case downlink.HalfOpen:
		return o, iot.Errorf(iot.DeviceOffline, "the device's connection was dead: it ended while an answer was waited for")
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
