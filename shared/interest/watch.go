package interest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/store"
)

// A change is effective everywhere within five seconds: what is older than pollEvery is looked at again while it is still used, what is
// older than staleAfter is not used before it has been looked at.
const (
	pollEvery  = 2 * time.Second
	staleAfter = 4 * time.Second
	retryAfter = time.Second             // after a read that failed
	readFor    = 1500 * time.Millisecond // the longest time that somebody waits for a read
)

// A Watch knows the document. It reads the document's version, one small row, at most every two seconds and only while it is asked, and
// the document itself only when it has changed; when the table does not answer it goes on with what it knows. It is safe for concurrent
// use.
type Watch struct {
	index store.RuleIndex
	now   func() time.Time

	current atomic.Pointer[Snapshot] // nil until the first read
	checked atomic.Int64             // when current was last known to be in force, Unix nanoseconds
	retry   atomic.Int64             // not before, after a failure

	mu     sync.Mutex
	flight chan struct{} // of the read that goes on; nil if none does
	failed error         // of the last read; nil if it succeeded
}

// NewWatch makes a watch. It does not read before it is asked. now is the clock, time.Now if nil.
func NewWatch(index store.RuleIndex, now func() time.Time) *Watch {
	if now == nil {
		now = time.Now
	}
	return &Watch{index: index, now: now}
}

// Refresh makes sure that what is known is as new as it has to be. It waits only if nothing is known or nobody has asked for seconds;
// otherwise a read goes on beside it. The error, Unavailable, means that nothing is known; with an old document there is none.
func (w *Watch) Refresh(ctx context.Context) error {
	snapshot, checked, now := w.current.Load(), w.checked.Load(), w.now().UnixNano()
	if snapshot != nil && now-checked < int64(pollEvery) {
		return nil
	}
	if now < w.retry.Load() {
		return w.known()
	}
	flight := w.read()
	if snapshot != nil && now-checked < int64(staleAfter) {
		return nil
	}
	timer := time.NewTimer(readFor)
	defer timer.Stop()
	select {
	case <-flight:
	case <-ctx.Done():
	case <-timer.C:
	}
	return w.known()
}

// known is nil if there is a document.
func (w *Watch) known() error {
	if w.current.Load() != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return iot.Wrap(iot.Unavailable, w.failed, "what rules and subscriptions want is not known yet")
}

// read begins a read, unless one goes on, and gives a channel that is closed when it has ended.
func (w *Watch) read() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flight == nil {
		w.flight = make(chan struct{})
		go w.load(w.flight)
	}
	return w.flight
}

// load reads. The calls of the table are bounded in time by themselves.
func (w *Watch) load(done chan struct{}) {
	began := w.now()
	snapshot, err := w.fetch(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed, w.flight = err, nil
	if err == nil {
		w.current.Store(snapshot)
		w.checked.Store(began.UnixNano())
		w.retry.Store(0)
	} else {
		w.retry.Store(w.now().Add(retryAfter).UnixNano())
	}
	close(done)
}

func (w *Watch) fetch(ctx context.Context) (*Snapshot, error) {
	old := w.current.Load()
	if old != nil {
		if version, err := w.index.Version(ctx); err != nil || version == old.version {
			return old, err
		}
	}
	text, version, err := w.index.Get(ctx)
	if err != nil {
		return nil, err
	}
	return newSnapshot(text, version)
}

// Current is what is known now, nil if that is nothing. It begins a read beside it if it is time for one, and never blocks.
func (w *Watch) Current() *Snapshot {
	now := w.now().UnixNano()
	if now-w.checked.Load() >= int64(pollEvery) && now >= w.retry.Load() {
		w.read()
	}
	return w.current.Load()
}

// Wants tells whether somebody wants a message of that kind with that forwarding topic. It neither blocks nor, except for a read every
// two seconds, allocates. While nothing is known everything is wanted: better for nothing than lost.
func (w *Watch) Wants(kind message.Kind, pk iot.ProductKey, topic string) bool {
	return w.Current().Wants(kind, pk, topic)
}

// Any tells whether any message of the product may be wanted, as Wants does.
func (w *Watch) Any(pk iot.ProductKey) bool { return w.Current().Any(pk) }

// A Snapshot is the document of one version. It is shared: nobody changes it. A nil Snapshot wants everything.
type Snapshot struct {
	version  int64
	products map[iot.ProductKey]*wanted
}

// wanted is what is wanted of one product.
type wanted struct {
	document Product
	kinds    [message.KindCount]bool // wanted by a subscription, whatever the topic
	topics   [message.KindCount]*topics
}

func newSnapshot(text []byte, version int64) (*Snapshot, error) {
	s := &Snapshot{version: version, products: make(map[iot.ProductKey]*wanted)}
	if version == 0 {
		return s, nil
	}
	var d Document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("interest document of version %d: %w", version, err)
	}
	for pk, p := range d.Products {
		s.products[pk] = newWanted(p)
	}
	return s, nil
}

func newWanted(p Product) *wanted {
	w := &wanted{document: p}
	for _, sub := range p.Subscriptions {
		for _, k := range sub.Kinds {
			if k >= 0 && k < int(message.KindCount) { // a newer build may know more
				w.kinds[k] = true
			}
		}
	}
	for _, r := range p.Rules {
		if r.Kind >= message.KindCount {
			continue
		}
		if w.topics[r.Kind] == nil {
			w.topics[r.Kind] = new(topics)
		}
		w.topics[r.Kind].add(r.Topic)
	}
	return w
}

// Version is the document's version; 0 if there is no document.
func (s *Snapshot) Version() int64 {
	if s == nil {
		return 0
	}
	return s.version
}

// Product is what is wanted of a product; false if nothing is.
func (s *Snapshot) Product(pk iot.ProductKey) (Product, bool) {
	if s == nil {
		return Product{}, false
	}
	w := s.products[pk]
	if w == nil {
		return Product{}, false
	}
	return w.document, true
}

// Any tells whether any message of the product may be wanted.
func (s *Snapshot) Any(pk iot.ProductKey) bool { return s == nil || s.products[pk] != nil }

// Wants tells whether somebody wants a message of that kind with that forwarding topic.
func (s *Snapshot) Wants(kind message.Kind, pk iot.ProductKey, topic string) bool {
	if s == nil {
		return true
	}
	w := s.products[pk]
	if w == nil || kind >= message.KindCount {
		return false
	}
	return w.kinds[kind] || w.topics[kind].match(topic)
}
