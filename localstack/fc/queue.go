package fc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/pebblelog"
)

// The durable queue of asynchronous events, in pebble:
//
//	'e' seq(8, big endian)  → length of meta (4, big endian), meta (JSON), payload
//	'r' seq(8, big endian)  → progress (JSON)
//
// An event is written with fsync before its acceptance is answered; concurrent writers share one fsync. Progress and
// removal are not synced: after a crash an event may run again, as the service allows.
type queue struct {
	db       *pebble.DB
	maxBytes int64

	mu    sync.Mutex
	seq   uint64
	bytes int64 // of all events
}

// eventMeta describes an accepted event.
type eventMeta struct {
	RequestID string `json:"request_id"`
	Function  string `json:"function"`
	Accepted  int64  `json:"accepted"` // unix ms
}

// progress is what has happened to an event so far.
type progress struct {
	Failures  int   `json:"failures"`   // function errors
	Throttles int   `json:"throttles"`  // 429, 500, 503
	NotBefore int64 `json:"not_before"` // unix ms
}

// A storedEvent is an event without its payload.
type storedEvent struct {
	seq  uint64
	size int64
	meta eventMeta
	progress
}

var errQueueFull = errExhausted("the asynchronous queue is full")

func openQueue(dir string, maxBytes int64, log *slog.Logger) (*queue, error) {
	o := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       8 << 20,
		Logger:             pebblelog.New(log, "queue of asynchronous invocations"),
		// Events are deleted soon after they were written, so that most never reach a table.
		L0CompactionThreshold: 4,
	}
	o.Cache = pebble.NewCache(4 << 20)
	defer o.Cache.Unref()
	if dir == "" {
		o.FS = vfs.NewMem()
		dir = "queue"
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open asynchronous queue: %w", err)
	}
	return &queue{db: db, maxBytes: maxBytes}, nil
}

func (q *queue) close() error { return q.db.Close() }

// load returns all stored events in order of acceptance.
func (q *queue) load() ([]storedEvent, error) {
	it, err := q.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'e'}, UpperBound: []byte{'e' + 1}})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var events []storedEvent
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != 9 {
			continue
		}
		ev := storedEvent{seq: binary.BigEndian.Uint64(it.Key()[1:]), size: int64(len(it.Value()))}
		meta, _, err := splitEvent(it.Value())
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", ev.seq, err)
		}
		ev.meta = meta
		state, closer, err := q.db.Get(eventKey('r', ev.seq))
		switch {
		case errors.Is(err, pebble.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			err = json.Unmarshal(state, &ev.progress)
			closer.Close()
			if err != nil {
				return nil, fmt.Errorf("progress of event %d: %w", ev.seq, err)
			}
		}
		events = append(events, ev)
		q.seq = max(q.seq, ev.seq)
		q.bytes += ev.size
	}
	return events, it.Error()
}

// add stores an event durably.
func (q *queue) add(meta eventMeta, payload []byte) (storedEvent, error) {
	head, err := json.Marshal(meta)
	if err != nil {
		return storedEvent{}, err
	}
	value := make([]byte, 4, 4+len(head)+len(payload))
	binary.BigEndian.PutUint32(value, uint32(len(head)))
	value = append(append(value, head...), payload...)
	ev := storedEvent{meta: meta, size: int64(len(value))}
	q.mu.Lock()
	if q.bytes+ev.size > q.maxBytes {
		q.mu.Unlock()
		return ev, errQueueFull
	}
	q.bytes += ev.size
	q.seq++
	ev.seq = q.seq
	q.mu.Unlock()
	if err := q.db.Set(eventKey('e', ev.seq), value, pebble.Sync); err != nil {
		q.freed(ev.size)
		return ev, fmt.Errorf("store event: %w", err)
	}
	return ev, nil
}

func (q *queue) payload(seq uint64) ([]byte, error) {
	value, closer, err := q.db.Get(eventKey('e', seq))
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	_, payload, err := splitEvent(value)
	return append([]byte(nil), payload...), err
}

func (q *queue) update(ev *storedEvent) error {
	state, err := json.Marshal(ev.progress)
	if err != nil {
		return err
	}
	return q.db.Set(eventKey('r', ev.seq), state, pebble.NoSync)
}

func (q *queue) remove(ev *storedEvent) error {
	b := q.db.NewBatch()
	defer b.Close()
	if err := b.Delete(eventKey('e', ev.seq), nil); err != nil {
		return err
	}
	if ev.Failures+ev.Throttles > 0 {
		if err := b.Delete(eventKey('r', ev.seq), nil); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	q.freed(ev.size)
	return nil
}

func (q *queue) freed(n int64) {
	q.mu.Lock()
	q.bytes -= n
	q.mu.Unlock()
}

func eventKey(kind byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, seq)
}

func splitEvent(value []byte) (meta eventMeta, payload []byte, err error) {
	if len(value) < 4 {
		return meta, nil, errors.New("truncated record")
	}
	n := int(binary.BigEndian.Uint32(value))
	if n > len(value)-4 {
		return meta, nil, errors.New("truncated record")
	}
	err = json.Unmarshal(value[4:4+n], &meta)
	return meta, value[4+n:], err
}
