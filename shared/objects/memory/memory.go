// Package memory is a bucket of package objects in memory, for tests.
package memory

import (
	"context"
	"hash/crc64"
	"maps"
	"slices"
	"sync"

	"relink/shared/objects"
)

// A Bucket holds everything in memory. Its zero value is empty and ready; it is safe for concurrent use.
type Bucket struct {
	// Fault, if set, is asked before every operation ("put", "append", "read", "stat", "delete") with the key.
	Fault func(op, key string) error
	// Lost, if set, is asked after every write; its error is the answer although the work is done.
	Lost func(op, key string) error

	mu      sync.Mutex
	objects map[string][]byte
}

var table = crc64.MakeTable(crc64.ECMA)

func (b *Bucket) do(op, key string, f func() error) error {
	if b.Fault != nil {
		if err := b.Fault(op, key); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = make(map[string][]byte)
	}
	if err := f(); err != nil {
		return err
	}
	if b.Lost != nil {
		return b.Lost(op, key)
	}
	return nil
}

// Keys lists the keys in order.
func (b *Bucket) Keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.objects))
}

// Put stores an object.
func (b *Bucket) Put(_ context.Context, key string, data []byte, _ string) error {
	return b.do("put", key, func() error {
		b.objects[key] = slices.Clone(data)
		return nil
	})
}

// Append adds to an object.
func (b *Bucket) Append(_ context.Context, key string, position int64, data []byte) (done objects.Appended, err error) {
	err = b.do("append", key, func() error {
		object := b.objects[key]
		if int64(len(object)) != position {
			return &objects.PositionError{Size: int64(len(object))}
		}
		object = append(slices.Clip(object), data...)
		b.objects[key] = object
		done = objects.Appended{Size: int64(len(object)), CRC: crc64.Checksum(object, table)}
		return nil
	})
	return done, err
}

// Read reads a part of an object.
func (b *Bucket) Read(_ context.Context, key string, offset int64, limit int) (data []byte, err error) {
	err = b.do("read", key, func() error {
		object, ok := b.objects[key]
		if !ok {
			return objects.ErrNotFound
		}
		from := min(offset, int64(len(object)))
		data = slices.Clone(object[from:min(from+int64(limit), int64(len(object)))])
		return nil
	})
	return data, err
}

// Stat tells about an object.
func (b *Bucket) Stat(_ context.Context, key string) (info objects.Info, err error) {
	err = b.do("stat", key, func() error {
		object, ok := b.objects[key]
		if !ok {
			return objects.ErrNotFound
		}
		info = objects.Info{Size: int64(len(object)), CRC: crc64.Checksum(object, table)}
		return nil
	})
	return info, err
}

// Delete removes an object.
func (b *Bucket) Delete(_ context.Context, key string) error {
	return b.do("delete", key, func() error {
		delete(b.objects, key)
		return nil
	})
}
