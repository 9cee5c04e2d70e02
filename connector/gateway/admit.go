package gateway

import (
	"time"

	"relink/connector/session"
)

const (
	// Slots is how many messages of a gateway's connection may be undecided: more than a device of its own has, because there are so
	// many behind it.
	Slots = 1024
	// share is the part of the free slots that one sub-device may hold: alone it gets 128, the more others hold the less, but always
	// least. So a hundred slow ones do not take all slots; and if the whole system is slow, the socket is not read for a while, as for
	// any device, and nothing is dropped of those that send little.
	share = 8
	least = 8
	// patience is how long the reader waits for a sub-device that has its share: a burst passes, one that is slow is found out.
	patience = 500 * time.Millisecond
)

// An account counts the undecided messages of one sub-device, or of the gateway itself.
type account struct {
	undecided int
	moved     time.Time     // when one was last decided, or the first taken
	latency   time.Duration // of the last that was decided, while there are others
}

// Admit takes in a message of a sub-device, or with nil of the gateway itself; Decided has to follow. free is how many slots of the
// connection are free. One that has its share is waited for, but not if it is slow: then the answer is false, and the message is not
// taken, so that the others of the gateway go on. It blocks for at most half a second, and not after done is closed.
func (g *Gateway) Admit(x *Sub, free func() int, done <-chan struct{}) bool {
	var timer *time.Timer
	for {
		now := time.Now()
		g.mu.Lock()
		a := g.accountOf(x)
		if a.undecided < max(least, free()/share) {
			if a.undecided == 0 {
				a.moved = now
			}
			a.undecided++
			g.mu.Unlock()
			return true
		}
		wait := patience - max(a.latency, now.Sub(a.moved))
		g.waiting = wait > 0
		g.mu.Unlock()
		if wait <= 0 {
			return false
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case <-g.freed:
		case <-timer.C:
		case <-done:
			return false
		}
	}
}

// Decided says that a message was decided, or not taken after all. The session is the sub-device's or the gateway's.
func (g *Gateway) Decided(s *session.Session, took time.Duration) {
	x, _ := s.Conn().(*Sub)
	g.mu.Lock()
	a := g.accountOf(x)
	a.undecided--
	a.moved, a.latency = time.Now(), took
	if a.undecided == 0 {
		a.latency = 0
	}
	wake := g.waiting
	g.waiting = false
	g.mu.Unlock()
	if wake {
		select {
		case g.freed <- struct{}{}:
		default:
		}
	}
}

// accountOf gives the account of a sub-device, of the gateway for nil. The lock is held.
func (g *Gateway) accountOf(x *Sub) *account {
	if x == nil {
		return &g.mine
	}
	return x.account
}
