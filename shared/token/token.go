// Package token is what a device that keeps no connection proves itself with: it is given out by function auth ("POST /auth" of HTTP
// and CoAP device access in the device protocol) and opened by every connector of the installation, without asking anybody. It is
// encrypted under a key that is derived from the installation's internal key, so a text that opens was made here.
//
// A token that opens says who it was issued to, and until when. Whether that device still exists, is enabled, and would still be
// believed with the secret that it signed with, is for function auth to know.
package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"relink/shared/config"
	"relink/shared/iot"
)

// A Family is the protocol family that a token is for: one for HTTP does not hold for CoAP.
type Family byte

// The families.
const (
	HTTP Family = 1
	CoAP Family = 2
)

// FamilyOf is the family of a protocol's name: http, https, coap, coaps; false if it is none of them.
func FamilyOf(protocol string) (Family, bool) {
	switch protocol {
	case "http", "https":
		return HTTP, true
	case "coap", "coaps":
		return CoAP, true
	}
	return 0, false
}

// String is the name of the protocol without TLS.
func (f Family) String() string {
	switch f {
	case HTTP:
		return "http"
	case CoAP:
		return "coap"
	}
	return ""
}

// IotHash is what a token knows of an IotId: a device that is deleted and registered again has another one.
type IotHash [8]byte

// HashOf is the hash of an IotId.
func HashOf(id iot.IotID) IotHash {
	sum := sha256.Sum256([]byte(id))
	return IotHash(sum[:8])
}

// Claims are what a token says.
type Claims struct {
	Device    iot.DeviceRef
	Iot       IotHash
	Serial    int64 // of the secret that proved the device (store.Credentials.Serial); 0 if none did
	IssuedAt  int64 // Unix seconds
	ExpiresAt int64 // Unix seconds
	Family    Family
}

// The plain text has one size whatever is in it, and so has the token: C3 clears only as many bytes of its old token as the new one has
// ("POST /auth").
//
//	version 1 | family 1 | hash 8 | serial 8 | issued 6 | expires 6 | length of product key 1 | of device name 1 | both, and zeros 64
const (
	version   = 1
	nonceSize = 12
	tagSize   = 16
	namesAt   = 32
	maxNames  = 64
	plainSize = namesAt + maxNames
)

// Length is the number of characters of every token: base64url without padding of nonce, text and tag. At most 192 are allowed.
const Length = ((nonceSize+plainSize+tagSize)*8 + 5) / 6

// ErrMalformed says that a text is no token of this installation: it is cut, changed, or of another one. Which, is not known.
var ErrMalformed = errors.New("token: not issued by this installation")

// A Sealer makes and opens tokens. It is safe for concurrent use.
type Sealer struct {
	aead   cipher.AEAD
	random io.Reader
}

// New makes the Sealer of the installation that has this internal key. random is where nonces come from, crypto/rand if nil.
func New(key config.Key, random io.Reader) (*Sealer, error) {
	if key.IsZero() {
		return nil, errors.New("configuration: RELINK_INTERNAL_KEY is required: tokens of devices are sealed under it")
	}
	derived, err := hkdf.Key(sha256.New, key[:], nil, "relink device token 1", 32)
	if err != nil {
		return nil, fmt.Errorf("key of device tokens: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("key of device tokens: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key of device tokens: %w", err)
	}
	if random == nil {
		random = rand.Reader
	}
	return &Sealer{aead: aead, random: random}, nil
}

// Seal makes a token. It fails for names that no device can have, and for nothing else but a lack of chance.
func (s *Sealer) Seal(c Claims) (string, error) {
	pk, dn := string(c.Device.ProductKey), string(c.Device.DeviceName)
	if !iot.ValidProductKey(pk) || !iot.ValidDeviceName(dn) || len(pk)+len(dn) > maxNames {
		return "", fmt.Errorf("token: %s cannot be a device", c.Device)
	}
	if c.Family.String() == "" || c.Serial < 0 || c.IssuedAt < 0 || c.ExpiresAt < c.IssuedAt || c.ExpiresAt >= 1<<48 {
		return "", errors.New("token: claims are out of range")
	}
	var b [nonceSize + plainSize + tagSize]byte
	if _, err := io.ReadFull(s.random, b[:nonceSize]); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	p := b[nonceSize : nonceSize+plainSize]
	p[0], p[1] = version, byte(c.Family)
	copy(p[2:10], c.Iot[:])
	binary.BigEndian.PutUint64(p[10:18], uint64(c.Serial))
	put48(p[18:24], c.IssuedAt)
	put48(p[24:30], c.ExpiresAt)
	p[30], p[31] = byte(len(pk)), byte(len(dn))
	copy(p[namesAt:], pk+dn)
	s.aead.Seal(p[:0], b[:nonceSize], p, nil)
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Open reads a token; its only error is ErrMalformed. Whether it has expired is for the caller to see.
func (s *Sealer) Open(text string) (Claims, error) {
	var b [nonceSize + plainSize + tagSize]byte
	if len(text) != Length {
		return Claims{}, ErrMalformed
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(text)); err != nil || n != len(b) {
		return Claims{}, ErrMalformed
	}
	sealed := b[nonceSize:]
	p, err := s.aead.Open(sealed[:0], b[:nonceSize], sealed, nil)
	if err != nil || p[0] != version {
		return Claims{}, ErrMalformed
	}
	pk, dn := int(p[30]), int(p[31])
	if pk+dn > maxNames {
		return Claims{}, ErrMalformed
	}
	names := string(p[namesAt : namesAt+pk+dn])
	return Claims{
		Device: iot.DeviceRef{ProductKey: iot.ProductKey(names[:pk]), DeviceName: iot.DeviceName(names[pk:])},
		Iot:    IotHash(p[2:10]), Serial: int64(binary.BigEndian.Uint64(p[10:18])), IssuedAt: get48(p[18:24]), ExpiresAt: get48(p[24:30]),
		Family: Family(p[1]),
	}, nil
}

func put48(b []byte, v int64) {
	binary.BigEndian.PutUint16(b, uint16(v>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(v))
}

func get48(b []byte) int64 {
	return int64(binary.BigEndian.Uint16(b))<<32 | int64(binary.BigEndian.Uint32(b[2:]))
}
