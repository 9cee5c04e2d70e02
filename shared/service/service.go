// Package service keeps what was asked of devices and what they answered: services, property sets and gets. A device answers an
// asynchronous request on a topic of its own, any time later; which request it was is found by the id in the answer, and, because some
// firmware has ids of its own, else by the oldest request of the same service that waits ("Interoperability rules", 19).
package service

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// Identifiers of what is not a service of the thing model.
const (
	Set = "set" // a property set
	Get = "get" // a property get
)

const (
	waitFor = 7 * 24 * time.Hour // as long as a request may wait for its device
	recent  = 100                // requests that an answer is looked for among
)

// A Service stores calls and answers. It is safe for concurrent use.
type Service struct {
	calls store.Calls
	now   func() time.Time
}

// New makes a service. now is the clock, time.Now if nil.
func New(calls store.Calls, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{calls, now}
}

// Call stores requests before they are sent; Time is set in each if it is 0.
func (s *Service) Call(ctx context.Context, calls ...store.Call) error {
	for _, err := range s.CallEach(ctx, calls) {
		if err != nil {
			return err
		}
	}
	return nil
}

// CallEach is Call with an error for each request.
func (s *Service) CallEach(ctx context.Context, calls []store.Call) (errs []error) {
	at := s.now().UnixMilli()
	for i := range calls {
		if calls[i].Time == 0 {
			calls[i].Time = at
		}
	}
	return s.calls.Put(ctx, calls)
}

// Answer stores the answer to a call that is known, as a synchronous one is. An answer that is no envelope is stored as a string.
func (s *Service) Answer(ctx context.Context, c store.Call, payload []byte) error {
	reply, err := alink.ParseReply(payload)
	if err != nil {
		reply.Code = alink.CodeNotJSON
	}
	c.Output, c.Code, c.AnsweredAt = document(payload), reply.Code, s.now().UnixMilli()
	return s.calls.Answer(ctx, &c)
}

// document is a payload as JSON: itself, made strict, or a string of its characters.
func document(payload []byte) []byte {
	if strict, err := alink.Normalize(payload); err == nil {
		return strict
	}
	return alink.AppendString(nil, payload)
}

// Families are the topics on which devices answer.
func (s *Service) Families() map[topic.Family]exchange.Family {
	reply := func(identifier func(*exchange.Request) string) exchange.Family {
		return exchange.Family{Raw: true, Serve: func(ctx context.Context, r *exchange.Request) exchange.Answer {
			return s.Replied(ctx, r.Record, identifier(r), r.Record.Payload)
		}}
	}
	return map[topic.Family]exchange.Family{
		topic.PropertySetReply: reply(func(*exchange.Request) string { return Set }),
		topic.PropertyGetReply: reply(func(*exchange.Request) string { return Get }),
		topic.ServiceReply:     reply(func(r *exchange.Request) string { return r.Up.Name }),
	}
}

// Replied takes a device's answer, an Alink reply, to a request of this identifier; empty if that is not known.
func (s *Service) Replied(ctx context.Context, rec *record.Record, identifier string, payload []byte) exchange.Answer {
	reply, err := alink.ParseReply(payload)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	detail := "the device's own code " + strconv.Itoa(reply.Code) + ", to request " + reply.ID
	output := document(payload)
	call, err := s.find(ctx, rec, identifier, reply.ID, output)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	if call == nil {
		return exchange.Answer{Cause: refusal.ReplyUnexpected, Detail: detail, Messages: told(rec, identifier, reply.ID, &reply)}
	}
	call.Output, call.Code, call.AnsweredAt = output, reply.Code, rec.ReceivedAt
	if err := s.calls.Answer(ctx, call); err != nil {
		return exchange.Answer{Err: err}
	}
	return exchange.Answer{Detail: detail, Messages: told(rec, call.Identifier, call.MessageID, &reply)}
}

// told is what rules see of an answer: those to property gets they do not.
func told(rec *record.Record, identifier, request string, reply *alink.Reply) []message.Message {
	if identifier == Get {
		return nil
	}
	return []message.Message{message.NewAnswer(rec.MessageID, &message.Answer{Device: rec.Device, IotID: rec.IotID, RequestID: request, At: rec.ReceivedAt,
		Code: reply.Code, Message: said(reply), Topic: rec.Topic, Data: reply.Data}, rec.QoS)}
}

// said is the device's message, or the one that goes with success where it sent none.
func said(reply *alink.Reply) string {
	if reply.Message == "" && reply.Code == alink.CodeOK {
		return alink.MessageOK
	}
	return reply.Message
}

// find looks for the request that an answer belongs to; nil if there is none. An answer that is taken once more, because it is not known
// what became of it or because the device sent it again, belongs to the request that has it already, not to the next one that waits.
func (s *Service) find(ctx context.Context, rec *record.Record, identifier, id string, output []byte) (*store.Call, error) {
	now := rec.ReceivedAt
	calls, _, err := s.calls.List(ctx, rec.Device, store.CallQuery{
		Identifier: identifier, From: now - waitFor.Milliseconds(), To: now + time.Minute.Milliseconds(), Limit: recent,
	})
	if err != nil {
		return nil, err
	}
	again := rec.Attempt > 0 || rec.Dup
	var oldest, same *store.Call
	for i := range calls { // newest first
		c := &calls[i]
		if c.MessageID == id {
			return c, nil
		}
		switch {
		case identifier != "" && c.AnsweredAt == 0:
			oldest = c
		case identifier != "" && again && c.AnsweredAt == now && bytes.Equal(c.Output, output):
			same = c
		}
	}
	if same != nil {
		return same, nil
	}
	return oldest, nil
}
