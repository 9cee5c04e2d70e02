package mns

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// certificatePath is where subscribers find the certificate. The service keeps its own in an OSS bucket that subscribers know.
const certificatePath = "/x509_public_certificate.pem"

// A signer signs notifications with RSA and SHA-1, "Verify the signature of a notification".
type signer struct {
	key         *rsa.PrivateKey
	certificate []byte // PEM
}

func (g *signer) sign(text string) (string, error) {
	sum := sha1.Sum([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, g.key, crypto.SHA1, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign notification: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// signerOf returns the signer of this data directory, which is made when the first is needed.
func (s *Server) signerOf() (*signer, error) {
	s.signing.Lock()
	defer s.signing.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	stored, err := s.get([]byte{prefixSigner})
	if err != nil {
		return nil, err
	}
	if stored == nil {
		if stored, err = newSigner(s.clock()); err != nil {
			return nil, err
		}
		if err := s.db.Set([]byte{prefixSigner}, stored, pebble.Sync); err != nil {
			return nil, err
		}
	}
	g, err := parseSigner(stored)
	if err != nil {
		return nil, err
	}
	s.signer = g
	return g, nil
}

// newSigner makes a key and a self-signed certificate, both as PEM.
func newSigner(now time.Time) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make key of notifications: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "mns.localstack"}, NotBefore: now.Add(-24 * time.Hour),
		NotAfter: now.AddDate(20, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of notifications: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...), nil
}

func parseSigner(text []byte) (*signer, error) {
	block, certificate := pem.Decode(text)
	if block == nil {
		return nil, errors.New("damaged key of notifications")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("damaged key of notifications: %w", err)
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("damaged key of notifications: it is not RSA")
	}
	return &signer{key: key, certificate: bytes.Clone(certificate)}, nil
}

// serveCertificate answers the certificate, which is public.
func (s *Server) serveCertificate(w http.ResponseWriter, r *http.Request) {
	g, err := s.signerOf()
	if err != nil {
		s.logError(r, err)
		writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Write(g.certificate) // the client may be gone; nothing is left to tell it
}
