package coap

// window is the sequence numbers of one token that were used ("seq"): what is at least the offset, not yet used, and at most 63 behind the
// highest is taken, so that packets may overtake each other. The zero value has used none.
type window struct {
	highest uint64
	used    uint64 // bit i: highest-i was used
}

const (
	sequenceOffset = 1 // the first number that a device may use; told with the token
	windowSize     = 64
)

// fresh reports whether n may be used.
func (w *window) fresh(n uint64) bool {
	switch {
	case n < sequenceOffset:
		return false
	case n > w.highest:
		return true
	case w.highest-n >= windowSize:
		return false
	}
	return w.used>>(w.highest-n)&1 == 0
}

// use notes that n, which is fresh, was used.
func (w *window) use(n uint64) {
	if n > w.highest {
		if ahead := n - w.highest; ahead < windowSize {
			w.used <<= ahead
		} else {
			w.used = 0
		}
		w.highest = n
	}
	w.used |= 1 << (w.highest - n)
}

// giveBack undoes use: the message was not taken, and may come again.
func (w *window) giveBack(n uint64) {
	if n <= w.highest && w.highest-n < windowSize {
		w.used &^= 1 << (w.highest - n)
	}
}

// parseSequence reads the decimal text of a sequence number.
func parseSequence(text []byte) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > 19 { // 19 digits fit into 64 bits
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
