package session

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// acking is a connection with acknowledgements and a window, and a queue in the store behind it.
type acking struct {
	mu     sync.Mutex
	window int
	sent   []string
	flight []string
	later  int
	stored []string
	pageOf int
	broken error
}

func (c *acking) Publish(topic string, payload []byte, qos byte) downlink.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, "0:"+string(payload))
	return downlink.Sent
}
func (c *acking) End(refusal.Cause, string) {}
func (c *acking) Deliver(_ *Session, m *Message) downlink.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.flight) >= c.window {
		return downlink.Busy
	}
	c.sent, c.flight = append(c.sent, m.ID), append(c.flight, m.ID)
	return downlink.Sent
}
func (c *acking) Later(*Session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.later++
}

// Submit is the function lifecycle.
func (c *acking) Submit(_ context.Context, _ string, r record.Record, done func(record.Result, error)) error {
	c.mu.Lock()
	if c.broken != nil {
		err := c.broken
		c.mu.Unlock()
		done(record.Result{}, err)
		return nil
	}
	var d device.Delivered
	next := r.Topic == device.TopicOnline
	if r.Topic == device.TopicDelivered {
		if err := json.Unmarshal(r.Payload, &d); err != nil {
			panic(err)
		}
		next = d.Next
		for _, id := range d.IDs {
			for i := range c.stored {
				if c.stored[i] == id {
					c.stored = append(c.stored[:i], c.stored[i+1:]...)
					break
				}
			}
		}
	}
	result := record.Result{Code: 200}
	if next {
		n := min(c.pageOf, len(c.stored))
		page := device.QueuePage{More: n < len(c.stored)}
		for _, id := range c.stored[:n] {
			page.Messages = append(page.Messages, device.QueuedMessage{ID: id})
			result.Replies = append(result.Replies, record.Reply{Topic: "/sys/a1/d1/thing/service/property/set", Payload: []byte(id), QoS: 1})
		}
		result.Data, _ = json.Marshal(page)
	}
	c.mu.Unlock()
	done(result, nil)
	return nil
}

type noJournal struct{}

func (noJournal) Record(Event) {}

func (c *acking) start() (*Presence, *Session) {
	p := &Presence{
		Dispatcher: c, Journal: noJournal{}, Logger: slog.New(slog.DiscardHandler), NextID: func(int64) string { return "1" }, Node: "n1", Now: time.Now,
	}
	return p, New(&device.Grant{ProductKey: "a1", DeviceName: "d1", Epoch: 5, Queued: true}, c, "", time.Now())
}

// ackAll has the device acknowledge until nothing is in flight, and what was put off done.
func (c *acking) ackAll(p *Presence, s *Session) {
	for {
		c.mu.Lock()
		later := c.later
		c.later = 0
		id := ""
		if len(c.flight) > 0 {
			id, c.flight = c.flight[0], c.flight[1:]
		}
		c.mu.Unlock()
		switch {
		case later > 0:
			p.Resume(context.Background(), s)
		case id == "":
			return
		}
		if id != "" {
			p.Acked(context.Background(), s, id)
		}
	}
}

func live(id string) *Message {
	return &Message{ID: id, Topic: "/sys/a1/d1/thing/service/property/set", Payload: []byte(id)}
}

// Whatever the window and the page, messages that are stored while the device connects, while its queue is read, and afterwards reach it
// in their order, none is left, and none that it has acknowledged stays stored.
func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	for _, window := range []int{1, 2, 32} {
		for _, page := range []int{1, 3, 100} {
			c := &acking{window: window, pageOf: page, stored: []string{"1.m", "2.m", "3.m", "4.m", "5.m"}}
			p, s := c.start()
			c.stored = append(c.stored, "6.m") // stored, and then the connector does not know the session yet
			p.Online(context.Background(), s)
			for i := 7; i < 20; i++ { // S1, then S3 of package offline
				id := fmt.Sprintf("%d.m", i)
				c.mu.Lock()
				c.stored = append(c.stored, id)
				c.mu.Unlock()
				if state, _ := s.PublishQueued(live(id)); state != downlink.Sent && state != downlink.Queued {
					t.Fatalf("%s: %s", id, state)
				}
				if i%3 == 0 {
					c.ackAll(p, s)
				}
			}
			c.ackAll(p, s)
			want := ""
			for i := 1; i < 20; i++ {
				want += fmt.Sprintf("%d.m ", i)
			}
			if got := strings.Join(c.sent, " ") + " "; got != want || len(c.stored) != 0 {
				t.Errorf("window %d, page %d:\n got %s\nwant %s\nstill stored: %v", window, page, got, want, c.stored)
			}
			if state, settled := s.PublishQueued(live("20.m")); state != downlink.Sent || settled {
				t.Errorf("window %d, page %d: when all is read: %s, %v", window, page, state, settled)
			}
		}
	}
}

// A message that is stored while the device connects is never lost: senders and the connection go on at the same time.
func TestQueueRace(t *testing.T) {
	t.Parallel()
	for range 50 {
		c := &acking{window: 3, pageOf: 4}
		p, s := c.start()
		var wg sync.WaitGroup
		const senders, each = 4, 10
		for n := range senders {
			wg.Go(func() {
				for i := range each {
					id := fmt.Sprintf("%d.m%d", i, n)
					c.mu.Lock()
					c.stored = append(c.stored, id)
					c.mu.Unlock()
					s.PublishQueued(live(id))
				}
			})
		}
		wg.Go(func() { p.Online(context.Background(), s) })
		wg.Go(func() {
			for range 20 {
				c.ackAll(p, s)
			}
		})
		wg.Wait()
		c.ackAll(p, s)
		got := map[string]int{}
		for _, id := range c.sent {
			got[id]++
		}
		if len(got) != senders*each || len(c.stored) != 0 {
			t.Fatalf("%d of %d messages arrived, %v are still stored", len(got), senders*each, c.stored)
		}
	}
}

// A page that cannot be read is read later.
func TestQueueIsReadLater(t *testing.T) {
	t.Parallel()
	c := &acking{window: 8, pageOf: 8, stored: []string{"1.m"}, broken: fmt.Errorf("down")}
	p, s := c.start()
	p.Online(context.Background(), s)
	if state, _ := s.PublishQueued(live("2.m")); state != downlink.Queued || c.later == 0 {
		t.Errorf("%s, later %d", state, c.later)
	}
	c.stored, c.broken = append(c.stored, "2.m"), nil
	c.ackAll(p, s)
	if got := strings.Join(c.sent, " "); got != "1.m 2.m" {
		t.Errorf("sent %s", got)
	}
}
