package coap

import (
	"sync"
)

// lifetime is how long a message id means the same message (RFC 7252, 4.8.2, EXCHANGE_LIFETIME).
const lifetime = 247_000 // milliseconds

// peers remembers what peers have asked for lately, and the replies, so that a message that comes twice is decided once and hears the
// same. What is remembered is bounded for each peer and in all; when it is too much the peer that was silent longest is forgotten, which
// on 5682 lets its next retransmission run into the sequence window: the device authenticates anew, and nothing is lost. It is safe for
// concurrent use.
//
// Only requests with a valid token, and authentications, are noted. So what strangers send pushes nobody out.
type peers struct {
	limit peersLimit

	mu      sync.Mutex
	all     map[Peer]*peer
	recent  peer // list of all, most recently noted first; itself no member
	records int
	bytes   int
}

// peersLimit bounds what is remembered.
type peersLimit struct {
	perPeer      int // messages of one peer
	bytesPerPeer int // of their replies
	records      int // messages in all
	bytes        int // of replies, in all
}

type peer struct {
	key        Peer
	prev, next *peer
	seen       []seen // oldest first
	bytes      int
	last       int64 // when the latest was noted
	verified   int64 // until when the address is known to be the device's; Unix milliseconds
}

// A seen message.
type seen struct {
	mid   uint16
	done  bool
	hash  uint64 // of the whole datagram: a retransmission is the same bytes, a device that has restarted may use the id for others
	at    int64
	reply []byte
}

// What a datagram turns out to be.
type novelty int

const (
	fresh  novelty = iota
	again          // it was answered: reply
	early          // it is being decided: the answer will come
	tooFar         // the peer has too many under way
)

func newPeers(l peersLimit) *peers {
	p := &peers{limit: l, all: make(map[Peer]*peer)}
	p.recent.prev, p.recent.next = &p.recent, &p.recent
	return p
}

// look finds out whether a datagram came before. The reply must not be changed.
func (p *peers) look(key Peer, mid uint16, hash uint64, now int64) (novelty, []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.all[key]; x != nil {
		if s := x.find(mid, hash, now); s != nil {
			return s.state(), s.reply
		}
	}
	return fresh, nil
}

// begin is look, and notes a fresh datagram as under way until finish or forget.
func (p *peers) begin(key Peer, mid uint16, hash uint64, now int64) (novelty, []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	if x == nil {
		x = &peer{key: key}
		x.prev, x.next = x, x
		p.all[key] = x
	} else if s := x.find(mid, hash, now); s != nil {
		return s.state(), s.reply
	}
	for len(x.seen) > 0 && (now-x.seen[0].at >= lifetime && x.seen[0].done || len(x.seen) >= p.limit.perPeer) {
		if !p.dropOldest(x) {
			return tooFar, nil
		}
	}
	x.seen = append(x.seen, seen{mid: mid, hash: hash, at: now})
	x.last = now
	p.records++
	p.front(x)
	p.trim(x, now)
	return fresh, nil
}

// finish keeps the reply, which is nobody else's to change any more.
func (p *peers) finish(key Peer, mid uint16, hash uint64, reply []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	if x == nil {
		return
	}
	for i := range x.seen {
		if s := &x.seen[i]; s.mid == mid && s.hash == hash && !s.done {
			s.done, s.reply = true, reply
			x.bytes += len(reply)
			p.bytes += len(reply)
			for x.bytes > p.limit.bytesPerPeer && len(x.seen) > 1 && p.dropOldest(x) {
			}
			return
		}
	}
}

// forget takes a message back that was not taken after all. A peer of which nothing else is known goes with it: who repeats somebody
// else's message from many addresses is to leave nothing behind.
func (p *peers) forget(key Peer, mid uint16, hash uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	if x == nil {
		return
	}
	for i := range x.seen {
		if x.seen[i].mid == mid && x.seen[i].hash == hash && !x.seen[i].done {
			if p.drop(x, i); len(x.seen) == 0 && x.verified == 0 {
				p.remove(x)
			}
			return
		}
	}
}

// verify notes until when the peer's address is known to be its own.
func (p *peers) verify(key Peer, until int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.all[key]; x != nil {
		x.verified = until
	}
}

func (p *peers) verified(key Peer, now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	return x != nil && x.verified > now
}

// gone forgets a peer.
func (p *peers) gone(key Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.all[key]; x != nil {
		p.remove(x)
	}
}

// sweep forgets peers whose messages are all too old. Those under way are kept.
func (p *peers) sweep(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := p.recent.prev; x != &p.recent && now-x.last >= lifetime; {
		prev := x.prev
		if x.idle() {
			p.remove(x)
		}
		x = prev
	}
}

func (p *peers) size() (peers, records, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all), p.records, p.bytes
}

// trim forgets the peers that were silent longest while there is too much; x is kept. A few that have something under way are passed
// over, not more: those are bounded by whoever waits for functions.
func (p *peers) trim(x *peer, now int64) {
	passed := 0
	for victim := p.recent.prev; victim != &p.recent && passed < 8 &&
		(p.records > p.limit.records || p.bytes > p.limit.bytes || now-victim.last >= lifetime); {
		prev := victim.prev
		if victim == x || !victim.idle() {
			passed++
		} else {
			p.remove(victim)
		}
		victim = prev
	}
}

func (x *peer) idle() bool {
	for i := range x.seen {
		if !x.seen[i].done {
			return false
		}
	}
	return true
}

func (x *peer) find(mid uint16, hash uint64, now int64) *seen {
	for i := len(x.seen) - 1; i >= 0; i-- {
		if s := &x.seen[i]; s.mid == mid && s.hash == hash && (now-s.at < lifetime || !s.done) {
			return s
		}
	}
	return nil
}

func (s *seen) state() novelty {
	if s.done {
		return again
	}
	return early
}

// dropOldest forgets the oldest message that was answered; false if there is none.
func (p *peers) dropOldest(x *peer) bool {
	for i := range x.seen {
		if x.seen[i].done {
			p.drop(x, i)
			return true
		}
	}
	return false
}

func (p *peers) drop(x *peer, i int) {
	n := len(x.seen[i].reply)
	x.bytes -= n
	p.bytes -= n
	p.records--
	copy(x.seen[i:], x.seen[i+1:])
	x.seen[len(x.seen)-1] = seen{}
	x.seen = x.seen[:len(x.seen)-1]
}

func (p *peers) front(x *peer) {
	x.prev.next, x.next.prev = x.next, x.prev
	x.prev, x.next = &p.recent, p.recent.next
	x.prev.next, x.next.prev = x, x
}

func (p *peers) remove(x *peer) {
	x.prev.next, x.next.prev = x.next, x.prev
	x.prev, x.next = x, x
	delete(p.all, x.key)
	p.records -= len(x.seen)
	p.bytes -= x.bytes
}
