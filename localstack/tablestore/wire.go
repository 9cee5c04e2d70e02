package tablestore

import (
	"encoding/binary"
	"math/bits"
)

// Protobuf by hand, for the messages of the hot path: no reflection, no copy of bytes.

// fields walks the fields of one message.
type fields struct {
	b   []byte
	bad bool
}

// next returns the next field: v for a varint or fixed number, data for a length-delimited field.
func (f *fields) next() (num int, v uint64, data []byte, ok bool) {
	if len(f.b) == 0 || f.bad {
		return 0, 0, nil, false
	}
	tag, good := f.varint()
	if !good || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		f.bad = true
		return 0, 0, nil, false
	}
	num = int(tag >> 3)
	switch tag & 7 {
	case 0:
		v, good = f.varint()
	case 1:
		if good = len(f.b) >= 8; good {
			v, f.b = binary.LittleEndian.Uint64(f.b), f.b[8:]
		}
	case 2:
		var n uint64
		if n, good = f.varint(); good {
			if good = n <= uint64(len(f.b)); good {
				data, f.b = f.b[:n:n], f.b[n:]
			}
		}
	case 5:
		if good = len(f.b) >= 4; good {
			v, f.b = uint64(binary.LittleEndian.Uint32(f.b)), f.b[4:]
		}
	default:
		good = false
	}
	if !good {
		f.bad = true
		return 0, 0, nil, false
	}
	return num, v, data, true
}

func (f *fields) varint() (uint64, bool) {
	if len(f.b) > 0 && f.b[0] < 0x80 {
		v := uint64(f.b[0])
		f.b = f.b[1:]
		return v, true
	}
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		return 0, false
	}
	f.b = f.b[n:]
	return v, true
}

func appendVarintField(dst []byte, num int, v uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(num<<3)), v)
}

func appendBytesField[T []byte | string](dst []byte, num int, p T) []byte {
	dst = binary.AppendUvarint(append(dst, byte(num<<3|2)), uint64(len(p)))
	return append(dst, p...)
}

func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// appendConsumed appends a ConsumedCapacity {CapacityUnit {read, write}} as field num.
func appendConsumed(dst []byte, num, read, write int) []byte {
	inner := 2 + varintSize(uint64(read)) + varintSize(uint64(write))
	dst = append(dst, byte(num<<3|2), byte(inner+2), 1<<3|2, byte(inner))
	dst = appendVarintField(dst, 1, uint64(read))
	return appendVarintField(dst, 2, uint64(write))
}

// appendError appends an Error {code, message} as field num.
func appendError(dst []byte, num int, f *failure) []byte {
	size := 2 + varintSize(uint64(len(f.name))) + len(f.name) + varintSize(uint64(len(f.text))) + len(f.text)
	dst = binary.AppendUvarint(append(dst, byte(num<<3|2)), uint64(size))
	dst = appendBytesField(dst, 1, f.name)
	return appendBytesField(dst, 2, f.text)
}
