package main

import (
	"sync"
	"time"

	"relink/shared/iot"
)

// broadcastEvery is how often a message for all devices of a product may be sent ("Quotas", Broadcast).
const broadcastEvery = time.Minute

// broadcastLimit counts broadcasts without a topic, in the memory of this process as package openapi counts calls. nil lets all through. It
// holds the products of the last minute.
type broadcastLimit struct {
	mu   sync.Mutex
	last map[iot.ProductKey]time.Time
}

func newBroadcastLimit() *broadcastLimit {
	return &broadcastLimit{last: make(map[iot.ProductKey]time.Time)}
}

// allow tells whether one may be sent, and counts it.
func (l *broadcastLimit) allow(pk iot.ProductKey, now time.Time) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, at := range l.last {
		if now.Sub(at) >= broadcastEvery {
			delete(l.last, key)
		}
	}
	if _, recent := l.last[pk]; recent {
		return false
	}
	l.last[pk] = now
	return true
}
