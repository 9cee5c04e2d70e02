package main

import (
	"context"
	"encoding/json"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/openapi"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// relinkRequestDeviceProperty asks a device for properties as they are now ("Property get"): the vendor's API reads what was posted,
// and so do its queries here. The device answers when it will, and the answer is found with QueryDeviceServiceData, Identifier get.
func (a *api) relinkRequestDeviceProperty(ctx context.Context, c *openapi.Call) (any, error) {
	identifiers := c.Params.Strings("Identifier")
	if len(identifiers) == 0 || len(identifiers) > tsl.MaxProperties {
		return nil, openapi.Invalid("Identifier")
	}
	d, err := a.thing(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := a.haveProperties(ctx, d.Ref.ProductKey, identifiers...); err != nil {
		return nil, err
	}
	params, err := json.Marshal(identifiers)
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	_, err = publish(ctx, a.commander, &downlink.Publish{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: id, Topic: topic.PropertyGetTopic(d.Ref),
		Payload: alink.AppendRequest(nil, "thing.service.property.get", id, params, alink.VersionService),
	})
	if err != nil {
		return nil, err
	}
	return dataAnswer[messageID]{messageID{id}}, nil
}
