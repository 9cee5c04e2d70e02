package uplink

import (
	"strconv"
	"sync"
	"testing"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	a, b := NewIDs(1), NewIDs(2)
	const now = 1_800_000_000_000
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for _, g := range []*IDs{a, b, a, b} {
		wg.Go(func() {
			last := uint64(0)
			for i := range 10_000 { // more than one millisecond's sequence, and a clock that goes back
				id := g.Next(now - int64(i%3))
				n, err := strconv.ParseUint(id, 10, 63)
				if err != nil || n <= last {
					t.Errorf("id %s after %d: %v", id, last, err)
					return
				}
				last = n
				mu.Lock()
				if seen[id] {
					t.Errorf("id %s twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if id := a.Next(now + 1000); len(id) != 19 && len(id) != 18 {
		t.Errorf("id %s has %d digits", id, len(id))
	}
}

func TestNextAllocatesOnce(t *testing.T) {
	g := NewIDs(1)
	if got := testing.AllocsPerRun(100, func() { g.Next(1_800_000_000_000) }); got > 1 {
		t.Errorf("%v allocations, want 1", got)
	}
}
