package tablestore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestStripe checks that a stripe never answers anything but the last value, and stays within its memory.
func TestStripe(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var st stripe
	last := make(map[string][]byte)
	hits := 0
	for range 20000 {
		n := random.IntN(12)
		key := fmt.Appendf(nil, "key-%d", n)
		hash := uint64(n % 10) // some keys collide
		switch random.IntN(4) {
		case 0:
			st.forget(hash, key)
			delete(last, string(key))
		case 1:
			value := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(400))
			if random.IntN(50) == 0 {
				value = make([]byte, random.IntN(3000))
			}
			st.put(hash, key, value)
			last[string(key)] = value
		default:
			got, ok := st.get(hash, key)
			want, known := last[string(key)]
			if ok && (!known || !bytes.Equal(got, want)) {
				t.Fatalf("%s = %d bytes, want %d, known %v", key, len(got), len(want), known)
			}
			if ok {
				hits++
			}
		}
		memory := 0
		for i := range st.rows {
			memory += cap(st.rows[i].data)
		}
		if memory > stripeBytes || memory != int(st.bytes) {
			t.Fatalf("%d bytes of memory, counted %d", memory, st.bytes)
		}
	}
	if hits < 2000 {
		t.Errorf("%d hits", hits)
	}
}
