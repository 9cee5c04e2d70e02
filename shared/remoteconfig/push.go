package remoteconfig

import (
	"context"
	"errors"
	"sync"
	"time"

	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/topic"
)

// Bounds of one push call: so many devices are looked at together, and so many messages are under way at the same time.
const (
	pushPage     = 200
	pushParallel = 32
)

// A Commander brings messages down; command.Remote is one.
type Commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// A Pusher tells online devices about the configuration in force. Devices that are offline ask when they are back.
type Pusher struct {
	Service   *Service
	Devices   store.ProductDevices
	Sessions  store.Sessions
	Nodes     store.Nodes
	Commander Commander
	NextID    func() string // ids of Alink requests
	Now       func() time.Time
}

// A Pushed says what became of one call.
type Pushed struct {
	Devices int    // looked at
	Online  int    // of these
	Sent    int    // of these: written to the device's connection
	Failed  int    // of the online ones; they ask at their next start
	Next    string // cursor of the rest; "" if that was all
}

// Push works through the devices of a product from a cursor on, "" for the first, until all are done or the time is over; whoever calls
// goes on at Pushed.Next. That a device is told twice does no harm.
func (p *Pusher) Push(ctx context.Context, pk iot.ProductKey, cursor string, until time.Time) (Pushed, error) {
	done := Pushed{Next: cursor}
	expires := p.Now().Add(validFor)
	notice, err := p.Service.Notice(ctx, pk)
	if err != nil {
		return done, err
	}
	for first := true; first || done.Next != "" && p.Now().Before(until); first = false {
		refs, next, err := p.Devices.After(ctx, pk, done.Next, pushPage)
		if err != nil {
			return done, err
		}
		online, err := p.online(ctx, refs)
		if err != nil {
			return done, err
		}
		sent := p.send(ctx, online, notice, expires)
		if ctx.Err() != nil { // the page is done again
			return done, iot.Wrap(iot.Unavailable, context.Cause(ctx), "out of time")
		}
		done.Devices, done.Online, done.Sent, done.Next = done.Devices+len(refs), done.Online+len(online), done.Sent+sent, next
		done.Failed += len(online) - sent
	}
	return done, nil
}

func (p *Pusher) online(ctx context.Context, refs []iot.DeviceRef) ([]iot.DeviceRef, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	sessions, err := p.Sessions.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]*store.Node)
	var online []iot.DeviceRef
	for i, s := range sessions {
		if s == nil || s.Node == "" {
			continue
		}
		if _, ok := nodes[s.Node]; !ok {
			if nodes[s.Node], err = p.Nodes.Get(ctx, s.Node); err != nil {
				return nil, err
			}
		}
		if status, _ := store.StatusOf(false, s, nodes[s.Node], p.Now().UnixMilli()); status == device.StatusOnline {
			online = append(online, refs[i])
		}
	}
	return online, nil
}

// send sends the notice to devices and counts those that have it. A device that just went offline finds it when it is back, but no later
// than the URL in it expires.
func (p *Pusher) send(ctx context.Context, refs []iot.DeviceRef, notice []byte, expires time.Time) int {
	var wg sync.WaitGroup
	slots := make(chan struct{}, pushParallel)
	results := make([]bool, len(refs))
	for i, ref := range refs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = p.one(ctx, ref, notice, expires) == nil
		})
	}
	wg.Wait()
	sent := 0
	for _, ok := range results {
		if ok {
			sent++
		}
	}
	return sent
}

// errNotSent says that a device did not get its message.
var errNotSent = errors.New("not sent")

func (p *Pusher) one(ctx context.Context, ref iot.DeviceRef, notice []byte, expires time.Time) error {
	id := p.NextID()
	o, err := p.Commander.Command(ctx, downlink.Command{Publish: &downlink.Publish{
		ProductKey: ref.ProductKey, DeviceName: ref.DeviceName, MessageID: id, Topic: topic.ConfigPushTopic(ref), QoS: 1,
		Payload:   alink.AppendRequest(nil, topic.DownConfigPush.Method(), id, notice, alink.Version),
		ExpiresAt: expires.UnixMilli(),
	}})
	if err == nil && o.State != downlink.Sent {
		err = errNotSent
	}
	return err
}
