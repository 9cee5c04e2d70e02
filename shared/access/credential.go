package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
)

// A token of a pre-authentication is not stored: it holds the second in which it ends and a MAC of that and of the IotId under the
// device's secret. So it ends with the secret too, and with the device.
//
//	base64url( end (5 bytes, Unix seconds) | first 24 bytes of HMAC-SHA256(secret, "iotToken" | IotId | end) )
const (
	tokenEnd = 5
	tokenMAC = 24
)

func newPreAuthToken(secret iot.Secret, id iot.IotID, end int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(end))
	stamp := b[8-tokenEnd:]
	return base64.RawURLEncoding.EncodeToString(append(stamp[:tokenEnd:tokenEnd], preAuthMAC(secret, id, stamp)...))
}

func preAuthMAC(secret iot.Secret, id iot.IotID, stamp []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	h.Write([]byte("iotToken" + string(id)))
	h.Write(stamp)
	return h.Sum(nil)[:tokenMAC]
}

// checkPreAuthToken answers the index of the secret that the token was made with, or why it does not hold.
func checkPreAuthToken(secrets []iot.Secret, id iot.IotID, token string, now int64) (int, refusal.Cause) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != tokenEnd+tokenMAC {
		return -1, refusal.PreAuthTokenMismatch
	}
	var b [8]byte
	copy(b[8-tokenEnd:], raw)
	end := int64(binary.BigEndian.Uint64(b[:]))
	for i, secret := range secrets {
		if secret == "" || !hmac.Equal(raw[tokenEnd:], preAuthMAC(secret, id, raw[:tokenEnd])) {
			continue
		}
		if end <= now/1000 {
			return i, refusal.PreAuthTokenExpired
		}
		return i, ""
	}
	return -1, refusal.PreAuthTokenMismatch
}

// newDeviceToken makes the token of one physical device: 32 hex digits of chance.
func newDeviceToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

func tokenDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// checkDeviceToken reports whether a token is the one of a client id. Digests of the same length are compared, whether there is such a
// client id or not.
func checkDeviceToken(tokens []store.Token, clientID, token string) bool {
	presented, expected := tokenDigest(token), tokenDigest("")
	known := 0
	for i := range tokens {
		if tokens[i].ClientID == clientID {
			expected, known = tokens[i].Digest, 1
		}
	}
	return subtle.ConstantTimeCompare([]byte(presented), []byte(expected))&known == 1
}

// mistake says what a device has done that signed wrongly.
func (a *attempt) mistake(secrets []iot.Secret) string {
	if a.params != nil {
		return sign.MistakeToken(sign.PresentedToken{
			Params: a.params, Method: a.claim.method, Sign: a.login.Password, Secrets: secrets, ProductSecret: a.product.Secret,
		})
	}
	return sign.Mistake(sign.Presented{
		Whole: a.login.ClientID, ID: a.claim.id, Ref: a.claim.ref, Method: a.claim.method, Password: a.login.Password,
		Secrets: secrets, ProductSecret: a.product.Secret,
	})
}
