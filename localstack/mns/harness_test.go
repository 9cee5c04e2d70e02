package mns_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

// A clock is set by a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// newClock begins at the real time, which the SDK signs with.
func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start serves a server on a loopback port until the test ends.
func start(t testing.TB, o mns.Options) (*mns.Server, string) {
	t.Helper()
	s, err := mns.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		h.Close()
	})
	return s, h.URL + "/acct.local"
}

func client(endpoint string) ali.MNSClient {
	return clientAs(endpoint, mns.DefaultAccessKeyID, mns.DefaultAccessKeySecret, "")
}

func clientAs(endpoint, id, secret, token string) ali.MNSClient {
	return ali.NewAliMNSClientWithConfig(ali.AliMNSClientConfig{EndPoint: endpoint, AccessKeyId: id, AccessKeySecret: secret, Token: token})
}

// newQueue creates a queue.
func newQueue(t testing.TB, c ali.MNSClient, name string, options ...ali.QueueOption) ali.AliMNSQueue {
	t.Helper()
	if err := ali.NewMNSQueueManager(c).CreateQueueWithOptions(name, options...); err != nil {
		t.Fatal(err)
	}
	return queueOf(c, name)
}

// queueOf is a queue that exists. The SDK's counter of calls is not safe for concurrent use: each goroutine has a queue of its own.
func queueOf(c ali.MNSClient, name string) ali.AliMNSQueue {
	return ali.NewMNSQueue(name, c, 1_000_000)
}

func send(t testing.TB, q ali.AliMNSQueue, m ali.MessageSendRequest) ali.MessageSendResponse {
	t.Helper()
	r, err := q.SendMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func receive(q ali.AliMNSQueue, wait ...int64) (ali.MessageReceiveResponse, error) {
	got, errs := make(chan ali.MessageReceiveResponse, 1), make(chan error, 1)
	q.ReceiveMessage(got, errs, wait...)
	select {
	case m := <-got:
		return m, nil
	case err := <-errs:
		return ali.MessageReceiveResponse{}, err
	}
}

func receiveBatch(q ali.AliMNSQueue, n int32, wait ...int64) ([]ali.MessageReceiveResponse, error) {
	got, errs := make(chan ali.BatchMessageReceiveResponse, 1), make(chan error, 1)
	q.BatchReceiveMessage(got, errs, n, wait...)
	select {
	case m := <-got:
		return m.Messages, nil
	case err := <-errs:
		return nil, err
	}
}

func peek(q ali.AliMNSQueue) (ali.MessageReceiveResponse, error) {
	got, errs := make(chan ali.MessageReceiveResponse, 1), make(chan error, 1)
	q.PeekMessage(got, errs)
	select {
	case m := <-got:
		return m, nil
	case err := <-errs:
		return ali.MessageReceiveResponse{}, err
	}
}

func peekBatch(q ali.AliMNSQueue, n int32) ([]ali.MessageReceiveResponse, error) {
	got, errs := make(chan ali.BatchMessageReceiveResponse, 1), make(chan error, 1)
	q.BatchPeekMessage(got, errs, n)
	select {
	case m := <-got:
		return m.Messages, nil
	case err := <-errs:
		return nil, err
	}
}

// mustReceive wants a message with the body.
func mustReceive(t testing.TB, q ali.AliMNSQueue, body string, wait ...int64) ali.MessageReceiveResponse {
	t.Helper()
	m, err := receive(q, wait...)
	if err != nil || m.MessageBody != body {
		t.Fatalf("received %q, %v, want %q", m.MessageBody, err, body)
	}
	return m
}

// wantCode wants an error of the service.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "code: "+code+",") {
		t.Errorf("error %v, want code %s", err, code)
	}
}

// counts are a queue's active, inactive and delayed messages.
func counts(t testing.TB, c ali.MNSClient, name string) string {
	t.Helper()
	a, err := ali.NewMNSQueueManager(c).GetQueueAttributes(name)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d/%d/%d", a.ActiveMessages, a.InactiveMessages, a.DelayMessages)
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
