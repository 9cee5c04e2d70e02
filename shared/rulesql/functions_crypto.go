package rulesql

import (
	"crypto/md5"  //nolint:gosec // named by the rule, not chosen
	"crypto/sha1" //nolint:gosec // named by the rule, not chosen
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// hashNamed is the hash that crypto() knows by name, as lower-case hex of a text; nil if it knows none
// (rule engine reference, "Functions", crypto).
func hashNamed(name string) func(string) string {
	switch strings.ToUpper(name) {
	case "MD2":
		return func(s string) string { h := md2([]byte(s)); return hex.EncodeToString(h[:]) }
	case "MD5":
		return func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	case "SHA1":
		return func(s string) string { h := sha1.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	case "SHA-256":
		return func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	case "SHA-384":
		return func(s string) string { h := sha512.Sum384([]byte(s)); return hex.EncodeToString(h[:]) }
	case "SHA-512":
		return func(s string) string { h := sha512.Sum512([]byte(s)); return hex.EncodeToString(h[:]) }
	}
	return nil
}

// md2 is the hash of RFC 1319, which the standard library does not have.
func md2(data []byte) [16]byte {
	var state [48]byte
	var checksum [16]byte
	last := byte(0)
	block := func(p []byte) {
		for i := range 16 {
			checksum[i] ^= md2Table[p[i]^last]
			last = checksum[i]
		}
		md2Block(&state, p)
	}
	for ; len(data) >= 16; data = data[16:] {
		block(data[:16])
	}
	var padded [16]byte
	n := copy(padded[:], data)
	for i := n; i < 16; i++ {
		padded[i] = byte(16 - n)
	}
	block(padded[:])
	md2Block(&state, checksum[:])
	return [16]byte(state[:16])
}

func md2Block(state *[48]byte, p []byte) {
	for i := range 16 {
		state[16+i] = p[i]
		state[32+i] = p[i] ^ state[i]
	}
	t := byte(0)
	for round := range 18 {
		for i := range state {
			state[i] ^= md2Table[t]
			t = state[i]
		}
		t += byte(round)
	}
}

// md2Table is a permutation made of the digits of pi (RFC 1319, 3.2).
var md2Table = [256]byte{
	41, 46, 67, 201, 162, 216, 124, 1, 61, 54, 84, 161, 236, 240, 6, 19,
	98, 167, 5, 243, 192, 199, 115, 140, 152, 147, 43, 217, 188, 76, 130, 202,
	30, 155, 87, 60, 253, 212, 224, 22, 103, 66, 111, 24, 138, 23, 229, 18,
	190, 78, 196, 214, 218, 158, 222, 73, 160, 251, 245, 142, 187, 47, 238, 122,
	169, 104, 121, 145, 21, 178, 7, 63, 148, 194, 16, 137, 11, 34, 95, 33,
	128, 127, 93, 154, 90, 144, 50, 39, 53, 62, 204, 231, 191, 247, 151, 3,
	255, 25, 48, 179, 72, 165, 181, 209, 215, 94, 146, 42, 172, 86, 170, 198,
	79, 184, 56, 210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4, 241,
	69, 157, 112, 89, 100, 113, 135, 32, 134, 91, 207, 101, 230, 45, 168, 2,
	27, 96, 37, 173, 174, 176, 185, 246, 28, 70, 97, 105, 52, 64, 126, 15,
	85, 71, 163, 35, 221, 81, 175, 58, 195, 92, 249, 206, 186, 197, 234, 38,
	44, 83, 13, 110, 133, 40, 132, 9, 211, 223, 205, 244, 65, 129, 77, 82,
	106, 220, 55, 200, 108, 193, 171, 250, 36, 225, 123, 8, 12, 189, 177, 74,
	120, 136, 149, 139, 227, 99, 232, 109, 233, 203, 213, 254, 59, 0, 29, 57,
	242, 239, 183, 14, 102, 88, 208, 228, 166, 119, 114, 248, 235, 117, 75, 10,
	49, 68, 80, 180, 143, 237, 31, 26, 219, 153, 141, 51, 159, 17, 131, 20,
}
