package dtls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
)

type exchange uint8

// Key exchanges.
const (
	exchangePSK   exchange = iota // RFC 4279
	exchangeECDHE                 // signed by the RSA certificate, RFC 8422
	exchangeRSA                   // encrypted to the RSA certificate, RFC 5246
)

type mode uint8

const (
	modeGCM mode = iota
	modeCCM
	modeCCM8 // with a tag of 8 bytes
	modeCBC
)

// A suite is a cipher suite.
type suite struct {
	id       uint16
	name     string
	exchange exchange
	mode     mode
	key      int              // bytes
	mac      func() hash.Hash // of CBC
	prf      func() hash.Hash
}

// suites are those that are served, best first. PSK leads: a client offers it only if it has a key, and it costs no RSA. The last
// four are all that mbedTLS as Link SDKs C ship it can do with a certificate, and 0x008C all that C4 can do with a key
// ("TLS facts that decide whether a device can connect at all", "TLS-PSK and DTLS-PSK").
var suites = []*suite{
	{0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", exchangePSK, modeGCM, 16, nil, sha256.New},
	{0xc0a4, "TLS_PSK_WITH_AES_128_CCM", exchangePSK, modeCCM, 16, nil, sha256.New},
	{0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8", exchangePSK, modeCCM8, 16, nil, sha256.New},
	{0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256", exchangePSK, modeCBC, 16, sha256.New, sha256.New},
	{0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA", exchangePSK, modeCBC, 16, sha1.New, sha256.New},

	{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", exchangeECDHE, modeGCM, 16, nil, sha256.New},
	{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", exchangeECDHE, modeGCM, 32, nil, sha512.New384},
	{0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", exchangeECDHE, modeCBC, 16, sha256.New, sha256.New},
	{0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", exchangeECDHE, modeCBC, 16, sha1.New, sha256.New},
	{0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", exchangeECDHE, modeCBC, 32, sha1.New, sha256.New},

	{0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", exchangeRSA, modeGCM, 16, nil, sha256.New},
	{0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", exchangeRSA, modeGCM, 32, nil, sha512.New384},
	{0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", exchangeRSA, modeCBC, 16, sha256.New, sha256.New},
	{0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", exchangeRSA, modeCBC, 32, sha256.New, sha256.New},
	{0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", exchangeRSA, modeCBC, 16, sha1.New, sha256.New},
	{0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", exchangeRSA, modeCBC, 32, sha1.New, sha256.New},
}

// choose picks the suite of a handshake; nil: there is none that both sides can.
func choose(h *hello, certificate, psk bool) *suite {
	for _, s := range suites {
		switch {
		case !slices.Contains(h.suites, s.id):
		case s.exchange == exchangePSK && !psk, s.exchange != exchangePSK && !certificate:
		case s.exchange == exchangeECDHE && (h.curve() == nil || h.scheme() == nil):
		default:
			return s
		}
	}
	return nil
}

// keys derives both directions from the master secret (RFC 5246 6.3).
func (s *suite) keys(master []byte, client, server *[32]byte, encryptThen bool) (in, out protection, err error) {
	macLen, ivLen := 0, 4
	if s.mode == modeCBC {
		macLen, ivLen = s.mac().Size(), 0 // each record has its own IV
	}
	block := make([]byte, 2*(macLen+s.key+ivLen))
	prf(s.prf, block, master, "key expansion", server[:], client[:])
	take := func(n int) []byte {
		b := block[:n:n]
		block = block[n:]
		return b
	}
	macIn, macOut := take(macLen), take(macLen)
	keyIn, keyOut := take(s.key), take(s.key)
	ivIn, ivOut := take(ivLen), take(ivLen)
	if in, err = s.protect(macIn, keyIn, ivIn, encryptThen); err != nil {
		return nil, nil, err
	}
	out, err = s.protect(macOut, keyOut, ivOut, encryptThen)
	return in, out, err
}

func (s *suite) protect(mac, key, iv []byte, encryptThen bool) (protection, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	var a cipher.AEAD
	switch s.mode {
	case modeCBC:
		h := s.mac
		if !encryptThen {
			h = steadied(h)
		}
		return &cbc{block: block, mac: hmac.New(h, mac), encryptThen: encryptThen}, nil
	case modeCCM:
		a, err = ccm.NewCCM(block, 16, 12)
	case modeCCM8:
		a, err = ccm.NewCCM(block, 8, 12)
	default:
		a, err = cipher.NewGCM(block)
	}
	if err != nil {
		return nil, err
	}
	return newAEAD(a, iv), nil
}
