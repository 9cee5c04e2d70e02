package fc

import "sync"

// maxPooled is the largest buffer that is kept for another invocation.
const maxPooled = 1 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// getBuffer returns an empty buffer with room for n bytes.
func getBuffer(n int) *[]byte {
	b := buffers.Get().(*[]byte)
	if cap(*b) < n {
		*b = make([]byte, 0, n)
	}
	*b = (*b)[:0]
	return b
}

// putBuffer takes a buffer back; nil is allowed. Nobody may use it afterwards.
func putBuffer(b *[]byte) {
	if b != nil && cap(*b) <= maxPooled {
		buffers.Put(b)
	}
}
