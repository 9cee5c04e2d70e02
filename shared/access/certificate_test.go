package access_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"relink/shared/access"
	"relink/shared/certificate"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/store"
)

// A maker is a customer's certificate authority.
type maker struct {
	t    *testing.T
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newMaker(t *testing.T, name string) *maker {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &maker{t, key, cert}
}

func (m *maker) issue(serial int64, name string, until time.Time) []byte {
	m.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, m.cert, &m.key.PublicKey, m.key)
	must(m.t, err)
	return der
}

func text(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStore(t)
	must(t, s.Products().Create(ctx, &store.Product{Key: "a1certified", DataFormat: 1, AuthType: "x509"}))
	dev := &store.Device{Ref: iot.DeviceRef{ProductKey: "a1certified", DeviceName: "door-001"}, IotID: "iot-door", Secret: secret}
	must(t, s.Devices().Create(ctx, dev))
	certs := certificate.New(s.Certificates(), clock)
	code, err := certs.RegistrationCode(ctx)
	must(t, err)
	ours, strangers := newMaker(t, "ours"), newMaker(t, "ours") // the same name
	far := now.AddDate(1, 0, 0)
	for name, proof := range map[string][]byte{"of_another_code": ours.issue(2, "code", far), "of_another_key": strangers.issue(2, code, far)} {
		if _, err := certs.Register(ctx, text(ours.cert.Raw), text(proof)); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("a proof %s: %v", name, err)
		}
	}
	ca, err := certs.Register(ctx, text(ours.cert.Raw), text(ours.issue(2, code, far)))
	must(t, err)
	if _, err := certs.Register(ctx, text(ours.cert.Raw), text(ours.issue(2, code, far))); !iot.Is(err, iot.AlreadyExists) {
		t.Errorf("registered again: %v", err)
	}
	bound, unbound, ended, revoked := ours.issue(10, "x", far), ours.issue(11, "x", far), ours.issue(12, "x", now.Add(-time.Minute)), ours.issue(13, "x", far)
	for _, der := range [][]byte{bound, ended, revoked} {
		_, err := certs.Bind(ctx, s.Devices(), dev, text(der), false)
		must(t, err)
	}
	if _, err := certs.Revoke(ctx, ca.ID, "d"); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Bind(ctx, s.Devices(), dev, text(revoked), false); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("a revoked certificate is bound again: %v", err)
	}
	if _, err := certs.Bind(ctx, s.Devices(), dev, text(strangers.issue(10, "x", far)), false); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("a stranger's certificate is bound: %v", err)
	}
	issued, err := certs.Of(ctx, dev)
	must(t, err)
	again, err := certs.Of(ctx, dev)
	must(t, err)
	if again.Serial != issued.Serial || string(again.Certificate) != string(issued.Certificate) {
		t.Error("the platform issues a second certificate")
	}
	lamp := &store.Device{Ref: iot.DeviceRef{ProductKey: pk, DeviceName: dn}, IotID: "iot-" + dn}
	misplaced := ours.issue(14, "x", far)
	_, err = certs.Bind(ctx, s.Devices(), lamp, text(misplaced), false)
	must(t, err)

	a := access.New(s, 0, clock)
	login := func(user string, der []byte) access.Decision {
		return a.Login(ctx, []device.Login{{ClientID: "|securemode=2|", Username: user, Certificate: der, Node: "n1", At: now.UnixMilli()}})[0]
	}
	for _, der := range [][]byte{bound, issued.Certificate} {
		for user, identify := range map[string]bool{"": true, "&": true, "door-001&a1certified": false} {
			d := login(user, der)
			if d.Grant == nil || d.Grant.Ref() != dev.Ref || d.Identify != identify {
				t.Errorf("user name %q: %+v", user, d)
			}
		}
	}
	if d := a.Login(ctx, []device.Login{{ClientID: "", Username: "&", Certificate: bound, Node: "n1"}})[0]; d.Grant == nil {
		t.Errorf("an empty client id: %+v", d.Refusal)
	}
	for name, c := range map[string]struct {
		user string
		der  []byte
		want refusal.Cause
	}{
		"unbound":      {"&", unbound, refusal.CertificateUnbound},
		"ended":        {"&", ended, refusal.CertificateExpired},
		"revoked":      {"&", revoked, refusal.CertificateRevoked},
		"strangers":    {"&", strangers.issue(10, "x", far), refusal.CertificateUntrusted},
		"self_signed":  {"&", ours.cert.Raw[:len(ours.cert.Raw)-1], refusal.CertificateMalformed},
		"too_large":    {"&", make([]byte, 10_000), refusal.CertificateMalformed},
		"other_device": {"door-002&a1certified", bound, refusal.CertificateOtherDevice},
		"of_secrets":   {"&", misplaced, refusal.AuthMethodNotAllowed},
		"none":         {"&", nil, refusal.CertificateMissing},
	} {
		if d := login(c.user, c.der); d.Refusal == nil || d.Refusal.Cause != string(c.want) {
			t.Errorf("%s: %+v %+v %v, want %s", name, d.Grant, d.Refusal, d.Err, c.want)
		}
	}
	// A device that is registered again is another one.
	must(t, s.Devices().Delete(ctx, dev.Ref))
	must(t, s.Devices().Create(ctx, &store.Device{Ref: dev.Ref, IotID: "iot-door-2", Secret: secret}))
	if d := login("&", bound); d.Refusal == nil || d.Refusal.Cause != string(refusal.CertificateUnbound) {
		t.Errorf("registered again: %+v", d)
	}
	must(t, certs.Delete(ctx, ca.ID))
	if err := certs.Delete(ctx, store.PlatformAuthority); !iot.Is(err, iot.NotPermitted) {
		t.Errorf("the platform's own: %v", err)
	}
	if d := access.New(s, 0, clock).Login(ctx, []device.Login{{Username: "&", Certificate: bound, Node: "n1"}})[0]; d.Refusal == nil || d.Refusal.Cause != string(refusal.CertificateUntrusted) {
		t.Errorf("of a deleted authority: %+v", d)
	}
}
