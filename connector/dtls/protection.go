package dtls

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
)

// errRecord is a record that is not authentic. Why is not said, and it is dropped without an answer.
var errRecord = errors.New("record does not open")

// A protection seals or opens the records of one direction. It is not safe for concurrent use.
type protection interface {
	// seal appends a whole record with the content; cid empty: without one.
	seal(dst []byte, typ byte, seq uint64, cid, content []byte) []byte
	// open gives the content, in the place of the body, and its type.
	open(r *record) (typ byte, content []byte, err error)
}

// additional is what is authenticated besides the content (RFC 5246 6.2.3.3; with a connection id RFC 9146 5).
func additional(b []byte, typ byte, seq uint64, cid []byte, length int) []byte {
	if len(cid) > 0 {
		b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, typeCID, byte(len(cid)), typeCID)
		b = binary.BigEndian.AppendUint16(b, version12)
		b = binary.BigEndian.AppendUint64(b, seq)
		b = append(b, cid...)
	} else {
		b = binary.BigEndian.AppendUint64(b, seq)
		b = append(b, typ)
		b = binary.BigEndian.AppendUint16(b, version12)
	}
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

// inner takes the real type off the content of a record with a connection id: content | type | zeros.
func inner(r *record, content []byte) (byte, []byte, error) {
	if r.cid == nil {
		return r.typ, content, nil
	}
	content = bytes.TrimRight(content, "\x00")
	if len(content) == 0 {
		return 0, nil, errRecord
	}
	return content[len(content)-1], content[:len(content)-1], nil
}

// An aead is GCM (RFC 5288) or CCM (RFC 6655): 4 bytes of the nonce are secret, 8 stand before the ciphertext.
type aead struct {
	cipher.AEAD
	nonce [12]byte
	ad    [64]byte
}

const explicitNonce = 8

func newAEAD(a cipher.AEAD, salt []byte) *aead {
	p := &aead{AEAD: a}
	copy(p.nonce[:4], salt)
	return p
}

func (p *aead) seal(dst []byte, typ byte, seq uint64, cid, content []byte) []byte {
	length := len(content)
	if len(cid) > 0 {
		length++
	}
	dst = appendHeader(dst, typ, version12, seq, cid, explicitNonce+length+p.Overhead())
	dst = binary.BigEndian.AppendUint64(dst, seq)
	binary.BigEndian.PutUint64(p.nonce[4:], seq)
	start := len(dst)
	dst = append(dst, content...)
	if len(cid) > 0 {
		dst = append(dst, typ)
	}
	sealed := p.Seal(dst[start:start], p.nonce[:], dst[start:], additional(p.ad[:0], typ, seq, cid, length))
	return append(dst[:start], sealed...)
}

func (p *aead) open(r *record) (byte, []byte, error) {
	length := len(r.body) - explicitNonce - p.Overhead()
	if length < 0 {
		return 0, nil, errRecord
	}
	copy(p.nonce[4:], r.body[:explicitNonce])
	sealed := r.body[explicitNonce:]
	content, err := p.Open(sealed[:0], p.nonce[:], sealed, additional(p.ad[:0], r.typ, r.seq, r.cid, length))
	if err != nil {
		return 0, nil, errRecord
	}
	return inner(r, content)
}

// A cbc is AES-CBC with an HMAC: over the content, as RFC 5246 6.2.3.2 has it, or over the ciphertext (RFC 7366), which leaves
// nothing to be learned from padding.
type cbc struct {
	block       cipher.Block
	mac         hash.Hash
	encryptThen bool // MAC over the ciphertext
	ad          [64]byte
	sum         [64]byte
}

func (p *cbc) macOf(typ byte, seq uint64, cid []byte, length int, content, extra []byte) []byte {
	p.mac.Reset()
	p.mac.Write(additional(p.ad[:0], typ, seq, cid, length))
	p.mac.Write(content)
	sum := p.mac.Sum(p.sum[:0])
	if len(extra) > 0 {
		p.mac.Write(extra) // so that what is hashed is of one length whatever the padding
	}
	return sum
}

func (p *cbc) seal(dst []byte, typ byte, seq uint64, cid, content []byte) []byte {
	size := p.block.BlockSize()
	length := len(content)
	if len(cid) > 0 {
		length++
	}
	plain := length
	if !p.encryptThen {
		plain += p.mac.Size()
	}
	padding := size - plain%size
	total := size + plain + padding
	if p.encryptThen {
		total += p.mac.Size()
	}
	dst = appendHeader(dst, typ, version12, seq, cid, total)
	body := len(dst)
	dst = append(dst, make([]byte, size)...)
	if _, err := rand.Read(dst[body:]); err != nil {
		panic(err) // never: crypto/rand ends the process by itself
	}
	start := len(dst)
	dst = append(dst, content...)
	if len(cid) > 0 {
		dst = append(dst, typ)
	}
	if !p.encryptThen {
		dst = append(dst, p.macOf(typ, seq, cid, length, dst[start:], nil)...)
	}
	for range padding {
		dst = append(dst, byte(padding-1))
	}
	cipher.NewCBCEncrypter(p.block, dst[body:start]).CryptBlocks(dst[start:], dst[start:])
	if p.encryptThen {
		dst = append(dst, p.macOf(typ, seq, cid, len(dst)-body, dst[body:], nil)...)
	}
	return dst
}

func (p *cbc) open(r *record) (byte, []byte, error) {
	size, body := p.block.BlockSize(), r.body
	if p.encryptThen {
		n := len(body) - p.mac.Size()
		if n < 2*size || subtle.ConstantTimeCompare(p.macOf(r.typ, r.seq, r.cid, n, body[:n], nil), body[n:]) != 1 {
			return 0, nil, errRecord
		}
		body = body[:n]
	}
	if len(body)%size != 0 || len(body) < 2*size {
		return 0, nil, errRecord
	}
	iv, payload := body[:size], body[size:]
	if !p.encryptThen && len(payload) < p.mac.Size()+1 {
		return 0, nil, errRecord
	}
	cipher.NewCBCDecrypter(p.block, iv).CryptBlocks(payload, payload)
	padding, good := paddingOf(payload)
	if p.encryptThen {
		if good != 1 {
			return 0, nil, errRecord
		}
		return inner(r, payload[:len(payload)-padding])
	}
	// As crypto/tls has it: neither the time nor the answer says whether the padding or the MAC was wrong.
	n := len(payload) - p.mac.Size() - padding
	n = subtle.ConstantTimeSelect(int(uint32(n)>>31), 0, n)
	theirs := payload[n : n+p.mac.Size()]
	ours := p.macOf(r.typ, r.seq, r.cid, n, payload[:n], payload[n+p.mac.Size():])
	if subtle.ConstantTimeCompare(ours, theirs)&good != 1 {
		return 0, nil, errRecord
	}
	return inner(r, payload[:n])
}

// paddingOf is how many bytes of padding, its length byte included, stand at the end of a payload, and whether they are right: 1 or
// 0, in a time that depends on the payload's length only. What is wrong counts as no padding.
func paddingOf(payload []byte) (n, good int) {
	last := int(payload[len(payload)-1])
	good = subtle.ConstantTimeLessOrEq(last+1, len(payload))
	for i := range min(256, len(payload)) {
		within := subtle.ConstantTimeLessOrEq(i, last)
		same := subtle.ConstantTimeByteEq(payload[len(payload)-1-i], byte(last))
		good &= subtle.ConstantTimeSelect(within, same, 1)
	}
	return subtle.ConstantTimeSelect(good, last+1, 0), good
}

// A steady hash ends in a time that does not depend on how much of its last block is filled; SHA-1 offers it (Lucky Thirteen).
type steady struct{ constantTimeHash }

type constantTimeHash interface {
	hash.Hash
	ConstantTimeSum(b []byte) []byte
}

// Sum implements hash.Hash.
func (s steady) Sum(b []byte) []byte { return s.ConstantTimeSum(b) }

// steadied makes hashes steady where they can be.
func steadied(h func() hash.Hash) func() hash.Hash {
	if _, ok := h().(constantTimeHash); !ok {
		return h
	}
	return func() hash.Hash { return steady{h().(constantTimeHash)} }
}
