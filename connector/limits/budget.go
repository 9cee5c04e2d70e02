// Package limits keeps strangers from spending the owner's money and memory: a budget of failures per source address, and a
// bound on connections that have not logged in yet. What it knows is bounded whoever connects ("Laws", 7).
package limits

import (
	"net/netip"
	"sync"
	"time"
)

// A Budget lets each source address fail so often and no more. Addresses of IPv6 count per /64. It is safe for concurrent use.
type Budget struct {
	opts BudgetOptions
	rate float64 // failures forgiven per nanosecond

	mu      sync.Mutex
	buckets map[netip.Addr]bucket
}

// BudgetOptions configure a Budget. The zero value allows nothing to fail twice; use DefaultBudget.
type BudgetOptions struct {
	Burst          int              // failures in a row
	PerMinute      int              // failures forgiven per minute
	MaxSources     int              // addresses remembered; beyond that the one nearest to forgiven of a few is forgotten
	ExemptLoopback bool             // connections from this machine are not counted
	Now            func() time.Time // nil: time.Now
}

// DefaultBudget is generous to many devices behind one address with a few wrong ones among them.
func DefaultBudget() BudgetOptions {
	return BudgetOptions{Burst: 120, PerMinute: 60, MaxSources: 65_536, ExemptLoopback: true}
}

type bucket struct {
	spent float64
	at    int64 // Unix nanoseconds of spent
}

// NewBudget makes a budget.
func NewBudget(opts BudgetOptions) *Budget {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Budget{
		opts:    opts,
		rate:    float64(opts.PerMinute) / float64(time.Minute),
		buckets: make(map[netip.Addr]bucket),
	}
}

// Allows reports whether addr may try. It costs nothing.
func (b *Budget) Allows(addr netip.Addr) bool {
	key, counted := b.key(addr)
	if !counted {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.buckets[key]
	return !ok || b.spent(k, b.opts.Now().UnixNano())+1 <= float64(b.opts.Burst)
}

// Fail notes that a connection from addr failed by its own fault.
func (b *Budget) Fail(addr netip.Addr) {
	key, counted := b.key(addr)
	if !counted {
		return
	}
	now := b.opts.Now().UnixNano()
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.buckets[key]
	if !ok && len(b.buckets) >= b.opts.MaxSources {
		b.forgetOne(now)
	}
	b.buckets[key] = bucket{spent: min(b.spent(k, now)+1, float64(b.opts.Burst)), at: now}
}

// Sources is how many addresses have failed lately.
func (b *Budget) Sources() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.buckets)
}

func (b *Budget) spent(k bucket, now int64) float64 {
	return max(0, k.spent-b.rate*float64(max(0, now-k.at)))
}

// forgetOne looks at a few addresses, in the map's random order, and forgets the one that has least to be forgiven.
func (b *Budget) forgetOne(now int64) {
	var victim netip.Addr
	least, seen := 0.0, 0
	for addr, k := range b.buckets {
		if s := b.spent(k, now); seen == 0 || s < least {
			victim, least = addr, s
		}
		if seen++; seen == 16 || least == 0 {
			break
		}
	}
	delete(b.buckets, victim)
}

// key is what counts as one source; false if it is not counted.
func (b *Budget) key(addr netip.Addr) (netip.Addr, bool) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || b.opts.ExemptLoopback && addr.IsLoopback() {
		return addr, false
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr(), true
		}
	}
	return addr, true
}
