package sign

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"

	"relink/shared/iot"
)

// SessionKeySize is the size of a SessionKey in bytes: AES-128.
const SessionKeySize = 16

// sessionIV is the same for every message ("Key and encryption"); it is never continued from one to the next.
const sessionIV = "543yhjy97ae7fyfg"

// ErrCiphertext says that bytes are no message of EncryptMessage. Why is not said: a server that tells a wrong length from a wrong
// padding lets a stranger decrypt.
var ErrCiphertext = errors.New("sign: not a message under this key")

// SessionKey is the key under which a CoAP device and the platform speak after the authentication with random: bytes 8 to 23 of
// SHA-256("${deviceSecret},${random}").
func SessionKey(secret iot.Secret, random string) [SessionKeySize]byte {
	sum := sha256.Sum256([]byte(secret.Reveal() + "," + random))
	return [SessionKeySize]byte(sum[8:24])
}

// EncryptMessage encrypts a payload or an option's value: AES-128-CBC, PKCS#7 padding, a fixed vector.
func EncryptMessage(key [SessionKeySize]byte, plain []byte) []byte {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(append(make([]byte, 0, len(plain)+pad), plain...), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(sessionCipher(key), []byte(sessionIV)).CryptBlocks(out, out)
	return out
}

// DecryptMessage is the inverse of EncryptMessage. Its only error is ErrCiphertext.
func DecryptMessage(key [SessionKeySize]byte, data []byte) ([]byte, error) {
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, ErrCiphertext
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(sessionCipher(key), []byte(sessionIV)).CryptBlocks(out, data)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, ErrCiphertext
	}
	for _, b := range out[len(out)-pad:] {
		if int(b) != pad {
			return nil, ErrCiphertext
		}
	}
	return out[:len(out)-pad], nil
}

func sessionCipher(key [SessionKeySize]byte) cipher.Block {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 16 bytes always is one
	}
	return block
}
