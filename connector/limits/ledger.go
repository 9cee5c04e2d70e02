package limits

import (
	"sync"
	"time"
)

// A ledger is a token bucket for each of a bounded number of keys.
type ledger[K comparable] struct {
	burst float64
	rate  float64 // forgiven per nanosecond
	max   int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[K]bucket
}

type bucket struct {
	spent float64
	at    int64 // Unix nanoseconds of spent
}

func newLedger[K comparable](burst, perMinute, max int, now func() time.Time) *ledger[K] {
	if now == nil {
		now = time.Now
	}
	return &ledger[K]{burst: float64(burst), rate: float64(perMinute) / float64(time.Minute), max: max, now: now, buckets: make(map[K]bucket)}
}

func (l *ledger[K]) allows(key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	return !ok || l.left(b, l.now().UnixNano())+1 <= l.burst
}

// take spends if that is allowed, and reports whether it was.
func (l *ledger[K]) take(key K) bool {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.buckets[key]; ok && l.left(b, now)+1 > l.burst {
		return false
	}
	l.add(key, now)
	return true
}

// giveBack undoes a take.
func (l *ledger[K]) giveBack(key K) {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		return
	}
	if left := l.left(b, now) - 1; left > 0 {
		l.buckets[key] = bucket{spent: left, at: max(now, b.at)}
	} else {
		delete(l.buckets, key)
	}
}

func (l *ledger[K]) spend(key K) {
	now := l.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(key, now)
}

// add needs the lock.
func (l *ledger[K]) add(key K, now int64) {
	b, ok := l.buckets[key]
	if !ok && len(l.buckets) >= l.max {
		l.forgetOne(now)
	}
	l.buckets[key] = bucket{spent: min(l.left(b, now)+1, l.burst), at: now}
}

func (l *ledger[K]) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// left is what of b is not forgiven yet. A clock that went back forgives nothing.
func (l *ledger[K]) left(b bucket, now int64) float64 {
	return max(0, b.spent-l.rate*float64(max(0, now-b.at)))
}

// forgetOne looks at a few keys, in the map's random order, and forgets the one that has least to be forgiven.
func (l *ledger[K]) forgetOne(now int64) {
	var victim K
	least, seen := 0.0, 0
	for key, b := range l.buckets {
		if s := l.left(b, now); seen == 0 || s < least {
			victim, least = key, s
		}
		if seen++; seen == 16 || least == 0 {
			break
		}
	}
	delete(l.buckets, victim)
}
