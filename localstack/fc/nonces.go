package fc

import (
	"hash/maphash"
	"sync"
	"time"
)

// nonces refuses the reuse of a signature nonce. Memory is bounded without accepting replays: nonces are kept
// by the minute of the date that is signed with them; when there are too many, the oldest minute is forgotten and
// requests dated in it are refused from then on.
type nonces struct {
	seed  maphash.Seed
	limit int

	mu      sync.Mutex
	minutes map[int64]map[uint64]struct{}
	total   int
	floor   int64 // first minute that is still remembered
}

func newNonces(limit int) *nonces {
	return &nonces{seed: maphash.MakeSeed(), limit: limit, minutes: make(map[int64]map[uint64]struct{})}
}

func (n *nonces) take(nonce string, date time.Time) *apiError {
	key := maphash.String(n.seed, nonce)
	minute := date.Unix() / 60
	n.mu.Lock()
	defer n.mu.Unlock()
	if minute < n.floor {
		return errExpired
	}
	set := n.minutes[minute]
	if set == nil {
		set = make(map[uint64]struct{})
		n.minutes[minute] = set
	}
	if _, used := set[key]; used {
		return errNonceUsed
	}
	if len(set) >= n.limit {
		return errExhausted("more than %d signed requests in one minute", n.limit)
	}
	set[key] = struct{}{}
	n.total++
	for n.total > n.limit && len(n.minutes) > 1 {
		n.forget(n.oldest())
	}
	return nil
}

// expire forgets the minutes that the signature window refuses anyway.
func (n *nonces) expire(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for minute := range n.minutes {
		if minute < now.Add(-signatureWindow).Unix()/60 {
			n.total -= len(n.minutes[minute])
			delete(n.minutes, minute)
		}
	}
}

func (n *nonces) oldest() int64 {
	first := true
	var oldest int64
	for minute := range n.minutes {
		if first || minute < oldest {
			oldest, first = minute, false
		}
	}
	return oldest
}

func (n *nonces) forget(minute int64) {
	n.total -= len(n.minutes[minute])
	delete(n.minutes, minute)
	n.floor = max(n.floor, minute+1)
}
