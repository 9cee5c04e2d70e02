package fc

import (
	"math/rand/v2"
	"time"
)

const hexDigits = "0123456789abcdef"

// newRequestID gives an identifier of the documented shape 1-<8 hex unix seconds>-<24 hex>.
func newRequestID(now time.Time) string {
	var b [35]byte
	b[0], b[1], b[10] = '1', '-', '-'
	putHex(b[2:10], uint64(uint32(now.Unix())))
	putHex(b[11:27], rand.Uint64())
	putHex(b[27:35], rand.Uint64())
	return string(b[:])
}

// newInstanceID gives an identifier of the shape c-<8 hex>-<12 hex>.
func newInstanceID(now time.Time) string {
	var b [23]byte
	b[0], b[1], b[10] = 'c', '-', '-'
	putHex(b[2:10], uint64(uint32(now.Unix())))
	putHex(b[11:23], rand.Uint64())
	return string(b[:])
}

func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}
