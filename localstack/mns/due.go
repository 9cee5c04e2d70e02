package mns

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// How much is done under one hold of a queue's lock.
const (
	promoteAtOnce = 1000
	expireAtOnce  = 1000
)

// promote makes messages visible whose delay is over, or whose receiver has had them long enough; more tells that there may be
// others. q.mu is held. It does not wait for the disk: after a crash it happens again.
func (s *Server) promote(q *queue) (more bool, err error) {
	now := s.ms()
	if now <= q.due || q.deleted {
		return false, nil
	}
	if q.counts[delayed]+q.counts[inactive] == 0 {
		q.due = now
		return false, nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	type ready struct {
		id     uint64
		before state
	}
	var list []ready
	last := now
	err = s.scan(numbered(prefixWaiting, q.number, uint64(q.due+1)), numbered(prefixWaiting, q.number, uint64(now+1)), func(key, _ []byte) (bool, error) {
		visible, id := int64(binary.BigEndian.Uint64(key[5:])), binary.BigEndian.Uint64(key[13:])
		if len(list) == promoteAtOnce {
			more, last = true, visible-1
			return false, nil
		}
		st, err := s.state(q, id)
		if err != nil {
			return false, err
		}
		list = append(list, ready{id, st})
		st.class, st.token = active, 0
		if err := b.Delete(key, nil); err != nil {
			return false, err
		}
		if err := b.Set(visibleKey(q.number, st.priority, place{st.visible, id}), nil, nil); err != nil {
			return false, err
		}
		return true, b.Set(stateKey(q.number, id), st.encode(), nil)
	})
	if err != nil {
		return false, err
	}
	if len(list) > 0 {
		if err := b.Commit(pebble.NoSync); err != nil {
			return false, err
		}
	}
	for _, m := range list {
		st := m.before
		q.count(&st, -1)
		st.class = active
		q.count(&st, 1)
		q.putVisible(st.priority, place{st.visible, m.id})
	}
	q.due = last
	return more, nil
}

// An expiring message is one past its retention.
type expiring struct {
	id uint64
	state
}

// remove deletes messages past their retention. q.mu is held. It does not wait for the disk: after a crash it happens again.
func (s *Server) remove(q *queue, list []expiring) error {
	if len(list) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	for i := range list {
		if err := deleteMessage(b, q.number, list[i].id, &list[i].state); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	for i := range list {
		q.count(&list[i].state, -1)
		s.stored.Add(-int64(list[i].size))
	}
	s.stats.expired.Add(int64(len(list)))
	return nil
}

// deleteMessage adds the deletion of all of a message to b.
func deleteMessage(b *pebble.Batch, number uint32, id uint64, st *state) error {
	key := waitingKey(number, st.visible, id)
	if st.class == active {
		key = visibleKey(number, st.priority, place{st.visible, id})
	}
	for _, k := range [][]byte{key, stateKey(number, id), bodyKey(number, id)} {
		if err := b.Delete(k, nil); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the messages of all queues that are past their retention, also those that nobody asks for.
func (s *Server) sweep() (removed int, err error) {
	s.mu.RLock()
	var list []*queue
	for _, q := range s.queues {
		list = append(list, q)
	}
	s.mu.RUnlock()
	for _, q := range list {
		for more := true; more && s.stop.Err() == nil; {
			var n int
			if n, more, err = s.sweepQueue(q); err != nil {
				return removed, err
			}
			removed += n
		}
	}
	return removed, nil
}

// sweepQueue removes some; ids are in the order of sending, so it ends at the first message that stays.
func (s *Server) sweepQueue(q *queue) (removed int, more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return 0, false, nil
	}
	now := s.ms()
	var old []expiring
	next := q.oldest
	err = s.scan(stateKey(q.number, q.oldest), numbered(prefixState, q.number+1), func(key, value []byte) (bool, error) {
		next = binary.BigEndian.Uint64(key[5:])
		st, err := decodeState(value)
		if err != nil {
			return false, err
		}
		if !st.expired(now, q.info.Retention) {
			return false, nil
		}
		if len(old) == expireAtOnce {
			more = true
			return false, nil
		}
		old = append(old, expiring{next, st})
		return true, nil
	})
	if err != nil {
		return 0, false, err
	}
	if err := s.remove(q, old); err != nil {
		return 0, false, err
	}
	q.oldest = next
	return len(old), more, nil
}
