package dtls

import (
	"encoding/binary"
)

// Content types of records (RFC 5246 6.2.1; RFC 9146 3).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeData             = 23
	typeCID              = 25 // of a record that carries a connection id; its real type is inside
)

// Versions on the wire: one's complement of 1.0 and 1.2.
const (
	version10 = 0xfeff
	version12 = 0xfefd
)

const (
	headerLen  = 13
	cidLen     = 8 // of the ids that this server gives
	maxContent = 1 << 14
)

// A record is one record of a datagram. Its slices point into the datagram.
//
//	type 1 | version 2 | epoch 2 | sequence number 6 | [connection id 8] | length 2 | body
type record struct {
	typ     byte
	version uint16
	seq     uint64 // epoch and sequence number, as they stand
	cid     []byte // nil: none
	body    []byte
}

func (r *record) epoch() uint16 { return uint16(r.seq >> 48) }

// nextRecord takes one record off a datagram; false: what is left is none, and the rest is to be dropped (RFC 6347 4.1.2.7).
func nextRecord(b []byte) (r record, rest []byte, ok bool) {
	if len(b) < headerLen {
		return record{}, nil, false
	}
	r = record{typ: b[0], version: binary.BigEndian.Uint16(b[1:]), seq: binary.BigEndian.Uint64(b[3:])}
	b = b[11:]
	if r.version != version12 && r.version != version10 {
		return record{}, nil, false
	}
	if r.typ == typeCID {
		if len(b) < cidLen+2 {
			return record{}, nil, false
		}
		r.cid, b = b[:cidLen:cidLen], b[cidLen:]
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n == 0 || n > len(b) {
		return record{}, nil, false
	}
	r.body = b[:n:n]
	return r, b[n:], true
}

// appendHeader begins a record. With a connection id its type is typeCID.
func appendHeader(b []byte, typ byte, version uint16, seq uint64, cid []byte, length int) []byte {
	if len(cid) > 0 {
		typ = typeCID
	}
	b = append(b, typ)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(b, cid...)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// A window refuses records that came before (RFC 6347 4.1.2.6). The zero value has seen nothing.
type window struct {
	next uint64 // one more than the highest sequence number that was seen
	seen uint64 // bit i: next-1-i was seen
}

const sequence = 1<<48 - 1 // bits of a sequence number

// fresh reports whether the record may be new.
func (w *window) fresh(seq uint64) bool {
	seq &= sequence
	if seq >= w.next {
		return true
	}
	behind := w.next - 1 - seq
	return behind < 64 && w.seen&(1<<behind) == 0
}

// mark notes a record that was authentic; newest says that none with a higher number came before.
func (w *window) mark(seq uint64) (newest bool) {
	seq &= sequence
	if seq >= w.next {
		w.seen = w.seen<<(seq+1-w.next) | 1 // a shift by 64 or more leaves nothing
		w.next = seq + 1
		return true
	}
	w.seen |= 1 << (w.next - 1 - seq)
	return false
}
