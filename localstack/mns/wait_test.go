package mns_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

func TestLongPoll(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s, endpoint := start(t, mns.Options{Clock: clk.Now})
	c := client(endpoint)
	q := newQueue(t, c, "q")
	type result struct {
		m   ali.MessageReceiveResponse
		err error
	}
	wait := func(seconds int64) chan result {
		ch := make(chan result, 1)
		before := s.Stats().Waiting
		go func() {
			m, err := receive(queueOf(c, "q"), seconds)
			ch <- result{m, err}
		}()
		eventually(t, "the receiver waits", func() bool { return s.Stats().Waiting == before+1 })
		return ch
	}
	a := wait(30)
	send(t, q, ali.MessageSendRequest{MessageBody: "sent"})
	if r := <-a; r.err != nil || r.m.MessageBody != "sent" {
		t.Errorf("%+v", r)
	}
	a = wait(30)
	send(t, q, ali.MessageSendRequest{MessageBody: "delayed", DelaySeconds: 100})
	clk.add(29 * time.Second)
	if n := s.Stats().Waiting; n != 1 {
		t.Errorf("%d receivers wait", n)
	}
	clk.add(time.Second) // the first one is visible again
	if r := <-a; r.err != nil || r.m.MessageBody != "sent" || r.m.DequeueCount != 2 {
		t.Errorf("%+v", r)
	} else if err := q.DeleteMessage(r.m.ReceiptHandle); err != nil {
		t.Error(err)
	}
	a = wait(30)
	clk.add(70 * time.Second)
	if r := <-a; r.err != nil || r.m.MessageBody != "delayed" {
		t.Errorf("%+v", r)
	}
	begun := time.Now()
	if r := <-wait(1); r.err == nil || time.Since(begun) < time.Second {
		t.Errorf("%+v after %s", r, time.Since(begun))
	}
	a = wait(30)
	if err := ali.NewMNSQueueManager(c).DeleteQueue("q"); err != nil {
		t.Error(err)
	}
	r := <-a
	wantCode(t, r.err, "QueueNotExist")
}

// The queue's PollingWaitSeconds holds for a receiver that says nothing.
func TestPollingWaitSeconds(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	q := newQueue(t, c, "q", ali.WithPollingWaitSeconds(30))
	done := make(chan error, 1)
	go func() {
		_, err := receive(queueOf(c, "q"))
		done <- err
	}()
	eventually(t, "the receiver waits", func() bool { return s.Stats().Waiting == 1 })
	send(t, q, ali.MessageSendRequest{MessageBody: "x"})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A receiver that has gone takes no message, and does not keep the one that it was woken for.
func TestReceiverLeaves(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	q := newQueue(t, c, "q")
	for range 20 {
		impatient := &http.Client{Timeout: 20 * time.Millisecond}
		r, err := http.NewRequest(http.MethodGet, endpoint+"/queues/q/messages?waitseconds=30", nil)
		if err != nil {
			t.Fatal(err)
		}
		signed := call{resource: "/queues/q/messages?waitseconds=30", after: func(h http.Header) { r.Header = h.Clone(); h.Del("Authorization") }}
		signed.do(t, endpoint)
		if resp, err := impatient.Do(r); err == nil {
			t.Fatalf("answered %s", resp.Status)
		}
	}
	eventually(t, "none waits", func() bool { return s.Stats().Waiting == 0 })
	send(t, q, ali.MessageSendRequest{MessageBody: "x"})
	if m := mustReceive(t, q, "x", 1); m.DequeueCount != 1 {
		t.Errorf("%+v", m)
	}
}

// Each message goes to one consumer while it is invisible, whoever waits, and none is forgotten.
func TestConsumers(t *testing.T) {
	t.Parallel()
	s, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	newQueue(t, c, "q")
	const producers, each, consumers = 4, 100, 6
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for i := range consumers {
		wg.Go(func() {
			q := queueOf(c, "q")
			for {
				n := int32(1)
				if i%2 == 0 {
					n = 16
				}
				list, err := receiveBatch(q, n, 1)
				if err != nil {
					return // nothing within a second
				}
				var handles []string
				mu.Lock()
				for _, m := range list {
					got[m.MessageBody]++
					if m.DequeueCount != 1 {
						t.Errorf("%s was received %d times", m.MessageBody, m.DequeueCount)
					}
				}
				mu.Unlock()
				for _, m := range list {
					handles = append(handles, m.ReceiptHandle)
				}
				if _, err := q.BatchDeleteMessage(handles...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			q := queueOf(c, "q")
			for i := range each {
				if _, err := q.SendMessage(ali.MessageSendRequest{MessageBody: fmt.Sprintf("%d-%d", p, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(got) != producers*each {
		t.Errorf("%d messages received, want %d", len(got), producers*each)
	}
	for body, n := range got {
		if n != 1 {
			t.Errorf("%s went to %d consumers", body, n)
		}
	}
	if st := s.Stats(); st.Stored != 0 || st.Deleted != producers*each || counts(t, c, "q") != "0/0/0" {
		t.Errorf("%+v, %s", st, counts(t, c, "q"))
	}
}
