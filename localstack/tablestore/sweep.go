package tablestore

import (
	"bytes"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Expired cells are invisible at once; rows that have nothing else left are removed by a sweep, as the service removes
// them some time later. Expired cells of living rows go when the row is next written.

const (
	sweepChunk = 1000                  // rows looked at before pausing
	sweepPause = 20 * time.Millisecond // so that a sweep never takes more than a share of the machine
)

func (s *Server) sweepLoop() {
	t := time.NewTicker(s.opts.SweepInterval)
	defer t.Stop()
	for {
		select {
		case <-s.stopSweep:
			return
		case <-t.C:
			if n, err := s.sweep(sweepPause); err != nil {
				s.log.Error("sweep of expired rows failed", "error", err)
			} else if n > 0 {
				s.log.Info("expired rows removed", "rows", n)
			}
		}
	}
}

// sweep removes expired rows of all tables and returns how many there were.
func (s *Server) sweep(pause time.Duration) (removed int, err error) {
	for _, t := range s.catalog.tables() {
		from := appendTablePrefix(nil, t.id)
		end := successor(from)
		for from != nil && t.options.Load().TTL >= 0 {
			var n int
			if n, from, err = s.sweepChunk(t, from, end); err != nil {
				return removed, err
			}
			removed += n
			if from != nil && pause > 0 {
				select {
				case <-s.stopSweep:
					return removed, nil
				case <-time.After(pause):
				}
			}
		}
	}
	return removed, nil
}

// sweepChunk looks at some rows from key from on and returns where to go on, nil at the end.
func (s *Server) sweepChunk(t *table, from, end []byte) (removed int, next []byte, err error) {
	oldest := t.options.Load().oldest(s.opts.Clock().UnixMilli())
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return 0, nil, err
	}
	var expired [][]byte
	n := 0
	for iter.First(); iter.Valid() && n < sweepChunk; iter.Next() {
		n++
		state, err := stateOf(iter.Value(), oldest)
		if err != nil {
			return 0, nil, closeWith(iter, err)
		}
		if state == rowAbsent {
			expired = append(expired, bytes.Clone(iter.Key()))
		}
	}
	if iter.Valid() {
		next = bytes.Clone(iter.Key())
	}
	if err := iter.Close(); err != nil {
		return 0, nil, err
	}
	for _, key := range expired {
		gone, err := s.removeExpired(key, oldest)
		if err != nil {
			return removed, nil, err
		}
		if gone {
			removed++
		}
	}
	return removed, next, nil
}

// removeExpired deletes a row if nobody has written it meanwhile. Losing the deletion in a crash is harmless, so it is
// not synced.
func (s *Server) removeExpired(key []byte, oldest int64) (bool, error) {
	hash := s.hash(key)
	st := &s.stripes[hash>>stripeShift]
	st.mu.Lock()
	defer st.mu.Unlock()
	value, closer, err := s.db.Get(key)
	if err == pebble.ErrNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	state, err := stateOf(value, oldest)
	if e := closer.Close(); err == nil {
		err = e
	}
	if err != nil || state != rowAbsent {
		return false, err
	}
	st.forget(hash, key)
	return true, s.db.Delete(key, pebble.NoSync)
}
