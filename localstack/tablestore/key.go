package tablestore

import (
	"bytes"
	"encoding/binary"
)

// Keys of rows sort as the service sorts primary keys: column by column, integers by value, strings and blobs by unsigned
// bytes.
//
//	integer       8 bytes big endian, sign bit inverted
//	string, blob  bytes with 0x00 written as 0x00 0xFF, then 0x00 0x01
//
// No encoded column is a prefix of another, so a bound with INF_MIN or INF_MAX in some column is the edge of the range of
// all keys that begin with the columns before it.

const dataPrefix = 'd'

func appendTablePrefix(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, dataPrefix), id)
}

const tablePrefixSize = 5

func appendKeyColumn(dst []byte, c *cell) []byte {
	if c.typ == typeInteger {
		return binary.BigEndian.AppendUint64(dst, c.num^1<<63)
	}
	p := c.data
	for {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			break
		}
		dst = append(append(dst, p[:i]...), 0, 0xFF)
		p = p[i+1:]
	}
	return append(append(dst, p...), 0, 1)
}

// readKeyColumn reads a column of type typ from k into c and returns the rest, or nil and false if k is damaged.
func readKeyColumn(k []byte, typ byte, c *cell) ([]byte, bool) {
	c.typ, c.hasValue = typ, true
	if typ == typeInteger {
		if len(k) < 8 {
			return nil, false
		}
		c.num = binary.BigEndian.Uint64(k) ^ 1<<63
		return k[8:], true
	}
	var unescaped []byte // only when the value holds a zero byte
	for rest := k; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 || i+1 >= len(rest) {
			return nil, false
		}
		if rest[i+1] == 1 {
			if unescaped == nil {
				c.data = rest[:i:i]
			} else {
				c.data = append(unescaped, rest[:i]...)
			}
			return rest[i+2:], true
		}
		unescaped = append(append(unescaped, rest[:i]...), 0)
		rest = rest[i+2:]
	}
}

// successor is the smallest key greater than every key that begins with prefix. A table prefix begins with dataPrefix,
// so there always is one.
func successor(prefix []byte) []byte {
	s := bytes.Clone(prefix)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i]++; s[i] != 0 {
			return s[:i+1]
		}
	}
	return nil
}
