package oss

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Keys of the metadata store:
//
//	'b' bucket                → bucketInfo as JSON
//	'o' bucket 0 key          → object as JSON
//	'u' bucket 0 upload       → upload as JSON
//	'r' upload part(4)        → part as JSON
//
// A bucket name has no zero byte, so objects of a bucket are in order of key.
const prefixBucket, prefixObject, prefixUpload, prefixPart = 'b', 'o', 'u', 'r'

// An object is what is known of one key.
type object struct {
	Blobs    []blob            `json:"blobs"` // in order
	Size     int64             `json:"size"`
	ETag     string            `json:"etag"` // without quotation marks
	CRC      uint64            `json:"crc"`
	Modified time.Time         `json:"modified"`
	Headers  map[string]string `json:"headers"` // canonical names, as put
	Type     string            `json:"type"`    // Normal, Multipart, Appendable
}

func objectKey(bucket, key string) []byte {
	return append([]byte{prefixObject}, bucket+"\x00"+key...)
}

func uploadKey(bucket, id string) []byte {
	return append([]byte{prefixUpload}, bucket+"\x00"+id...)
}

func partKey(id string, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixPart}, id...), number)
}

// after returns the first key behind all keys that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

var seed = maphash.MakeSeed()

// objectLock returns the lock of the metadata of an object.
func (s *Server) objectLock(bucket, key string) *sync.RWMutex {
	return &s.objects[maphash.String(seed, bucket+"\x00"+key)%uint64(len(s.objects))]
}

// uploadLock returns the lock of the upload a request names.
func (s *Server) uploadLock(q *request) *sync.Mutex {
	return &s.uploads[maphash.String(seed, q.query.Get("uploadId"))%uint64(len(s.uploads))]
}

// get decodes the value of a key; found is false if there is none.
func (s *Server) get(key []byte, into any) (found bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(json.Unmarshal(v, into), closer.Close())
}

func set(b *pebble.Batch, key []byte, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Set(key, value, nil)
}

// update commits what change puts into a batch.
func (s *Server) update(change func(b *pebble.Batch) error) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := change(b); err != nil {
		return err
	}
	return b.Commit(s.commit)
}

// walk visits the keys from lower on and below upper until visit returns false.
// The slices are valid during the call only.
func (s *Server) walk(lower, upper []byte, visit func(key, value []byte) (more bool, err error)) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for valid := it.First(); valid; valid = it.Next() {
		if more, err := visit(it.Key(), it.Value()); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// load reads the buckets and removes the files that no object or part names.
func (s *Server) load() error {
	s.buckets = make(map[string]*bucketInfo)
	err := s.walk([]byte{prefixBucket}, []byte{prefixBucket + 1}, func(key, value []byte) (bool, error) {
		info := new(bucketInfo)
		s.buckets[string(key[1:])] = info
		return true, json.Unmarshal(value, info)
	})
	if err != nil {
		return fmt.Errorf("buckets: %w", err)
	}
	keep := make(map[string]bool)
	err = s.walk([]byte{prefixObject}, []byte{prefixObject + 1}, func(_, value []byte) (bool, error) {
		var o object
		err := json.Unmarshal(value, &o)
		for _, b := range o.Blobs {
			keep[b.ID] = true
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	err = s.walk([]byte{prefixPart}, []byte{prefixPart + 1}, func(_, value []byte) (bool, error) {
		var p part
		err := json.Unmarshal(value, &p)
		keep[p.Blob.ID] = true
		return true, err
	})
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	return s.blobs.sweep(keep)
}
