package dtls

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"
)

// prf fills out with the pseudorandom function of TLS 1.2 (RFC 5246 5).
func prf(h func() hash.Hash, out, secret []byte, label string, seed ...[]byte) {
	mac := hmac.New(h, secret)
	start := func() {
		mac.Write([]byte(label))
		for _, s := range seed {
			mac.Write(s)
		}
	}
	start()
	a := mac.Sum(nil)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(a)
		start()
		out = out[copy(out, mac.Sum(nil)):]
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
}

// pskPremaster is the premaster secret of a plain PSK exchange (RFC 4279 2): as many zeros as the key has bytes, and the key.
func pskPremaster(key []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(key)))
	b = append(b, make([]byte, len(key))...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	return append(b, key...)
}
