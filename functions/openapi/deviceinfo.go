package main

import (
	"context"
	"time"

	"relink/shared/alink"
	"relink/shared/deviceinfo"
	"relink/shared/downlink"
	"relink/shared/openapi"
)

// The actions of this file are ours: the vendor shows these things in its console only.

// relinkSetDeviceLogSwitch says whether a device uploads its log, and tells the device if it is connected.
func (a *api) relinkSetDeviceLogSwitch(ctx context.Context, c *openapi.Call) (any, error) {
	on, err := c.Params.Bool("Enabled", false)
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	changed, err := a.infos.SetLogUpload(ctx, d.Ref, on)
	if err != nil || !changed {
		return nil, err
	}
	id := a.ids.request()
	a.tell(ctx, c, &downlink.Publish{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: id, Topic: "/sys/" + d.Ref.String() + "/thing/config/log/push",
		Payload: alink.AppendRequest(nil, "thing.config.log.push", id, deviceinfo.LogConfig(on), alink.Version),
	})
	return nil, nil
}

type fact struct{ Name, Value string }

// relinkQueryDeviceFacts tells what a device's SDK has said of itself, and whether its log is wanted.
func (a *api) relinkQueryDeviceFacts(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	info, err := a.infos.Info(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	var answer dataAnswer[struct {
		Facts     []fact
		LogUpload bool
		Client    string // what the client id of the last login said
	}]
	if s, err := a.devices.State(ctx, d); err != nil {
		return nil, err
	} else if s.Session != nil {
		answer.Data.Client = s.Session.Client
	}
	answer.Data.LogUpload = info.LogUpload
	answer.Data.Facts = list(len(info.Facts), func(i int) fact { return fact{info.Facts[i].Key, info.Facts[i].Value} })
	return answer, nil
}

type networkStatus struct {
	Time   int64
	Model  string
	Status string // JSON, as the device posted it
}

type networkStatuses struct {
	List      []networkStatus
	NextTime  int64 `json:",omitempty"` // the EndTime of the next page
	NextValid bool
}

// networkKept is how long the measurements are kept.
const networkKept = 30 * 24 * time.Hour

// relinkQueryDeviceNetworkStatus tells what a device measured of its network, newest first; the newest of all with PageSize 1.
func (a *api) relinkQueryDeviceNetworkStatus(ctx context.Context, c *openapi.Call) (any, error) {
	size, err := c.Params.Int("PageSize", 10)
	if err != nil {
		return nil, err
	}
	if size < 1 || size > 100 {
		return nil, openapi.Refusef(openapi.CodePage, "PageSize is 1 to 100")
	}
	now := a.now()
	from, err := c.Params.Int64("StartTime", now.Add(-networkKept).UnixMilli())
	if err != nil {
		return nil, err
	}
	to, err := c.Params.Int64("EndTime", now.Add(24*time.Hour).UnixMilli()) // devices' clocks may be ahead
	if err != nil {
		return nil, err
	}
	if from > to {
		return nil, openapi.Refusef("iot.device.InvalidTimeBucket", "StartTime must be before EndTime")
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	found, next, err := a.infos.Network(ctx, d.Ref, from, to, size)
	if err != nil {
		return nil, err
	}
	return dataAnswer[networkStatuses]{networkStatuses{
		List:     list(len(found), func(i int) networkStatus { return networkStatus{found[i].Time, found[i].Model, string(found[i].JSON)} }),
		NextTime: next, NextValid: next != 0,
	}}, nil
}
