package alink

// crcTable is CRC-16/ARC, also called IBM: polynomial 0x8005 reflected, initially 0, nothing at the end.
var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[i] = c
	}
	return t
}()

// CRC16 is CRC-16/ARC of data, which binary frames of files end with, low byte first.
func CRC16(data []byte) uint16 {
	c := uint16(0)
	for _, b := range data {
		c = c>>8 ^ crcTable[byte(c)^b]
	}
	return c
}
