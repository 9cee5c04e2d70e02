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
	d, err := a.thing(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := a.serviceCall(ctx, c, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	message := s.message(d.Ref, id)
	if s.waits {
		a.synchronous(d.Ref, message)
	}
	o, err := publish(ctx, a.commander, message)
	if err != nil {
		return nil, err
	}
	return dataAnswer[invoked]{invoked{id, string(o.Reply)}}, nil
}

// A serviceCall is what a call says of a service, checked against the thing model.
type serviceCall struct {
	identifier string
	params     []byte
	waits      bool // the service is synchronous
	qos        byte
}

func (a *api) serviceCall(ctx context.Context, c *openapi.Call, pk iot.ProductKey) (*serviceCall, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	s := &serviceCall{identifier: c.Params.String("Identifier"), qos: q}
	if len(s.identifier) > 128 {
		return nil, openapi.Invalid("Identifier")
	}
	err = a.withModel(ctx, pk, func(p *store.Product, m *tsl.Model) error {
		mode := tsl.Mode(p.ValidateType)
		service, known := m.Service(s.identifier)
		if !known && (mode != tsl.None || !validService(s.identifier)) {
			return iot.Errorf(iot.NotInModel, "the thing model has no service %s", s.identifier)
		}
		s.waits = known && service.CallType == tsl.Sync && mode != tsl.None
		var err error
		s.params, err = tsl.CheckServiceInput(m, s.identifier, []byte(c.Params.String("Args")), mode)
		return err
	})
	return s, err
}

// message is the request to one device.
func (s *serviceCall) message(dev iot.DeviceRef, id string) *downlink.Publish {
	return &downlink.Publish{
		ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, MessageID: id, Topic: topic.ServiceTopic(dev, s.identifier), QoS: s.qos,
		Payload: alink.AppendRequest(nil, "thing.service."+s.identifier, id, s.params, alink.VersionService),
	}
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
