package dtls

import (
	"crypto"
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Types of handshake messages (RFC 5246 7.4, RFC 6347 4.3.2).
const (
	msgClientHello        = 1
	msgServerHello        = 2
	msgHelloVerifyRequest = 3
	msgCertificate        = 11
	msgServerKeyExchange  = 12
	msgServerHelloDone    = 14
	msgClientKeyExchange  = 16
	msgFinished           = 20
)

// Extensions that are looked at.
const (
	extMaxFragmentLength = 1      // RFC 6066 4
	extSupportedGroups   = 10     // RFC 8422
	extPointFormats      = 11     // RFC 8422
	extSignatures        = 13     // RFC 5246
	extEncryptThenMAC    = 22     // RFC 7366
	extExtendedMaster    = 23     // RFC 7627
	extConnectionID      = 54     // RFC 9146
	extRenegotiation     = 0xff01 // RFC 5746
)

const renegotiationSCSV = 0x00ff // in place of extRenegotiation

// A hello is a ClientHello.
type hello struct {
	version        uint16
	random         [32]byte
	cookie         []byte
	bound          [][]byte // what the cookie is bound to besides the address
	suites         []uint16
	uncompressed   bool // can do without compression
	groups         []uint16
	noGroups       bool // does not name any: all are to be taken for known
	schemes        []uint16
	noSchemes      bool
	pointFormats   bool
	renegotiation  bool
	encryptThenMAC bool
	extendedMaster bool
	cid            []byte // that the client wants to be sent; nil: it does not know of connection ids
	fragment       byte   // code of max_fragment_length; 0: not asked for
}

var errHello = errors.New("malformed ClientHello")

// parseHello reads the body of a ClientHello. Its slices are those of b.
func parseHello(b []byte) (*hello, error) {
	h := &hello{noGroups: true, noSchemes: true}
	s := cryptobyte.String(b)
	var session, cookie, list, compressions cryptobyte.String
	start := s
	if !s.ReadUint16(&h.version) || !s.CopyBytes(h.random[:]) || !s.ReadUint8LengthPrefixed(&session) || len(session) > 32 {
		return nil, errHello
	}
	h.bound = append(h.bound, start[:len(start)-len(s)])
	if !s.ReadUint8LengthPrefixed(&cookie) {
		return nil, errHello
	}
	start = s
	if !s.ReadUint16LengthPrefixed(&list) || len(list)%2 != 0 || len(list) == 0 || !s.ReadUint8LengthPrefixed(&compressions) {
		return nil, errHello
	}
	h.bound = append(h.bound, start[:len(start)-len(s)])
	h.cookie, h.suites = cookie, numbers(list)
	h.renegotiation = slices.Contains(h.suites, renegotiationSCSV)
	h.uncompressed = slices.Contains([]byte(compressions), 0)
	if s.Empty() {
		return h, nil
	}
	var extensions cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return nil, errHello
	}
	for !extensions.Empty() {
		var id uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&id) || !extensions.ReadUint16LengthPrefixed(&body) || !h.extension(id, body) {
			return nil, errHello
		}
	}
	return h, nil
}

// extension reads one extension; false: it is malformed.
func (h *hello) extension(id uint16, body cryptobyte.String) bool {
	var list cryptobyte.String
	switch id {
	case extSupportedGroups:
		if !body.ReadUint16LengthPrefixed(&list) || len(list)%2 != 0 {
			return false
		}
		h.groups, h.noGroups = numbers(list), false
	case extSignatures:
		if !body.ReadUint16LengthPrefixed(&list) || len(list)%2 != 0 {
			return false
		}
		h.schemes, h.noSchemes = numbers(list), false
	case extPointFormats:
		h.pointFormats = true
		return true
	case extRenegotiation:
		h.renegotiation = true
		return body.ReadUint8LengthPrefixed(&list) && list.Empty() && body.Empty() // a first handshake has nothing to show
	case extEncryptThenMAC:
		h.encryptThenMAC = true
	case extExtendedMaster:
		h.extendedMaster = true
	case extConnectionID:
		if !body.ReadUint8LengthPrefixed(&list) {
			return false
		}
		h.cid = append([]byte{}, list...)
	case extMaxFragmentLength:
		var code uint8
		if !body.ReadUint8(&code) || code == 0 || code > 4 {
			return false
		}
		h.fragment = code
	default:
		return true
	}
	return body.Empty()
}

func numbers(s cryptobyte.String) []uint16 {
	out := make([]uint16, len(s)/2)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(s[2*i:])
	}
	return out
}

// A group is a curve that keys are agreed on.
type group struct {
	id    uint16
	curve ecdh.Curve
}

var groups = []group{{29, ecdh.X25519()}, {23, ecdh.P256()}, {24, ecdh.P384()}}

// curve picks the curve; nil: there is none that both know. A client that names none is taken to know P-256 (RFC 8422 4).
func (h *hello) curve() *group {
	if h.noGroups {
		return &groups[1]
	}
	for i := range groups {
		if slices.Contains(h.groups, groups[i].id) {
			return &groups[i]
		}
	}
	return nil
}

// A scheme is a way to sign with an RSA key.
type scheme struct {
	id   uint16
	hash crypto.Hash
	pss  bool
}

var schemes = []scheme{
	{0x0401, crypto.SHA256, false}, {0x0804, crypto.SHA256, true}, {0x0501, crypto.SHA384, false}, {0x0601, crypto.SHA512, false}, {0x0201, crypto.SHA1, false},
}

// scheme picks how the key exchange is signed; nil: none that both know. A client that names none knows SHA-1 only (RFC 5246 7.4.1.4.1).
func (h *hello) scheme() *scheme {
	if h.noSchemes {
		return &schemes[len(schemes)-1]
	}
	for i := range schemes {
		if slices.Contains(h.schemes, schemes[i].id) {
			return &schemes[i]
		}
	}
	return nil
}
