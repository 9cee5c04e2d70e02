package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// certificates are the files of the demo certificate authority and of the server certificate that it signed.
type certificates struct {
	ca, cert, key string
}

// loadCertificates makes, once per data directory, an authority and a server certificate for localhost, 127.0.0.1, ::1 and the
// host that devices connect to; if that is every address of this machine, for each that it has. Both have RSA keys and SHA-256 signatures: C device SDKs know nothing else. A server certificate that lacks the
// host or is about to expire is made anew under the same authority.
func loadCertificates(dir, host string, now time.Time) (certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return certificates{}, err
	}
	c := certificates{
		ca:   filepath.Join(dir, "ca.pem"),
		cert: filepath.Join(dir, "server.pem"),
		key:  filepath.Join(dir, "server.key"),
	}
	caKeyPath := filepath.Join(dir, "ca.key")
	ca, caKey, err := readPair(c.ca, caKeyPath)
	if errors.Is(err, fs.ErrNotExist) {
		ca, caKey, err = makeAuthority(c.ca, caKeyPath, now)
	}
	if err != nil {
		return c, fmt.Errorf("certificate authority in %s: %w", dir, err)
	}
	server, _, err := readPair(c.cert, c.key)
	hosts := hostsOf(host)
	if err == nil && server.NotAfter.After(now.AddDate(0, 1, 0)) && !slices.ContainsFunc(hosts, func(h string) bool { return server.VerifyHostname(h) != nil }) {
		return c, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("server certificate in %s: %w", dir, err)
	}
	return c, makeServer(c, ca, caKey, hosts, now)
}

func readPair(certPath, keyPath string) (*x509.Certificate, *rsa.PrivateKey, error) {
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the key is not an RSA key")
	}
	return pair.Leaf, key, nil
}

func makeAuthority(certPath, keyPath string, now time.Time) (*x509.Certificate, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "Relink demo authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	// The key first: a certificate without its key would stop every later start.
	return cert, key, errors.Join(writeKey(keyPath, key), writeCert(certPath, der))
}

func makeServer(c certificates, ca *x509.Certificate, caKey *rsa.PrivateKey, hosts []string, now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:       big.NewInt(now.UnixNano()),
		Subject:            pkix.Name{CommonName: "localhost"},
		NotBefore:          now.Add(-time.Hour),
		NotAfter:           now.AddDate(2, 0, 0),
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	return errors.Join(writeKey(c.key, key), writeCert(c.cert, der))
}

func writeCert(path string, der []byte) error {
	return writeDurably(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func writeKey(path string, key *rsa.PrivateKey) error {
	return writeDurably(path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}

// hostsOf lists the names and addresses that clients may use.
func hostsOf(host string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
		return hosts
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return hosts // a client that verifies the name of another address will say what is missing
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}
