package forward

import (
	"sync"
	"time"
)

// A breaker opens after so many failures in a row, or at once when an attempt takes as long as Slow, and lets one attempt through after
// openFor.
const (
	maxFailures = 5
	openFor     = 5 * time.Second
	maxPlaces   = 4096 // that are remembered
)

// Breakers keep the function `rule` from waiting for destinations that do not answer. They are of one instance and safe for concurrent use.
type Breakers struct {
	Slow time.Duration    // an attempt that takes so long
	Now  func() time.Time // nil: time.Now

	mu     sync.Mutex
	places map[string]*breaker
}

type breaker struct {
	failures int
	until    time.Time // zero: closed
	probing  bool      // half open: one attempt is under way
}

func (b *Breakers) now() time.Time {
	if b.Now == nil {
		return time.Now()
	}
	return b.Now()
}

// Allow tells whether a place may be tried. Whoever is allowed calls Done.
func (b *Breakers) Allow(place string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[place]
	switch {
	case p == nil || p.until.IsZero():
		return true
	case p.probing || b.now().Before(p.until):
		return false
	}
	p.probing = true
	return true
}

// Done tells how an attempt went that began at a time.
func (b *Breakers) Done(place string, began time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	slow := now.Sub(began) >= b.Slow
	p := b.places[place]
	if ok && !slow {
		delete(b.places, place)
		return
	}
	if p == nil {
		if b.places == nil || len(b.places) >= maxPlaces {
			b.places = make(map[string]*breaker)
		}
		p = new(breaker)
		b.places[place] = p
	}
	p.failures++
	if slow || p.probing || p.failures >= maxFailures {
		p.until = now.Add(openFor)
	}
	p.probing = false
}
