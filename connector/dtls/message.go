package dtls

import (
	"encoding/binary"
)

const messageHeader = 12

// A fragment is a piece of a handshake message (RFC 6347 4.2.2). Its body points into the datagram.
//
//	type 1 | length 3 | message sequence number 2 | offset 3 | length of the piece 3 | piece
type fragment struct {
	typ    byte
	length int // of the whole message
	seq    uint16
	offset int
	body   []byte
}

// nextFragment takes one fragment off the content of a record; false: what is left is none.
func nextFragment(b []byte) (f fragment, rest []byte, ok bool) {
	if len(b) < messageHeader {
		return fragment{}, nil, false
	}
	f = fragment{typ: b[0], length: uint24(b[1:]), seq: binary.BigEndian.Uint16(b[4:]), offset: uint24(b[6:])}
	n := uint24(b[9:])
	if b = b[messageHeader:]; n > len(b) || f.offset+n > f.length {
		return fragment{}, nil, false
	}
	f.body = b[:n:n]
	return f, b[n:], true
}

func (f *fragment) whole() bool { return len(f.body) == f.length }

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func appendUint24(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }

// appendMessageHeader begins a message, or a piece of one.
func appendMessageHeader(b []byte, typ byte, length int, seq uint16, offset, n int) []byte {
	b = append(b, typ)
	b = appendUint24(b, length)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = appendUint24(b, offset)
	return appendUint24(b, n)
}

// message makes a whole message.
func message(typ byte, seq uint16, body []byte) []byte {
	return append(appendMessageHeader(make([]byte, 0, messageHeader+len(body)), typ, len(body), seq, 0, len(body)), body...)
}

// An assembly puts a message together from its pieces, which may come in any order, twice, and overlapping.
type assembly struct {
	typ  byte
	body []byte
	have []bool // which bytes came
	left int
}

// add takes a piece; done says that the message is whole. Pieces of another message than the first are refused.
func (a *assembly) add(f *fragment) (done bool) {
	if a.body == nil {
		a.typ, a.body, a.have, a.left = f.typ, make([]byte, f.length), make([]bool, f.length), f.length
	}
	if a.typ != f.typ || len(a.body) != f.length {
		return false
	}
	copy(a.body[f.offset:], f.body)
	for i := range f.body {
		if !a.have[f.offset+i] {
			a.have[f.offset+i] = true
			a.left--
		}
	}
	return a.left == 0
}
