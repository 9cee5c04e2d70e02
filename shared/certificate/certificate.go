// Package certificate is the identity of devices by X.509 ("X.509" in the device protocol; QueryDeviceCert in the OpenAPI): which
// authorities are trusted, which device a certificate is bound to, and certificates that the platform issues itself.
package certificate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/store"
)

// Limits.
const (
	MaxAuthorities = 10      // of customers ("X.509")
	maxDER         = 8 << 10 // of a certificate
	trustFor       = 2 * time.Second
	issueFor       = 20 // years
	keyBits        = 2048
	maxIssued      = 16 // certificates of one device that the platform issues, one after the other is revoked
)

// A Service does what has to do with certificates. It is safe for concurrent use.
type Service struct {
	store store.Certificates
	now   func() time.Time

	mu      sync.Mutex
	trusted []trusted
	until   time.Time
}

// trusted is an authority, ready for use.
type trusted struct {
	id   string
	cert *x509.Certificate
}

// New makes a service; now is the clock, time.Now if nil.
func New(s store.Certificates, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{store: s, now: now}
}

// authorities reads whom to trust, at most every two seconds.
func (s *Service) authorities(ctx context.Context) ([]trusted, error) {
	now := s.now()
	s.mu.Lock()
	list, until := s.trusted, s.until
	s.mu.Unlock()
	if now.Before(until) {
		return list, nil
	}
	rows, err := s.store.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	list = make([]trusted, 0, len(rows))
	for _, row := range rows {
		if cert, err := x509.ParseCertificate(row.Certificate); err == nil { // it was read when it was registered
			list = append(list, trusted{row.ID, cert})
		}
	}
	s.mu.Lock()
	s.trusted, s.until = list, now.Add(trustFor)
	s.mu.Unlock()
	return list, nil
}

// Identify tells which device a client certificate is bound to. TLS has proved that the client has its key. The error is a
// *refusal.Error where the certificate is not accepted.
func (s *Service) Identify(ctx context.Context, der []byte) (*store.Certificate, error) {
	leaf, err := parse(der)
	if err != nil {
		return nil, refusal.New(refusal.CertificateMalformed, err.Error())
	}
	ca, err := s.issuerOf(ctx, leaf)
	if err != nil {
		return nil, err
	}
	serial := serialOf(leaf)
	now := s.now()
	for _, c := range []*x509.Certificate{leaf, ca.cert} {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return nil, refusal.New(refusal.CertificateExpired, "valid from "+c.NotBefore.UTC().Format(time.RFC3339)+" to "+c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	bound, err := s.store.Get(ctx, ca.id, serial)
	switch {
	case err != nil:
		return nil, err
	case bound == nil:
		return nil, refusal.New(refusal.CertificateUnbound, "serial number "+serial)
	case bound.Revoked:
		return nil, refusal.New(refusal.CertificateRevoked, "serial number "+serial)
	}
	return bound, nil
}

func (s *Service) issuerOf(ctx context.Context, leaf *x509.Certificate) (*trusted, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		ca := list[i].cert
		if bytes.Equal(ca.RawSubject, leaf.RawIssuer) && ca.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
			return &list[i], nil
		}
	}
	name := leaf.Issuer.String()
	return nil, refusal.New(refusal.CertificateUntrusted, "issued by "+name[:min(len(name), 200)])
}

func parse(der []byte) (*x509.Certificate, error) {
	if len(der) > maxDER {
		return nil, iot.Errorf(iot.InvalidParams, "the certificate is larger than 8 KB")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, iot.Errorf(iot.InvalidParams, "the certificate cannot be read")
	}
	return cert, nil
}

func parsePEM(text, what string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, iot.Errorf(iot.InvalidParams, "%s is not a certificate in PEM", what)
	}
	cert, err := parse(block.Bytes)
	if err != nil {
		return nil, iot.Errorf(iot.InvalidParams, "%s cannot be read, or is larger than 8 KB", what)
	}
	return cert, nil
}

// serialOf is a certificate's serial number in hex, as the tables have it.
func serialOf(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// NormalSerial brings a serial number as people write it (AB:CD, 0xabcd) into the form of the tables; false if it is none.
func NormalSerial(s string) (string, bool) {
	s = string(bytes.ReplaceAll(bytes.TrimPrefix(bytes.ToLower([]byte(s)), []byte("0x")), []byte(":"), nil))
	n, ok := new(big.Int).SetString(s, 16)
	if !ok || n.Sign() < 0 || len(s) > 64 {
		return "", false
	}
	return n.Text(16), true
}

// platform is the platform's own authority with its key; it is made when it is needed first.
func (s *Service) platform(ctx context.Context) (*x509.Certificate, crypto.Signer, error) {
	for range 2 {
		rows, err := s.store.Authorities(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			if row.ID == store.PlatformAuthority {
				return readAuthority(row)
			}
		}
		row, err := makeAuthority(s.now())
		if err != nil {
			return nil, nil, err
		}
		err = s.store.CreateAuthority(ctx, row)
		if err != nil && !iot.Is(err, iot.AlreadyExists) { // somebody else made it at the same time
			return nil, nil, err
		}
		s.forget()
	}
	return nil, nil, iot.Errorf(iot.Conflict, "the platform's authority is being made")
}

// forget makes the next look at the authorities a fresh one.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}

func readAuthority(row *store.Authority) (*x509.Certificate, crypto.Signer, error) {
	cert, err := x509.ParseCertificate(row.Certificate)
	if err != nil {
		return nil, nil, err
	}
	der, err := store.BytesOf(row.Key)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, iot.Errorf(iot.Internal, "the platform's authority has a key that cannot sign")
	}
	return cert, signer, nil
}

func makeAuthority(now time.Time) (*store.Authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Relink device CA " + serial.Text(16)}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(issueFor+10, 0, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
		MaxPathLenZero: true, SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &store.Authority{ID: store.PlatformAuthority, Certificate: der, Key: store.SecretBytes(pkcs8), CreatedAt: now.UnixMilli()}, nil
}

// RegistrationCode is what the common name of a verification certificate has to be: whoever can have it signed has the authority's key.
// It is the same for ever, and another one in each installation.
func (s *Service) RegistrationCode(ctx context.Context) (string, error) {
	cert, _, err := s.platform(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte("relink registration code\x00"), cert.RawSubjectPublicKeyInfo...))
	return hex.EncodeToString(sum[:16]), nil
}
