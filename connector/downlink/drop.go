package downlink

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
)

// reasons are what a Drop may give as its reason; anything else is an operator's kick.
var reasons = map[string]refusal.Cause{
	string(refusal.TakenOver): refusal.TakenOver,
	string(refusal.Disabled):  refusal.Disabled,
	string(refusal.Deleted):   refusal.Deleted,
}

// drop ends a device's connection, unless its session is newer than what the caller knows.
func (s *Server) drop(d *downlink.Drop) downlink.Outcome {
	ref := iot.DeviceRef{ProductKey: d.ProductKey, DeviceName: d.DeviceName}
	cause, ok := reasons[d.Reason]
	if !ok {
		cause = refusal.Kicked
	}
	if cause == refusal.Disabled || cause == refusal.Deleted {
		s.Drops.Note(ref, cause, s.Now()) // a login may be under way that read the device before
	}
	sess := s.Registry.Get(ref)
	if sess == nil {
		return downlink.Outcome{State: downlink.Offline}
	}
	if d.Epoch != 0 && sess.Grant.Epoch > d.Epoch {
		return downlink.Outcome{State: downlink.Offline, Epoch: sess.Grant.Epoch}
	}
	sess.End(cause, "")
	return downlink.Outcome{State: downlink.Dropped, Epoch: sess.Grant.Epoch}
}

// Peers tells other connectors to drop sessions that were taken over here ("Connecting", 4). The queue is bounded; what finds no
// room is left to the other node's keep-alive, and counted.
type Peers struct {
	client *downlink.Client
	log    *slog.Logger
	queue  chan *device.Grant
	tasks  sync.WaitGroup
	stop   context.CancelFunc
}

const (
	peerWorkers = 4
	peerQueue   = 4096
	peerTries   = 3
)

// NewPeers starts the goroutines that call.
func NewPeers(client *downlink.Client, log *slog.Logger) *Peers {
	ctx, stop := context.WithCancel(context.Background())
	p := &Peers{client: client, log: log, queue: make(chan *device.Grant, peerQueue), stop: stop}
	for range peerWorkers {
		p.tasks.Go(func() { p.run(ctx) })
	}
	return p
}

// Superseded has Grant.Previous told. It does not block.
func (p *Peers) Superseded(g *device.Grant) {
	select {
	case p.queue <- g:
	default:
		p.log.LogAttrs(context.Background(), slog.LevelWarn, "old session not dropped: queue is full", logs.Device(g.Ref()))
	}
}

// Close stops calling.
func (p *Peers) Close() {
	p.stop()
	p.tasks.Wait()
}

func (p *Peers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case g := <-p.queue:
			p.tell(ctx, g)
		}
	}
}

func (p *Peers) tell(ctx context.Context, g *device.Grant) {
	d := downlink.Drop{ProductKey: g.ProductKey, DeviceName: g.DeviceName, Epoch: g.Previous.Epoch, Reason: string(refusal.TakenOver)}
	var err error
	for try := range peerTries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(try) * 200 * time.Millisecond):
			}
		}
		call, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err = p.client.Drop(call, g.Previous.URL, &d)
		cancel()
		if err == nil {
			return
		}
	}
	if ctx.Err() == nil { // a node that died has no session either
		p.log.LogAttrs(ctx, slog.LevelInfo, "old session not dropped", logs.Device(g.Ref()), slog.String(logs.FieldNode, g.Previous.Node), logs.Err(err))
	}
}
