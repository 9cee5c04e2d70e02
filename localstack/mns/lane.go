package mns

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// maxLanePushes is how many notifications of one subscription are under way at once: a slow subscriber has no more connections.
const maxLanePushes = 8

// A lane is one subscription with the notifications that wait for its subscriber.
type lane struct {
	topic, name string
	number      uint32

	mu      sync.Mutex
	info    subscriptionInfo
	deleted bool
	pending int64               // notifications in the store
	bytes   int64               // of their contents
	head    int64               // none is due before; ms
	pushing map[uint64]struct{} // ids of those under way
}

func newLane(topic, name string, info subscriptionInfo) *lane {
	return &lane{topic: topic, name: name, number: info.Number, info: info, pushing: map[uint64]struct{}{}}
}

func (l *lane) snapshot() subscriptionInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.info
}

func (l *lane) attributes() subscriptionAttributes { return l.snapshot().subscriptionAttributes }

func (l *lane) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// deleteFrom adds the deletion of a subscription and all its notifications to b.
func (l *lane) deleteFrom(b *pebble.Batch) error {
	if err := b.Delete(subscriptionKey(l.topic, l.name), nil); err != nil {
		return err
	}
	for _, prefix := range []byte{prefixPush, prefixPayload} {
		if err := b.DeleteRange(numbered(prefix, l.number), numbered(prefix, l.number+1), nil); err != nil {
			return err
		}
	}
	return nil
}

// dropLane counts off a subscription that has been deleted. l.mu is held.
func (s *Server) dropLane(l *lane) {
	l.deleted = true
	s.stored.Add(-l.bytes)
	s.pending.Add(-l.pending)
}

// sorted returns the lanes of a topic in the order of locking. Server.mu is held.
func (t *topic) sorted() []*lane {
	list := make([]*lane, 0, len(t.lanes))
	for _, l := range t.lanes {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *lane) int { return cmp.Compare(a.number, b.number) })
	return list
}

// lockLanes locks lanes, which are sorted, and returns how to unlock them.
func lockLanes(list []*lane) (unlock func()) {
	for _, l := range list {
		l.mu.Lock()
	}
	return func() {
		for _, l := range list {
			l.mu.Unlock()
		}
	}
}

// A task is a notification that is due.
type task struct {
	due      int64
	id       uint64
	attempts uint32 // that have failed
}

func (t task) key(number uint32) []byte {
	return numbered(prefixPush, number, uint64(t.due), t.id)
}

func (t task) value() []byte { return binary.BigEndian.AppendUint32(nil, t.attempts) }

// take marks up to n notifications that are due as being under way.
func (s *Server) takeTasks(l *lane, n int) (list []task, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, maxLanePushes-len(l.pushing))
	now := s.ms()
	if l.deleted || n <= 0 || l.pending == int64(len(l.pushing)) || l.head > now {
		return nil, nil
	}
	head := now + 1
	err = s.scan(numbered(prefixPush, l.number, uint64(l.head)), numbered(prefixPush, l.number, uint64(now+1)), func(key, value []byte) (bool, error) {
		t := task{due: int64(binary.BigEndian.Uint64(key[5:])), id: binary.BigEndian.Uint64(key[13:])}
		head = min(head, t.due)
		if _, busy := l.pushing[t.id]; busy {
			return true, nil
		}
		if len(value) == 4 {
			t.attempts = binary.BigEndian.Uint32(value)
		}
		list = append(list, t)
		return len(list) < n, nil
	})
	if err != nil {
		return nil, err
	}
	l.head = head
	for _, t := range list {
		l.pushing[t.id] = struct{}{}
	}
	return list, nil
}

// finishTask ends an attempt: the notification is gone, or due again.
func (s *Server) finishTask(l *lane, done task, size int, again *task) error {
	b := s.db.NewBatch()
	defer b.Close()
	applied, err := s.finishLocked(b, l, done, size, again)
	if err != nil || !applied {
		return err
	}
	return b.SyncWait()
}

func (s *Server) finishLocked(b *pebble.Batch, l *lane, done task, size int, again *task) (applied bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pushing, done.id)
	if l.deleted {
		return false, nil
	}
	if err := b.Delete(done.key(l.number), nil); err != nil {
		return false, err
	}
	if again != nil {
		if err := b.Set(again.key(l.number), again.value(), nil); err != nil {
			return false, err
		}
	} else if err := b.Delete(numbered(prefixPayload, l.number, done.id), nil); err != nil {
		return false, err
	}
	if err := s.apply(b); err != nil {
		return false, err
	}
	if again != nil {
		l.head = min(l.head, again.due)
		return true, nil
	}
	l.pending--
	s.pending.Add(-1)
	l.bytes -= int64(size)
	s.stored.Add(-int64(size))
	return true, nil
}
