package mns

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// A notification is a published message on its way to one subscriber.
type notification struct {
	ID        string `json:"id"`
	Body      string `json:"body"`
	Tag       string `json:"tag,omitempty"`
	Published int64  `json:"published"` // ms
}

// publishMessage hands a message to all subscriptions whose filter lets it through. Queues have it when this is answered; what is
// for HTTP endpoints is on disk by then.
func (s *Server) publishMessage(rq *request) error {
	e, err := parseBody(rq.body, "Message")
	if err != nil {
		return err
	}
	if err := e.only("MessageBody", "MessageTag", "MessageAttributes"); err != nil {
		return err
	}
	body, _ := e.child("MessageBody")
	tag, _ := e.child("MessageTag")
	if len([]rune(tag)) > maxTag {
		return outOfRange("MessageTag", 0, maxTag, "characters")
	}
	if strings.ContainsAny(tag, "\r\n\t") { // it goes into a header
		return notValid("MessageTag")
	}
	s.mu.RLock()
	t := s.topics[rq.name]
	if t == nil {
		s.mu.RUnlock()
		return fail(TopicNotExist)
	}
	info := t.info
	lanes := t.sorted()
	s.mu.RUnlock()
	if len(body) == 0 || int64(len(body)) > info.MaxSize {
		return outOfRange("MessageBody", 1, info.MaxSize, "bytes")
	}
	id := s.nextID()
	n := notification{ID: messageID(info.Number, id), Body: body, Tag: tag, Published: s.ms()}
	if err := s.publish(lanes, id, n); err != nil {
		return err
	}
	s.stats.published.Add(1)
	var d document
	d.open("Message")
	d.leaf("MessageId", n.ID)
	d.leaf("MessageBodyMD5", bodyMD5([]byte(body)))
	d.close("Message")
	writeBody(rq.w, http.StatusCreated, d.bytes())
	return nil
}

// publish stores what a notification causes in one batch: a message for each queue that exists, and a task for every other endpoint.
func (s *Server) publish(lanes []*lane, id uint64, n notification) error {
	b := s.db.NewBatch()
	defer b.Close()
	payload, err := json.Marshal(n)
	if err != nil {
		return err
	}
	var direct []delivered
	var tasks []*lane
	for _, l := range lanes {
		a := l.attributes()
		if a.FilterTag != "" && a.FilterTag != n.Tag {
			continue
		}
		if name := a.queue(); name != "" {
			if q, err := s.findQueue(name); err == nil {
				direct = append(direct, delivered{q, l, outgoing{body: s.format(l, a.Format, n), state: state{priority: defaultPriority}}})
				continue
			}
		}
		tasks = append(tasks, l)
	}
	size := int64(len(payload) * len(tasks))
	for i := range direct {
		size += int64(len(direct[i].message.body))
	}
	if s.stored.Load()+size > s.maxStored {
		s.log.Error("message store is full", "bytes", s.stored.Load(), "limit", s.maxStored)
		return fail(InternalError)
	}
	applied, err := s.applyPublish(b, direct, tasks, task{due: n.Published, id: id}, payload)
	if err != nil || !applied {
		return err
	}
	return b.SyncWait()
}

// A delivered message goes straight to a queue.
type delivered struct {
	queue   *queue
	lane    *lane
	message outgoing
}

func (s *Server) applyPublish(b *pebble.Batch, direct []delivered, tasks []*lane, t task, payload []byte) (applied bool, err error) {
	// Several subscriptions may name the same queue, which is locked once.
	slices.SortStableFunc(direct, func(x, y delivered) int { return cmp.Compare(x.queue.number, y.queue.number) })
	var locked *queue
	for _, x := range direct {
		if x.queue != locked {
			locked = x.queue
			locked.mu.Lock()
			defer x.queue.mu.Unlock()
		}
	}
	live := direct[:0:0]
	for _, x := range direct {
		if x.queue.deleted { // since it was looked up: the notification waits as for any endpoint that fails
			tasks = append(tasks, x.lane)
			continue
		}
		list := []outgoing{x.message}
		if _, err := s.prepare(b, x.queue.number, list, []int64{0}); err != nil {
			return false, err
		}
		x.message = list[0]
		live = append(live, x)
	}
	slices.SortFunc(tasks, func(x, y *lane) int { return cmp.Compare(x.number, y.number) })
	defer lockLanes(tasks)()
	waiting := tasks[:0:0]
	for _, l := range tasks {
		if l.deleted {
			continue
		}
		if err := b.Set(t.key(l.number), t.value(), nil); err != nil {
			return false, err
		}
		if err := b.Set(numbered(prefixPayload, l.number, t.id), payload, nil); err != nil {
			return false, err
		}
		waiting = append(waiting, l)
	}
	if b.Empty() {
		return false, nil
	}
	if err := s.apply(b); err != nil {
		return false, err
	}
	for _, x := range live {
		s.inserted(x.queue, []outgoing{x.message})
	}
	for _, l := range waiting {
		l.pending++
		s.pending.Add(1)
		l.bytes += int64(len(payload))
		l.head = min(l.head, t.due)
		s.stored.Add(int64(len(payload)))
	}
	if len(waiting) > 0 {
		s.kickPusher()
	}
	return true, nil
}

// kickPusher has the due notifications looked at soon.
func (s *Server) kickPusher() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
