// Package event takes what devices report of events: it checks it against the product's thing model, stores it, and says what the
// device hears. It follows "Event post" and "Validation" of the device protocol.
package event

import (
	"context"
	"log/slog"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// Stores is where products and events are.
type Stores interface {
	Products() store.Products
	Events() store.Events
}

// A Service takes event posts. It is safe for concurrent use.
type Service struct {
	products *store.CachedProducts
	events   store.Events
	log      *slog.Logger
}

// New makes a service. now is the clock of its product cache, time.Now if nil.
func New(s Stores, log *slog.Logger, now func() time.Time) *Service {
	return &Service{products: store.NewCachedProducts(s.Products(), now), events: s.Events(), log: log}
}

// Families are the topics of the service.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{topic.EventPost: {Serve: s.Post}}
}

// Post takes one event. It is stored before the answer; a record that comes again is stored once.
//
// An event of which something does not fit is not stored. In mode strong the device is told the code of what does not fit, else 200
// and, as with properties, what does not fit: the cause is then the log's.
func (s *Service) Post(ctx context.Context, r *exchange.Request) exchange.Answer {
	product, err := s.products.Get(ctx, r.Ref().ProductKey)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	if product.ThingErr != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "thing model not usable", logs.Device(r.Ref()), slog.String(logs.FieldMessageID, r.Record.MessageID), logs.Err(product.ThingErr))
		return exchange.Answer{Err: alink.ErrValidator}
	}
	if r.Alink.Params[0] != '{' {
		return exchange.Answer{Err: alink.ErrParamsMalformed}
	}
	mode := tsl.Mode(product.ValidateType)
	e := tsl.CheckEvent(product.Thing, r.Up.Name, r.Alink.Params, mode, r.Record.ReceivedAt)
	if f := e.Failed; f != nil {
		if mode == tsl.Strong || f.Code == alink.CodeNotInModel {
			return exchange.Answer{Err: &alink.Error{Code: f.Code, Cause: f.Cause, Message: f.Message, Kind: iot.InvalidParams}, Detail: f.Message}
		}
		failed := tsl.Checked{Failed: []tsl.Failure{*f}}
		return exchange.Answer{Data: failed.AppendData(nil), Cause: f.Cause, Detail: f.Message}
	}
	if err := s.events.Put(ctx, []store.Event{Stored(r.Record, r.Ref(), 0, &e)})[0]; err != nil {
		return exchange.Answer{Err: err}
	}
	told := tell(r, &e, product.CategoryKey)
	if e.Type == tsl.EventUnknown {
		return exchange.Answer{Messages: told, Cause: refusal.EventNotInModel, Detail: "stored as an event of type " + tsl.EventUnknown}
	}
	return exchange.Answer{Messages: told}
}

// tell is the message of an event for the rule engine; none if nobody wants it.
func tell(r *exchange.Request, e *tsl.CheckedEvent, deviceType string) []message.Message {
	rec := r.Record
	if !r.Any(rec.Device.ProductKey) {
		return nil
	}
	a := message.About{Device: rec.Device, IotID: rec.IotID, DeviceType: deviceType, RequestID: r.Alink.ID, At: rec.ReceivedAt}
	name := a.Topic(message.EventTopic(e.Identifier, false))
	if !r.Wants(message.Event, rec.Device.ProductKey, name) {
		return nil
	}
	return []message.Message{{ID: rec.MessageID, Topic: name, Kind: message.Event, Device: rec.Device, IotID: rec.IotID, GeneratedAt: rec.ReceivedAt, QoS: rec.QoS,
		Payload: message.AppendEvent(nil, &a, e)}}
}

// Stored is an event as it is stored: of a device, which is the record's or one behind it, and the sequence-th of the record.
func Stored(rec *record.Record, ref iot.DeviceRef, sequence int, e *tsl.CheckedEvent) store.Event {
	return store.Event{Ref: ref, MessageID: rec.MessageID, Sequence: sequence, Time: e.Time, Identifier: e.Identifier, Type: e.Type, Output: e.JSON}
}
