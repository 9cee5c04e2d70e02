package main

import (
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

	"relink/shared/downlink"
	"relink/shared/iot"
)

// TestMoveCertificate: a certificate leaves a live device only where Move says so, and with it goes that device's connection.
func TestMoveCertificate(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.product(t, "certified")
	p, err := s.store.Products().Get(t.Context(), iot.ProductKey(pk))
	if err != nil {
		t.Fatal(err)
	}
	p.AuthType = "x509"
	if err := s.store.Products().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	one, two := s.thing(t, pk, "door-001"), s.thing(t, pk, "door-002")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ours"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	issue := func(c *x509.Certificate) string {
		der, err := x509.CreateCertificate(rand.Reader, c, ours, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	leaf := func(serial int64, name string) string {
		return issue(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: ours.NotBefore, NotAfter: ours.NotAfter})
	}
	code := s.own(t, "RelinkQueryRegistrationCode", nil)["Data"].(map[string]any)["RegistrationCode"].(string)
	if r := s.own(t, "RelinkRegisterCA", map[string]string{"Certificate": issue(ours), "VerificationCertificate": leaf(2, code)}); r["Success"] != true {
		t.Fatal(r)
	}
	cert := leaf(10, "x")
	bind := func(dev iot.DeviceRef, move string) map[string]any {
		query := map[string]string{"ProductKey": pk, "DeviceName": string(dev.DeviceName), "Certificate": cert}
		if move != "" {
			query["Move"] = move
		}
		return s.own(t, "RelinkBindCertificate", query)
	}
	if r := bind(one, ""); r["Success"] != true {
		t.Fatal(r)
	}
	for _, move := range []string{"", "false"} {
		r := bind(two, move)
		if text, _ := r["ErrorMessage"].(string); r["Success"] != false || !strings.Contains(text, "door-001") || !strings.Contains(text, "Move=true") {
			t.Errorf("taken from a live device: %v", r)
		}
	}
	if got := s.commands.take(); len(got) != 0 {
		t.Errorf("a refused call has commands: %+v", got)
	}
	s.commands.answer(downlink.Outcome{State: downlink.TimedOut}, nil)
	if r := bind(two, "true"); r["Success"] != false {
		t.Errorf("the connection is not ended, and nobody is told: %v", r)
	}
	s.commands.take()
	s.commands.answer(downlink.Outcome{}, nil)
	if r := bind(two, "true"); r["Success"] != true { // repeated, as the error says
		t.Fatal(r)
	}
	got := s.commands.take()
	if len(got) != 1 || got[0].Drop == nil || got[0].Drop.DeviceName != one.DeviceName {
		t.Errorf("the former device's connection stays: %+v", got)
	}
}
