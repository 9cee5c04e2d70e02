package mns_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

func TestQueueAttributes(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	m := ali.NewMNSQueueManager(c)
	if err := m.CreateQueue("q-1", 5, 2048, 120, 60, 3, 2); err != nil {
		t.Fatal(err)
	}
	a, err := m.GetQueueAttributes("q-1")
	if err != nil || a.QueueName != "q-1" || a.DelaySeconds != 5 || a.MaxMessageSize != 2048 || a.MessageRetentionPeriod != 120 || a.VisibilityTimeout != 60 || a.PollingWaitSeconds != 3 || a.LoggingEnabled ||
		time.Since(time.Unix(a.CreateTime, 0)) > time.Minute {
		t.Errorf("%+v, %v", a, err)
	}
	if err := m.CreateQueue("q-1", 5, 2048, 120, 60, 3, 2); err == nil || !strings.Contains(err.Error(), "the attribute is the same") {
		t.Errorf("same attributes again: %v", err)
	}
	wantCode(t, m.CreateQueue("q-1", 6, 2048, 120, 60, 3, 2), "QueueAlreadyExist")
	if err := m.SetQueueAttributesWithOptions("q-1", ali.WithVisibilityTimeout(7), ali.WithLoggingEnabled(true)); err != nil {
		t.Error(err)
	}
	a, err = m.GetQueueAttributes("q-1")
	if err != nil || a.VisibilityTimeout != 7 || !a.LoggingEnabled || a.MaxMessageSize != 2048 || a.MessageRetentionPeriod != 120 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := m.SetQueueAttributes("q-1", 0, 65536, 345600, 30, 0, 2); err != nil {
		t.Error(err)
	}
	if err := m.DeleteQueue("q-1"); err != nil {
		t.Error(err)
	}
	_, err = m.GetQueueAttributes("q-1")
	wantCode(t, err, "QueueNotExist")
	wantCode(t, m.DeleteQueue("q-1"), "QueueNotExist")
	wantCode(t, m.SetQueueAttributesWithOptions("q-1"), "QueueNotExist")
	if err := m.CreateSimpleQueue("q-1"); err != nil {
		t.Errorf("created again: %v", err)
	}
}

func TestQueueBounds(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	m := ali.NewMNSQueueManager(client(endpoint))
	wantCode(t, m.CreateQueueWithOptions("q", ali.WithMaxMessageSize(1023)), "InvalidArgument")
	wantCode(t, m.CreateQueueWithOptions("q", ali.WithMaxMessageSize(65537)), "InvalidArgument")
	wantCode(t, m.CreateQueueWithOptions("q", ali.WithMessageRetentionPeriod(604801)), "InvalidArgument")
	for _, name := range []string{"1q", "-q", "q_1", "q.1"} {
		wantCode(t, m.CreateSimpleQueue(name), "InvalidQueueName")
	}
	if err := m.CreateSimpleQueue(strings.Repeat("q", 256)); err != nil {
		t.Error(err)
	}
}

func TestListQueues(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	m := ali.NewMNSQueueManager(client(endpoint))
	for i := range 7 {
		if err := m.CreateSimpleQueue(fmt.Sprintf("list-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.CreateSimpleQueue("other"); err != nil {
		t.Fatal(err)
	}
	var names []string
	marker := ""
	for range 4 {
		p, err := m.ListQueue(marker, 3, "list-")
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Queues {
			names = append(names, q.QueueURL[strings.LastIndexByte(q.QueueURL, '/')+1:])
		}
		if marker = p.NextMarker; marker == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "list-0 list-1 list-2 list-3 list-4 list-5 list-6" {
		t.Errorf("listed %s", got)
	}
	d, err := m.ListQueueDetail("", 0, "")
	if err != nil || len(d.Attrs) != 8 || d.Attrs[7].QueueName != "other" || d.Attrs[0].VisibilityTimeout != 30 || d.NextMarker != "" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestMessageLife(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s, endpoint := start(t, mns.Options{Clock: clk.Now})
	c := client(endpoint)
	q := newQueue(t, c, "q", ali.WithVisibilityTimeout(30))
	const body = "a <b> & \"c\"\r\n\t ü\u2028 "
	sent := send(t, q, ali.MessageSendRequest{MessageBody: body})
	if len(sent.MessageId) != 32 || len(sent.MessageBodyMD5) != 32 || sent.ReceiptHandle != "" || sent.Code != "201" || len(sent.RequestId) != 24 {
		t.Errorf("sent %+v", sent)
	}
	p, err := peek(q)
	if err != nil || p.MessageBody != body || p.ReceiptHandle != "" || p.DequeueCount != 0 || p.Priority != 8 || p.MessageId != sent.MessageId {
		t.Errorf("peeked %+v, %v", p, err)
	}
	now := clk.Now().UnixMilli()
	m := mustReceive(t, q, body)
	if m.MessageId != sent.MessageId || m.MessageBodyMD5 != sent.MessageBodyMD5 || m.DequeueCount != 1 || m.FirstDequeueTime != now || m.EnqueueTime != now || m.NextVisibleTime != now+30_000 || m.ReceiptHandle == "" {
		t.Errorf("received %+v", m)
	}
	_, err = receive(q)
	wantCode(t, err, "MessageNotExist")
	_, err = peek(q)
	wantCode(t, err, "MessageNotExist")
	if got := counts(t, c, "q"); got != "0/1/0" {
		t.Errorf("counts %s", got)
	}

	changed, err := q.ChangeMessageVisibility(m.ReceiptHandle, 100)
	if err != nil || changed.ReceiptHandle == m.ReceiptHandle || changed.NextVisibleTime != now+100_000 {
		t.Errorf("changed %+v, %v", changed, err)
	}
	wantCode(t, q.DeleteMessage(m.ReceiptHandle), "ReceiptHandleError")
	clk.add(99 * time.Second)
	_, err = receive(q)
	wantCode(t, err, "MessageNotExist")
	clk.add(time.Second)
	if got := counts(t, c, "q"); got != "1/0/0" {
		t.Errorf("counts %s", got)
	}
	wantCode(t, q.DeleteMessage(changed.ReceiptHandle), "ReceiptHandleError")
	_, err = q.ChangeMessageVisibility(changed.ReceiptHandle, 1)
	wantCode(t, err, "ReceiptHandleError")
	again := mustReceive(t, q, body)
	if again.DequeueCount != 2 || again.FirstDequeueTime != now || again.ReceiptHandle == m.ReceiptHandle {
		t.Errorf("received again %+v", again)
	}
	if err := q.DeleteMessage(again.ReceiptHandle); err != nil {
		t.Error(err)
	}
	wantCode(t, q.DeleteMessage(again.ReceiptHandle), "MessageNotExist")
	if got := counts(t, c, "q"); got != "0/0/0" {
		t.Errorf("counts %s", got)
	}
	if st := s.Stats(); st.Sent != 1 || st.Received != 2 || st.Deleted != 1 || st.Stored != 0 || st.Calls["ChangeMessageVisibility"] != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	clk := newClock()
	_, endpoint := start(t, mns.Options{Clock: clk.Now})
	c := client(endpoint)
	q := newQueue(t, c, "q")
	first := send(t, q, ali.MessageSendRequest{MessageBody: "first", DelaySeconds: 10})
	send(t, q, ali.MessageSendRequest{MessageBody: "second", DelaySeconds: 5})
	if first.ReceiptHandle == "" {
		t.Error("a delayed message has no receipt handle")
	}
	_, err := receive(q)
	wantCode(t, err, "MessageNotExist")
	if got := counts(t, c, "q"); got != "0/0/2" {
		t.Errorf("counts %s", got)
	}
	if err := q.DeleteMessage(first.ReceiptHandle); err != nil {
		t.Errorf("delete before it is visible: %v", err)
	}
	clk.add(5 * time.Second)
	mustReceive(t, q, "second")
	clk.add(6 * time.Second)
	_, err = receive(q)
	wantCode(t, err, "MessageNotExist")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s, endpoint := start(t, mns.Options{Clock: clk.Now})
	c := client(endpoint)
	q := newQueue(t, c, "q", ali.WithMessageRetentionPeriod(60))
	send(t, q, ali.MessageSendRequest{MessageBody: "a"})
	send(t, q, ali.MessageSendRequest{MessageBody: "out"})
	mustReceive(t, q, "a")
	clk.add(31 * time.Second)
	send(t, q, ali.MessageSendRequest{MessageBody: "later"})
	clk.add(29 * time.Second)
	mustReceive(t, q, "later")
	_, err := receive(q)
	wantCode(t, err, "MessageNotExist")
	send(t, q, ali.MessageSendRequest{MessageBody: "kept"})
	if n, err := s.Sweep(); n != 0 || err != nil { // the receiver has removed what it came across
		t.Errorf("swept %d, %v", n, err)
	}
	clk.add(31 * time.Second)
	if n, err := s.Sweep(); n != 1 || err != nil {
		t.Errorf("swept %d, %v, want the one that is out", n, err)
	}
	mustReceive(t, q, "kept")
	if st := s.Stats(); st.Expired != 3 || st.Stored != 4 {
		t.Errorf("stats %+v", st)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	q := newQueue(t, client(endpoint), "q", ali.WithMaxMessageSize(1024))
	var list []ali.MessageSendRequest
	for i := range 16 {
		list = append(list, ali.MessageSendRequest{MessageBody: fmt.Sprint(i)})
	}
	r, err := q.BatchSendMessage(list...)
	if err != nil || len(r.Messages) != 16 || r.Messages[15].MessageBodyMD5 == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = q.BatchSendMessage(append(list, list[0])...)
	wantCode(t, err, "InvalidArgument")
	p, err := peekBatch(q, 16)
	if err != nil || len(p) != 16 || p[3].MessageBody != "3" {
		t.Errorf("peeked %d, %v", len(p), err)
	}
	got, err := receiveBatch(q, 16)
	if err != nil || len(got) != 16 {
		t.Fatalf("received %d, %v", len(got), err)
	}
	var handles []string
	for i, m := range got {
		if m.MessageBody != fmt.Sprint(i) || m.MessageId != r.Messages[i].MessageId {
			t.Errorf("message %d is %q", i, m.MessageBody)
		}
		handles = append(handles, m.ReceiptHandle)
	}
	if _, err := q.BatchDeleteMessage(handles[:14]...); err != nil {
		t.Error(err)
	}
	failed, err := q.BatchDeleteMessage(handles[0], handles[14], "nonsense", handles[14])
	if err == nil || len(failed.FailedMessages) != 3 || failed.FailedMessages[0].ErrorCode != "MessageNotExist" || failed.FailedMessages[1].ErrorCode != "ReceiptHandleError" ||
		failed.FailedMessages[1].ReceiptHandle != "nonsense" || failed.FailedMessages[2].ErrorCode != "MessageNotExist" {
		t.Errorf("%+v, %v", failed, err)
	}
	_, err = receiveBatch(q, 16)
	wantCode(t, err, "MessageNotExist")
	_, err = receiveBatch(q, 17)
	wantCode(t, err, "InvalidArgument")

	// One of a batch is too large: the others are sent.
	r, err = q.BatchSendMessage(ali.MessageSendRequest{MessageBody: "good"}, ali.MessageSendRequest{MessageBody: strings.Repeat("x", 1025)})
	if err == nil || len(r.Messages) != 2 || r.Messages[0].MessageId == "" || r.Messages[1].ErrorCode != "InvalidArgument" {
		t.Errorf("%+v, %v", r, err)
	}
	mustReceive(t, q, "good")
}

func TestSendBounds(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{MaxStored: 200_000})
	c := client(endpoint)
	q := newQueue(t, c, "q")
	whole := strings.Repeat("\n", 65536) // five bytes each on the wire
	send(t, q, ali.MessageSendRequest{MessageBody: whole})
	mustReceive(t, q, whole)
	for _, m := range []ali.MessageSendRequest{
		{MessageBody: whole + "x"}, {MessageBody: ""}, {MessageBody: "x", DelaySeconds: 604801}, {MessageBody: "x", DelaySeconds: -1}, {MessageBody: "x", Priority: 17}, {MessageBody: "x", Priority: -1},
	} {
		_, err := q.SendMessage(m)
		wantCode(t, err, "InvalidArgument")
	}
	half := strings.Repeat("x", 32769)
	_, err := q.BatchSendMessage(ali.MessageSendRequest{MessageBody: half}, ali.MessageSendRequest{MessageBody: half})
	wantCode(t, err, "InvalidArgument")
	_, err = ali.NewMNSQueue("none", c).SendMessage(ali.MessageSendRequest{MessageBody: "x"})
	wantCode(t, err, "QueueNotExist")
	_, err = receive(ali.NewMNSQueue("none", c), 1)
	wantCode(t, err, "QueueNotExist")
	_, err = ali.NewMNSQueue("none", c).BatchSendMessage(ali.MessageSendRequest{MessageBody: "x"})
	wantCode(t, err, "QueueNotExist")
	send(t, q, ali.MessageSendRequest{MessageBody: whole})
	send(t, q, ali.MessageSendRequest{MessageBody: whole})
	_, err = q.SendMessage(ali.MessageSendRequest{MessageBody: whole})
	wantCode(t, err, "InternalError") // the store is full
	_, err = q.ChangeMessageVisibility("1-YQ==", 43201)
	wantCode(t, err, "InvalidArgument")
	_, err = q.ChangeMessageVisibility("1-YQ==", 10)
	wantCode(t, err, "ReceiptHandleError")
}

func TestPriority(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	q := newQueue(t, client(endpoint), "q")
	for i, p := range []int64{16, 8, 1, 0, 1} {
		send(t, q, ali.MessageSendRequest{MessageBody: fmt.Sprint(i), Priority: p})
	}
	for _, want := range []string{"2", "4", "1", "3", "0"} {
		mustReceive(t, q, want)
	}
}
