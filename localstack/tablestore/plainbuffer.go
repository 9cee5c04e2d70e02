package tablestore

import (
	"encoding/binary"
	"math"
)

// PlainBuffer is how rows travel inside protobuf bytes:
//
//	header  0x75 as uint32
//	row     [0x01 cell…] [0x02 cell…] [0x08] 0x09 crc8
//	cell    0x03 0x04 len32 name [0x05 value] [0x06 op] [0x07 int64] 0x0A crc8
//	value   len32 type payload; payload: 8 bytes, 1 byte, or len32 bytes; none for INF_MIN, INF_MAX, AUTO_INCREMENT
//
// Numbers are little endian. A cell's checksum covers name, type and payload, timestamp, op; a row's checksum covers the
// cells' checksums, then 1 or 0 for the delete marker.
const (
	pbHeader = 0x75

	tagRowPK         = 0x1
	tagRowData       = 0x2
	tagCell          = 0x3
	tagCellName      = 0x4
	tagCellValue     = 0x5
	tagCellOp        = 0x6
	tagCellTimestamp = 0x7
	tagDeleteMarker  = 0x8
	tagRowChecksum   = 0x9
	tagCellChecksum  = 0xA

	opPut       = 0 // no op type on the wire
	opDeleteAll = 1
	opDeleteOne = 3
	opIncrement = 4

	typeInteger = 0x0
	typeDouble  = 0x1
	typeBoolean = 0x2
	typeString  = 0x3
	typeBlob    = 0x7
	typeInfMin  = 0x9
	typeInfMax  = 0xA
	typeAutoInc = 0xB
)

// A cell is one primary key column, one version of an attribute, or one change of an attribute. Its slices point into
// the message it was read from.
type cell struct {
	name     []byte
	data     []byte // payload of strings and blobs
	num      uint64 // payload of integers, doubles (bits), booleans
	ts       int64  // version, ms; valid with hasTS
	typ      byte   // valid with hasValue
	op       byte
	hasValue bool
	hasTS    bool
}

// size is what the cell's value counts for billing and limits.
func (c *cell) size() int {
	switch c.typ {
	case typeInteger, typeDouble:
		return 8
	case typeBoolean:
		return 1
	default:
		return len(c.data)
	}
}

var (
	failHeader   = invalid("Cell data broken, mismatch header, actual: unknown, expect: 117.")
	failTag      = invalid("Cell data broken, mismatch tag.")
	failShort    = invalid("Cell data broken, has more data in cell, but they can't be parsed.")
	failChecksum = invalid("Cell data broken, checksum is mismatch.")
	failVariant  = invalid("data format is invalid, unknown variant type occured.")
	failTrailing = invalid("data format is invalid.")
)

// A plainRow is a decoded row: cells[:pk] are its primary key, the rest its attributes.
type plainRow struct {
	cells     []cell
	pk        int
	deleteRow bool
}

// decodeRow reads a message of exactly one row. It appends the row's cells to buf, which it returns.
func decodeRow(b []byte, buf []cell) (row plainRow, out []cell, err *failure) {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != pbHeader {
		return row, buf, failHeader
	}
	base := len(buf)
	pos, crc := 4, byte(0)
	if pos < len(b) && b[pos] == tagRowPK {
		pos++
		if buf, pos, crc, err = decodeCells(b, pos, crc, buf); err != nil {
			return row, buf, err
		}
	}
	row.pk = len(buf) - base
	if pos < len(b) && b[pos] == tagRowData {
		pos++
		if buf, pos, crc, err = decodeCells(b, pos, crc, buf); err != nil {
			return row, buf, err
		}
	}
	row.cells = buf[base:len(buf):len(buf)]
	if pos < len(b) && b[pos] == tagDeleteMarker {
		pos++
		row.deleteRow = true
		crc = crc8Byte(crc, 1)
	} else {
		crc = crc8Byte(crc, 0)
	}
	if pos+2 > len(b) || b[pos] != tagRowChecksum {
		return row, buf, invalid("Cell data broken, row is not end with checksum tag.")
	}
	if b[pos+1] != crc {
		return row, buf, failChecksum
	}
	if pos+2 != len(b) {
		return row, buf, failTrailing
	}
	return row, buf, nil
}

func decodeCells(b []byte, pos int, crc byte, buf []cell) ([]cell, int, byte, *failure) {
	for pos < len(b) && b[pos] == tagCell {
		buf = append(buf, cell{})
		n, sum, err := decodeCell(b[pos+1:], &buf[len(buf)-1])
		if err != nil {
			return buf, pos, crc, err
		}
		crc = crc8Byte(crc, sum)
		pos += 1 + n
	}
	return buf, pos, crc, nil
}

// decodeCell reads what follows a cell tag and returns its length and checksum.
func decodeCell(b []byte, c *cell) (n int, crc byte, err *failure) {
	if len(b) < 5 || b[0] != tagCellName {
		return 0, 0, failTag
	}
	size := int(int32(binary.LittleEndian.Uint32(b[1:])))
	if size < 0 || size > len(b)-5 {
		return 0, 0, failShort
	}
	c.name = b[5 : 5+size : 5+size]
	crc = crc8(0, c.name)
	pos := 5 + size
	if pos < len(b) && b[pos] == tagCellValue {
		if len(b)-pos < 6 {
			return 0, 0, failShort
		}
		length := int(int32(binary.LittleEndian.Uint32(b[pos+1:])))
		pos += 5
		n, err := decodeValue(b[pos:], c)
		if err != nil {
			return 0, 0, err
		}
		if n != length {
			return 0, 0, failShort
		}
		c.hasValue = true
		crc = crc8(crc, b[pos:pos+n]) // type and payload, as they lie on the wire
		pos += n
	}
	op := false
	if pos+2 <= len(b) && b[pos] == tagCellOp {
		c.op, op = b[pos+1], true
		pos += 2
	}
	if pos+9 <= len(b) && b[pos] == tagCellTimestamp {
		c.ts, c.hasTS = int64(binary.LittleEndian.Uint64(b[pos+1:])), true
		crc = crc8(crc, b[pos+1:pos+9])
		pos += 9
	}
	if op {
		crc = crc8Byte(crc, c.op)
	}
	if pos+2 > len(b) || b[pos] != tagCellChecksum {
		return 0, 0, invalid("Cell data broken, cell is not end with checksum[0x0A] tag.")
	}
	if b[pos+1] != crc {
		return 0, 0, failChecksum
	}
	return pos + 2, crc, nil
}

// decodeValue reads a type byte and its payload, the form in which filters carry values too.
func decodeValue(b []byte, c *cell) (n int, err *failure) {
	if len(b) == 0 {
		return 0, failShort
	}
	c.typ = b[0]
	switch b[0] {
	case typeInteger, typeDouble:
		if len(b) < 9 {
			return 0, failShort
		}
		c.num = binary.LittleEndian.Uint64(b[1:])
		return 9, nil
	case typeBoolean:
		if len(b) < 2 || b[1] > 1 {
			return 0, failShort
		}
		c.num = uint64(b[1])
		return 2, nil
	case typeString, typeBlob:
		if len(b) < 5 {
			return 0, failShort
		}
		size := int(int32(binary.LittleEndian.Uint32(b[1:])))
		if size < 0 || size > len(b)-5 {
			return 0, failShort
		}
		c.data = b[5 : 5+size : 5+size]
		return 5 + size, nil
	case typeInfMin, typeInfMax, typeAutoInc:
		return 1, nil
	}
	return 0, failVariant
}

// appendHeader starts a PlainBuffer message; rows follow.
func appendHeader(dst []byte) []byte { return binary.LittleEndian.AppendUint32(dst, pbHeader) }

// A rowWriter appends rows to dst.
type rowWriter struct {
	dst  []byte
	crc  byte
	data bool // an attribute has been written
}

func (w *rowWriter) begin() {
	w.dst, w.crc, w.data = append(w.dst, tagRowPK), 0, false
}

// key appends a primary key cell.
func (w *rowWriter) key(c *cell) { w.cell(c, false) }

// attribute appends an attribute cell with its version. All keys come first.
func (w *rowWriter) attribute(c *cell) {
	if !w.data {
		w.dst, w.data = append(w.dst, tagRowData), true
	}
	w.cell(c, true)
}

func (w *rowWriter) cell(c *cell, ts bool) {
	d := append(w.dst, tagCell, tagCellName)
	d = binary.LittleEndian.AppendUint32(d, uint32(len(c.name)))
	d = append(d, c.name...)
	crc := crc8(0, c.name)
	d = append(d, tagCellValue, 0, 0, 0, 0)
	at := len(d)
	d = appendValue(d, c)
	binary.LittleEndian.PutUint32(d[at-4:], uint32(len(d)-at))
	crc = crc8(crc, d[at:])
	if ts {
		d = append(d, tagCellTimestamp)
		d = binary.LittleEndian.AppendUint64(d, uint64(c.ts))
		crc = crc8(crc, d[len(d)-8:])
	}
	w.dst = append(d, tagCellChecksum, crc)
	w.crc = crc8Byte(w.crc, crc)
}

func (w *rowWriter) end() {
	w.dst = append(w.dst, tagRowChecksum, crc8Byte(w.crc, 0))
}

func appendValue(d []byte, c *cell) []byte {
	d = append(d, c.typ)
	switch c.typ {
	case typeInteger, typeDouble:
		d = binary.LittleEndian.AppendUint64(d, c.num)
	case typeBoolean:
		d = append(d, byte(c.num))
	case typeString, typeBlob:
		d = binary.LittleEndian.AppendUint32(d, uint32(len(c.data)))
		d = append(d, c.data...)
	}
	return d
}

func float(bits uint64) float64 { return math.Float64frombits(bits) }
