package mns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/pebblelog"
)

// First bytes of keys; see the package comment.
const (
	prefixNext         = 'n'
	prefixSigner       = 'k'
	prefixQueue        = 'q'
	prefixTopic        = 't'
	prefixSubscription = 's'
	prefixState        = 'x'
	prefixBody         = 'm'
	prefixVisible      = 'v'
	prefixWaiting      = 'w'
	prefixPush         = 'h'
	prefixPayload      = 'p'
)

func openDB(o Options, log *slog.Logger) (*pebble.DB, error) {
	fs, dir := o.fs, o.Dir
	switch {
	case fs != nil:
		dir = "mns"
	case dir == "":
		fs, dir = vfs.NewMem(), "mns"
	default:
		fs = vfs.Default
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create mns directory: %w", err)
		}
	}
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	po := &pebble.Options{
		FS:                          fs,
		Cache:                       cache,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		FormatMajorVersion:          pebble.FormatNewest,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      pebblelog.New(log, "message store"),
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, po)
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("mns directory %s is in use by another process: %w", dir, err)
	case err != nil:
		return nil, fmt.Errorf("open mns directory %s: %w", dir, err)
	}
	return db, nil
}

// numbered makes the key of a prefix and a number, or its start; rest is 'priority, visible, id' or a part of it.
func numbered(prefix byte, number uint32, rest ...uint64) []byte {
	b := make([]byte, 0, 5+8*len(rest))
	b = append(b, prefix)
	b = binary.BigEndian.AppendUint32(b, number)
	for _, x := range rest {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return b
}

func stateKey(number uint32, id uint64) []byte { return numbered(prefixState, number, id) }
func bodyKey(number uint32, id uint64) []byte  { return numbered(prefixBody, number, id) }

func waitingKey(number uint32, visible int64, id uint64) []byte {
	return numbered(prefixWaiting, number, uint64(visible), id)
}

func visibleKey(number uint32, priority uint8, p place) []byte {
	b := make([]byte, 0, 22)
	b = append(b, prefixVisible)
	b = binary.BigEndian.AppendUint32(b, number)
	b = append(b, priority)
	b = binary.BigEndian.AppendUint64(b, uint64(p.visible))
	return binary.BigEndian.AppendUint64(b, p.id)
}

// get copies a value; nil if there is none.
func (s *Server) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	copied := append(make([]byte, 0, len(v)), v...)
	return copied, closer.Close()
}

// scan calls f for the keys from low up to high, until it returns false.
func (s *Server) scan(low, high []byte, f func(key, value []byte) (bool, error)) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if more, err := f(it.Key(), it.Value()); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// apply makes a batch visible and starts its way to the disk; the caller waits for that with b.SyncWait when it holds no lock.
func (s *Server) apply(b *pebble.Batch) error { return s.db.ApplyNoSyncWait(b, pebble.Sync) }
