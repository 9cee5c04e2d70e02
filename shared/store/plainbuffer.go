package store

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// The SDK's own encoder allocates several objects for every byte-sized piece of a row. Property rows, which are nearly all
// that is ever written, are therefore encoded here into one buffer and handed to the SDK in an encodedRow. The format is
// PlainBuffer (the SDK's plain_buffer.go); a test compares both encoders byte by byte:
//
//	0x75 as int32 | 0x01 key cells | 0x02 attribute cells | 0x09 checksum of the row
//	cell: 0x03 | 0x04 len name | 0x05 len type value | 0x07 timestamp, if any | 0x0A checksum of the cell
const (
	tagRowPK        = 0x01
	tagRowData      = 0x02
	tagCell         = 0x03
	tagCellName     = 0x04
	tagCellValue    = 0x05
	tagCellTime     = 0x07
	tagRowChecksum  = 0x09
	tagCellChecksum = 0x0A

	typeInt    = 0x00
	typeString = 0x03
	typeBlob   = 0x07
)

// An encodedRow is a change that is encoded already. The embedded one gives table, condition and kind (puts and updates are
// encoded alike); it is shared by all rows of a table.
type encodedRow struct {
	tablestore.RowChange
	data []byte
}

// Serialize gives the encoded row.
func (r *encodedRow) Serialize() []byte { return r.data }

// rowEncoder appends rows to buf. The zero value is ready.
type rowEncoder struct {
	buf  []byte
	crc  byte // of the row
	name int  // where the current cell's name begins
}

func (e *rowEncoder) begin() {
	e.buf = append(e.buf, 0x75, 0, 0, 0, tagRowPK)
	e.crc = 0
}

func (e *rowEncoder) attributes() { e.buf = append(e.buf, tagRowData) }

func (e *rowEncoder) end() {
	// One byte for the deletion marker, which is never set here.
	e.buf = append(e.buf, tagRowChecksum, crcByte(e.crc, 0))
}

// cell begins a cell whose name is prefix and name together.
func (e *rowEncoder) cell(prefix, name string) {
	e.buf = append(e.buf, tagCell, tagCellName)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(len(prefix)+len(name)))
	e.name = len(e.buf)
	e.buf = append(e.buf, prefix...)
	e.buf = append(e.buf, name...)
}

func (e *rowEncoder) intCell(name string, value int64) {
	e.cell("", name)
	crc := crcBytes(0, e.buf[e.name:])
	e.buf = append(e.buf, tagCellValue, 9, 0, 0, 0)
	at := len(e.buf)
	e.buf = append(e.buf, typeInt)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(value))
	e.close(crcBytes(crc, e.buf[at:]))
}

func (e *rowEncoder) stringCell(name string, value []byte) {
	e.cell("", name)
	e.text(value)
}

// text adds the value to a cell that was begun, and ends it. Bytes that are no UTF-8 become a blob.
func (e *rowEncoder) text(value []byte) { e.close(e.textValue(value)) }

// textAt is text with a version of the cell's own, in Unix milliseconds.
func (e *rowEncoder) textAt(value []byte, ms int64) {
	crc := e.textValue(value)
	e.buf = append(e.buf, tagCellTime)
	at := len(e.buf)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(ms))
	e.close(crcBytes(crc, e.buf[at:]))
}

// blobAt is textAt for bytes that are no text.
func (e *rowEncoder) blobAt(value []byte, ms int64) {
	crc := e.value(typeBlob, value)
	e.buf = append(e.buf, tagCellTime)
	at := len(e.buf)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(ms))
	e.close(crcBytes(crc, e.buf[at:]))
}

// textString is text for a string.
func (e *rowEncoder) textString(value string) {
	crc := crcBytes(0, e.buf[e.name:])
	e.buf = append(e.buf, tagCellValue)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(4+1+len(value)))
	at := len(e.buf)
	e.buf = append(e.buf, typeString)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(len(value)))
	e.buf = append(e.buf, value...)
	e.close(crcBytes(crc, e.buf[at:]))
}

func (e *rowEncoder) textValue(value []byte) (crc byte) {
	typ := byte(typeString)
	if !utf8.Valid(value) {
		typ = typeBlob
	}
	return e.value(typ, value)
}

func (e *rowEncoder) value(typ byte, value []byte) (crc byte) {
	crc = crcBytes(0, e.buf[e.name:])
	e.buf = append(e.buf, tagCellValue)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(4+1+len(value)))
	at := len(e.buf)
	e.buf = append(e.buf, typ)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(len(value)))
	e.buf = append(e.buf, value...)
	return crcBytes(crc, e.buf[at:])
}

func (e *rowEncoder) close(crc byte) {
	e.buf = append(e.buf, tagCellChecksum, crc)
	e.crc = crcByte(e.crc, crc)
}

// crcTable is that of CRC-8 with polynomial 0x07, initial value 0: the first for one byte, each further one for a byte that has one more
// behind it, so that eight bytes are eight independent look-ups.
var crcTable = func() (t [8][256]byte) {
	for i := range t[0] {
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
	for n := 1; n < len(t); n++ {
		for i := range t[n] {
			t[n][i] = t[0][t[n-1][i]]
		}
	}
	return t
}()

func crcByte(crc, b byte) byte { return crcTable[0][crc^b] }

func crcBytes(crc byte, p []byte) byte {
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
