// Package uplink decides what happens to a message that a device published: which function it goes to, or what the connector
// answers by itself. It is the same for every protocol, and holds no business rule ("The way up" in the design; "Topic index" in
// the device protocol).
package uplink

import (
	"context"
	"errors"
	"time"

	"relink/connector/dispatch"
	"relink/connector/session"
	"relink/shared/alink"
	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// messageInternal is what a device is told with code 500; firmware cuts at quotes and brackets.
const messageInternal = "server error"

// A Message is one that a device published on a topic that it may publish on.
type Message struct {
	Session    *session.Session
	Topic      string       // as published, without ?_rid=…
	Parsed     topic.Uplink // of Topic
	Payload    []byte       // owned by the message
	QoS        byte
	ReceivedAt int64  // Unix milliseconds
	PacketID   uint16 // of the protocol, for the Answerer
	Dup        bool   // the packet said that it may come for the second time
	Since      int64  // epoch of the connection that began the MQTT session
	ID         string // message id, given by the Router
	To         Answerer

	router *Router
}

// An Answerer is the connection that a message came from. Answer is called once per message, from any goroutine, and must not
// block. An error says that nothing was decided: the message is not acknowledged.
type Answerer interface {
	Answer(m *Message, r record.Result, err error)
}

// A Meter counts what became of messages. The reason is of the closed list, empty if all is well.
type Meter interface {
	Uplink(family topic.Family, reason refusal.Cause, took time.Duration)
}

// A Router takes messages. It is safe for concurrent use.
type Router struct {
	Dispatcher session.Dispatcher
	Journal    session.Journal
	Meter      Meter
	IDs        *IDs
	// Interest tells which publishes on topics of the products' own go to the rule engine. nil: none does.
	Interest message.Interest
}

// Take answers a message now or later. It blocks while the function's queues are full; an error means that ctx ended and there
// will be no answer.
func (r *Router) Take(ctx context.Context, m *Message) error {
	m.router = r
	m.ID = r.IDs.Next(m.ReceivedAt)
	family := m.Parsed.Family
	function := family.Function()
	if family == topic.Custom && r.Interest != nil {
		if err := r.Interest.Refresh(ctx); err != nil && ctx.Err() != nil {
			return err // the caller had no time to hear who wants it
		}
		if r.wanted(m) {
			function = message.Rule
		}
	}
	if function != "" && family.Status() == topic.Done {
		s := m.Session
		return r.Dispatcher.Submit(ctx, function, record.Record{
			MessageID: m.ID, Device: s.Ref, IotID: s.Grant.IotID, Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, ReceivedAt: m.ReceivedAt,
			PacketID: m.PacketID, Dup: m.Dup, Since: m.Since,
		}, m.settle)
	}
	m.settle(r.decide(m), nil)
	return nil
}

// wanted tells whether a rule or a subscription wants a publish on a topic of the product's own. While nobody can tell, everything is
// wanted: the function knows better.
func (r *Router) wanted(m *Message) bool {
	pk := m.Session.Ref.ProductKey
	return r.Interest.Any(pk) && r.Interest.Wants(message.Custom, pk, topic.Cut(m.Topic))
}

// decide answers what no function serves, as the topic table says.
func (r *Router) decide(m *Message) record.Result {
	family := m.Parsed.Family
	switch family.Status() {
	case topic.Done:
		if serve := here[family]; serve != nil {
			return serve(m)
		}
	case topic.Acknowledged:
		if serve := here[family]; serve != nil {
			return serve(m)
		}
		return answer(m, alink.CodeOK, "", alink.MessageOK)
	}
	if family == topic.UnknownSystem {
		return answer(m, alink.CodeTopic, refusal.UnknownTopic, alink.MessageTopic)
	}
	return answer(m, alink.CodeMethodNotDefined, refusal.NotYetSupported, alink.MessageNotSupported)
}

// here are the families that are served without a function.
var here = map[topic.Family]func(*Message) record.Result{
	topic.NTPRequest:    ntp,
	topic.RRPCResponse:  called,
	topic.ExtRRPC:       called,
	topic.Custom:        accepted,
	topic.Provision:     provision,
	topic.TunnelRequest: tunnel,
}

func accepted(*Message) record.Result { return record.Result{Code: alink.CodeOK} }

// called gives an answer to the synchronous call that waits for it.
func called(m *Message) record.Result {
	if m.Session.Answer(m.Parsed.Name, m.Payload) {
		return record.Result{Code: alink.CodeOK}
	}
	return record.Result{Code: alink.CodeFailed, Reason: string(refusal.RRPCUnexpected)}
}

// answer replies to an Alink request, even to one that cannot be read ("Interoperability rules", 9), unless it asks for no reply.
func answer(m *Message, code int, cause refusal.Cause, message string) record.Result {
	var request alink.Request
	reply := m.Parsed.ReplyTopic(m.Topic)
	if m.Parsed.Method == "" || m.Parsed.Family == topic.UpRaw { // not Alink
		reply = ""
	}
	if reply != "" {
		var err error
		if request, err = alink.Parse(m.Payload); err != nil && cause == "" {
			code, message = alink.CodeOf(err)
			cause = refusal.CauseOf(err)
		}
	}
	result := record.Result{Code: int32(code), Reason: string(cause)}
	if reply != "" && request.Ack {
		result.Replies = []record.Reply{{
			Topic:   reply,
			Payload: alink.AppendReply(nil, code, request.ID, nil, message, m.Parsed.Method),
			QoS:     m.QoS,
		}}
	}
	return result
}

// settle passes a result on and notes it.
func (m *Message) settle(result record.Result, err error) {
	r := m.router
	if err == nil && result.Reason == string(refusal.DeadLetter) && len(result.Replies) == 0 { // no function has spoken
		result.Replies = answer(m, alink.CodeInternal, refusal.DeadLetter, messageInternal).Replies
	}
	code, reason := int(result.Code), refusal.Cause(result.Reason)
	if err != nil {
		code, reason = alink.CodeInternal, CauseOf(err)
	}
	took := max(0, time.Now().UnixMilli()-m.ReceivedAt)
	r.Meter.Uplink(m.Parsed.Family, reason, time.Duration(took)*time.Millisecond)
	m.To.Answer(m, result, err)
	e := session.Event{
		Device: m.Session.Ref, IotID: m.Session.Grant.IotID, Operation: session.OpUplink, Topic: m.Topic, MessageID: m.ID,
		Code: code, Reason: reason, Detail: result.Detail, LatencyMS: took, RequestID: result.RequestID, Bytes: len(m.Payload), QoS: m.QoS,
	}
	if err != nil {
		e.Detail = err.Error()
	}
	r.Journal.Record(e)
}

// CauseOf says why a message was not decided.
func CauseOf(err error) refusal.Cause {
	cause := refusal.CauseOf(err)
	if e, ok := errors.AsType[*fc.Error](err); ok && e.FunctionFailed() {
		cause = refusal.FunctionFailed
	}
	switch {
	case cause != "":
		return cause // of the last attempt
	case errors.Is(err, dispatch.ErrClosed):
		return refusal.Shutdown
	case errors.Is(err, dispatch.ErrUndecided):
		return refusal.DeadlineExceeded
	}
	return refusal.FunctionFailed
}

// codeThrottled is, in the log, the code of a message that was one too many ("Codes", 9324).
const codeThrottled = 9324

// Refused notes a message that was not taken because of its topic, or because there were too many.
func (r *Router) Refused(dev iot.DeviceRef, name string, qos byte, err error, now int64) {
	cause := refusal.CauseOf(err)
	code := alink.CodeTopic
	if cause == refusal.RateLimitedMessages {
		code = codeThrottled
	}
	switch cause {
	case refusal.TopicNotOwn, refusal.TopicNotPermitted, refusal.SubNotLoggedIn:
		code = 9236 // "Publish without permission"
	case refusal.RateLimitedMessages:
		code = alink.CodeTooManyRequests
	}
	e := session.Event{Device: dev, Operation: session.OpUplink, Topic: name, MessageID: r.IDs.Next(now), Code: code, Reason: cause, QoS: qos}
	if err, ok := err.(*refusal.Error); ok {
		e.Detail = err.Detail
	}
	r.Meter.Uplink(topic.None, cause, 0)
	r.Journal.Record(e)
}
