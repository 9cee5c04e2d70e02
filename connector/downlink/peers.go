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

const (
	peerWorkers  = 4
	peerQueue    = 4096                   // that wait for their first or next attempt
	peerCall     = 2 * time.Second        // one attempt
	peerFirst    = 200 * time.Millisecond // pause before the second attempt, doubled for each that follows
	peerLongest  = 4 * time.Second        // pause
	peerPatience = 30 * time.Second       // all attempts; twice the lease of a node
)

// A Dropper asks the connector at base to end a device's connection; *downlink.Client is one.
type Dropper interface {
	Drop(ctx context.Context, base string, d *downlink.Drop) (downlink.Outcome, error)
}

// Peers tells other connectors to drop sessions that were taken over here ("Connecting", 4). It tries for longer than a node that does
// not answer can still hold its lease; a session that is left after that is one of a node that is cut off from here and lives, and
// ends with its keep-alive or its grant. The queue is bounded. What is given up is counted.
type Peers struct {
	to    Dropper
	log   *slog.Logger
	count func(outcome string)
	ready chan *takeover
	tasks sync.WaitGroup
	stop  context.CancelFunc

	mu    sync.Mutex
	later []*takeover          // wait for their next attempt
	known int                  // in ready, in later, or being told
	down  map[string]time.Time // base URLs of nodes that have just failed, and until when nobody asks them
}

// A takeover is one session that another node has to drop.
type takeover struct {
	drop  downlink.Drop
	owner device.Owner
	until time.Time // the last attempt
	next  time.Time
	pause time.Duration
}

// NewPeers starts the goroutines that call. count is told what became of each session: told, failed, or overflow.
func NewPeers(to Dropper, log *slog.Logger, count func(outcome string)) *Peers {
	ctx, stop := context.WithCancel(context.Background())
	p := &Peers{to: to, log: log, count: count, ready: make(chan *takeover, peerQueue), stop: stop, down: make(map[string]time.Time)}
	for range peerWorkers {
		p.tasks.Go(func() { p.run(ctx) })
	}
	p.tasks.Go(func() { p.wake(ctx) })
	return p
}

// Superseded has Grant.Previous told. It does not block.
func (p *Peers) Superseded(g *device.Grant) {
	t := &takeover{
		drop:  downlink.Drop{ProductKey: g.ProductKey, DeviceName: g.DeviceName, Epoch: g.Previous.Epoch, Reason: string(refusal.TakenOver)},
		owner: *g.Previous, until: time.Now().Add(peerPatience), pause: peerFirst,
	}
	p.mu.Lock()
	full := p.known >= peerQueue
	if !full {
		p.known++
	}
	p.mu.Unlock()
	if full {
		p.count("overflow")
		p.log.LogAttrs(context.Background(), slog.LevelWarn, "old session not dropped: queue is full", logs.Device(g.Ref()))
		return
	}
	p.ready <- t // has room for all that are known
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
		case t := <-p.ready:
			p.tell(ctx, t)
		}
	}
}

// tell makes one attempt.
func (p *Peers) tell(ctx context.Context, t *takeover) {
	now := time.Now()
	p.mu.Lock()
	until, down := p.down[t.owner.URL]
	if down && now.Before(until) && until.Before(t.until) {
		t.next = until
		p.later = append(p.later, t)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()

	call, cancel := context.WithTimeout(ctx, peerCall)
	_, err := p.to.Drop(call, t.owner.URL, &t.drop)
	cancel()
	if ctx.Err() != nil {
		return
	}
	now = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.down, t.owner.URL)
		p.known--
		p.count("told")
		return
	}
	if now.Add(t.pause).After(t.until) {
		p.known--
		p.count("failed")
		p.log.LogAttrs(ctx, slog.LevelWarn, "old session not dropped", logs.Device(iot.DeviceRef{ProductKey: t.drop.ProductKey, DeviceName: t.drop.DeviceName}),
			slog.String(logs.FieldNode, t.owner.Node), logs.Err(err))
		return
	}
	p.down[t.owner.URL] = now.Add(peerFirst) // so that a dead node does not take all the workers' time
	t.next = now.Add(t.pause)
	t.pause = min(2*t.pause, peerLongest)
	p.later = append(p.later, t)
}

// wake makes ready what is due.
func (p *Peers) wake(ctx context.Context) {
	tick := time.NewTicker(peerFirst / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		p.mu.Lock()
		kept := p.later[:0]
		for _, t := range p.later {
			if t.next.After(now) {
				kept = append(kept, t)
			} else {
				p.ready <- t // has room for all that are known
			}
		}
		clear(p.later[len(kept):])
		p.later = kept
		for url, until := range p.down {
			if until.Before(now) {
				delete(p.down, url)
			}
		}
		p.mu.Unlock()
	}
}
