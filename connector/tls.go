package main

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"

	"relink/connector/mqtt"
)

// loadTLS reads the certificate; nil if none is configured.
func (s *settings) loadTLS() (*tls.Config, error) {
	if s.TLSCert == "" {
		return nil, nil
	}
	versions := map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	version, ok := versions[s.TLSMinVersion]
	if !ok {
		return nil, fmt.Errorf("configuration: RELINK_TLS_MIN_VERSION %q is none of 1.0, 1.1, 1.2, 1.3", s.TLSMinVersion)
	}
	cert, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("configuration: RELINK_TLS_CERT: %w", err)
	}
	if _, ok := cert.PrivateKey.(*rsa.PrivateKey); !ok {
		return nil, errors.New("configuration: RELINK_TLS_CERT needs an RSA key: C SDKs know no other")
	}
	return mqtt.TLSConfig(cert, version), nil
}
