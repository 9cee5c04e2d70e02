package certificate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"relink/shared/certificate"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var now = time.UnixMilli(1_700_000_000_000)

// between is the tables with something that somebody else does behind the next Get.
type between struct {
	store.Certificates
	then func()
}

func (b *between) Get(ctx context.Context, authority, serial string) (*store.Certificate, error) {
	c, err := b.Certificates.Get(ctx, authority, serial)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return c, err
}

type world struct {
	*between
	*certificate.Service
	devices store.Devices
	ca      string // ID
	pem     string // of a certificate with the serial number a
	one     *store.Device
	two     *store.Device
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, s := t.Context(), memory.New()
	must(t, s.Products().Create(ctx, &store.Product{Key: "a1certified", DataFormat: 1, AuthType: "x509"}))
	w := &world{between: &between{Certificates: s.Certificates()}, devices: s.Devices()}
	w.Service = certificate.New(w.between, func() time.Time { return now })
	for _, d := range []**store.Device{&w.one, &w.two} {
		name := iot.DeviceName("door-001")
		if d == &w.two {
			name = "door-002"
		}
		*d = &store.Device{Ref: iot.DeviceRef{ProductKey: "a1certified", DeviceName: name}, IotID: iot.IotID("iot-" + name), Secret: iot.Secret(strings.Repeat("0", 32))}
		must(t, w.devices.Create(ctx, *d))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ours"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	ours, err := x509.ParseCertificate(der)
	must(t, err)
	issue := func(serial int64, name string) string {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ours, &key.PublicKey, key)
		must(t, err)
		return text(der)
	}
	code, err := w.RegistrationCode(ctx)
	must(t, err)
	ca, err := w.Register(ctx, text(der), issue(2, code))
	must(t, err)
	w.ca, w.pem = ca.ID, issue(10, "x")
	return w
}

func text(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (w *world) bind(t *testing.T, d *store.Device, move bool) (*store.Certificate, error) {
	return w.Bind(t.Context(), w.devices, d, w.pem, move)
}

// TestRevokedBetween: a certificate that is revoked while it is moved stays revoked.
func TestRevokedBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.bind(t, w.one, false)
	must(t, err)
	w.then = func() {
		_, err := w.Revoke(t.Context(), w.ca, "a")
		must(t, err)
	}
	if _, err := w.bind(t, w.two, true); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("a certificate that was revoked meanwhile is moved: %v", err)
	}
	if c, err := w.Get(t.Context(), w.ca, "a"); err != nil || !c.Revoked {
		t.Errorf("the revocation is lost: %+v, %v", c, err)
	}
}

// TestMovedBetween: whom Revoke answers, and so whose connection ends, is who has the certificate then.
func TestMovedBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.bind(t, w.one, false)
	must(t, err)
	w.then = func() {
		_, err := w.bind(t, w.two, true)
		must(t, err)
	}
	ref, err := w.Revoke(t.Context(), w.ca, "a")
	c, got := w.Get(t.Context(), w.ca, "a")
	if err != nil || got != nil || ref != w.two.Ref || c.Ref != w.two.Ref || !c.Revoked {
		t.Errorf("Revoke: %v, %v; %+v", ref, err, c)
	}
}

// TestBoundBetween: of two that bind a fresh certificate at once, one is refused.
func TestBoundBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.then = func() {
		_, err := w.bind(t, w.two, false)
		must(t, err)
	}
	if _, err := w.bind(t, w.one, false); !iot.Is(err, iot.AlreadyExists) {
		t.Errorf("both have it: %v", err)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.bind(t, w.one, false)
	must(t, err)
	if _, err := w.bind(t, w.two, false); !iot.Is(err, iot.AlreadyExists) || !strings.Contains(err.Error(), "door-001") {
		t.Errorf("taken from a live device without move: %v", err)
	}
	for range 2 { // a repeated call still says whose connection has to end
		if c, err := w.bind(t, w.two, true); err != nil || c.Ref != w.two.Ref || c.Former != w.one.Ref {
			t.Errorf("moved: %+v, %v", c, err)
		}
	}
	must(t, w.devices.Delete(t.Context(), w.two.Ref))
	if c, err := w.bind(t, w.one, false); err != nil || c.Ref != w.one.Ref || !c.Former.IsZero() {
		t.Errorf("that of a device which is deleted: %+v, %v", c, err)
	}
}
