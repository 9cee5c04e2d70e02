package main

import (
	"context"
	"slices"
	"sync"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// Bounds of the calls that send one thing to many devices.
const (
	maxMany      = 100
	manyTogether = 16 // commands under way
)

// names reads the device names of such a call, all of which have to exist.
func (a *api) names(ctx context.Context, c *openapi.Call) ([]iot.DeviceRef, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	given := c.Params.Strings("DeviceName")
	switch {
	case len(given) == 0:
		return nil, openapi.Refusef(openapi.CodeNoDeviceNames, "DeviceName is empty")
	case len(given) > maxMany:
		return nil, openapi.Refusef(openapi.CodeTooManyDevices, "there are %d devices, at most %d are taken", len(given), maxMany)
	}
	slices.Sort(given)
	refs := make([]iot.DeviceRef, 0, len(given))
	for _, name := range slices.Compact(given) {
		if !iot.ValidDeviceName(name) {
			return nil, openapi.Refusef(openapi.CodeBadDeviceName, "DeviceName %q is malformed", name)
		}
		refs = append(refs, iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(name)})
	}
	devices, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	for i, d := range devices {
		if d == nil {
			return nil, iot.Errorf(iot.DeviceNotFound, "there is no device %s", refs[i].DeviceName)
		}
	}
	return refs, nil
}

// each sends every device its message. As with the original, which answers before anything was sent, a device that is away is no
// failure of the call; that none could be reached is one. The requests are stored together before any is sent; one that could not be
// stored is not sent.
func (a *api) each(ctx context.Context, refs []iot.DeviceRef, message func(dev iot.DeviceRef, id string) *downlink.Publish) error {
	messages := make([]*downlink.Publish, len(refs))
	for i, ref := range refs {
		messages[i] = message(ref, a.ids.request())
	}
	errs := a.recorder.record(ctx, messages)
	var wg sync.WaitGroup
	slots := make(chan struct{}, manyTogether)
	for i, p := range messages {
		if errs[i] != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, errs[i] = publish(ctx, a.recorder.to, p)
		})
	}
	wg.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return errs[0]
}

func (a *api) setDevicesProperty(ctx context.Context, c *openapi.Call) (any, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	items, err := itemsOf(c)
	if err != nil {
		return nil, err
	}
	refs, err := a.names(ctx, c)
	if err != nil {
		return nil, err
	}
	var params []byte
	err = a.withModel(ctx, refs[0].ProductKey, func(p *store.Product, m *tsl.Model) error {
		params, err = tsl.CheckSet(m, []byte(items), tsl.Mode(p.ValidateType))
		return err
	})
	if err != nil {
		return nil, err
	}
	return nil, a.each(ctx, refs, func(dev iot.DeviceRef, id string) *downlink.Publish {
		return propertySet(dev, id, params, q)
	})
}

// propertySet is the message that sets properties.
func propertySet(dev iot.DeviceRef, id string, params []byte, qos byte) *downlink.Publish {
	return &downlink.Publish{
		ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, MessageID: id, Topic: topic.PropertySetTopic(dev), QoS: qos,
		Payload: alink.AppendRequest(nil, "thing.service.property.set", id, params, alink.VersionService),
	}
}

func (a *api) invokeThingsService(ctx context.Context, c *openapi.Call) (any, error) {
	refs, err := a.names(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := a.serviceCall(ctx, c, refs[0].ProductKey)
	if err != nil {
		return nil, err
	}
	if s.waits {
		return nil, iot.Errorf(iot.InvalidParams, "service %s is synchronous; only one device at a time can be asked", s.identifier)
	}
	return nil, a.each(ctx, refs, s.message)
}
