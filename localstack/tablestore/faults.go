package tablestore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Faults are what the server breaks on purpose. The zero value breaks nothing.
type Faults struct {
	Seed  uint64 // of the choice which requests are hit; same seed and same order of requests, same hits
	Rules []Fault
}

// A Fault hits a share of the requests of one operation. Delay comes before a request is authenticated, Code after.
type Fault struct {
	Operation    string        // "BatchWriteRow"; "" = every operation
	Fraction     float64       // share of requests hit, 0 to 1
	Times        int           // stop after that many hits; 0 = no end
	Code         string        // answer this error instead of working: "OTSNotEnoughCapacityUnit", "OTSServerBusy", …
	Rows         bool          // Code hits single rows of BatchWriteRow and BatchGetRow, Fraction of them, not the request
	Delay        time.Duration // wait before working
	LoseResponse bool          // work, then close the connection instead of answering
}

// SetFaults replaces the faults. It refuses unknown codes and fractions outside 0 to 1.
func (s *Server) SetFaults(f Faults) error {
	if len(f.Rules) == 0 {
		s.faults.Store(nil)
		return nil
	}
	state := &faultState{random: rand.New(rand.NewPCG(f.Seed, 0))}
	for _, r := range f.Rules {
		if r.Fraction < 0 || r.Fraction > 1 {
			return fmt.Errorf("fault of %q: fraction %v is not between 0 and 1", r.Operation, r.Fraction)
		}
		rule := faultRule{Fault: r}
		if r.Code != "" {
			c := codes[r.Code]
			if c == nil {
				return fmt.Errorf("fault of %q: unknown code %q", r.Operation, r.Code)
			}
			rule.failure = fail(c)
		}
		if r.Rows && r.Code == "" {
			return fmt.Errorf("fault of %q: a fault of rows needs a code", r.Operation)
		}
		state.rules = append(state.rules, rule)
	}
	s.faults.Store(state)
	return nil
}

type faultState struct {
	mu     sync.Mutex
	random *rand.Rand // guarded by mu
	rules  []faultRule
}

type faultRule struct {
	Fault
	failure *failure
	hits    int // guarded by mu
}

type faultHit struct {
	failure *failure
	delay   time.Duration
	lose    bool
}

// request decides what happens to a request. A nil state does nothing.
func (s *faultState) request(op string) (hit faultHit) {
	if s == nil {
		return hit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		r := &s.rules[i]
		if r.Rows || !s.hits(r, op) {
			continue
		}
		if hit.failure == nil {
			hit.failure = r.failure
		}
		hit.delay += r.Delay
		hit.lose = hit.lose || r.LoseResponse
	}
	return hit
}

// row decides what happens to one row of a batch.
func (s *faultState) row(op string) *failure {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		if r := &s.rules[i]; r.Rows && s.hits(r, op) {
			return r.failure
		}
	}
	return nil
}

func (s *faultState) hits(r *faultRule, op string) bool {
	if (r.Operation != "" && r.Operation != op) || (r.Times > 0 && r.hits >= r.Times) || s.random.Float64() >= r.Fraction {
		return false
	}
	r.hits++
	return true
}
