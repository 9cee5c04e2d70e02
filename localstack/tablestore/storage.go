package tablestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/pebblelog"
)

// Memory of the store: the block cache, and twice the memtable while one is being flushed. Stripes remember another 32 MB.
const (
	blockCacheBytes = 48 << 20
	memTableBytes   = 32 << 20
)

// openDB opens Pebble tuned for many small overwrites on a machine whose CPU is wanted elsewhere: flushes are let
// accumulate before they are compacted, one compaction runs at a time, the newest levels are not compressed.
func openDB(o Options) (*pebble.DB, error) {
	fs := o.fs
	dir := o.Dir
	switch {
	case fs != nil:
	case dir == "":
		fs, dir = vfs.NewMem(), "tablestore"
	default:
		fs = vfs.Default
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create tablestore directory: %w", err)
		}
	}
	cache := pebble.NewCache(blockCacheBytes)
	defer cache.Unref()
	po := &pebble.Options{
		FS:                          fs,
		Cache:                       cache,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                512,
		FormatMajorVersion:          pebble.FormatNewest,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      pebblelog.New(o.Logger, "tablestore storage"),
	}
	for i := range po.Levels {
		l := &po.Levels[i]
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.BlockSize = 16 << 10
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		if i < 2 {
			l.Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		}
	}
	db, err := pebble.Open(dir, po)
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("tablestore directory %s is in use by another process: %w", dir, err)
	case err != nil:
		return nil, fmt.Errorf("open tablestore directory %s: %w", dir, err)
	}
	return db, nil
}
