package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
)

// functionLifecycle is the function that keeps online and offline. laneLease is where the lease goes: to the same function, by a
// way on which nothing else waits, because one invocation that hangs must not take a whole node offline.
const (
	functionLifecycle = "lifecycle"
	laneLease         = "lease"
)

// A Presence tells the platform who is connected here, and that this node lives ("Online and offline"; "Connecting", 6).
type Presence struct {
	Dispatcher Dispatcher
	Journal    Journal
	Logger     *slog.Logger
	NextID     func(now int64) string // message ids
	Node       string
	URL        string // of the internal API
	Now        func() time.Time
	Registry   *Registry // the sessions of this node
	// Lanes gives the counters that go with the lease; nil for none.
	Lanes func() map[string]device.LaneCounts

	held   atomic.Bool
	untold untold
}

// CodeDisabled, CodeDeleted and CodeRemoved are the function's answers to Online if the device was disabled, deleted or taken out of
// its gateway's topology after its login had been decided: its session ends, whichever node was told to drop it.
const (
	CodeDisabled = 403
	CodeDeleted  = 404
	CodeRemoved  = 6401
)

// Online says that a session is established. It blocks while the queue is full, until ctx ends.
func (p *Presence) Online(ctx context.Context, s *Session) {
	at := p.Now().UnixMilli()
	online := device.Online{Epoch: s.Grant.Epoch, Node: p.Node, RemoteAddr: s.RemoteAddr, At: at, Queued: s.Grant.Queued, QueueFrom: s.Grant.QueueFrom, Discard: s.Grant.Discard}
	if gateway := s.Gateway(); gateway != nil {
		online.GatewayProductKey, online.GatewayDeviceName = gateway.Ref.ProductKey, gateway.Ref.DeviceName
	}
	err := p.tell(ctx, s.Ref, s.Grant.IotID, device.TopicOnline, online, at, func(r record.Result, err error) {
		switch {
		case err != nil:
			p.lost(s.Ref, device.TopicOnline, err)
		case r.Code == CodeDisabled:
			s.End(refusal.Disabled, "while it logged in")
		case r.Code == CodeDeleted:
			s.End(refusal.Deleted, "while it logged in")
		case r.Code == CodeRemoved:
			s.End(refusal.TopologyRemoved, "while it logged in")
		case r.Code == 200 && s.Grant.Queued:
			p.paged(s, &r)
			return
		}
		p.unread(s)
	})
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // a session that has ended meanwhile need not be online
		p.lost(s.Ref, device.TopicOnline, err)
		p.unread(s)
	}
	e := Event{Device: s.Ref, Operation: OpOnline, Code: 200, RemoteAddr: s.RemoteAddr}
	if gateway := s.Gateway(); gateway != nil {
		e.Detail = "over gateway " + gateway.Ref.String()
	}
	p.Journal.Record(e)
}

// Subscribed sees to it that what the device has subscribed is durable, and then calls done: with nil, or with what was in the
// way. done must not block. It blocks while the queue is full, until ctx ends.
func (p *Presence) Subscribed(ctx context.Context, s *Session, done func(error)) error {
	subs, version, unstored := s.Unstored()
	if !unstored {
		done(nil)
		return nil
	}
	payload, err := json.Marshal(subs)
	if err != nil {
		return err
	}
	at := p.Now().UnixMilli()
	return p.Dispatcher.Submit(ctx, functionLifecycle, record.Record{
		MessageID: p.NextID(at), Device: s.Ref, IotID: s.Grant.IotID, Topic: device.TopicSubscriptions, Payload: payload, ReceivedAt: at,
	}, func(r record.Result, err error) {
		switch {
		case err == nil && r.Code == 200:
			s.Stored(version)
		case err == nil:
			err = refusal.New(refusal.Cause(r.Reason), "")
		}
		if err != nil {
			p.lost(s.Ref, device.TopicSubscriptions, err)
		}
		done(err)
	})
}

// Offline says that a session has ended. It waits a while for room in the queue. What could not be told is told again later, by
// KeepLease; when this node dies, the end of its lease tells it.
func (p *Presence) Offline(s *Session, cause refusal.Cause) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	p.OfflineWithin(ctx, s, cause)
}

// OfflineWithin is Offline for many sessions that end together: the wait for room ends with ctx.
func (p *Presence) OfflineWithin(ctx context.Context, s *Session, cause refusal.Cause) {
	p.offline(ctx, s.Ref, p.endOf(s, cause, p.Now().UnixMilli()))
}

func (p *Presence) endOf(s *Session, cause refusal.Cause, at int64) *end {
	return &end{s.Grant.IotID, device.Offline{Epoch: s.Grant.Epoch, Node: p.Node, Reason: string(cause), At: at}}
}

func (p *Presence) offline(ctx context.Context, ref iot.DeviceRef, e *end) {
	err := p.tell(ctx, ref, e.iotID, device.TopicOffline, e.offline, p.Now().UnixMilli(), func(_ record.Result, err error) {
		if err != nil {
			p.keepEnd(ref, e, err)
		}
	})
	if err != nil {
		p.keepEnd(ref, e, err)
	}
}

func (p *Presence) tell(ctx context.Context, ref iot.DeviceRef, iotID iot.IotID, topic string, what any, at int64, done func(record.Result, error)) error {
	payload, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return p.Dispatcher.Submit(ctx, functionLifecycle, record.Record{
		MessageID: p.NextID(at), Device: ref, IotID: iotID, Topic: topic, Payload: payload, ReceivedAt: at,
	}, done)
}

func (p *Presence) lost(ref iot.DeviceRef, topic string, err error) {
	p.Logger.LogAttrs(context.Background(), slog.LevelWarn, "state of device not told", logs.Device(ref), slog.String(logs.FieldTopic, topic), logs.Err(err))
}

// Lease says that this node lives until a time, or, if that is past, that its sessions are over. It waits for the answer.
func (p *Presence) Lease(ctx context.Context, until time.Time, sessions int) error {
	at := p.Now().UnixMilli()
	payload, err := json.Marshal(device.Lease{Node: p.Node, URL: p.URL, Until: until.UnixMilli(), Sessions: sessions, Lanes: p.lanes()})
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	err = p.Dispatcher.Submit(ctx, laneLease, record.Record{
		MessageID: p.NextID(at), Topic: device.TopicLease, Payload: payload, ReceivedAt: at,
	}, func(r record.Result, err error) {
		if err == nil && r.Code != 200 {
			err = refusal.New(refusal.Cause(r.Reason), "function answered code "+strconv.Itoa(int(r.Code)))
		}
		answer <- err
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Presence) lanes() map[string]device.LaneCounts {
	if p.Lanes == nil {
		return nil
	}
	return p.Lanes()
}

// Renew renews the lease, and then tells what could not be told before. It waits for the answer until ctx ends.
func (p *Presence) Renew(ctx context.Context, duration time.Duration, sessions int) error {
	if err := p.Lease(ctx, p.Now().Add(duration), sessions); err != nil {
		return err
	}
	p.held.Store(true)
	p.tellAgain(ctx)
	return nil
}

// Held reports whether this node has ever had a lease: before that its sessions are nobody's.
func (p *Presence) Held() bool { return p.held.Load() }

// KeepLease renews the lease until ctx ends, every third of its duration; while there is none yet, every second.
func (p *Presence) KeepLease(ctx context.Context, duration time.Duration, sessions func() int) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	if p.Held() {
		pause.Reset(duration / 3)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		started := time.Now()
		call, cancel := context.WithTimeout(ctx, duration/3)
		if err := p.Renew(call, duration, sessions()); err != nil && ctx.Err() == nil {
			p.Logger.LogAttrs(ctx, slog.LevelWarn, "lease not renewed", logs.Err(err))
		}
		cancel()
		every := duration / 3
		if !p.Held() {
			every = min(every, time.Second)
		}
		pause.Reset(max(0, every-time.Since(started)))
	}
}
