package dtls

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Alerts (RFC 5246 7.2).
const (
	levelWarning = 1
	levelFatal   = 2

	alertCloseNotify      = 0
	alertUnexpected       = 10
	alertHandshakeFailure = 40
	alertIllegalParameter = 47
	alertDecodeError      = 50
	alertDecryptError     = 51
	alertProtocolVersion  = 70
	alertInternalError    = 80
	alertNoRenegotiation  = 100
)

const (
	maxKeyExchange  = 1024 // bytes of a ClientKeyExchange: an RSA key of 4096 bits makes 514
	maxIdentity     = 256  // bytes of a PSK identity
	maxEarly        = 4    // records under keys that are not known yet
	maxEarlyRecord  = 256  // bytes of one of those
	finishedSize    = 12
	masterSize      = 48
	rsaPremaster    = 48
	curveTypeNamed  = 3
	compressionNone = 0
)

// Retransmission (RFC 6347 4.2.4.1).
const (
	firstRetransmission   = time.Second
	longestRetransmission = 8 * time.Second
	repeatAfter           = 200 * time.Millisecond // for a hello that came again
)

const (
	labelMaster         = "master secret"
	labelExtendedMaster = "extended master secret"
	labelClientFinished = "client finished"
	labelServerFinished = "server finished"
)

// A handshake is what a connection needs until it is established. It is guarded by the connection's mutex.
//
//	client                                            server
//	ClientHello (cookie)        ->
//	                            <-  ServerHello, [Certificate, [ServerKeyExchange]], ServerHelloDone
//	ClientKeyExchange, CCS,
//	Finished                    ->
//	                            <-  CCS, Finished
type handshake struct {
	hello       *hello
	server      [32]byte // random
	certificate *tls.Certificate
	key         *ecdh.PrivateKey // of exchangeECDHE
	transcript  []byte           // messages that count for Finished, whole, with their headers
	flight      [][]byte         // messages that are sent again until the client answers
	nextIn      uint16           // number of the message that is waited for
	nextOut     uint16
	sentAt      time.Time
	coming      assembly
	busy        bool // a key exchange is being worked out
	master      []byte
	early       []earlyRecord
	reported    bool // that it cannot succeed
	identity    string
	interval    time.Duration
	deadline    time.Time
}

// begin makes the first flight. It takes the time of a signature if the suite has one. The handshake is busy meanwhile, so that nobody else touches it.
func (c *Conn) begin(h *handshake) error {
	if _, err := rand.Read(h.server[:]); err != nil {
		return err
	}
	h.add(msgServerHello, c.serverHello(h))
	if c.suite.exchange != exchangePSK {
		h.add(msgCertificate, certificateMessage(h.certificate.Certificate))
	}
	if c.suite.exchange == exchangeECDHE {
		body, err := h.serverKeyExchange()
		if err != nil {
			return err
		}
		h.add(msgServerKeyExchange, body)
	}
	h.add(msgServerHelloDone, nil)
	return nil
}

// add puts a message of ours into the flight and the transcript.
func (h *handshake) add(typ byte, body []byte) {
	m := message(typ, h.nextOut, body)
	h.nextOut++
	h.flight = append(h.flight, m)
	h.transcript = append(h.transcript, m...)
}

func (c *Conn) serverHello(h *handshake) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 128), version12)
	b = append(b, h.server[:]...)
	b = append(b, 0) // no session id: sessions are not resumed
	b = binary.BigEndian.AppendUint16(b, c.suite.id)
	b = append(b, compressionNone)
	var e []byte
	extension := func(id uint16, body ...byte) {
		e = binary.BigEndian.AppendUint16(e, id)
		e = binary.BigEndian.AppendUint16(e, uint16(len(body)))
		e = append(e, body...)
	}
	if h.hello.renegotiation {
		extension(extRenegotiation, 0)
	}
	if h.hello.extendedMaster {
		extension(extExtendedMaster)
	}
	if c.encryptsThen(h) {
		extension(extEncryptThenMAC)
	}
	if h.hello.pointFormats && c.suite.exchange == exchangeECDHE {
		extension(extPointFormats, 1, 0)
	}
	if h.hello.fragment != 0 {
		extension(extMaxFragmentLength, h.hello.fragment)
	}
	if c.cid != nil {
		extension(extConnectionID, append([]byte{byte(len(c.cid))}, c.cid...)...)
	}
	if len(e) == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
	return append(b, e...)
}

// encryptsThen reports whether the MAC is over the ciphertext, which matters for CBC only.
func (c *Conn) encryptsThen(h *handshake) bool {
	return h.hello.encryptThenMAC && c.suite.mode == modeCBC
}

func certificateMessage(chain [][]byte) []byte {
	var list []byte
	for _, c := range chain {
		list = append(appendUint24(list, len(c)), c...)
	}
	return append(appendUint24(nil, len(list)), list...)
}

// serverKeyExchange makes a key of one use and signs it (RFC 8422 5.4).
func (h *handshake) serverKeyExchange() ([]byte, error) {
	g, sch := h.hello.curve(), h.hello.scheme()
	key, err := g.curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	h.key = key
	public := key.PublicKey().Bytes()
	params := append(binary.BigEndian.AppendUint16([]byte{curveTypeNamed}, g.id), byte(len(public)))
	params = append(params, public...)
	digest := sch.hash.New()
	digest.Write(h.hello.random[:])
	digest.Write(h.server[:])
	digest.Write(params)
	private, ok := h.certificate.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the certificate's key is a %T, and not of RSA", h.certificate.PrivateKey)
	}
	var signature []byte
	if sch.pss {
		signature, err = rsa.SignPSS(rand.Reader, private, sch.hash, digest.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	} else {
		signature, err = rsa.SignPKCS1v15(rand.Reader, private, sch.hash, digest.Sum(nil))
	}
	if err != nil {
		return nil, err
	}
	params = binary.BigEndian.AppendUint16(params, sch.id)
	params = binary.BigEndian.AppendUint16(params, uint16(len(signature)))
	return append(params, signature...), nil
}

// A premaster secret of an RSA exchange is never refused: one that does not decrypt is replaced by a random one, in the same time, so
// that only the client's Finished fails (RFC 5246 7.4.7.1, Bleichenbacher). Its version is not compared, as crypto/tls has it.
func (h *handshake) rsaPremaster(body []byte) ([]byte, error) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(body)-2 {
		return nil, errKeyExchange
	}
	private, ok := h.certificate.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the certificate's key is a %T, and not of RSA", h.certificate.PrivateKey)
	}
	premaster := make([]byte, rsaPremaster)
	if _, err := rand.Read(premaster); err != nil {
		return nil, err
	}
	// Its error says only what everybody can see: a length that is not the key's.
	//lint:ignore SA1019 Link SDKs C can do no other with a certificate; they prefer nothing, and who can do better gets better
	if err := rsa.DecryptPKCS1v15SessionKey(rand.Reader, private, body[2:], premaster); err != nil {
		return nil, errKeyExchange
	}
	return premaster, nil
}

func (h *handshake) ecdhePremaster(body []byte) ([]byte, error) {
	if len(body) < 1 || int(body[0]) != len(body)-1 {
		return nil, errKeyExchange
	}
	theirs, err := h.hello.curve().curve.NewPublicKey(body[1:])
	if err != nil {
		return nil, errKeyExchange
	}
	premaster, err := h.key.ECDH(theirs)
	if err != nil {
		return nil, errKeyExchange
	}
	return premaster, nil
}

// pskIdentity takes the identity out of a ClientKeyExchange (RFC 4279 2).
func pskIdentity(body []byte) (string, error) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(body)-2 {
		return "", errKeyExchange
	}
	if len(body) > 2+maxIdentity {
		return "", errors.New("the PSK identity is longer than 256 bytes")
	}
	return string(body[2:]), nil
}

// derive makes the keys of both directions, once the ClientKeyExchange is in the transcript.
func (c *Conn) derive(premaster []byte) error {
	h := c.hs
	h.master = make([]byte, masterSize)
	if h.hello.extendedMaster {
		prf(c.suite.prf, h.master, premaster, labelExtendedMaster, c.transcriptHash())
	} else {
		prf(c.suite.prf, h.master, premaster, labelMaster, h.hello.random[:], h.server[:])
	}
	var err error
	c.in, c.out, err = c.suite.keys(h.master, &h.hello.random, &h.server, c.encryptsThen(h))
	return err
}

func (c *Conn) transcriptHash() []byte {
	d := c.suite.prf()
	d.Write(c.hs.transcript)
	return d.Sum(nil)
}

func (c *Conn) verifyData(label string) []byte {
	out := make([]byte, finishedSize)
	prf(c.suite.prf, out, c.hs.master, label, c.transcriptHash())
	return out
}

// finishes takes the client's Finished and, if it is right, has ours ready.
func (c *Conn) finishes(f *fragment) bool {
	h := c.hs
	if len(f.body) != finishedSize || !hmac.Equal(f.body, c.verifyData(labelClientFinished)) {
		return false
	}
	h.transcript = append(h.transcript, message(msgFinished, f.seq, f.body)...)
	c.finished = message(msgFinished, h.nextOut, c.verifyData(labelServerFinished))
	return true
}
