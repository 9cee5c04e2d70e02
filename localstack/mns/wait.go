package mns

import "container/list"

// A waiter is a receiver that waits in its queue's line.
type waiter struct {
	ready chan struct{}
	place *list.Element // under queue.mu; nil once it has been woken
}

// takeOrQueue takes messages, or puts a waiter into the line if there are none.
func (s *Server) takeOrQueue(q *queue, n int) (*waiter, []delivery, error) {
	b := s.db.NewBatch()
	defer b.Close()
	q.mu.Lock()
	found, err := s.takeLocked(b, q, n)
	var w *waiter
	if err == nil && len(found) == 0 {
		w = &waiter{ready: make(chan struct{})}
		w.place = q.waiters.PushBack(w)
	}
	q.mu.Unlock()
	found, err = s.settle(b, found, err)
	return w, found, err
}

// leave takes a waiter out of the line. If it was woken already and will not receive, the next one is woken in its stead.
func (s *Server) leave(q *queue, w *waiter, gone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place != nil {
		q.waiters.Remove(w.place)
		w.place = nil
	} else if gone {
		wake(q, 1)
	}
}

// wake lets the first n waiters look for messages. q.mu is held.
func wake(q *queue, n int64) {
	for ; n > 0 && q.waiters.Len() > 0; n-- {
		w := q.waiters.Remove(q.waiters.Front()).(*waiter)
		w.place = nil
		close(w.ready)
	}
}

// wakeDue wakes the waiters of queues that have visible messages by now.
func (s *Server) wakeDue() {
	s.mu.RLock()
	var list []*queue
	for _, q := range s.queues {
		if q.polling.Load() > 0 {
			list = append(list, q)
		}
	}
	s.mu.RUnlock()
	for _, q := range list {
		q.mu.Lock()
		if q.waiters.Len() > 0 && !q.deleted {
			if _, err := s.promote(q); err != nil {
				s.log.Error("make messages visible", "queue", q.name, "error", err)
			}
			wake(q, q.counts[active])
		}
		q.mu.Unlock()
	}
}
