package tablestore

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A row is one Pebble value:
//
//	format  1
//	cell…   uvarint name length, name, type, uvarint version (ms), payload
//
// sorted by name, then newest version first; payload is 8 bytes, 1 byte, or uvarint length and bytes. A row without
// attributes is
//
//	format  2, uvarint time of the write (ms)
//
// so that it can expire like a cell.
const (
	formatCells = 1
	formatEmpty = 2
)

var errCorrupt = errors.New("stored row is damaged")

func appendStored(dst []byte, c *cell) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.name)))
	dst = append(dst, c.name...)
	dst = append(dst, c.typ)
	dst = binary.AppendUvarint(dst, uint64(c.ts))
	switch c.typ {
	case typeInteger, typeDouble:
		dst = binary.LittleEndian.AppendUint64(dst, c.num)
	case typeBoolean:
		dst = append(dst, byte(c.num))
	default:
		dst = binary.AppendUvarint(dst, uint64(len(c.data)))
		dst = append(dst, c.data...)
	}
	return dst
}

// readStored reads the cell at the start of b and returns its length, or 0 if b is damaged.
func readStored(b []byte, c *cell) int {
	size, n := binary.Uvarint(b)
	if n <= 0 || size >= uint64(len(b)-n) {
		return 0
	}
	pos := n + int(size)
	c.name = b[n:pos:pos]
	c.typ = b[pos]
	pos++
	ts, n := binary.Uvarint(b[pos:])
	if n <= 0 {
		return 0
	}
	c.ts, c.hasTS, c.hasValue = int64(ts), true, true
	pos += n
	switch c.typ {
	case typeInteger, typeDouble:
		if len(b)-pos < 8 {
			return 0
		}
		c.num = binary.LittleEndian.Uint64(b[pos:])
		return pos + 8
	case typeBoolean:
		if len(b)-pos < 1 {
			return 0
		}
		c.num = uint64(b[pos])
		return pos + 1
	}
	length, n := binary.Uvarint(b[pos:])
	if n <= 0 || length > uint64(len(b)-pos-n) {
		return 0
	}
	pos += n
	end := pos + int(length)
	c.data = b[pos:end:end]
	return end
}

// rowState says what a stored value means at a moment.
type rowState byte

const (
	rowAbsent rowState = iota // no row, or all of it has expired
	rowEmpty                  // a primary key and nothing else
	rowCells
)

// stateOf tells whether a row exists; oldest is the version below which cells have expired.
func stateOf(value []byte, oldest int64) (rowState, error) {
	if len(value) == 0 {
		return rowAbsent, nil
	}
	body := value[1:]
	switch value[0] {
	case formatEmpty:
		ts, n := binary.Uvarint(body)
		if n <= 0 {
			return rowAbsent, errCorrupt
		}
		if int64(ts) < oldest {
			return rowAbsent, nil
		}
		return rowEmpty, nil
	case formatCells:
		if oldest <= 0 {
			return rowCells, nil
		}
		var c cell
		for len(body) > 0 {
			n := readStored(body, &c)
			if n == 0 {
				return rowAbsent, errCorrupt
			}
			if c.ts >= oldest {
				return rowCells, nil
			}
			body = body[n:]
		}
		return rowAbsent, nil
	}
	return rowAbsent, errCorrupt
}

// readCells appends the cells of a stored row that have not expired, at most maxVersions of each column.
func readCells(value []byte, oldest int64, maxVersions int, buf []cell) ([]cell, error) {
	if len(value) == 0 || value[0] != formatCells {
		return buf, nil
	}
	var last []byte
	versions := 0
	for b := value[1:]; len(b) > 0; {
		buf = append(buf, cell{})
		c := &buf[len(buf)-1]
		n := readStored(b, c)
		if n == 0 {
			return buf, errCorrupt
		}
		b = b[n:]
		if versions == 0 || !bytes.Equal(c.name, last) {
			last, versions = c.name, 0
		}
		versions++
		if c.ts < oldest || versions > maxVersions {
			buf = buf[:len(buf)-1]
		}
	}
	return buf, nil
}
