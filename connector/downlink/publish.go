package downlink

import (
	"context"
	"time"

	"relink/connector/session"
	"relink/shared/downlink"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// publish sends one message to a device, and for a synchronous call waits for its answer.
func (s *Server) publish(ctx context.Context, p *downlink.Publish) downlink.Outcome {
	started := s.Now()
	if p.Via != nil {
		return s.note(p, started, s.via(p))
	}
	sess := s.Registry.Get(p.Ref())
	if sess == nil {
		return s.note(p, started, downlink.Outcome{State: downlink.Offline})
	}
	outcome := downlink.Outcome{Epoch: sess.Grant.Epoch}
	name, reply := p.Topic, p.ReplyTopic
	if p.ExtTopic != "" && sess.Grant.ExtRRPC { // "The choice follows the connection's ext bit 0"
		name, reply = p.ExtTopic, p.ExtTopic
	}
	if p.QueueID != "" && p.ReplyTopic == "" {
		outcome.State, outcome.Settled = sess.PublishQueued(&session.Message{ID: p.QueueID, Topic: name, Payload: p.Payload, ExpiresAt: p.ExpiresAt})
		return s.note(p, started, outcome)
	}
	if p.ReplyTopic == "" {
		outcome.State = sess.Publish(name, p.Payload, p.QoS)
		return s.note(p, started, outcome)
	}
	answers, call := expect(sess, reply)
	if call == nil {
		outcome.State = downlink.Busy
		return s.note(p, started, outcome)
	}
	defer answers.Forget(call)
	if outcome.State = sess.Publish(name, p.Payload, p.QoS); outcome.State != downlink.Sent {
		return s.note(p, started, outcome)
	}
	wait := min(max(p.WaitMS, 0), downlink.MaxWait)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(wait)*time.Millisecond)
	defer cancel()
	var answered bool
	if outcome.Reply, answered = call.Wait(ctx); !answered {
		outcome.State = downlink.TimedOut
		if s.Registry.Get(p.Ref()) != sess { // it was dead before its keep-alive had run out
			outcome.State = downlink.HalfOpen
		}
	}
	return s.note(p, started, outcome)
}

// via sends a message over a gateway's connection that is for one of its sub-devices, logged in or not.
func (s *Server) via(p *downlink.Publish) downlink.Outcome {
	gateway := s.Registry.Get(p.Via.Ref())
	switch {
	case gateway == nil:
		return downlink.Outcome{State: downlink.Offline}
	case p.ReplyTopic != "":
		return downlink.Outcome{State: downlink.Refused, Epoch: gateway.Grant.Epoch}
	}
	if sess := s.Registry.Get(p.Ref()); sess != nil && sess.Gateway() == gateway {
		return downlink.Outcome{State: sess.Publish(p.Topic, p.Payload, p.QoS), Epoch: sess.Grant.Epoch}
	}
	return downlink.Outcome{State: gateway.Relay(p.Ref(), p.Topic, p.Payload, p.QoS), Epoch: gateway.Grant.Epoch}
}

// expect waits for what the device publishes on the reply topic. Answers are told apart by the message id in their topics
// ("Interoperability rules", 19). One that comes on a topic that names no device counts as the gateway's, whose connection it comes on.
func expect(sess *session.Session, reply string) (answers *session.Session, call *session.Call) {
	u, err := topic.ParseUplink(reply)
	if err != nil || !u.IsRRPCResponse() {
		return nil, nil
	}
	if gateway := sess.Gateway(); gateway != nil && u.Device.IsZero() {
		sess = gateway
	}
	return sess, sess.Expect(u.Name)
}

var causes = map[downlink.State]refusal.Cause{
	downlink.Offline:      refusal.DeviceOffline,
	downlink.Unsubscribed: refusal.NotSubscribed,
	downlink.Refused:      refusal.ReceiveNotPermitted,
	downlink.Busy:         refusal.OutboundQueueFull,
	downlink.Limited:      refusal.RateLimitedDown,
	downlink.TimedOut:     refusal.CallTimedOut,
	downlink.HalfOpen:     refusal.CallTimedOut,
}

// note writes the outcome to the device log.
func (s *Server) note(p *downlink.Publish, started time.Time, o downlink.Outcome) downlink.Outcome {
	e := session.Event{
		Device: p.Ref(), Operation: session.OpDownlink, Topic: p.Topic, MessageID: p.MessageID, Code: 200,
		LatencyMS: s.Now().Sub(started).Milliseconds(),
	}
	if o.State == downlink.Queued {
		e.Detail = "waits in the queue"
	}
	if e.Reason = causes[o.State]; e.Reason != "" {
		e.Code = 500
	}
	s.Journal.Record(e)
	return o
}
