package openapi

import (
	"sync"
	"time"
)

// maxNonces bounds the memory of nonces, some 100 bytes each. Beyond it, which takes 70 signed calls a second for half an hour
// on one instance, the oldest are forgotten early: refusing calls instead would be the worse failure.
const maxNonces = 1 << 17

// nonces remembers what was used. A timestamp may be Window ahead, so a request stays acceptable for twice that; two
// generations of that length make one of them always old enough to be dropped whole.
type nonces struct {
	limit int // of one generation

	mu       sync.Mutex
	now, old map[string]struct{}
	since    time.Time // when now was begun
}

func newNonces(limit int) *nonces {
	return &nonces{limit: max(limit/2, 1), now: make(map[string]struct{})}
}

// add reports whether a nonce is new, and remembers it.
func (n *nonces) add(nonce string, at time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.now) >= n.limit || at.Sub(n.since) > 2*Window {
		if at.Sub(n.since) > 4*Window {
			n.now = nil // both generations are past
		}
		n.old, n.now, n.since = n.now, make(map[string]struct{}), at
	}
	if _, used := n.now[nonce]; used {
		return false
	}
	if _, used := n.old[nonce]; used {
		return false
	}
	n.now[nonce] = struct{}{}
	return true
}
