package load

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Latency sums up how long something took.
type Latency struct {
	P50, P99, Max time.Duration
	Count         int64
}

// A histogram takes durations from many goroutines; its shards keep them from waiting for each other.
type histogram struct {
	shards [16]struct {
		mu sync.Mutex
		h  *hdrhistogram.Histogram
		_  [40]byte // a cache line each
	}
}

func newShard() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(2*time.Minute/time.Microsecond), 3)
}

func (h *histogram) record(d time.Duration) {
	s := &h.shards[rand.IntN(len(h.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.h == nil {
		s.h = newShard()
	}
	us := min(int64(d/time.Microsecond), s.h.HighestTrackableValue())
	if err := s.h.RecordValue(max(us, 1)); err != nil {
		panic(err) // the value was clamped into the range
	}
}

func (h *histogram) latency() Latency {
	all := newShard()
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		if s.h != nil {
			all.Merge(s.h)
		}
		s.mu.Unlock()
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return Latency{P50: us(all.ValueAtQuantile(50)), P99: us(all.ValueAtQuantile(99)), Max: us(all.Max()), Count: all.TotalCount()}
}
