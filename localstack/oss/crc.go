package oss

import "hash/crc64"

// crcTable is CRC-64 of ECMA-182, the checksum of x-oss-hash-crc64ecma.
var crcTable = crc64.MakeTable(crc64.ECMA)

// A gf2Matrix is a linear map of 64-bit vectors over GF(2), by columns.
type gf2Matrix [64]uint64

func (m *gf2Matrix) times(v uint64) (sum uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *gf2Matrix) square() *gf2Matrix {
	var s gf2Matrix
	for i := range s {
		s[i] = m.times(m[i])
	}
	return &s
}

// combineCRC returns the checksum of two byte strings one after the other from
// their checksums and the length of the second: crc1 is carried over length2
// zero bytes, in O(log length2) as zlib does for CRC-32.
func combineCRC(crc1, crc2 uint64, length2 int64) uint64 {
	if length2 <= 0 {
		return crc1
	}
	op := &gf2Matrix{crc64.ECMA} // one zero bit
	for i := 1; i < 64; i++ {
		op[i] = 1 << (i - 1)
	}
	op = op.square().square().square() // one zero byte
	for ; length2 > 0; length2 >>= 1 {
		if length2&1 != 0 {
			crc1 = op.times(crc1)
		}
		op = op.square()
	}
	return crc1 ^ crc2
}
