package tablestore

import (
	"bytes"
	"sync"
)

// A stripe serialises the writes of the rows that hash to it and remembers what it wrote last: a row that is updated
// every few seconds is then not searched for in Pebble, which is the most expensive part of an update. Everything in it
// is guarded by mu. What it remembers is what is visible in Pebble; it is changed only once that is so.
type stripe struct {
	mu     sync.Mutex
	hand   uint8 // next to be evicted
	bytes  int32 // memory of rows
	hashes [stripeRows]uint64
	rows   [stripeRows]rememberedRow // data is nil where free
}

type rememberedRow struct {
	data []byte // key, then value
	key  int    // length of the key
}

// All stripes together remember at most 64k rows and 32 MB.
const (
	stripeCount     = 8192
	stripeShift     = 64 - 13 // takes a row's hash to its stripe, so that order of hash is order of stripe
	stripeRows      = 8
	stripeBytes     = 4 << 10
	rememberedBytes = 2 << 10 // of key and value of a row
)

var _ [stripeCount]struct{} = [1 << (64 - stripeShift)]struct{}{}

func (st *stripe) find(hash uint64, key []byte) int {
	for i := range st.hashes {
		if st.hashes[i] == hash && st.rows[i].data != nil && bytes.Equal(st.rows[i].data[:st.rows[i].key], key) {
			return i
		}
	}
	return -1
}

// get returns the value of a row that is remembered, valid until the next call of put or forget.
func (st *stripe) get(hash uint64, key []byte) ([]byte, bool) {
	i := st.find(hash, key)
	if i < 0 {
		return nil, false
	}
	return st.rows[i].data[st.rows[i].key:], true
}

// put remembers a row if it is small, in place of others if need be.
func (st *stripe) put(hash uint64, key, value []byte) {
	i := st.find(hash, key)
	size := len(key) + len(value)
	if size > rememberedBytes {
		if i >= 0 {
			st.drop(i)
		}
		return
	}
	if i < 0 {
		for i = range st.rows {
			if st.rows[i].data == nil {
				break
			}
		}
		if st.rows[i].data != nil {
			i = int(st.hand)
			st.hand = (st.hand + 1) % stripeRows
		}
	}
	r := &st.rows[i]
	if cap(r.data) < size || cap(r.data) > 2*size {
		st.drop(i)
		for st.bytes+int32(size) > stripeBytes {
			st.drop(int(st.hand))
			st.hand = (st.hand + 1) % stripeRows
		}
		r.data = make([]byte, 0, size)
		st.bytes += int32(cap(r.data))
	}
	r.data = append(append(r.data[:0], key...), value...)
	r.key = len(key)
	st.hashes[i] = hash
}

// forget drops a row.
func (st *stripe) forget(hash uint64, key []byte) {
	if i := st.find(hash, key); i >= 0 {
		st.drop(i)
	}
}

func (st *stripe) drop(i int) {
	st.bytes -= int32(cap(st.rows[i].data))
	st.rows[i] = rememberedRow{}
}
