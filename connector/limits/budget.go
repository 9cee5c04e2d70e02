// Package limits keeps strangers, and devices gone wild, from spending the owner's money and memory: budgets of failures per
// source address and of connects per device, and a bound on connections that have not logged in yet. What it knows is bounded
// whoever connects ("Laws", 7).
package limits

import (
	"net/netip"
	"time"

	"relink/shared/iot"
)

// A Budget lets each source address fail so often and no more. Addresses of IPv6 count per /64. It is safe for concurrent use.
//
// Attempts at the same time are not held against each other before they fail: behind one address there may be a thousand honest
// devices that come back together, and how many strangers can try at once is what Openings bounds.
type Budget struct {
	exemptLoopback bool
	spent          *ledger[netip.Addr]
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

// NewBudget makes a budget.
func NewBudget(o BudgetOptions) *Budget {
	return &Budget{exemptLoopback: o.ExemptLoopback, spent: newLedger[netip.Addr](o.Burst, o.PerMinute, o.MaxSources, o.Now)}
}

// Allows reports whether addr may try. It costs nothing.
func (b *Budget) Allows(addr netip.Addr) bool {
	key, counted := b.key(addr)
	return !counted || b.spent.allows(key)
}

// Fail notes that a connection from addr failed by its own fault.
func (b *Budget) Fail(addr netip.Addr) {
	if key, counted := b.key(addr); counted {
		b.spent.spend(key)
	}
}

// Sources is how many addresses have failed lately.
func (b *Budget) Sources() int { return b.spent.len() }

// key is what counts as one source; false if it is not counted.
func (b *Budget) key(addr netip.Addr) (netip.Addr, bool) {
	source, local := sourceOf(addr)
	return source, addr.IsValid() && !(b.exemptLoopback && local)
}

// sourceOf is what counts as one source: an address, or the /64 of an IPv6 address, all of which one subscriber has. local says that
// it is this machine.
func sourceOf(addr netip.Addr) (source netip.Addr, local bool) {
	addr = addr.Unmap().WithZone("")
	local = addr.IsLoopback()
	if addr.Is6() && !local {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr, local
}

// Connects lets each device log in so often and no more ("connect attempts"). Only logins that were granted count, or strangers
// could lock a device out; so it stops two devices that have one identity and push each other out, at the owner's cost. It is safe
// for concurrent use.
type Connects struct {
	spent *ledger[iot.DeviceRef]
}

// NewConnects makes a limit of so many logins in a row, and so many more per minute; devices is how many are remembered. With a burst
// of 0 there is no limit.
func NewConnects(burst, perMinute, devices int, now func() time.Time) *Connects {
	if burst <= 0 {
		return &Connects{}
	}
	return &Connects{spent: newLedger[iot.DeviceRef](burst, perMinute, devices, now)}
}

// Take reports whether the device may try, and counts the attempt until it is given back, so that attempts at the same time do not
// all see the same room.
func (c *Connects) Take(dev iot.DeviceRef) bool { return c.spent == nil || c.spent.take(dev) }

// GiveBack says that an attempt that was taken was not granted.
func (c *Connects) GiveBack(dev iot.DeviceRef) {
	if c.spent != nil {
		c.spent.giveBack(dev)
	}
}
