package main

import (
	"context"

	"relink/shared/certificate"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
)

// reasonRevoked is why a connection ends whose certificate was revoked or moved, as the connector logs it.
const reasonRevoked = "kicked"

// deviceCert is DeviceCertInfo of QueryDeviceCert.
type deviceCert struct {
	CertSN      string
	Certificate string
	PrivateKey  string
	Status      int // 1 valid, 0 revoked
}

// queryDeviceCert gives the certificate that the platform issues for a device of a product with certificates.
func (a *api) queryDeviceCert(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.certified(ctx, c)
	if err != nil {
		return nil, err
	}
	cert, err := a.certificates.Of(ctx, d)
	if err != nil {
		return nil, err
	}
	answer := struct{ DeviceCertInfo deviceCert }{deviceCert{CertSN: cert.Serial, Status: 1}}
	answer.DeviceCertInfo.Certificate, answer.DeviceCertInfo.PrivateKey, err = certificate.PEM(cert)
	return answer, err
}

// certified gets the device that the call names, whose product must have certificates.
func (a *api) certified(ctx context.Context, c *openapi.Call) (*store.Device, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	p, err := a.products.Get(ctx, d.Ref.ProductKey)
	if err == nil && p.AuthType != "x509" {
		err = openapi.Refusef(openapi.CodeFormat, "the product was not created with AuthType x509")
	}
	return d, err
}

// registrationCode (RelinkQueryRegistrationCode) is what a verification certificate's common name has to be.
func (a *api) registrationCode(ctx context.Context, _ *openapi.Call) (any, error) {
	code, err := a.certificates.RegistrationCode(ctx)
	if err != nil {
		return nil, err
	}
	return dataAnswer[struct{ RegistrationCode string }]{struct{ RegistrationCode string }{code}}, nil
}

type authorityInfo struct {
	CaID        string `json:"CaId"`
	Subject     string
	UtcNotAfter string
	UtcCreate   string
}

func authority(a certificate.Authority) authorityInfo {
	return authorityInfo{a.ID, a.Subject, utc(a.NotAfter.UnixMilli()), utc(a.CreatedAt.UnixMilli())}
}

// registerCA (RelinkRegisterCA) trusts a customer's certificate authority.
func (a *api) registerCA(ctx context.Context, c *openapi.Call) (any, error) {
	ca, err := a.certificates.Register(ctx, c.Params.String("Certificate"), c.Params.String("VerificationCertificate"))
	if err != nil {
		return nil, err
	}
	return dataAnswer[authorityInfo]{authority(ca)}, nil
}

// listCA (RelinkListCA) lists whom devices' certificates may be of.
func (a *api) listCA(ctx context.Context, _ *openapi.Call) (any, error) {
	all, err := a.certificates.List(ctx)
	if err != nil {
		return nil, err
	}
	return dataAnswer[[]authorityInfo]{list(len(all), func(i int) authorityInfo { return authority(all[i]) })}, nil
}

// deleteCA (RelinkDeleteCA) ends the trust in an authority.
func (a *api) deleteCA(ctx context.Context, c *openapi.Call) (any, error) {
	return nil, a.certificates.Delete(ctx, c.Params.String("CaId"))
}

type binding struct {
	CaID       string `json:"CaId"`
	CertSN     string
	ProductKey iot.ProductKey
	DeviceName iot.DeviceName
}

// bindCertificate (RelinkBindCertificate) says which device a certificate is of. That of another device is taken from it with Move alone,
// which ends that device's connection.
func (a *api) bindCertificate(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.certified(ctx, c)
	if err != nil {
		return nil, err
	}
	move, err := c.Params.Bool("Move", false)
	if err != nil {
		return nil, err
	}
	b, err := a.certificates.Bind(ctx, a.rows, d, c.Params.String("Certificate"), move)
	if err != nil {
		return nil, err
	}
	if move && !b.Former.IsZero() {
		if err := (dropper{a.commander}).Drop(ctx, b.Former, reasonRevoked); err != nil {
			return nil, err
		}
	}
	return dataAnswer[binding]{binding{b.Authority, b.Serial, b.Ref.ProductKey, b.Ref.DeviceName}}, nil
}

// revokeCertificate (RelinkRevokeCertificate) refuses a certificate for ever and ends the connection of its device.
func (a *api) revokeCertificate(ctx context.Context, c *openapi.Call) (any, error) {
	ca := c.Params.String("CaId")
	if ca == "" {
		ca = store.PlatformAuthority
	}
	serial, ok := certificate.NormalSerial(c.Params.String("CertSN"))
	if !ok {
		return nil, openapi.Refusef(openapi.CodeFormat, "CertSN is not a serial number in hex")
	}
	ref, err := a.certificates.Revoke(ctx, ca, serial)
	if err != nil {
		return nil, err
	}
	c.Device = ref
	return dataAnswer[binding]{binding{ca, serial, ref.ProductKey, ref.DeviceName}}, dropper{a.commander}.Drop(ctx, ref, reasonRevoked)
}
