package mns

import (
	"container/list"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds of queues, "Queue" and "Limits". How many the account may have is not documented.
const (
	maxQueues        = 10_000
	maxNameBytes     = 256
	maxPriority      = 16
	defaultPriority  = 8
	maxMessageSize   = 65536
	maxDelay         = 604800 // seconds
	maxVisibility    = 43200
	maxPollingWait   = 30
	minRetention     = 60
	maxRetention     = 604800
	defaultRetention = 345600
)

// attributes are what a client sets of a queue; times in seconds.
type attributes struct {
	Delay      int64 `json:"delay"`
	MaxSize    int64 `json:"maxSize"`
	Retention  int64 `json:"retention"`
	Visibility int64 `json:"visibility"`
	Wait       int64 `json:"wait"`
	Logging    bool  `json:"logging"`
}

var defaultAttributes = attributes{MaxSize: maxMessageSize, Retention: defaultRetention, Visibility: 30}

// read changes what the document names.
func (a *attributes) read(e *element) error {
	if err := e.only("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "VisibilityTimeout", "PollingWaitSeconds", "LoggingEnabled"); err != nil {
		return err
	}
	if err := e.number("DelaySeconds", 0, maxDelay, "seconds", &a.Delay); err != nil {
		return err
	}
	if err := e.number("MaximumMessageSize", 1024, maxMessageSize, "bytes", &a.MaxSize); err != nil {
		return err
	}
	if err := e.number("MessageRetentionPeriod", minRetention, maxRetention, "seconds", &a.Retention); err != nil {
		return err
	}
	if err := e.number("VisibilityTimeout", 1, maxVisibility, "seconds", &a.Visibility); err != nil {
		return err
	}
	if err := e.number("PollingWaitSeconds", 0, maxPollingWait, "seconds", &a.Wait); err != nil {
		return err
	}
	return e.boolean("LoggingEnabled", &a.Logging)
}

// A queueInfo is what is stored of a queue. Times are seconds.
type queueInfo struct {
	Number uint32 `json:"number"`
	attributes
	Created  int64 `json:"created"`
	Modified int64 `json:"modified"`
}

// A place is where in its priority a visible message is.
type place struct {
	visible int64
	id      uint64
}

func (p place) before(q place) bool {
	return p.visible < q.visible || p.visible == q.visible && p.id < q.id
}

// A queue is one queue. It keeps counters and hints in memory; messages are in the store.
type queue struct {
	name   string
	number uint32

	polling atomic.Int64 // receivers that wait, in line or woken

	mu      sync.Mutex
	info    queueInfo
	deleted bool
	counts  [3]int64               // by class
	active  [maxPriority + 1]int64 // by priority
	bytes   int64                  // of bodies
	heads   [maxPriority + 1]place // no visible message of the priority is before
	due     int64                  // no waiting message has its time at or before; ms
	oldest  uint64                 // no message has a lower id
	waiters list.List              // of *waiter: receivers that wait and were not woken
}

// count adds n to what is counted of a message's class, priority and size.
func (q *queue) count(st *state, n int64) {
	q.counts[st.class] += n
	q.bytes += n * int64(st.size)
	if st.class == active {
		q.active[st.priority] += n
	}
}

// putVisible and putWaiting keep the hints true for a message that is inserted.
func (q *queue) putVisible(priority uint8, p place) {
	if p.before(q.heads[priority]) {
		q.heads[priority] = p
	}
}

func (q *queue) putWaiting(visible int64) { q.due = min(q.due, visible-1) }

func (s *Server) findQueue(name string) (*queue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.queues[name]; q != nil {
		return q, nil
	}
	return nil, fail(QueueNotExist)
}

// checkName checks the name of a queue, topic or subscription: letters, digits and hyphens, a letter first.
func checkName(name string, length, invalid Code) error {
	if name == "" || len(name) > maxNameBytes {
		return fail(length)
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return fail(invalid)
		}
	}
	return nil
}

// takeNumber returns a number that was never used, and adds the next one to b. s.mu is held.
func (s *Server) takeNumber(b *pebble.Batch) (uint32, error) {
	if s.nextNumber == math.MaxUint32 {
		return 0, fmt.Errorf("all numbers of queues are used")
	}
	n := s.nextNumber
	s.nextNumber++
	return n, b.Set([]byte{prefixNext}, binary.BigEndian.AppendUint32(nil, s.nextNumber), nil)
}

func setJSON(b *pebble.Batch, key []byte, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Set(key, value, nil)
}

func queueKey(name string) []byte { return append([]byte{prefixQueue}, name...) }

// putQueue creates a queue, or with metaoverride changes one.
func (s *Server) putQueue(rq *request) error {
	if err := checkName(rq.name, QueueNameLengthError, InvalidQueueName); err != nil {
		return err
	}
	override, err := rq.flag("metaoverride")
	if err != nil {
		return err
	}
	e, err := parseBody(rq.body, "Queue")
	if err != nil {
		return err
	}
	if override {
		return s.setQueue(rq, e)
	}
	a := defaultAttributes
	if err := a.read(e); err != nil {
		return err
	}
	created, err := s.createQueue(rq.name, a)
	if err != nil {
		return err
	}
	rq.w.Header().Set("Location", rq.base+"/queues/"+rq.name)
	if created {
		rq.w.WriteHeader(http.StatusCreated)
	} else {
		rq.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

func (s *Server) createQueue(name string, a attributes) (created bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.info.attributes != a {
			return false, fail(QueueAlreadyExist)
		}
		return false, nil
	}
	if len(s.queues) >= maxQueues {
		return false, fail(QueueNumExceededLimit, fmt.Sprint(maxQueues))
	}
	b := s.db.NewBatch()
	defer b.Close()
	n, err := s.takeNumber(b)
	if err != nil {
		return false, err
	}
	now := s.ms() / 1000
	q := &queue{name: name, number: n, info: queueInfo{Number: n, attributes: a, Created: now, Modified: now}, due: -1}
	if err := setJSON(b, queueKey(name), q.info); err != nil {
		return false, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return false, err
	}
	s.queues[name] = q
	return true, nil
}

func (s *Server) setQueue(rq *request, e *element) error {
	s.mu.Lock() // keeps deletion out while the row is written
	defer s.mu.Unlock()
	q := s.queues[rq.name]
	if q == nil {
		return fail(QueueNotExist)
	}
	q.mu.Lock()
	info := q.info
	q.mu.Unlock()
	if err := info.attributes.read(e); err != nil {
		return err
	}
	info.Modified = s.ms() / 1000
	b := s.db.NewBatch()
	defer b.Close()
	if err := setJSON(b, queueKey(rq.name), info); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	q.mu.Lock()
	q.info = info
	q.mu.Unlock()
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// promoteRounds bounds how much a reader of attributes catches up with before it counts.
const promoteRounds = 1000

func (s *Server) getQueue(rq *request) error {
	q, err := s.findQueue(rq.name)
	if err != nil {
		return err
	}
	var d document
	if err := s.describeQueue(&d, q); err != nil {
		return err
	}
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}

func (s *Server) describeQueue(d *document, q *queue) error {
	for range promoteRounds {
		q.mu.Lock()
		more, err := s.promote(q)
		q.mu.Unlock()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := &q.info
	d.open("Queue")
	d.leaf("QueueName", q.name)
	d.number("CreateTime", i.Created)
	d.number("LastModifyTime", i.Modified)
	d.number("VisibilityTimeout", i.Visibility)
	d.number("MaximumMessageSize", i.MaxSize)
	d.number("MessageRetentionPeriod", i.Retention)
	d.number("DelaySeconds", i.Delay)
	d.number("PollingWaitSeconds", i.Wait)
	d.number("ActiveMessages", q.counts[active])
	d.number("InactiveMessages", q.counts[inactive])
	d.number("DelayMessages", q.counts[delayed])
	d.boolean("LoggingEnabled", i.Logging)
	d.close("Queue")
	return nil
}

func (s *Server) deleteQueue(rq *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[rq.name]
	if q == nil {
		return fail(QueueNotExist)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Delete(queueKey(rq.name), nil); err != nil {
		return err
	}
	for _, prefix := range []byte{prefixState, prefixBody, prefixVisible, prefixWaiting} {
		if err := b.DeleteRange(numbered(prefix, q.number), numbered(prefix, q.number+1), nil); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	q.deleted = true
	s.stored.Add(-q.bytes)
	wake(q, int64(q.waiters.Len()))
	delete(s.queues, rq.name)
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// listQueues answers names, or all attributes if they are asked for.
func (s *Server) listQueues(rq *request) error {
	p, err := rq.paging()
	if err != nil {
		return err
	}
	s.mu.RLock()
	names, next := page(s.queues, p)
	found := make([]*queue, len(names))
	for i, name := range names {
		found[i] = s.queues[name]
	}
	s.mu.RUnlock()
	var d document
	d.open("Queues")
	for _, q := range found {
		if p.meta {
			if err := s.describeQueue(&d, q); err != nil {
				return err
			}
			continue
		}
		d.open("Queue")
		d.leaf("QueueURL", rq.base+"/queues/"+q.name)
		d.close("Queue")
	}
	if next != "" {
		d.leaf("NextMarker", next)
	}
	d.close("Queues")
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}
