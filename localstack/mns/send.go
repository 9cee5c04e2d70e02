package mns

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/cockroachdb/pebble/v2"
)

// maxBatch is how many messages one request may send, receive or delete; maxBatchBytes how large the bodies of a batch may be together
// ("BatchSendMessage").
const (
	maxBatch      = 16
	maxBatchBytes = 65536
)

// An outgoing message is one that is being sent.
type outgoing struct {
	body []byte
	state
	id uint64
}

// readMessage reads what a client sends to a queue. A DelaySeconds of the message, also 0, wins over the queue's ("SendMessage");
// a Priority of 0, which the SDK sends for none, stands for the default.
func readMessage(e *element, a *attributes) (m outgoing, delay int64, err error) {
	if err := e.only("MessageBody", "DelaySeconds", "Priority"); err != nil {
		return m, 0, err
	}
	body, ok := e.child("MessageBody")
	if !ok {
		return m, 0, notValid("MessageBody")
	}
	if len(body) == 0 || int64(len(body)) > a.MaxSize {
		return m, 0, outOfRange("MessageBody", 1, a.MaxSize, "bytes")
	}
	delay = a.Delay
	if err := e.number("DelaySeconds", 0, maxDelay, "seconds", &delay); err != nil {
		return m, 0, err
	}
	priority := int64(defaultPriority)
	if text, _ := e.child("Priority"); text != "0" {
		if err := e.number("Priority", 1, maxPriority, "", &priority); err != nil {
			return m, 0, err
		}
	}
	m.body, m.priority = []byte(body), uint8(priority)
	return m, delay, nil
}

func (s *Server) sendMessages(rq *request) error {
	e, err := parseXML(rq.body)
	if err != nil {
		return fail(MalformedXML)
	}
	q, err := s.findQueue(rq.name)
	if err != nil {
		return err
	}
	switch e.name {
	case "Message":
		return s.sendOne(rq, q, e)
	case "Messages":
		return s.sendBatch(rq, q, e)
	}
	return notValid(e.name)
}

func (s *Server) sendOne(rq *request, q *queue, e *element) error {
	a := q.attributes()
	m, delay, err := readMessage(e, &a)
	if err != nil {
		return err
	}
	list := []outgoing{m}
	if err := s.send(q, list, []int64{delay}); err != nil {
		return err
	}
	var d document
	describeSent(&d, q.number, &list[0])
	writeBody(rq.w, http.StatusCreated, d.bytes())
	return nil
}

// sendBatch sends those messages of a batch that are valid; if there are others, the status is 500 and each says its own.
func (s *Server) sendBatch(rq *request, q *queue, e *element) error {
	if n := len(e.children); n < 1 || n > maxBatch {
		return outOfRange("Messages", 1, maxBatch, "messages")
	}
	a := q.attributes()
	var list []outgoing
	var delays []int64
	failures := make([]error, len(e.children))
	total := 0
	for i, c := range e.children {
		if c.name != "Message" {
			return notValid(c.name)
		}
		body, _ := c.child("MessageBody")
		total += len(body)
		m, delay, err := readMessage(c, &a)
		if err != nil {
			failures[i] = err
			continue
		}
		list, delays = append(list, m), append(delays, delay)
	}
	if total > maxBatchBytes {
		return outOfRange("Messages", 1, maxBatchBytes, "bytes")
	}
	if err := s.send(q, list, delays); err != nil {
		return err
	}
	status := http.StatusCreated
	var d document
	d.open("Messages")
	for _, err := range failures {
		if err == nil {
			describeSent(&d, q.number, &list[0])
			list = list[1:]
			continue
		}
		status = http.StatusInternalServerError
		x := asError(err)
		d.open("Message")
		d.leaf("ErrorCode", string(x.Code))
		d.leaf("ErrorMessage", x.Message)
		d.close("Message")
	}
	d.close("Messages")
	writeBody(rq.w, status, d.bytes())
	return nil
}

func describeSent(d *document, number uint32, m *outgoing) {
	d.open("Message")
	d.leaf("MessageId", messageID(number, m.id))
	d.leaf("MessageBodyMD5", bodyMD5(m.body))
	if m.class == delayed { // it may be deleted before anybody sees it
		d.leaf("ReceiptHandle", m.receipt().String())
	}
	d.close("Message")
}

func bodyMD5(body []byte) string { return fmt.Sprintf("%X", md5.Sum(body)) }

func (m *outgoing) receipt() receipt {
	return receipt{priority: m.priority, id: m.id, visible: m.visible, token: m.token}
}

// newToken returns a number that nobody can guess; never 0.
func newToken() uint64 { return rand.Uint64N(1<<63-1) + 1 }

// attributes are those of now.
func (q *queue) attributes() attributes {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.info.attributes
}

// send puts messages into a queue, durably, and fills their states.
func (s *Server) send(q *queue, list []outgoing, delays []int64) error {
	if len(list) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	size, err := s.prepare(b, q.number, list, delays)
	if err != nil {
		return err
	}
	if s.stored.Load()+size > s.maxStored {
		s.log.Error("message store is full", "bytes", s.stored.Load(), "limit", s.maxStored)
		return fail(InternalError)
	}
	if err := s.applySend(b, q, list); err != nil {
		return err
	}
	return b.SyncWait()
}

func (s *Server) applySend(b *pebble.Batch, q *queue, list []outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deleted {
		return fail(QueueNotExist)
	}
	if err := s.apply(b); err != nil {
		return err
	}
	s.inserted(q, list)
	return nil
}

// prepare gives messages their ids and states and adds them to b.
func (s *Server) prepare(b *pebble.Batch, number uint32, list []outgoing, delays []int64) (size int64, err error) {
	for i := range list {
		m := &list[i]
		m.id = s.nextID()
		m.size = uint32(len(m.body))
		m.enqueued = s.ms()
		m.visible = m.enqueued + delays[i]*1000
		key := visibleKey(number, m.priority, place{m.visible, m.id})
		if delays[i] > 0 {
			m.class, m.token = delayed, newToken()
			key = waitingKey(number, m.visible, m.id)
		}
		if err := b.Set(bodyKey(number, m.id), m.body, nil); err != nil {
			return 0, err
		}
		if err := b.Set(stateKey(number, m.id), m.encode(), nil); err != nil {
			return 0, err
		}
		if err := b.Set(key, nil, nil); err != nil {
			return 0, err
		}
		size += int64(m.size)
	}
	return size, nil
}

// inserted counts messages that have been applied, and wakes receivers for them. q.mu is held.
func (s *Server) inserted(q *queue, list []outgoing) {
	ready := int64(0)
	for i := range list {
		m := &list[i]
		q.count(&m.state, 1)
		s.stored.Add(int64(m.size))
		q.oldest = min(q.oldest, m.id) // it may have got its id before one that is there already
		if m.class == active {
			q.putVisible(m.priority, place{m.visible, m.id})
			ready++
		} else {
			q.putWaiting(m.visible)
		}
	}
	s.stats.sent.Add(int64(len(list)))
	wake(q, ready)
}
