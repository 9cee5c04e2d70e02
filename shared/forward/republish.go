package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/rulesql"
)

// A Commander brings messages to devices; command.Remote is one.
type Commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// Devices is the destination REPUBLISH: other devices. What it sends goes straight to the connector that holds the device, and so runs no
// rule again.
type Devices struct{ Commands Commander }

// messagesTogether bounds the messages that one call has on the way at a time.
const messagesTogether = 32

// Deliver sends each item to its device. A message of QoS 1 waits for a device that is away, as one that an application publishes does;
// for one that nobody waits for, because the device is away or has not subscribed, having been sent is having arrived.
func (d Devices) Deliver(ctx context.Context, items []*Item) []error {
	errs := make([]error, len(items))
	each(ctx, len(items), messagesTogether, errs, func(n int) error { return d.deliver(ctx, items[n]) })
	return errs
}

func (d Devices) deliver(ctx context.Context, i *Item) error {
	p, err := publishOf(i)
	if err != nil {
		return err
	}
	o, err := d.Commands.Command(ctx, downlink.Command{Publish: p})
	if err != nil {
		return err
	}
	switch o.State {
	case downlink.Sent, downlink.Queued, downlink.Offline, downlink.Unsubscribed:
		return nil
	case downlink.Refused:
		return refused("the device may not receive topic %s", p.Topic)
	}
	return &Error{Reason: "the device's connector answers " + string(o.State)}
}

// publishOf makes the message to the device. Its id is always the same for an action and a message.
func publishOf(i *Item) (*downlink.Publish, error) {
	topic := i.Target.Resource
	levels := strings.Split(topic, "/")
	p := &downlink.Publish{MessageID: message.IDOf("republish", i.Owner, strconv.FormatInt(i.Action, 10), i.Message.ID), Topic: topic, QoS: min(i.Message.QoS, 1), At: i.Message.At,
		Payload: i.Body}
	if strings.ContainsAny(topic, "+#\x00") || len(topic) > maxTopic {
		return nil, refused("%q is no topic to publish to", topic)
	}
	if i.Target.TopicType == rulesql.ThingTopic {
		method, ok := thingMethod(levels)
		if !ok {
			return nil, refused("%q is no topic of a property set or a service", topic)
		}
		p.ProductKey, p.DeviceName = iot.ProductKey(levels[2]), iot.DeviceName(levels[3])
		p.Payload = request(p.MessageID, method, i.Body)
	} else {
		if len(levels) < 5 || levels[0] != "" || levels[3] != "user" || strings.HasSuffix(topic, "/") {
			return nil, refused("%q is no custom topic", topic)
		}
		p.ProductKey, p.DeviceName = iot.ProductKey(levels[1]), iot.DeviceName(levels[2])
	}
	if !iot.ValidProductKey(string(p.ProductKey)) || !iot.ValidDeviceName(string(p.DeviceName)) {
		return nil, refused("topic %q names no device", topic)
	}
	return p, nil
}

const maxTopic = 1024

// thingMethod is the Alink method of /sys/{pk}/{dn}/thing/service/property/set and …/thing/service/{id}.
func thingMethod(levels []string) (string, bool) {
	if len(levels) < 7 || levels[0] != "" || levels[1] != "sys" || levels[4] != "thing" || levels[5] != "service" {
		return "", false
	}
	switch {
	case len(levels) == 8 && levels[6] == "property" && levels[7] == "set":
		return "thing.service.property.set", true
	case len(levels) == 7 && levels[6] != "":
		return "thing.service." + levels[6], true
	}
	return "", false
}

// request is the Alink request: a body that has a method and parameters is one already.
func request(id, method string, body []byte) []byte {
	var r struct {
		Method *json.RawMessage `json:"method"`
		Params *json.RawMessage `json:"params"`
	}
	if json.Unmarshal(body, &r) == nil && r.Method != nil && r.Params != nil {
		return body
	}
	dst := append([]byte(nil), `{"method":`...)
	dst = alink.AppendString(dst, method)
	dst = append(dst, `,"id":`...)
	dst = alink.AppendString(dst, id)
	dst = append(dst, `,"params":`...)
	dst = append(dst, bytes.TrimSpace(body)...)
	return append(dst, `,"version":"1.0.0"}`...)
}
