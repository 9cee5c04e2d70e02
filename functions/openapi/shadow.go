package main

import (
	"context"
	"errors"
	"log/slog"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/openapi"
	"relink/shared/shadow"
)

func (a *api) getDeviceShadow(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	document, err := a.shadows.Get(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	return struct{ ShadowMessage string }{string(document)}, nil // a string, not an object: the SDKs' types want it
}

func (a *api) updateDeviceShadow(ctx context.Context, c *openapi.Call) (any, error) {
	delta, err := c.Params.Bool("DeltaUpdate", false)
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	control, err := a.shadows.Update(ctx, d.Ref, []byte(c.Params.String("ShadowMessage")), delta)
	if e, ok := errors.AsType[*shadow.ProblemError](err); ok {
		return nil, openapi.Refusef("iot.messagebroker."+string(e.Problem), "%s", e.Detail)
	}
	if err != nil {
		return nil, err
	}
	a.tell(ctx, c, &downlink.Publish{ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: a.ids.message(), Topic: shadow.Topic(d.Ref), QoS: 1, Payload: control})
	return nil, nil
}

// tell sends a message that a device can do without, because it asks for the same when it connects: what has been stored does not become
// undone because it could not be told.
func (a *api) tell(ctx context.Context, c *openapi.Call, p *downlink.Publish) {
	c.MessageID = p.MessageID
	_, err := publish(ctx, a.commander, p)
	switch {
	case err == nil, iot.Is(err, iot.DeviceOffline), iot.Is(err, iot.SubscriptionNone):
	default:
		a.log.LogAttrs(ctx, slog.LevelWarn, "device not told of a change", logs.Device(p.Ref()), slog.String(logs.FieldMessageID, p.MessageID),
			slog.String(logs.FieldTopic, p.Topic), logs.Err(err))
	}
}
