package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"relink/shared/config"
	"relink/shared/iot"
)

// sealer encrypts secrets at rest with AES-256-GCM. What is stored:
//
//	version (1 byte, 1) | key id (4 bytes) | nonce (12) | ciphertext and tag
//
// The table, the column and the row's key are authenticated with it, so a secret that is copied to another row does not open.
// The key id is the beginning of a digest of the key: after a rotation old rows name the key that opens them.
type sealer struct {
	current keyID
	keys    map[keyID]cipher.AEAD
}

type keyID [4]byte

const (
	sealVersion = 1
	sealHeader  = 1 + len(keyID{})
)

func newSealer(current config.Key, old []config.Key) (*sealer, error) {
	s := &sealer{keys: make(map[keyID]cipher.AEAD, 1+len(old))}
	for i, key := range append([]config.Key{current}, old...) {
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, fmt.Errorf("store: secret key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("store: secret key: %w", err)
		}
		sum := sha256.Sum256(append([]byte("relink secret key id\x00"), key[:]...))
		id := keyID(sum[:4])
		if i == 0 {
			s.current = id
		}
		s.keys[id] = aead
	}
	return s, nil
}

// seal encrypts a secret for one place. An empty secret is stored as nothing.
func (s *sealer) seal(secret iot.Secret, place string) []byte {
	if secret == "" {
		return nil
	}
	aead := s.keys[s.current]
	out := make([]byte, sealHeader+aead.NonceSize(), sealHeader+aead.NonceSize()+len(secret)+aead.Overhead())
	out[0] = sealVersion
	copy(out[1:], s.current[:])
	nonce := out[sealHeader:]
	rand.Read(nonce) // never fails (crypto/rand)
	return aead.Seal(out, nonce, []byte(secret.Reveal()), []byte(place))
}

// open decrypts what seal wrote for the same place.
func (s *sealer) open(data []byte, place string) (iot.Secret, error) {
	if len(data) == 0 {
		return "", nil
	}
	if data[0] != sealVersion || len(data) < sealHeader {
		return "", fmt.Errorf("secret of %s: encrypted in a way that is not known here", place)
	}
	id := keyID(data[1:sealHeader])
	aead, ok := s.keys[id]
	if !ok {
		return "", fmt.Errorf("secret of %s: encrypted under key %x, which is not configured", place, id)
	}
	rest := data[sealHeader:]
	if len(rest) < aead.NonceSize() {
		return "", errors.New("secret of " + place + ": cut short")
	}
	plain, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(place))
	if err != nil {
		return "", fmt.Errorf("secret of %s: %w", place, err)
	}
	return iot.Secret(plain), nil
}
