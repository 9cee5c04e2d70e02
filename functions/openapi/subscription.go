package main

import (
	"context"
	"errors"

	"relink/shared/openapi"
	"relink/shared/store"
)

// withSubscriptions adds the actions about subscriptions of products ("Server-side subscription").
func withSubscriptions(t openapi.Table, a *api) openapi.Table {
	for _, x := range []*openapi.Action{
		{Name: "CreateSubscribeRelation", Required: []string{"ProductKey"}, Handle: a.createSubscribeRelation},
		{Name: "UpdateSubscribeRelation", Required: []string{"ProductKey", "Type"}, Handle: a.updateSubscribeRelation},
		{Name: "QuerySubscribeRelation", Required: []string{"ProductKey", "Type"}, Handle: a.querySubscribeRelation},
		{Name: "DeleteSubscribeRelation", Required: []string{"ProductKey", "Type"}, Handle: a.deleteSubscribeRelation},
	} {
		if t[x.Name] != nil {
			panic("openapi: repeated action " + x.Name)
		}
		x.Limit, x.Codes = 5, openapi.ProductCodes
		t[x.Name] = x
	}
	return t
}

// subscribeFlags are the flags and where they are kept, in the order of the API.
func subscribeFlags(f *store.SubscriptionFlags) map[string]*bool {
	return map[string]*bool{
		"DeviceDataFlag": &f.DeviceData, "DeviceLifeCycleFlag": &f.DeviceLifecycle, "DeviceStatusChangeFlag": &f.DeviceStatus,
		"DeviceTagFlag": &f.DeviceTags, "DeviceTopoLifeCycleFlag": &f.DeviceTopology, "FoundDeviceListFlag": &f.FoundDevices,
		"OtaEventFlag": &f.OTAEvent, "OtaJobFlag": &f.OTAJob, "OtaVersionFlag": &f.OTAVersion, "ThingHistoryFlag": &f.ThingHistory,
	}
}

func readSubscription(c *openapi.Call) (s store.Subscription, err error) {
	if s.ProductKey, err = productKey(c); err != nil {
		return s, err
	}
	s.Type = c.Params.String("Type")
	s.MNSConfiguration, s.SubscribeFlags = c.Params.String("MnsConfiguration"), c.Params.String("SubscribeFlags")
	for name, flag := range subscribeFlags(&s.Flags) {
		var bad error
		*flag, bad = c.Params.Bool(name, false)
		err = errors.Join(err, bad)
	}
	return s, err
}

func (a *api) createSubscribeRelation(ctx context.Context, c *openapi.Call) (any, error) {
	s, err := readSubscription(c)
	if err != nil {
		return nil, err
	}
	return nil, a.subscribed.Create(ctx, s)
}

func (a *api) updateSubscribeRelation(ctx context.Context, c *openapi.Call) (any, error) {
	s, err := readSubscription(c)
	if err != nil {
		return nil, err
	}
	return nil, a.subscribed.Update(ctx, s)
}

func (a *api) querySubscribeRelation(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	if _, err := a.products.Get(ctx, pk); err != nil {
		return nil, err
	}
	kind := c.Params.String("Type")
	s, err := a.subscribed.Get(ctx, pk, kind)
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = new(store.Subscription)
	}
	answer := map[string]any{"ProductKey": string(pk), "Type": kind, "ConsumerGroupIds": append([]string{}, s.ConsumerGroups...)}
	for name, flag := range subscribeFlags(&s.Flags) {
		answer[name] = *flag
	}
	if s.MNSConfiguration != "" {
		answer["MnsConfiguration"] = s.MNSConfiguration
	}
	if s.SubscribeFlags != "" {
		answer["SubscribeFlags"] = s.SubscribeFlags
	}
	return answer, nil
}

func (a *api) deleteSubscribeRelation(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	return nil, a.subscribed.Delete(ctx, pk, c.Params.String("Type"))
}
