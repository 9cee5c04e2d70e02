package registry

import (
	"context"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/store"
)

// tellTries is how often a message is handed over that cannot be again by repeating the call.
const tellTries = 3

// HandTo has what happens to devices handed to the rule engine, if somebody wants it. It is called before anything else.
func (r *Registry) HandTo(rules *message.Sender) { r.rules = rules }

// watched reads a device of which somebody may want to hear what happens to it; nil if nobody does.
func (r *Registry) watched(ctx context.Context, dev iot.DeviceRef) (*store.Device, error) {
	if err := r.rules.Refresh(ctx); err != nil {
		return nil, iot.Wrap(iot.Unavailable, err, "")
	}
	if !r.rules.Wants(message.Lifecycle, dev.ProductKey, message.ThingTopic(dev, message.LifecycleTopic)) {
		return nil, nil
	}
	return r.stores.Devices.Get(ctx, dev)
}

// tell hands over what happened to a device. It is tried several times: if it fails for good the caller hears an error, and may repeat
// the call, which tells it again unless it created or deleted the device.
func (r *Registry) tell(ctx context.Context, action message.Action, d *store.Device) error {
	if d == nil {
		return nil
	}
	m := message.NewLifecycle(action, message.Named{Device: d.Ref, IotID: d.IotID}, d.Secret, r.now().UnixMilli())
	var err error
	for range tellTries {
		if err = r.rules.Send(ctx, []message.Message{m}); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
