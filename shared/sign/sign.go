package sign

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// A Method is how a password is computed.
type Method uint8

// The methods.
const (
	Unspecified Method = iota // the password's length tells
	HMACMD5
	HMACSHA1
	HMACSHA256
)

var methods = [...]struct {
	name string
	new  func() hash.Hash
	size int // bytes; the password has twice as many
}{
	{name: ""}, {"hmacmd5", md5.New, md5.Size}, {"hmacsha1", sha1.New, sha1.Size}, {"hmacsha256", sha256.New, sha256.Size},
}

// String is the name that a client id has for the method; "" for Unspecified.
func (m Method) String() string {
	if int(m) < len(methods) {
		return methods[m].name
	}
	return ""
}

// ParseMethod reads a name in any case; Unspecified if there is no such method.
func ParseMethod(name string) Method {
	for m := HMACMD5; m <= HMACSHA256; m++ {
		if strings.EqualFold(name, methods[m].name) {
			return m
		}
	}
	return Unspecified
}

// Resolve gives the method that a password was made with: the one announced, or the one its length tells. The error has the cause
// SignLength if the password cannot come from it. It tells nothing about the secret.
func Resolve(announced Method, password string) (Method, error) {
	for m := HMACMD5; m <= HMACSHA256; m++ {
		if len(password) == 2*methods[m].size && (announced == m || announced == Unspecified) {
			if !isHex(password) {
				return m, refusal.New(refusal.SignLength, "not hex digits")
			}
			return m, nil
		}
	}
	return announced, refusal.New(refusal.SignLength, "")
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			continue
		}
		return false
	}
	return true
}

// Content is the string that is signed at login ("Password").
func Content(id ClientID, ref iot.DeviceRef) string {
	s := "clientId" + id.ID + "deviceName" + string(ref.DeviceName) + "productKey" + string(ref.ProductKey)
	if id.HasTimestamp {
		s += "timestamp" + id.Timestamp
	}
	return s
}

// Verify reports whether password is the hex digits, in any case, of the HMAC of content. It takes the same time whatever byte is
// wrong. With Unspecified the password's length tells the method.
func Verify(method Method, secret iot.Secret, content, password string) bool {
	return VerifyAny(method, []iot.Secret{secret}, content, password) == 0
}

// VerifyAny is Verify for a device that has more than one live secret (store.Device.Secrets): it answers the index of the one that
// signed, -1 if none did. Empty secrets sign nothing. It is for logins and for the signatures of sub-devices alike.
func VerifyAny(method Method, secrets []iot.Secret, content, password string) int {
	method, err := Resolve(method, password)
	if err != nil {
		return -1
	}
	var buffer [sha256.Size]byte
	got := buffer[:methods[method].size]
	if _, err := hex.Decode(got, []byte(password)); err != nil {
		return -1
	}
	found := -1
	for i, secret := range secrets {
		if secret != "" && hmac.Equal(got, sum(method, secret, content)) && found < 0 {
			found = i
		}
	}
	return found
}

// Sign makes the password, in lower case, as a client does. With Unspecified it is "".
func Sign(method Method, secret iot.Secret, content string) string {
	if method == Unspecified || int(method) >= len(methods) {
		return ""
	}
	return hex.EncodeToString(sum(method, secret, content))
}

func sum(method Method, secret iot.Secret, content string) []byte {
	h := hmac.New(methods[method].new, []byte(secret.Reveal())) // the key is the secret's characters, never decoded
	h.Write([]byte(content))
	return h.Sum(nil)
}
