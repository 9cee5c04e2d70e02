package sign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"relink/shared/iot"
)

// SessionKeySize is the size of a SessionKey in bytes: AES-128.
const SessionKeySize = 16

// sessionIV is the same for every message ("Key and encryption"); it is never continued from one to the next.
var sessionIV = [aes.BlockSize]byte([]byte("543yhjy97ae7fyfg"))

// ErrCiphertext says that bytes are no message of EncryptMessage. Why is not said: a server that tells a wrong length from a wrong
// padding lets a stranger decrypt.
var ErrCiphertext = errors.New("sign: not a message under this key")

// SessionKey is the key under which a CoAP device and the platform speak after the authentication with random: bytes 8 to 23 of
// SHA-256("${deviceSecret},${random}").
func SessionKey(secret iot.Secret, random string) [SessionKeySize]byte {
	sum := sha256.Sum256([]byte(secret.Reveal() + "," + random))
	return [SessionKeySize]byte(sum[8:24])
}

// A SessionCipher encrypts and decrypts the messages of one session: AES-128-CBC, PKCS#7 padding, a fixed vector. Made once for a session it
// saves the expansion of the key with every message. It is safe for concurrent use.
type SessionCipher struct{ block cipher.Block }

// NewSessionCipher makes the cipher of a SessionKey.
func NewSessionCipher(key [SessionKeySize]byte) *SessionCipher {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 16 bytes always is one
	}
	return &SessionCipher{block}
}

// AppendEncrypted appends the message of plain, which must not overlap dst.
func (c *SessionCipher) AppendEncrypted(dst, plain []byte) []byte {
	start := len(dst)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	dst = append(dst, plain...)
	for range pad {
		dst = append(dst, byte(pad))
	}
	previous := sessionIV[:]
	for at := start; at < len(dst); at += aes.BlockSize {
		now := dst[at : at+aes.BlockSize]
		subtle.XORBytes(now, now, previous)
		c.block.Encrypt(now, now)
		previous = now
	}
	return dst
}

// AppendDecrypted appends what a message says; data must not overlap dst. Its only error is ErrCiphertext, and then dst has nothing more.
func (c *SessionCipher) AppendDecrypted(dst, data []byte) ([]byte, error) {
	start := len(dst)
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return dst, ErrCiphertext
	}
	dst = append(dst, data...)
	out := dst[start:]
	previous := sessionIV[:]
	for at := 0; at < len(out); at += aes.BlockSize {
		now := out[at : at+aes.BlockSize]
		c.block.Decrypt(now, now)
		subtle.XORBytes(now, now, previous)
		previous = data[at : at+aes.BlockSize]
	}
	pad := int(out[len(out)-1])
	if pad == 0 || pad > aes.BlockSize {
		return dst[:start], ErrCiphertext
	}
	for _, b := range out[len(out)-pad:] {
		if int(b) != pad {
			return dst[:start], ErrCiphertext
		}
	}
	return dst[:len(dst)-pad], nil
}

// EncryptMessage encrypts a payload or an option's value.
func EncryptMessage(key [SessionKeySize]byte, plain []byte) []byte {
	return NewSessionCipher(key).AppendEncrypted(make([]byte, 0, len(plain)+aes.BlockSize), plain)
}

// DecryptMessage is the inverse of EncryptMessage. Its only error is ErrCiphertext.
func DecryptMessage(key [SessionKeySize]byte, data []byte) ([]byte, error) {
	out, err := NewSessionCipher(key).AppendDecrypted(nil, data)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}
