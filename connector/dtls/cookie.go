package dtls

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"
)

// cookieEvery is how long cookies are made of one period; one is good until the end of the next.
const cookieEvery = 30 * time.Second

const cookieSize = 17

// A cookieKey makes cookies that need no memory of whom they were given to: a client has to show that it reads what is sent to its
// address before anything is kept for it, or a reply larger than its request is sent (RFC 6347 4.2.1).
//
//	low byte of the period 1 | HMAC-SHA256 over period, address, version, random, session id, suites, compressions: first 16 bytes
type cookieKey [32]byte

func newCookieKey() (k cookieKey) {
	_, _ = rand.Read(k[:]) // never fails
	return k
}

func (k *cookieKey) cookie(h *hello, addr netip.AddrPort, now time.Time) []byte {
	return k.of(h, addr, now.Unix()/int64(cookieEvery/time.Second))
}

func (k *cookieKey) of(h *hello, addr netip.AddrPort, period int64) []byte {
	mac := hmac.New(sha256.New, k[:])
	ip := addr.Addr().As16()
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(period))
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	mac.Write(b)
	for _, part := range h.bound {
		mac.Write(part)
	}
	return append([]byte{byte(period)}, mac.Sum(nil)[:cookieSize-1]...)
}

// good reports whether the hello brings a cookie that this key gave to the address not long ago.
func (k *cookieKey) good(h *hello, addr netip.AddrPort, now time.Time) bool {
	if len(h.cookie) != cookieSize {
		return false
	}
	period := now.Unix() / int64(cookieEvery/time.Second)
	if h.cookie[0] != byte(period) {
		period--
	}
	return subtle.ConstantTimeCompare(k.of(h, addr, period), h.cookie) == 1
}

// appendHelloVerify appends the whole answer to a hello without a cookie: shorter than any hello. Its version is 1.0 whatever follows,
// and both its numbers are those of the hello (RFC 6347 4.2.1, 4.2.2).
func appendHelloVerify(b []byte, seq uint64, message uint16, cookie []byte) []byte {
	body := 3 + len(cookie)
	b = appendHeader(b, typeHandshake, version10, seq, nil, messageHeader+body)
	b = appendMessageHeader(b, msgHelloVerifyRequest, body, message, 0, body)
	b = binary.BigEndian.AppendUint16(b, version10)
	b = append(b, byte(len(cookie)))
	return append(b, cookie...)
}
