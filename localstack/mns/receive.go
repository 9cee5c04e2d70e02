package mns

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A delivery is a message with what a receiver is told of it.
type delivery struct {
	id   uint64
	body []byte
	state
}

// receiveMessages receives, or with peekonly looks at, one message, or with numOfMessages up to that many.
func (s *Server) receiveMessages(rq *request) error {
	q, err := s.findQueue(rq.name)
	if err != nil {
		return err
	}
	peek, err := rq.flag("peekonly")
	if err != nil {
		return err
	}
	n, err := rq.number("numOfMessages", 1, maxBatch, "messages", 0)
	if err != nil {
		return err
	}
	seconds, err := rq.number("waitseconds", 0, maxPollingWait, "seconds", q.attributes().Wait)
	if err != nil {
		return err
	}
	batch := n > 0
	n = max(n, 1)
	var found []delivery
	if peek {
		found, err = s.peek(q, int(n))
	} else {
		found, err = s.receive(rq.r.Context(), q, int(n), time.Duration(seconds)*time.Second)
	}
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fail(MessageNotExist)
	}
	var d document
	if batch {
		d.open("Messages")
	}
	for i := range found {
		found[i].describe(&d, q.number, peek)
	}
	if batch {
		d.close("Messages")
	}
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}

func (m *delivery) describe(d *document, number uint32, peek bool) {
	d.open("Message")
	d.leaf("MessageId", messageID(number, m.id))
	if !peek {
		d.leaf("ReceiptHandle", receipt{m.priority, m.id, m.visible, m.token}.String())
	}
	d.leaf("MessageBodyMD5", bodyMD5(m.body))
	d.text("MessageBody", m.body)
	d.number("EnqueueTime", m.enqueued)
	if !peek {
		d.number("NextVisibleTime", m.visible)
	}
	d.number("FirstDequeueTime", m.first)
	d.number("DequeueCount", int64(m.count))
	d.number("Priority", int64(m.priority))
	d.close("Message")
}

// receive takes up to n messages. If there are none it waits, in real time, until there is one or the time is over. The
// goroutine of the request is the one that waits; a message has none.
func (s *Server) receive(ctx context.Context, q *queue, n int, wait time.Duration) ([]delivery, error) {
	found, err := s.take(q, n)
	if err != nil || len(found) > 0 || wait <= 0 {
		return found, err
	}
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return nil, fail(QpsLimitExceeded)
	}
	defer s.waiting.Add(-1)
	q.polling.Add(1)
	defer q.polling.Add(-1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		// Asked again under the lock that a sender needs, so that none can come in between.
		ch, found, err := s.takeOrQueue(q, n)
		if err != nil || len(found) > 0 {
			return found, err
		}
		select {
		case <-ch.ready:
		case <-timer.C:
			s.leave(q, ch, false)
			return s.take(q, n)
		case <-ctx.Done():
			s.leave(q, ch, true)
			return nil, nil // there is nobody to answer
		case <-s.stop.Done():
			return nil, nil
		}
	}
}

// take takes up to n messages, durably.
func (s *Server) take(q *queue, n int) ([]delivery, error) {
	b := s.db.NewBatch()
	defer b.Close()
	q.mu.Lock()
	found, err := s.takeLocked(b, q, n)
	q.mu.Unlock()
	return s.settle(b, found, err)
}

// settle waits until what was taken is on disk.
func (s *Server) settle(b *pebble.Batch, found []delivery, err error) ([]delivery, error) {
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if err := b.SyncWait(); err != nil {
		return nil, err
	}
	s.stats.received.Add(int64(len(found)))
	return found, nil
}

// takeLocked makes messages inactive. q.mu is held. If it returns any, b has been applied.
func (s *Server) takeLocked(b *pebble.Batch, q *queue, n int) ([]delivery, error) {
	if q.deleted {
		return nil, fail(QueueNotExist)
	}
	if _, err := s.promote(q); err != nil {
		return nil, err
	}
	found, err := s.heads(q, n)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	now := s.ms()
	before := make([]state, len(found))
	for i := range found {
		m := &found[i]
		before[i] = m.state
		if err := b.Delete(visibleKey(q.number, m.priority, place{m.visible, m.id}), nil); err != nil {
			return nil, err
		}
		m.class, m.token, m.visible = inactive, newToken(), now+q.info.Visibility*1000
		m.count++
		if m.first == 0 {
			m.first = now
		}
		if err := b.Set(waitingKey(q.number, m.visible, m.id), nil, nil); err != nil {
			return nil, err
		}
		if err := b.Set(stateKey(q.number, m.id), m.encode(), nil); err != nil {
			return nil, err
		}
	}
	if err := s.apply(b); err != nil {
		return nil, err
	}
	for i := range found {
		m, old := &found[i], &before[i]
		q.count(old, -1)
		q.count(&m.state, 1)
		q.putWaiting(m.visible)
		// Messages come from the head, so nothing is left before the one behind it.
		q.heads[m.priority] = place{old.visible, m.id + 1}
	}
	return found, nil
}

// peek shows up to n messages without taking them.
func (s *Server) peek(q *queue, n int) ([]delivery, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return nil, fail(QueueNotExist)
	}
	if _, err := s.promote(q); err != nil {
		return nil, err
	}
	return s.heads(q, n)
}

// heads reads the first n visible messages, highest priority first, and removes those past their retention on its way. q.mu is held.
func (s *Server) heads(q *queue, n int) (found []delivery, err error) {
	if q.counts[active] == 0 {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: numbered(prefixVisible, q.number), UpperBound: numbered(prefixVisible, q.number+1)})
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			found, err = nil, cerr
		}
	}()
	var old []expiring
	now := s.ms()
	for p := uint8(1); p <= maxPriority && len(found) < n; p++ {
		if q.active[p] == 0 {
			continue
		}
		for ok := it.SeekGE(visibleKey(q.number, p, q.heads[p])); ok && len(found) < n && len(old) < expireAtOnce; ok = it.Next() {
			key := it.Key()
			if len(key) != 22 || key[5] != p {
				break
			}
			id := binary.BigEndian.Uint64(key[14:])
			m := delivery{id: id}
			if m.state, err = s.state(q, id); err != nil {
				return nil, err
			}
			if m.expired(now, q.info.Retention) {
				old = append(old, expiring{id, m.state})
				continue
			}
			if m.body, err = s.get(bodyKey(q.number, id)); err != nil {
				return nil, err
			}
			found = append(found, m)
		}
		if err := it.Error(); err != nil {
			return nil, err
		}
	}
	return found, s.remove(q, old)
}

// state reads the state of a message that an index names.
func (s *Server) state(q *queue, id uint64) (state, error) {
	value, err := s.get(stateKey(q.number, id))
	if err != nil {
		return state{}, err
	}
	st, err := decodeState(value)
	if err != nil {
		return state{}, fmt.Errorf("queue %s, message %d: %w", q.name, id, err)
	}
	return st, nil
}
