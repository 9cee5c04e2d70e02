package coap

// A block is the value of an option Block1 or Block2 (RFC 7959, 2.2).
type block struct {
	present bool
	more    bool
	szx     byte // 16 << szx bytes
	num     uint32
}

const (
	maxSZX   = 6 // 1024 bytes
	maxBlock = 16 << maxSZX
)

// read decodes an option's value; false if it is none.
func (b *block) read(value []byte) bool {
	if len(value) > 3 {
		return false
	}
	n := uint32(0)
	for _, c := range value {
		n = n<<8 | uint32(c)
	}
	*b = block{present: true, more: n&8 != 0, szx: byte(n & 7), num: n >> 4}
	return true
}

// value encodes it.
func (b block) value(dst []byte) []byte {
	n := b.num<<4 | uint32(b.szx)
	if b.more {
		n |= 8
	}
	return appendUint(dst, n)
}

func (b block) size() int   { return 16 << b.szx }
func (b block) offset() int { return int(b.num) << (b.szx + 4) }
