package session

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// A Message is one of a device's queue: it is stored until the device has acknowledged it.
type Message struct {
	ID        string // its place in the queue
	Topic     string
	Payload   []byte
	PacketID  uint16 // under which it was sent before, over a connection that broke; it goes again with DUP; 0 otherwise
	ExpiresAt int64  // Unix milliseconds; 0: never
}

// A Deliverer is a Conn whose protocol has acknowledgements. Its methods never block.
type Deliverer interface {
	// Deliver queues a message for s with QoS 1. It answers Sent, and then Presence.Acked is called for it or it is among what
	// Presence.Unacked is told at the end; Busy, if as much as may is in flight or waits to be written; Refused, if it is too long for
	// the device; or Offline.
	Deliver(s *Session, m *Message) downlink.State
	// Later has Presence.Resume called for s from a goroutine that may block: at once, or in about a second.
	Later(s *Session, soon bool)
}

// maxTold bounds the acknowledged messages of a session that wait for company in one record; when nothing is in flight they do not wait.
const maxTold = 32

// A queue is what a session knows of its device's queue in the store, which is the queue: here is one page of it at most. A live
// message of the queue is sent at once if nothing older waits; else it stays in the store, and its turn comes with a later page.
type queue struct {
	mu     sync.Mutex
	behind bool      // older messages than a live one wait, or it is not known that none do
	asking bool      // a page is being read
	again  bool      // something came into the queue that this page may not have
	page   []Message // read, not sent yet
	flight int       // sent, not acknowledged
	done   []string  // acknowledged, not told
}

// deliverer is the connection that acknowledges, for a sub-device its gateway's; nil if there is none.
func (s *Session) deliverer() Deliverer {
	if d, ok := s.conn.(Deliverer); ok {
		return d
	}
	if x, ok := s.conn.(interface{ Gateway() *Session }); ok && x.Gateway() != nil {
		d, _ := x.Gateway().conn.(Deliverer)
		return d
	}
	return nil
}

// PublishQueued sends a message that has just come into the device's queue if it is its turn, and answers Queued if it has to wait
// there. settled says that no acknowledgement will come of it.
func (s *Session) PublishQueued(m *Message) (state downlink.State, settled bool) {
	granted, state := s.Delivery(m.Topic)
	if state != downlink.Sent {
		return state, true
	}
	to := s.deliverer()
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.behind {
		q.again = true
		return downlink.Queued, false
	}
	if !s.mayReceive() {
		q.behind, q.again = true, true
		if q.flight == 0 && to != nil {
			to.Later(s, false)
		}
		return downlink.Queued, false
	}
	if to == nil || granted == 0 {
		state = s.conn.Publish(m.Topic, m.Payload, 0)
		return state, state == downlink.Sent || state == downlink.Refused
	}
	switch state = to.Deliver(s, m); state {
	case downlink.Sent:
		q.flight++
	case downlink.Busy:
		q.behind, q.again = true, true
		if q.flight == 0 { // no acknowledgement brings it on
			to.Later(s, false)
		}
		return downlink.Queued, false
	}
	return state, state == downlink.Refused
}

// pump sends of the page what can be sent. The lock is held.
func (p *Presence) pump(s *Session, to Deliverer) {
	q := &s.queue
	for len(q.page) > 0 {
		m := &q.page[0]
		granted, state := s.Delivery(m.Topic)
		switch {
		case m.ExpiresAt != 0 && m.ExpiresAt <= p.Now().UnixMilli():
			q.done = append(q.done, m.ID)
		case state != downlink.Sent:
			p.notDelivered(s, m, state)
			q.done = append(q.done, m.ID)
		case !s.mayReceive():
			state = downlink.Busy // for about a second
		case to == nil || granted == 0:
			if state = s.conn.Publish(m.Topic, m.Payload, 0); state == downlink.Sent {
				p.delivered(s, m, 0)
				q.done = append(q.done, m.ID)
			}
		default:
			if state = to.Deliver(s, m); state == downlink.Sent {
				p.delivered(s, m, 1)
				q.flight++
			}
		}
		switch state {
		case downlink.Offline:
			q.page = nil // the device's next connection gets it
			return
		case downlink.Busy:
			if q.flight == 0 && to != nil {
				to.Later(s, false)
			}
			return
		case downlink.Refused:
			p.notDelivered(s, m, state)
			q.done = append(q.done, m.ID)
		}
		q.page = q.page[1:]
	}
	q.page = nil
	if q.behind && !q.asking && !q.again {
		q.behind = false
	}
}

// due says what has to be told now, and takes it out; nil if nothing. The lock is held.
func (q *queue) due(s *Session) *device.Delivered {
	next := q.behind && !q.asking && q.again && len(q.page) == 0 && q.flight == 0
	if !next && (len(q.done) == 0 || q.flight > 0 && len(q.done) < maxTold) {
		return nil
	}
	d := &device.Delivered{Epoch: s.Grant.Epoch, IDs: q.done, Next: next, QueueFrom: s.Grant.QueueFrom}
	q.done = nil
	if next {
		q.asking, q.again = true, false
	}
	return d
}

// Acked says that the device has acknowledged a message that was delivered. It may block, until ctx ends.
func (p *Presence) Acked(ctx context.Context, s *Session, id string) {
	q := &s.queue
	q.mu.Lock()
	q.flight--
	q.done = append(q.done, id)
	p.pump(s, s.deliverer())
	d := q.due(s)
	q.mu.Unlock()
	p.settle(ctx, s, d)
}

// Resume goes on where a queue had to wait. It may block, until ctx ends.
func (p *Presence) Resume(ctx context.Context, s *Session) {
	q := &s.queue
	q.mu.Lock()
	p.pump(s, s.deliverer())
	d := q.due(s)
	q.mu.Unlock()
	p.settle(ctx, s, d)
}

// settle tells what the device has acknowledged, and asks for more if that is wanted. What fails is done again in a second.
func (p *Presence) settle(ctx context.Context, s *Session, d *device.Delivered) {
	if d == nil {
		return
	}
	failed := func(err error) {
		p.lost(s.Ref, device.TopicDelivered, err)
		q := &s.queue
		q.mu.Lock()
		q.done = append(d.IDs, q.done...)
		if d.Next {
			q.asking, q.again = false, true
		}
		q.mu.Unlock()
		if to := s.deliverer(); to != nil {
			to.Later(s, false)
		}
	}
	err := p.tell(ctx, s.Ref, s.Grant.IotID, device.TopicDelivered, d, p.Now().UnixMilli(), func(r record.Result, err error) {
		switch {
		case err != nil:
			failed(err)
		case r.Code != 200:
			failed(refusal.New(refusal.Cause(r.Reason), r.Detail))
		case d.Next:
			p.paged(s, &r)
		}
	})
	if err != nil && ctx.Err() == nil {
		failed(err)
	}
}

// paged takes a page of the queue. It does not block.
func (p *Presence) paged(s *Session, r *record.Result) {
	var page device.QueuePage
	if len(r.Data) > 0 {
		if err := json.Unmarshal(r.Data, &page); err != nil || len(page.Messages) != len(r.Replies) {
			p.lost(s.Ref, device.TopicDelivered, refusal.New(refusal.FunctionFailed, "a page of the queue is not understood"))
			page = device.QueuePage{}
		}
	}
	to := s.deliverer()
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking = false
	q.again = q.again || page.More
	for i, m := range page.Messages {
		reply := &r.Replies[i]
		q.page = append(q.page, Message{
			ID: m.ID, Topic: reply.Topic, Payload: append([]byte(nil), reply.Payload...), PacketID: m.PacketID, ExpiresAt: m.ExpiresAt,
		})
	}
	p.pump(s, to)
	if to != nil && len(q.page) == 0 && q.flight == 0 && (len(q.done) > 0 || q.again) {
		to.Later(s, true)
	}
}

// unread says that the first page could not be read. It is tried again.
func (p *Presence) unread(s *Session) {
	q := &s.queue
	q.mu.Lock()
	if !q.asking {
		q.mu.Unlock()
		return
	}
	q.asking, q.again = false, true
	q.mu.Unlock()
	if to := s.deliverer(); to != nil {
		to.Later(s, false)
	}
}

// Unacked is told, when a connection has ended, what was delivered over it for s and not acknowledged. It waits a while for room.
func (p *Presence) Unacked(s *Session, sent []device.SentMessage) {
	q := &s.queue
	q.mu.Lock()
	d := &device.Delivered{Epoch: s.Grant.Epoch, IDs: q.done, Sent: sent}
	q.done = nil
	q.mu.Unlock()
	if len(d.IDs) == 0 && len(d.Sent) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := p.tell(ctx, s.Ref, s.Grant.IotID, device.TopicDelivered, d, p.Now().UnixMilli(), func(_ record.Result, err error) {
		if err != nil {
			p.lost(s.Ref, device.TopicDelivered, err)
		}
	})
	if err != nil {
		p.lost(s.Ref, device.TopicDelivered, err)
	}
}

func (p *Presence) delivered(s *Session, m *Message, qos byte) {
	p.Journal.Record(Event{
		Device: s.Ref, IotID: s.Grant.IotID, Operation: OpDownlink, Topic: m.Topic, MessageID: messageOf(m.ID), Code: 200, Detail: "from the queue",
		RemoteAddr: s.RemoteAddr, Bytes: len(m.Payload), QoS: qos,
	})
}

func (p *Presence) notDelivered(s *Session, m *Message, state downlink.State) {
	cause := refusal.ReceiveNotPermitted
	if state == downlink.Unsubscribed {
		cause = refusal.NotSubscribed
	}
	p.Journal.Record(Event{
		Device: s.Ref, IotID: s.Grant.IotID, Operation: OpDownlink, Topic: m.Topic, MessageID: messageOf(m.ID), Code: 500, Reason: cause,
		Detail: "from the queue, which it leaves", RemoteAddr: s.RemoteAddr, Bytes: len(m.Payload), QoS: 1,
	})
}

// messageOf is the message id in a place in the queue.
func messageOf(id string) string {
	for i := range id {
		if id[i] == '.' {
			return id[i+1:]
		}
	}
	return id
}
