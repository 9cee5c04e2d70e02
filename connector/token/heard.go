package token

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/token"
)

// heardEvery is how often the platform is told at most that a device was heard of.
const heardEvery = time.Minute

// maxUntold bounds the devices that were heard of and wait to be told; one that finds no room is told with its next message.
const maxUntold = 8192

// heardAt is when a device was last told to be heard of over one protocol, Unix milliseconds.
type heardAt struct{ atomic.Int64 }

func (c *conn) at(f token.Family) *heardAt {
	if f == token.CoAP {
		return &c.heard[1]
	}
	return &c.heard[0]
}

// Heard says that a device has spoken, over a protocol and from an address, which is another one than that of its login as often as not; its session is one of this Keeper's. It costs nothing if that was told within the last
// minute, and never blocks.
func (k *Keeper) Heard(s *session.Session, protocol string, from netip.AddrPort) {
	c, ok := s.Conn().(*conn)
	family, known := token.FamilyOf(protocol)
	if !ok || !known {
		return
	}
	at, now := c.at(family), k.now().UnixMilli()
	before := at.Load()
	if now-before < heardEvery.Milliseconds() || !at.CompareAndSwap(before, now) {
		return
	}
	select {
	case k.heard.in <- sound{s, protocol, from, now, at}:
	default:
		at.Store(before)
	}
}

// A sound is that a device was heard of.
type sound struct {
	session  *session.Session
	protocol string
	from     netip.AddrPort
	at       int64
	noted    *heardAt
}

// A hearing tells the platform who was heard of. The dispatcher's lanes make batches of it.
type hearing struct {
	in    chan sound
	stop  chan struct{}
	once  sync.Once
	abort context.CancelFunc
	ended chan struct{}
}

func startHearing(k *Keeper) *hearing {
	ctx, abort := context.WithCancel(context.Background())
	h := &hearing{in: make(chan sound, maxUntold), stop: make(chan struct{}), abort: abort, ended: make(chan struct{})}
	go h.run(ctx, k)
	return h
}

// close tells what waits, until ctx ends.
func (h *hearing) close(ctx context.Context) error {
	h.once.Do(func() { close(h.stop) })
	defer h.abort()
	select {
	case <-h.ended:
		return nil
	case <-ctx.Done():
		h.abort()
		<-h.ended
		return context.Cause(ctx)
	}
}

func (h *hearing) run(ctx context.Context, k *Keeper) {
	defer close(h.ended)
	for {
		select {
		case s := <-h.in:
			k.tell(ctx, s)
		case <-h.stop:
			for ctx.Err() == nil {
				select {
				case s := <-h.in:
					k.tell(ctx, s)
				default:
					return
				}
			}
			return
		}
	}
}

func (k *Keeper) tell(ctx context.Context, s sound) {
	failed := func(err error) {
		s.noted.CompareAndSwap(s.at, 0) // its next message is told
		k.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "state of device not told", logs.Device(s.session.Ref), slog.String(logs.FieldTopic, device.TopicHeard), logs.Err(err))
	}
	payload, err := json.Marshal(device.Heard{Protocol: s.protocol, RemoteAddr: s.from.String(), At: s.at})
	if err == nil {
		err = k.opts.Dispatcher.Submit(ctx, functionLifecycle, record.Record{
			MessageID: k.opts.NextID(s.at), Device: s.session.Ref, IotID: s.session.Grant.IotID, Topic: device.TopicHeard, Payload: payload, ReceivedAt: s.at,
		}, func(_ record.Result, err error) {
			if err != nil {
				failed(err)
			}
		})
	}
	if err != nil && ctx.Err() == nil {
		failed(err)
	}
}
