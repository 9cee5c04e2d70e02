package main

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/topic"
)

// maxPayload bounds a published message ("Quotas", MQTT).
const maxPayload = 256 << 10

func (a *api) pub(ctx context.Context, c *openapi.Call) (any, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	payload, err := content(c)
	if err != nil {
		return nil, err
	}
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	name := c.Params.String("TopicFullName")
	if strings.HasPrefix(name, "/broadcast/") {
		p, err := a.cached.Get(ctx, pk)
		if err != nil {
			return nil, err
		}
		id, err := a.broadcast(ctx, c, p.Key, name, payload)
		if err != nil {
			return nil, err
		}
		return messageID{id}, nil
	}
	dev, err := a.pubDevice(ctx, pk, name)
	if err != nil {
		return nil, err
	}
	c.Device = dev
	if _, err := a.devices.Find(ctx, "", dev); err != nil {
		return nil, err
	}
	expiry, err := c.Params.Int64("MessageExpiryInterval", 0)
	if err != nil || expiry < 0 || expiry > 1<<31 {
		return nil, openapi.Invalid("MessageExpiryInterval")
	}
	id := a.ids.message()
	c.MessageID = id
	_, err = publish(ctx, a.commander, &downlink.Publish{
		ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, MessageID: id, Topic: name, Payload: payload, QoS: q, ExpiresAt: expiresAt(a.now(), expiry),
	})
	// Success means accepted, not delivered ("Pub"). With QoS 1, though, the caller expects a message to be kept for a device that is
	// away; if its session is not persistent, nothing is kept, and the caller is told.
	if iot.Is(err, iot.SubscriptionNone) || q == 0 && iot.Is(err, iot.DeviceOffline) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return messageID{id}, nil
}

// expiresAt is the end of a message's life, 0 if none is given.
func expiresAt(now time.Time, seconds int64) int64 {
	if seconds == 0 {
		return 0
	}
	return now.UnixMilli() + seconds*1000
}

// content reads the parameter MessageContent.
func content(c *openapi.Call) ([]byte, error) {
	s := c.Params.String("MessageContent")
	if s == "" {
		return nil, openapi.Refusef("iot.messagebroker.NullMessageContent", "MessageContent is empty")
	}
	payload, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, openapi.Refusef("iot.messagebroker.MessageContentIsNotBase64Encode", "MessageContent is not Base64")
	}
	if len(payload) > maxPayload {
		return nil, openapi.Refusef(openapi.CodePublishFailed, "a message has at most %d bytes", maxPayload)
	}
	return payload, nil
}

// pubDevice is pubTopic with the product from the cache, and with a fresh one if that does not allow the topic.
func (a *api) pubDevice(ctx context.Context, pk iot.ProductKey, name string) (iot.DeviceRef, error) {
	if cached, err := a.cached.Get(ctx, pk); err == nil {
		if dev, err := pubTopic(&cached.Product, name); err == nil {
			return dev, nil
		}
	}
	p, err := a.products.Get(ctx, pk)
	if err != nil {
		return iot.DeviceRef{}, err
	}
	return pubTopic(p, name)
}

// pubTopic finds the device that a topic addresses: /${pk}/${dn}/user/…, in a class of the product that devices may subscribe.
func pubTopic(p *store.Product, name string) (iot.DeviceRef, error) {
	var none iot.DeviceRef
	if name == "" {
		return none, openapi.Refusef("iot.messagebroker.NullTopicName", "TopicFullName is empty")
	}
	if len(name) > topic.MaxLength || strings.Count(name, "/") > topic.MaxSlashes || strings.ContainsAny(name, "+#\x00") || !strings.HasPrefix(name, "/") {
		return none, openapi.Refusef("iot.messagebroker.InvalidFormattedTopicName", "TopicFullName is malformed")
	}
	levels := strings.SplitN(name[1:], "/", 3)
	switch levels[0] {
	case "sys", "shadow", "ota", "ext":
		return none, openapi.Refusef(openapi.CodePublishFailed, "Pub is for custom topics; properties and services have actions of their own")
	}
	if len(levels) < 3 || levels[2] == "" || !iot.ValidDeviceName(levels[1]) {
		return none, openapi.Refusef("iot.messagebroker.InvalidFormattedTopicName", "TopicFullName is not /${ProductKey}/${DeviceName}/user/…")
	}
	if levels[0] != string(p.Key) {
		return none, openapi.Refusef("iot.messagebroker.InvalidFormattedTopicName", "TopicFullName does not begin with the ProductKey")
	}
	for _, class := range p.Topics {
		if class.Subscribe && topic.Match(class.Filter, levels[2]) {
			return iot.DeviceRef{ProductKey: p.Key, DeviceName: iot.DeviceName(levels[1])}, nil
		}
	}
	return none, openapi.Refusef(openapi.CodePublishFailed, "the product has no topic class %s that devices may subscribe", levels[2])
}
