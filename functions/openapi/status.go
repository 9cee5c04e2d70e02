package main

import (
	"context"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
)

type status struct {
	Status    device.Status
	Timestamp int64
}

func (a *api) getDeviceStatus(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := a.devices.State(ctx, d)
	if err != nil {
		return nil, err
	}
	return dataAnswer[status]{status{s.Status, s.Since}}, nil
}

type deviceState struct {
	status
	DeviceID       iot.IotID `json:"DeviceId"`
	DeviceName     iot.DeviceName
	IotID          iot.IotID `json:"IotId"`
	AsAddress      string    `json:",omitempty"`
	LastOnlineTime string    `json:",omitempty"`
}

type stateList struct {
	DeviceStatusList struct{ DeviceStatus []deviceState }
}

// maxStates is how many devices BatchGetDeviceState takes.
const maxStates = 50

func (a *api) batchGetDeviceState(ctx context.Context, c *openapi.Call) (any, error) {
	devices, err := a.askedFor(ctx, c)
	if err != nil {
		return nil, err
	}
	states, err := a.devices.States(ctx, devices)
	if err != nil {
		return nil, err
	}
	var answer stateList
	answer.DeviceStatusList.DeviceStatus = list(len(devices), func(i int) deviceState {
		d, s := devices[i], states[i]
		t := deviceState{status: status{s.Status, s.Since}, DeviceID: d.IotID, DeviceName: d.Ref.DeviceName, IotID: d.IotID}
		if s.Session != nil {
			t.LastOnlineTime, t.AsAddress = local(s.Session.LastActive()), s.Session.LastAddr()
		}
		return t
	})
	return answer, nil
}

// askedFor gets the devices of the list IotId, or else of DeviceName with ProductKey; unknown ones are left out.
func (a *api) askedFor(ctx context.Context, c *openapi.Call) ([]*store.Device, error) {
	iotIDs := c.Params.Strings("IotId")
	if len(iotIDs) == 0 {
		if len(c.Params.Strings("DeviceName")) == 0 {
			return nil, openapi.Refusef(openapi.CodeNoDeviceNames, "neither IotId nor DeviceName has an element")
		}
		p, err := a.product(ctx, c)
		if err != nil {
			return nil, err
		}
		return a.named(ctx, c, p.Key, maxStates)
	}
	if len(iotIDs) > maxStates {
		return nil, openapi.Refusef(openapi.CodeTooManyDevices, "at most %d devices can be asked for at once", maxStates)
	}
	refs := make([]iot.DeviceRef, 0, len(iotIDs))
	for _, id := range iotIDs {
		ref, err := a.rows.Resolve(ctx, iot.IotID(id))
		if iot.Is(err, iot.DeviceNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return a.existing(ctx, refs)
}
