package devicelog

// successesPerSecond is up to where "auto" writes every success. failuresPerSecond is up to where every failure is written: an
// attacker without credentials must not be able to fill the logstore at the owner's cost. limitedPerSecond is the same for rows that
// say that somebody is over a limit: they are of a flood, and all alike.
const (
	successesPerSecond = 200
	failuresPerSecond  = 2000
	limitedPerSecond   = 10
)

// A sampler decides which rows of one kind are written. The zero value keeps all.
type sampler struct {
	none  bool
	limit int // a second in full; 0: no limit

	second int64 // the current one
	seen   int   // in it
	every  int   // above the limit one of so many is kept; grows with the traffic, so that about twice the limit is written
}

// keep decides about a row at some Unix millisecond; one is how many a kept row stands for, 0 if only itself.
func (s *sampler) keep(at int64) (keep bool, one int) {
	if s.none {
		return false, 0
	}
	if s.limit == 0 {
		return true, 0
	}
	// A row may be a moment older than the last one; a clock that was set back begins anew.
	if second := at / 1000; second > s.second || second < s.second-5 || s.every == 0 {
		s.every = max(10, (s.seen-s.limit)/s.limit)
		s.second, s.seen = second, 0
	}
	s.seen++
	over := s.seen - s.limit
	switch {
	case over <= 0:
		return true, 0
	case over%s.every == 0:
		return true, s.every
	}
	return false, 0
}
