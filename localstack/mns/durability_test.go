package mns_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/mns"
)

// serveDir names the directory that this test binary, started anew, serves until it is killed.
const serveDir = "MNS_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func serve(dir string) error {
	s, err := mns.Open(mns.Options{Dir: dir})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, s.Close())
	}
	fmt.Println("http://" + l.Addr().String() + "/acct.local")
	return http.Serve(l, s)
}

// process starts a server in a process of its own, and returns how to kill it with SIGKILL.
func process(t *testing.T, dir string) (endpoint string, kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), serveDir+"="+dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = c.Process.Kill() // it may have been killed
		_ = c.Wait()         // it was
	})
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the server did not start: %v", lines.Err())
	}
	return lines.Text(), kill
}

// What was acknowledged before a kill -9 is there after it: sent messages, receipt handles, deletions, changes of visibility,
// notifications for a subscriber that is away.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sub := newSubscriber(t)
	sub.answer(http.StatusServiceUnavailable)
	endpoint, kill := process(t, dir)
	c := client(endpoint)
	q := newQueue(t, c, "q")
	newQueue(t, c, "load")
	topic := newTopic(t, c, "t")
	subscribe(t, topic, "http", ali.MessageSubsribeRequest{Endpoint: sub.URL, NotifyContentFormat: ali.SIMPLIFIED, NotifyStrategy: ali.EXPONENTIAL_DECAY_RETRY})
	subscribe(t, topic, "queue", ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint("q"), NotifyContentFormat: ali.SIMPLIFIED})
	for _, body := range []string{"held", "deleted", "changed", "left"} {
		send(t, q, ali.MessageSendRequest{MessageBody: body})
	}
	delayedMessage := send(t, q, ali.MessageSendRequest{MessageBody: "delayed", DelaySeconds: 600})
	held := mustReceive(t, q, "held")
	if err := q.DeleteMessage(mustReceive(t, q, "deleted").ReceiptHandle); err != nil {
		t.Fatal(err)
	}
	changed, err := q.ChangeMessageVisibility(mustReceive(t, q, "changed").ReceiptHandle, 3600)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, topic, "published", "")
	eventually(t, "the subscriber refused once", func() bool { return len(sub.all()) > 0 })

	// Senders are at work when it is killed.
	var acknowledged [4]atomic.Int64
	var wg sync.WaitGroup
	for p := range acknowledged {
		wg.Go(func() {
			load := queueOf(c, "load")
			for i := int64(0); ; i++ {
				if _, err := load.SendMessage(ali.MessageSendRequest{MessageBody: fmt.Sprintf("%d-%d", p, i)}); err != nil {
					return
				}
				acknowledged[p].Add(1)
			}
		})
	}
	eventually(t, "the load runs", func() bool { return acknowledged[0].Load() > 20 && acknowledged[3].Load() > 20 })
	kill()
	wg.Wait()

	endpoint, _ = process(t, dir)
	c = client(endpoint)
	q = queueOf(c, "q")
	load := queueOf(c, "load")
	if got := counts(t, c, "q"); got != "2/2/1" {
		t.Errorf("counts %s after the kill, want 2/2/1", got)
	}
	mustReceive(t, q, "left")
	mustReceive(t, q, "published")
	for _, handle := range []string{held.ReceiptHandle, changed.ReceiptHandle, delayedMessage.ReceiptHandle} {
		if err := q.DeleteMessage(handle); err != nil {
			t.Errorf("delete by a handle from before the kill: %v", err)
		}
	}
	sub.answer(http.StatusNoContent)
	eventually(t, "the notification arrives", func() bool {
		a, err := ali.NewMNSTopicManager(c).GetTopicAttributes("t")
		return err == nil && a.MessageCount == 0
	})
	found := map[string]bool{}
	for {
		list, err := receiveBatch(load, 16)
		if err != nil {
			wantCode(t, err, "MessageNotExist")
			break
		}
		for _, m := range list {
			found[m.MessageBody] = true
		}
	}
	total := int64(0)
	for p := range acknowledged {
		n := acknowledged[p].Load()
		total += n
		for i := range n {
			if !found[fmt.Sprintf("%d-%d", p, i)] {
				t.Errorf("message %d of sender %d was acknowledged and is lost", i, p)
			}
		}
	}
	t.Logf("%d acknowledged, %d found", total, len(found))
}

// TestCrash loses all that is not synced, at a moment when senders, receivers and deleters are at work.
func TestCrash(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	_, endpoint := start(t, mns.WithFS(mns.Options{}, disk))
	c := client(endpoint)
	newQueue(t, c, "q", ali.WithVisibilityTimeout(600))
	var mu sync.Mutex
	sent, deleted := map[string]bool{}, map[string]bool{}
	deleting := map[string]bool{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	for p := range 3 {
		wg.Go(func() {
			q := queueOf(c, "q")
			for i := 0; running(); i++ {
				r, err := q.SendMessage(ali.MessageSendRequest{MessageBody: fmt.Sprintf("%d-%d", p, i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				sent[r.MessageId] = true
				mu.Unlock()
			}
		})
		wg.Go(func() {
			q := queueOf(c, "q")
			for running() {
				m, err := receive(q, 1)
				if err != nil {
					continue
				}
				mu.Lock()
				deleting[m.MessageId] = true
				mu.Unlock()
				if err := q.DeleteMessage(m.ReceiptHandle); err != nil {
					t.Error(err)
				}
				mu.Lock()
				deleted[m.MessageId] = true
				mu.Unlock()
			}
		})
	}
	for round := range 3 {
		eventually(t, "work goes on", func() bool { mu.Lock(); defer mu.Unlock(); return len(deleted) > (round+1)*30 })
		mu.Lock()
		var mustBe, mustNot []string
		for id := range deleted {
			mustNot = append(mustNot, id)
		}
		for id := range sent {
			mustBe = append(mustBe, id)
		}
		mu.Unlock()
		crashed := disk.CrashClone(vfs.CrashCloneCfg{})
		mu.Lock()
		late := map[string]bool{} // deletions that may or may not have been in time
		for id := range deleting {
			late[id] = true
		}
		mu.Unlock()
		clk := newClock()
		clk.add(13 * time.Minute) // what was out is visible again; not past the window of signatures
		_, after := start(t, mns.WithFS(mns.Options{Clock: clk.Now}, crashed))
		found := map[string]bool{}
		aq := queueOf(client(after), "q")
		for {
			list, err := receiveBatch(aq, 16)
			if err != nil {
				break
			}
			for _, m := range list {
				found[m.MessageId] = true
			}
		}
		for _, id := range mustBe {
			if !found[id] && !late[id] {
				t.Errorf("round %d: message %s was acknowledged and is lost", round, id)
			}
		}
		for _, id := range mustNot {
			if found[id] {
				t.Errorf("round %d: message %s was deleted and is back", round, id)
			}
		}
	}
}

// A server that is closed and opened goes on where it was, and refuses to share its directory.
func TestRestart(t *testing.T) {
	t.Parallel()
	clk := newClock()
	dir := t.TempDir()
	s, endpoint := start(t, mns.Options{Dir: dir, Clock: clk.Now})
	c := client(endpoint)
	q := newQueue(t, c, "q", ali.WithVisibilityTimeout(77))
	newQueue(t, c, "gone")
	send(t, q, ali.MessageSendRequest{MessageBody: "a", Priority: 2})
	send(t, q, ali.MessageSendRequest{MessageBody: "b", Priority: 1})
	send(t, q, ali.MessageSendRequest{MessageBody: "c", DelaySeconds: 50})
	mustReceive(t, q, "b")
	if err := ali.NewMNSQueueManager(c).DeleteQueue("gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := mns.Open(mns.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, endpoint = start(t, mns.Options{Dir: dir, Clock: clk.Now})
	c = client(endpoint)
	q = ali.NewMNSQueue("q", c)
	if got := counts(t, c, "q"); got != "1/1/1" {
		t.Errorf("counts %s", got)
	}
	if st := s.Stats(); st.Stored != 3 {
		t.Errorf("%+v", st)
	}
	a, err := ali.NewMNSQueueManager(c).GetQueueAttributes("q")
	if err != nil || a.VisibilityTimeout != 77 {
		t.Errorf("%+v, %v", a, err)
	}
	newQueue(t, c, "gone")
	_, err = receive(ali.NewMNSQueue("gone", c))
	wantCode(t, err, "MessageNotExist")
	mustReceive(t, q, "a")
	clk.add(77 * time.Second)
	if m := mustReceive(t, q, "b"); m.DequeueCount != 2 {
		t.Errorf("%+v", m)
	}
}
