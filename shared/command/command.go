// Package command brings a message, or the order to drop a connection, to the connector that holds a device's session ("The way
// down" in the design).
package command

import (
	"context"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/offline"
	"relink/shared/store"
)

// A Caller calls the internal API of connectors; *downlink.Client is one.
type Caller interface {
	Publish(ctx context.Context, base string, p *downlink.Publish) (downlink.Outcome, error)
	Drop(ctx context.Context, base string, d *downlink.Drop) (downlink.Outcome, error)
	Broadcast(ctx context.Context, base string, b *downlink.Broadcast) (downlink.Outcome, error)
	Classes(ctx context.Context, base string, t *downlink.Classes) (downlink.Outcome, error)
	Forget(ctx context.Context, base string, f *downlink.Forget) (downlink.Outcome, error)
}

// Stores is where sessions and nodes are.
type Stores interface {
	Sessions() store.Sessions
	Nodes() store.Nodes
	OfflineMessages() store.OfflineMessages
}

// A Service finds connectors. It is safe for concurrent use.
type Service struct {
	sessions store.Sessions
	nodes    *store.CachedNodes
	all      store.Nodes // for what goes to every connector
	caller   Caller
	queue    *offline.Queue
	now      func() time.Time
}

// New makes a service that keeps so much for a device that is away. now is the clock, time.Now if nil.
func New(s Stores, caller Caller, bounds offline.Bounds, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{sessions: s.Sessions(), nodes: store.NewCachedNodes(s.Nodes(), now), all: s.Nodes(), caller: caller, now: now, queue: offline.New(s.OfflineMessages(), bounds, now)}
}

// Execute carries out a command. A device that is connected nowhere is an outcome, Offline; errors are *iot.Error:
// InvalidParams, or Unavailable and Throttled if it is not known what became of it.
func (s *Service) Execute(ctx context.Context, c *downlink.Command) (downlink.Outcome, error) {
	set := 0
	for _, member := range [...]bool{c.Publish != nil, c.Drop != nil, c.Broadcast != nil, c.Classes != nil, c.Forget != nil} {
		if member {
			set++
		}
	}
	switch {
	case set != 1:
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "a command has exactly one of publish, drop, broadcast, classes and forget")
	case c.Publish != nil:
		return s.publish(ctx, c.Publish)
	case c.Drop != nil:
		return s.drop(ctx, c.Drop)
	case c.Broadcast != nil:
		return s.broadcast(ctx, c.Broadcast)
	case c.Forget != nil:
		return s.forget(ctx, c.Forget)
	}
	return s.classes(ctx, c.Classes)
}

func (s *Service) publish(ctx context.Context, p *downlink.Publish) (downlink.Outcome, error) {
	switch {
	case !valid(p.ProductKey, p.DeviceName):
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key or device name is malformed")
	case p.Topic == "" || p.MessageID == "":
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "topic and message id are needed")
	case p.QoS > 1:
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "QoS %d is not offered", p.QoS)
	case p.WaitMS < 0 || p.WaitMS > downlink.MaxWait:
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "a wait of %d ms is not within 0 and %d", p.WaitMS, downlink.MaxWait)
	case p.Via != nil && !valid(p.Via.ProductKey, p.Via.DeviceName):
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key or device name of the gateway is malformed")
	case p.Via != nil && p.ReplyTopic != "":
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "a synchronous call needs a session of the sub-device itself")
	}
	if p.QoS == 1 && p.ReplyTopic == "" && p.Via == nil {
		return s.keep(ctx, p)
	}
	holder := p.Ref()
	if p.Via != nil {
		holder = p.Via.Ref()
	}
	return s.reach(ctx, holder, func(base string) (downlink.Outcome, error) { return s.caller.Publish(ctx, base, p) })
}

func (s *Service) drop(ctx context.Context, d *downlink.Drop) (downlink.Outcome, error) {
	if !valid(d.ProductKey, d.DeviceName) {
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key or device name is malformed")
	}
	dev := iot.DeviceRef{ProductKey: d.ProductKey, DeviceName: d.DeviceName}
	session, err := s.sessions.Get(ctx, dev)
	if err != nil {
		return downlink.Outcome{State: downlink.Offline}, err
	}
	if session != nil && session.HeardAt != 0 { // it speaks with tokens, to any connector
		_, _ = s.forget(ctx, &downlink.Forget{ProductKey: d.ProductKey, DeviceName: d.DeviceName}) // who was not told asks within a minute
	}
	return s.reachFrom(ctx, dev, session, func(base string) (downlink.Outcome, error) { return s.caller.Drop(ctx, base, d) })
}

// forget tells all connectors that what a device may do has changed.
func (s *Service) forget(ctx context.Context, f *downlink.Forget) (downlink.Outcome, error) {
	if !valid(f.ProductKey, f.DeviceName) {
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key or device name is malformed")
	}
	return s.everywhere(ctx, func(base string) (o downlink.Outcome, err error) {
		for range classesTries {
			if o, err = s.caller.Forget(ctx, base, f); err == nil || ctx.Err() != nil {
				break
			}
		}
		return o, err
	})
}

func valid(pk iot.ProductKey, dn iot.DeviceName) bool {
	return iot.ValidProductKey(string(pk)) && iot.ValidDeviceName(string(dn))
}

// reach calls the connector that holds the device. One that says that it does not has just lost the session to another, which
// is then called, once.
func (s *Service) reach(ctx context.Context, dev iot.DeviceRef, call func(base string) (downlink.Outcome, error)) (downlink.Outcome, error) {
	session, err := s.sessions.Get(ctx, dev)
	if err != nil {
		return downlink.Outcome{State: downlink.Offline}, err
	}
	return s.reachFrom(ctx, dev, session, call)
}

// reachFrom is reach with the session as it was read; one that looks as if the device were away is not read again.
func (s *Service) reachFrom(ctx context.Context, dev iot.DeviceRef, session *store.Session, call func(base string) (downlink.Outcome, error)) (downlink.Outcome, error) {
	base, err := s.address(ctx, session)
	if err != nil || base == "" {
		return downlink.Outcome{State: downlink.Offline}, err
	}
	outcome, err := call(base)
	if err != nil || outcome.State != downlink.Offline {
		return outcome, err
	}
	newer, err := s.sessions.Get(ctx, dev)
	if err != nil || newer == nil || newer.Epoch == session.Epoch {
		return outcome, err
	}
	if base, err = s.address(ctx, newer); err != nil || base == "" {
		return outcome, err
	}
	return call(base)
}

// address is that of the connector that holds a session, empty if none does.
func (s *Service) address(ctx context.Context, session *store.Session) (string, error) {
	if session == nil || session.Node == "" {
		return "", nil
	}
	node, err := s.nodes.Get(ctx, session.Node)
	if err != nil || node == nil || node.Until <= s.now().UnixMilli() {
		return "", err
	}
	return node.URL, nil
}
