package main

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/topic"
)

// withMessages adds the actions that send what the thing model knows nothing of, and those on topic categories.
func withMessages(t openapi.Table, a *api) openapi.Table {
	failed := func(action string) map[iot.Kind]string {
		return map[iot.Kind]string{iot.Internal: "iot.messagebroker." + action, iot.Conflict: "iot.messagebroker." + action}
	}
	codes := openapi.MessageCodes
	for _, action := range []*openapi.Action{
		{Name: "CreateProductTopic", Required: []string{"Operation", "ProductKey", "TopicShortName"}, Limit: 1, Codes: codes, Handle: a.createProductTopic,
			Special: failed("CreateTopicTemplateFailed")},
		{Name: "UpdateProductTopic", Required: []string{"Operation", "TopicId", "TopicShortName"}, Limit: 50, Codes: codes, Handle: a.updateProductTopic,
			Special: failed("UpdateTopicTemplateFailed")},
		{Name: "QueryProductTopic", Required: []string{"ProductKey"}, Limit: 3, Codes: codes, Handle: a.queryProductTopic,
			Special: failed("QueryProductTopicListActionError")},
		{Name: "DeleteProductTopic", Required: []string{"TopicId"}, Limit: 50, Codes: codes, Handle: a.deleteProductTopic,
			Special: failed("DeleteTopicTemplateFailed")},
		{Name: "BatchPub", Required: []string{"MessageContent", "ProductKey"}, Limit: 50, Codes: codes, Handle: a.batchPub},
		{Name: "PubBroadcast", Required: []string{"MessageContent", "ProductKey"}, Limit: 1, Codes: codes, Handle: a.pubBroadcast},
		{Name: "RRpc", Required: []string{"DeviceName", "ProductKey", "RequestBase64Byte", "Timeout"}, Limit: 1000, Codes: codes, Handle: a.rrpc},
		{Name: "RelinkNotifyBootstrap", Limit: 50, Codes: openapi.DeviceCodes, Handle: a.notifyBootstrap},
	} {
		if t[action.Name] != nil {
			panic("openapi: repeated action " + action.Name)
		}
		t[action.Name] = action
	}
	return t
}

type rrpcAnswer struct {
	MessageID         int64  `json:"MessageId"`
	PayloadBase64Byte string `json:",omitempty"`
	RrpcCode          string // SUCCESS, TIMEOUT, OFFLINE, HALFCONN, UNKNOWN
}

const (
	codeRRPC        = "iot.messagebroker."
	codeRRPCTimeout = "iot.messagebroker.InvalidTimeoutValue"
	codeRRPCFailed  = "iot.messagebroker.RrpcFailed"
	minRRPC         = 1000 // milliseconds
)

// rrpc calls a device and waits for its answer. A call is sent at most once, so that every failure is an answer and none invites a retry.
func (a *api) rrpc(ctx context.Context, c *openapi.Call) (any, error) {
	wait, err := c.Params.Int("Timeout", 0)
	if err != nil || wait < minRRPC || wait > downlink.MaxWait {
		return nil, openapi.Refusef(codeRRPCTimeout, "Timeout is %d to %d ms", minRRPC, downlink.MaxWait)
	}
	payload, err := base64.StdEncoding.DecodeString(c.Params.String("RequestBase64Byte"))
	if err != nil {
		return nil, openapi.Refusef(codeRRPCFailed, "RequestBase64Byte is not Base64")
	}
	if len(payload) > maxPayload {
		return nil, openapi.Refusef(codeRRPCFailed, "a message has at most %d bytes", maxPayload)
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	id := a.ids.message()
	c.MessageID = id
	p := &downlink.Publish{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: id, Payload: payload, WaitMS: wait,
		Topic: topic.RRPCRequestTopic(d.Ref, id), ReplyTopic: topic.RRPCResponseTopic(d.Ref, id),
	}
	if name := c.Params.String("Topic"); name != "" {
		if !customName(name) {
			return nil, openapi.Refusef(codeTopicName, "Topic begins with a slash and is a topic of at most %d bytes without wildcards", topic.MaxLength)
		}
		p.Topic = topic.ExtRRPCTopic(id, name)
		p.ReplyTopic = p.Topic
	}
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, err
	}
	o, err := a.commander.Command(ctx, downlink.Command{Publish: p})
	code, why := rrpcCode(o.State, err)
	if code == "SUCCESS" {
		return rrpcAnswer{number, base64.StdEncoding.EncodeToString(o.Reply), code}, nil
	}
	refused := &openapi.Refusal{Code: codeRRPC + code, Message: why, Data: rrpcAnswer{MessageID: number, RrpcCode: code}}
	if o.State == downlink.Busy || o.State == downlink.Limited || iot.Is(err, iot.Throttled) {
		refused.Code = openapi.CodeRateLimit
	}
	return nil, refused
}

// rrpcCode is what became of a call, for the caller's program and for people.
func rrpcCode(state downlink.State, err error) (code, why string) {
	switch {
	case err != nil:
		return "UNKNOWN", "it is not known whether the device was called: " + iot.KindOf(err).String()
	case state == downlink.Sent:
		return "SUCCESS", ""
	case state == downlink.TimedOut:
		return "TIMEOUT", "the device did not answer in time"
	case state == downlink.Unsubscribed: // who waits for a device that does not listen waits in vain
		return "TIMEOUT", "the device is connected, but has unsubscribed the topic"
	case state == downlink.Offline:
		return "OFFLINE", "the device is not connected"
	case state == downlink.HalfOpen:
		return "HALFCONN", "the device's connection was dead: it ended while the answer was waited for"
	case state == downlink.Refused:
		return "UNKNOWN", "the device cannot be called on this topic: it connected without ext=1, or takes no messages of this size"
	case state == downlink.Busy || state == downlink.Limited:
		return "UNKNOWN", "the device does not take messages as fast as they come"
	}
	return "UNKNOWN", "the call ended in the state " + string(state)
}

// customName tells whether an application's topic can be part of a topic.
func customName(name string) bool {
	return len(name) > 1 && len(name) <= topic.MaxLength && name[0] == '/' && !strings.ContainsAny(name, "+#\x00") && !strings.HasPrefix(name, "/ext/rrpc/")
}

// batchPub sends one message to many devices. As with Pub, success means accepted.
func (a *api) batchPub(ctx context.Context, c *openapi.Call) (any, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	payload, err := content(c)
	if err != nil {
		return nil, err
	}
	names := c.Params.Strings("DeviceName")
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		return nil, openapi.Refusef(openapi.CodeBadDeviceName, "a DeviceName is given twice")
	}
	refs, err := a.names(ctx, c)
	if err != nil {
		return nil, err
	}
	short := c.Params.String("TopicShortName")
	if c.Params.String("TopicTemplateName") != "" {
		return nil, openapi.Refusef(openapi.CodeNotSupported, "TopicTemplateName is for products of MQTT gateways; use TopicShortName")
	}
	if short == "" {
		return nil, openapi.Refusef(codeTopicNull, "TopicShortName is empty")
	}
	for _, ref := range refs { // the topics differ in length
		if _, err := a.pubDevice(ctx, ref.ProductKey, topic.CustomTopic(ref, "user/"+short)); err != nil {
			return nil, err
		}
	}
	err = a.each(ctx, refs, func(dev iot.DeviceRef, _ string) *downlink.Publish {
		return &downlink.Publish{ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, MessageID: a.ids.message(), QoS: q, Payload: payload,
			Topic: topic.CustomTopic(dev, "user/"+short)}
	})
	if iot.Is(err, iot.SubscriptionNone) || q == 0 && iot.Is(err, iot.DeviceOffline) {
		err = nil
	}
	return nil, err
}

type broadcastAnswer struct {
	MessageID int64 `json:"MessageId"`
}

func (a *api) pubBroadcast(ctx context.Context, c *openapi.Call) (any, error) {
	payload, err := content(c)
	if err != nil {
		return nil, err
	}
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	name := c.Params.String("TopicFullName")
	if name == "" && !a.broadcasts.allow(p.Key, a.now()) {
		return nil, openapi.Refusef(openapi.CodeRateLimit, "a message for all devices of a product is sent once a minute")
	}
	id, err := a.broadcast(ctx, c, p.Key, name, payload)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseInt(id, 10, 64)
	return broadcastAnswer{number}, err
}

// broadcast sends a message to the devices of a product, those that have subscribed the topic or, without one, all.
func (a *api) broadcast(ctx context.Context, c *openapi.Call, pk iot.ProductKey, name string, payload []byte) (id string, err error) {
	prefix := "/broadcast/" + string(pk) + "/"
	if name != "" && (!customName(name) || !strings.HasPrefix(name, prefix) || name == prefix) {
		return "", openapi.Refusef(codeTopicName, "TopicFullName is %s… without wildcards", prefix)
	}
	if len(payload) > downlink.MaxBroadcast {
		return "", openapi.Refusef(openapi.CodePublishFailed, "a broadcast has at most %d bytes", downlink.MaxBroadcast)
	}
	id = a.ids.message()
	c.MessageID = id
	o, err := a.commander.Command(ctx, downlink.Command{Broadcast: &downlink.Broadcast{ProductKey: pk, MessageID: id, Topic: name, Payload: payload}})
	switch {
	case err != nil: // no failure that SDKs repeat by themselves: devices may have it
		return "", openapi.Refusef(openapi.CodePublishFailed, "it is not known which devices were reached: %s", iot.KindOf(err))
	case o.Missed > 0:
		return "", openapi.Refusef(openapi.CodePublishFailed, "%d devices were reached; %d connectors did not answer", o.Count, o.Missed)
	}
	return id, nil
}

// notifyBootstrap tells a device to ask for its endpoint again ("Device distribution").
func (a *api) notifyBootstrap(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	_, err = publish(ctx, a.commander, &downlink.Publish{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: id, Topic: topic.BootstrapNotifyTopic(d.Ref),
		Payload: alink.AppendRequest(nil, "thing.bootstrap.notify", id, []byte(`{"cmd":0}`), "1.0"),
	})
	if err != nil {
		return nil, err
	}
	return messageID{id}, nil
}
