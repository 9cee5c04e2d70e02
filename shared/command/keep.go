package command

import (
	"context"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

// keep sends a QoS 1 message that nobody waits for. If the device's session is persistent, it is written to the queue first and leaves
// it when the device has acknowledged it; why it cannot get lost in between is told in package offline. For a device whose session is not
// persistent it is as for any message: there is a connection, or there is none.
func (s *Service) keep(ctx context.Context, p *downlink.Publish) (downlink.Outcome, error) {
	dev := p.Ref()
	session, err := s.sessions.Get(ctx, dev)
	if err != nil {
		return downlink.Outcome{}, err
	}
	call := func(base string) (downlink.Outcome, error) { return s.caller.Publish(ctx, base, p) }
	if session == nil || !session.Keeps(s.now().UnixMilli()) {
		return s.reachFrom(ctx, dev, session, call)
	}
	if err := s.queue.Add(ctx, session, p); err != nil {
		return downlink.Outcome{}, err
	}
	if session.Node == "" { // it may have connected since it was read
		if newer, err := s.sessions.Get(ctx, dev); err == nil && newer != nil {
			session = newer
		}
	}
	outcome, err := s.reachFrom(ctx, dev, session, call)
	if err != nil && ctx.Err() == nil && iot.Is(err, iot.Unavailable) { // once more: a device that stays connected does not ask for its queue
		outcome, err = s.reach(ctx, dev, call)
	}
	switch {
	case err == nil && (outcome.Settled || outcome.State == downlink.Unsubscribed || outcome.State == downlink.Refused):
		// If that fails, the device's next connection gets the message, or, where it may not have it, takes it out.
		_ = s.queue.Remove(ctx, dev, p.QueueID)
		return outcome, nil
	case err == nil && outcome.State == downlink.Sent:
		return outcome, nil
	}
	return s.waits(ctx, p, session)
}

// waits answers for a message that is in the queue and was not sent: Queued, or QueueFull if it is one too many.
func (s *Service) waits(ctx context.Context, p *downlink.Publish, session *store.Session) (downlink.Outcome, error) {
	full, err := s.queue.Overfull(ctx, session)
	if err != nil || !full { // what is stored is stored, counted or not
		return downlink.Outcome{State: downlink.Queued, Epoch: session.Epoch}, nil
	}
	if err := s.queue.Remove(ctx, p.Ref(), p.QueueID); err != nil {
		return downlink.Outcome{State: downlink.Queued, Epoch: session.Epoch}, nil
	}
	return downlink.Outcome{State: downlink.QueueFull, Epoch: session.Epoch}, nil
}
