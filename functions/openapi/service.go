package main

import (
	"context"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

type invoked struct {
	MessageID string `json:"MessageId"`
	Result    string `json:",omitempty"` // of a synchronous service: what the device answered, whole
}

func (a *api) invokeThingService(ctx context.Context, c *openapi.Call) (any, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	service := c.Params.String("Identifier")
	if len(service) > 128 {
		return nil, openapi.Invalid("Identifier")
	}
	d, err := a.thing(ctx, c)
	if err != nil {
		return nil, err
	}
	var params []byte
	waits := false
	err = a.withModel(ctx, d.Ref.ProductKey, func(p *store.Product, m *tsl.Model) error {
		mode := tsl.Mode(p.ValidateType)
		s, known := m.Service(service)
		if !known && (mode != tsl.None || !validService(service)) {
			return iot.Errorf(iot.NotInModel, "the thing model has no service %s", service)
		}
		waits = known && s.CallType == tsl.Sync && mode != tsl.None
		params, err = tsl.CheckServiceInput(m, service, []byte(c.Params.String("Args")), mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	message := &downlink.Publish{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, MessageID: id, Topic: topic.ServiceTopic(d.Ref, service), QoS: q,
		Payload: alink.AppendRequest(nil, "thing.service."+service, id, params, alink.VersionService),
	}
	if waits {
		a.synchronous(d.Ref, message)
	}
	o, err := publish(ctx, a.commander, message)
	if err != nil {
		return nil, err
	}
	return dataAnswer[invoked]{invoked{id, string(o.Reply)}}, nil
}

// synchronous makes a service's message an RRPC, whose topic has a message id of its own ("Services", sync). Which of the two
// topics is right depends on the device's session, which the connector knows.
func (a *api) synchronous(dev iot.DeviceRef, p *downlink.Publish) {
	id := a.ids.message()
	p.ExtTopic = topic.ExtRRPCTopic(id, p.Topic)
	p.Topic = topic.RRPCRequestTopic(dev, id)
	p.ReplyTopic = topic.RRPCResponseTopic(dev, id)
	p.WaitMS = downlink.MaxWait
	p.QoS = 0
}

// validService tells whether a name that no model vouches for can stand in a topic.
func validService(s string) bool {
	module, name := tsl.SplitIdentifier(s)
	return name != "" && onlyWord(module) && onlyWord(name)
}

func onlyWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return len(s) <= 50
}
