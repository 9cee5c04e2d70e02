package certificate

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"relink/shared/iot"
	"relink/shared/store"
)

// An Authority is a certificate authority of a customer, as it is listed.
type Authority struct {
	ID        string
	Subject   string
	NotBefore time.Time
	NotAfter  time.Time
	CreatedAt time.Time
}

func describe(id string, c *x509.Certificate, createdAt int64) Authority {
	return Authority{ID: id, Subject: c.Subject.String(), NotBefore: c.NotBefore, NotAfter: c.NotAfter, CreatedAt: time.UnixMilli(createdAt)}
}

// Register trusts a customer's authority, once verification, a certificate that it signed, has the registration code as its common
// name. Both are PEM. Errors: InvalidParams, AlreadyExists, QuotaExceeded.
func (s *Service) Register(ctx context.Context, authority, verification string) (Authority, error) {
	ca, err := parsePEM(authority, "the authority's certificate")
	if err != nil {
		return Authority{}, err
	}
	proof, err := parsePEM(verification, "the verification certificate")
	if err != nil {
		return Authority{}, err
	}
	code, err := s.RegistrationCode(ctx)
	if err != nil {
		return Authority{}, err
	}
	now := s.now()
	switch {
	case !ca.IsCA:
		return Authority{}, iot.Errorf(iot.InvalidParams, "the certificate is not one of an authority (basicConstraints CA:TRUE)")
	case now.After(ca.NotAfter):
		return Authority{}, iot.Errorf(iot.InvalidParams, "the authority's certificate ended on %s", ca.NotAfter.UTC().Format(time.DateOnly))
	case ca.CheckSignature(proof.SignatureAlgorithm, proof.RawTBSCertificate, proof.Signature) != nil:
		return Authority{}, iot.Errorf(iot.InvalidParams, "the verification certificate is not signed by the authority")
	case proof.Subject.CommonName != code:
		return Authority{}, iot.Errorf(iot.InvalidParams, "the common name of the verification certificate is not the registration code %s", code)
	}
	rows, err := s.store.Authorities(ctx)
	if err != nil {
		return Authority{}, err
	}
	customers := 0
	for _, row := range rows {
		if row.ID != store.PlatformAuthority {
			customers++
		}
	}
	if customers >= MaxAuthorities {
		return Authority{}, iot.Errorf(iot.QuotaExceeded, "there are %d authorities, the limit", MaxAuthorities)
	}
	row := &store.Authority{ID: authorityID(ca), Certificate: ca.Raw, CreatedAt: now.UnixMilli()}
	if err := s.store.CreateAuthority(ctx, row); err != nil {
		return Authority{}, err
	}
	s.forget()
	return describe(row.ID, ca, row.CreatedAt), nil
}

// authorityID names an authority by its subject and key.
func authorityID(ca *x509.Certificate) string {
	sum := sha256.Sum256(append(append([]byte{}, ca.RawSubject...), ca.RawSubjectPublicKeyInfo...))
	return hex.EncodeToString(sum[:16])
}

// List lists the authorities, the platform's own included if there is one.
func (s *Service) List(ctx context.Context) ([]Authority, error) {
	rows, err := s.store.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Authority, 0, len(rows))
	for _, row := range rows {
		cert, err := x509.ParseCertificate(row.Certificate)
		if err != nil {
			return nil, fmt.Errorf("authority %s: %w", row.ID, err)
		}
		list = append(list, describe(row.ID, cert, row.CreatedAt))
	}
	return list, nil
}

// Delete ends the trust in a customer's authority; devices with its certificates are refused from their next login on. The platform's
// own cannot be deleted (NotPermitted).
func (s *Service) Delete(ctx context.Context, id string) error {
	if id == store.PlatformAuthority {
		return iot.Errorf(iot.NotPermitted, "the platform's own authority cannot be deleted")
	}
	s.forget()
	return s.store.DeleteAuthority(ctx, id)
}

// Of gives the certificate that the platform issued for a device, with its key; it is issued if there is none, or the last one was
// revoked. Errors: QuotaExceeded.
func (s *Service) Of(ctx context.Context, d *store.Device) (*store.Certificate, error) {
	for n := range maxIssued {
		// The number follows from the device, so that two calls at once, or a repeated one, do not issue two.
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", d.IotID, n))
		serial := new(big.Int).SetBytes(sum[:16])
		bound, err := s.store.Get(ctx, store.PlatformAuthority, serial.Text(16))
		if err == nil && bound == nil {
			if bound, err = s.issue(ctx, d, serial); iot.Is(err, iot.AlreadyExists) {
				bound, err = s.store.Get(ctx, store.PlatformAuthority, serial.Text(16))
			}
		}
		if err != nil {
			return nil, err
		}
		if !bound.Revoked {
			return bound, nil
		}
	}
	return nil, iot.Errorf(iot.QuotaExceeded, "%d certificates of this device were revoked", maxIssued)
}

func (s *Service) issue(ctx context.Context, d *store.Device, serial *big.Int) (*store.Certificate, error) {
	ca, signer, err := s.platform(ctx)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	now := s.now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: string(d.Ref.DeviceName), OrganizationalUnit: []string{string(d.Ref.ProductKey)}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(issueFor, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, ca, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &store.Certificate{Authority: store.PlatformAuthority, Serial: serial.Text(16), Ref: d.Ref, IotID: d.IotID, Certificate: der,
		Key: store.SecretBytes(pkcs8), CreatedAt: now.UnixMilli(), UpdatedAt: now.UnixMilli()}
	return c, s.store.Create(ctx, c)
}

// PEM gives a certificate that the platform issued, and its key, as files have them.
func PEM(c *store.Certificate) (cert, key string, err error) {
	der, err := store.BytesOf(c.Key)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
