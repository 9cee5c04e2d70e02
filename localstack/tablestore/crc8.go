package tablestore

// PlainBuffer checksums: CRC-8, polynomial 0x07, initial value 0, sliced by eight because checksums are most of the cost
// of reading a row.

var crcTable = func() (t [8][256]byte) {
	for i := range 256 {
		x := byte(i)
		for range 8 {
			if x&0x80 != 0 {
				x = x<<1 ^ 0x07
			} else {
				x <<= 1
			}
		}
		t[0][i] = x
	}
	for k := 1; k < 8; k++ {
		for i := range 256 {
			t[k][i] = t[0][t[k-1][i]]
		}
	}
	return t
}()

func crc8Byte(crc, b byte) byte { return crcTable[0][crc^b] }

func crc8(crc byte, p []byte) byte {
	for len(p) >= 8 {
		crc = crcTable[7][p[0]^crc] ^ crcTable[6][p[1]] ^ crcTable[5][p[2]] ^ crcTable[4][p[3]] ^
			crcTable[3][p[4]] ^ crcTable[2][p[5]] ^ crcTable[1][p[6]] ^ crcTable[0][p[7]]
		p = p[8:]
	}
	for _, b := range p {
		crc = crcTable[0][crc^b]
	}
	return crc
}
