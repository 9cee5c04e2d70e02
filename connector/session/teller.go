package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"relink/shared/device"
	"relink/shared/refusal"
)

const (
	tellers     = 4
	tellerQueue = 16_384 // of each
	tellerCall  = 3 * time.Second
)

// A Teller tells the platform of sessions that begin and end where nobody may block: those of sub-devices, whose begin is in an answer
// of a function, and whose end anybody may bring about. What happens to one device is told in order. The queue is bounded: an end that
// finds no room is kept with those that could not be told (untold.go), a begin is logged.
type Teller struct {
	presence *Presence
	stopped  context.Context // ends with Close: nothing is waited for any more
	stop     context.CancelFunc
	queues   [tellers]tellerQ
	tasks    sync.WaitGroup
}

type tellerQ struct {
	mu     sync.Mutex
	filled sync.Cond
	list   []telling
	closed bool
}

// A telling is a begin, or with a cause an end.
type telling struct {
	s     *Session
	cause refusal.Cause
	at    int64
}

// NewTeller starts the goroutines that tell.
func NewTeller(p *Presence) *Teller {
	t := &Teller{presence: p}
	t.stopped, t.stop = context.WithCancel(context.Background())
	for i := range t.queues {
		q := &t.queues[i]
		q.filled.L = &q.mu
		t.tasks.Go(func() { t.run(q) })
	}
	return t
}

// Online says that a session is established.
func (t *Teller) Online(s *Session) {
	if !t.queue(telling{s: s}) {
		t.presence.lost(s.Ref, device.TopicOnline, errTellerFull)
		t.presence.unread(s)
	}
}

// Offline says that a session has ended.
func (t *Teller) Offline(s *Session, cause refusal.Cause) {
	at := t.presence.Now().UnixMilli()
	if !t.queue(telling{s, cause, at}) {
		t.presence.keepEnd(s.Ref, t.presence.endOf(s, cause, at), errTellerFull)
	}
}

var errTellerFull = errors.New("too much waits to be told")

func (t *Teller) queue(what telling) bool {
	q := &t.queues[what.s.Ref.Hash()%tellers]
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.list) >= tellerQueue {
		return false
	}
	q.list = append(q.list, what)
	q.filled.Signal()
	return true
}

func (t *Teller) run(q *tellerQ) {
	for {
		q.mu.Lock()
		for len(q.list) == 0 && !q.closed {
			q.filled.Wait()
		}
		list := q.list
		q.list = nil
		q.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, what := range list {
			ctx, cancel := context.WithTimeout(t.stopped, tellerCall)
			if what.cause == "" {
				t.presence.Online(ctx, what.s)
			} else {
				t.presence.offline(ctx, what.s.Ref, t.presence.endOf(what.s, what.cause, what.at))
			}
			cancel()
		}
	}
}

// Close ends the telling. What waits is still told, as far as there is room for it at once.
func (t *Teller) Close() {
	t.stop()
	for i := range t.queues {
		q := &t.queues[i]
		q.mu.Lock()
		q.closed = true
		q.filled.Signal()
		q.mu.Unlock()
	}
	t.tasks.Wait()
}
