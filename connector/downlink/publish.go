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
	sess := s.Registry.Get(p.Ref())
	if sess == nil {
		return s.note(p, started, downlink.Outcome{State: downlink.Offline})
	}
	outcome := downlink.Outcome{Epoch: sess.Grant.Epoch}
	name, reply := p.Topic, p.ReplyTopic
	if p.ExtTopic != "" && sess.Grant.ExtRRPC { // "The choice follows the connection's ext bit 0"
		name, reply = p.ExtTopic, p.ExtTopic
	}
	if p.ReplyTopic == "" {
		outcome.State = sess.Publish(name, p.Payload, p.QoS)
		return s.note(p, started, outcome)
	}
	call := expect(sess, reply)
	if call == nil {
		outcome.State = downlink.Busy
		return s.note(p, started, outcome)
	}
	defer sess.Forget(call)
	if outcome.State = sess.Publish(name, p.Payload, p.QoS); outcome.State != downlink.Sent {
		return s.note(p, started, outcome)
	}
	wait := min(max(p.WaitMS, 0), downlink.MaxWait)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(wait)*time.Millisecond)
	defer cancel()
	var answered bool
	if outcome.Reply, answered = call.Wait(ctx); !answered {
		outcome.State = downlink.TimedOut
	}
	return s.note(p, started, outcome)
}

// expect waits for what the device publishes on the reply topic. Answers are told apart by the message id in their topics
// ("Interoperability rules", 19).
func expect(sess *session.Session, reply string) *session.Call {
	u, err := topic.ParseUplink(reply)
	if err != nil || !u.IsRRPCResponse() {
		return nil
	}
	return sess.Expect(u.Name)
}

var causes = map[downlink.State]refusal.Cause{
	downlink.Offline:      refusal.DeviceOffline,
	downlink.Unsubscribed: refusal.NotSubscribed,
	downlink.Refused:      refusal.ReceiveNotPermitted,
	downlink.Busy:         refusal.OutboundQueueFull,
	downlink.TimedOut:     refusal.CallTimedOut,
}

// note writes the outcome to the device log.
func (s *Server) note(p *downlink.Publish, started time.Time, o downlink.Outcome) downlink.Outcome {
	e := session.Event{
		Device: p.Ref(), Operation: session.OpDownlink, Topic: p.Topic, MessageID: p.MessageID, Code: 200,
		LatencyMS: s.Now().Sub(started).Milliseconds(),
	}
	if e.Reason = causes[o.State]; e.Reason != "" {
		e.Code = 500
	}
	s.Journal.Record(e)
	return o
}
