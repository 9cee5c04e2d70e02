package registry

import (
	"context"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/store"
)

// A State is what a device's connection does.
type State struct {
	Status  device.Status
	Since   int64          // of the last change of Status, Unix milliseconds
	Session *store.Session // nil if the device never connected
}

// stateOf adds to store.StatusOf when the platform itself changed the state: a device that is disabled since its last update,
// and one that never connected since it was registered.
func stateOf(d *store.Device, s *store.Session, node *store.Node, now int64) State {
	status, since := store.StatusOf(d.Disabled, s, node, now)
	switch status {
	case device.StatusDisabled:
		since = d.UpdatedAt
	case device.StatusUnactive:
		since = d.CreatedAt
	}
	return State{status, since, s}
}

// States tells the states of several devices, in their order, with one read of sessions and one of each node.
func (r *Registry) States(ctx context.Context, devices []*store.Device) ([]State, error) {
	refs := make([]iot.DeviceRef, len(devices))
	for i, d := range devices {
		refs[i] = d.Ref
	}
	if len(refs) == 0 {
		return nil, nil
	}
	sessions, err := r.stores.Sessions.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]*store.Node)
	now := r.now().UnixMilli()
	states := make([]State, len(devices))
	for i, d := range devices {
		var node *store.Node
		if s := sessions[i]; s != nil && s.Node != "" {
			known, ok := nodes[s.Node]
			if !ok {
				if known, err = r.stores.Nodes.Get(ctx, s.Node); err != nil {
					return nil, err
				}
				nodes[s.Node] = known
			}
			node = known
		}
		states[i] = stateOf(d, sessions[i], node, now)
	}
	return states, nil
}

// State is States of one device.
func (r *Registry) State(ctx context.Context, d *store.Device) (State, error) {
	states, err := r.States(ctx, []*store.Device{d})
	if err != nil {
		return State{}, err
	}
	return states[0], nil
}
