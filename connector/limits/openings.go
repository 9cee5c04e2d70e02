package limits

import (
	"net/netip"
	"sync"
)

// Openings bounds the connections that are open but not logged in. When they are too many, the oldest is closed to make room: an
// honest device needs milliseconds, so it is not the one that waits longest. It is safe for concurrent use.
type Openings struct {
	max, perSource int
	exemptLoopback bool // from perSource

	mu      sync.Mutex
	first   *Opening // oldest
	last    *Opening
	n       int
	sources map[netip.Addr]int // by sourceOf
	closed  bool
}

// An Opening is one connection between accept and login.
type Opening struct {
	addr       netip.Addr // sourceOf
	close      func()
	prev, next *Opening
	listed     bool
}

// NewOpenings makes a bound of max connections in all and perSource from one address; from this machine only max holds if
// exemptLoopback is set.
func NewOpenings(max, perSource int, exemptLoopback bool) *Openings {
	return &Openings{max: max, perSource: perSource, exemptLoopback: exemptLoopback, sources: make(map[netip.Addr]int)}
}

// Enter counts a connection; nil if its source has too many, or after Close. close is called, without a lock held, if the connection has to make
// room for another.
func (o *Openings) Enter(addr netip.Addr, close func()) *Opening {
	addr, local := sourceOf(addr)
	o.mu.Lock()
	if o.closed || o.sources[addr] >= o.perSource && !(o.exemptLoopback && local) {
		o.mu.Unlock()
		return nil
	}
	var evicted *Opening
	if o.n >= o.max {
		evicted = o.first
		o.remove(evicted)
	}
	c := &Opening{addr: addr, close: close, prev: o.last, listed: true}
	if o.last != nil {
		o.last.next = c
	} else {
		o.first = c
	}
	o.last = c
	o.n++
	o.sources[addr]++
	o.mu.Unlock()
	if evicted != nil {
		evicted.close()
	}
	return c
}

// Close closes all connections that are counted, and lets no more in.
func (o *Openings) Close() {
	o.mu.Lock()
	o.closed = true
	var all []*Opening
	for o.first != nil {
		all = append(all, o.first)
		o.remove(o.first)
	}
	o.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// Leave says that the connection has logged in or is gone. Leaving twice does no harm.
func (o *Openings) Leave(c *Opening) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.listed {
		o.remove(c)
	}
}

// Len is how many connections are counted.
func (o *Openings) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

func (o *Openings) remove(c *Opening) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		o.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		o.last = c.prev
	}
	c.prev, c.next, c.listed = nil, nil, false
	o.n--
	if o.sources[c.addr]--; o.sources[c.addr] == 0 {
		delete(o.sources, c.addr)
	}
}
