package mqtt

import "crypto/tls"

// TLSConfig is what shipped devices can speak ("TLS facts that decide whether a device can connect at all"): ECDHE for all that know
// it, and the suites of C SDKs, which have RSA key exchange, CBC and SHA only. The certificate needs an RSA key, and is the same
// for every name, because those SDKs send none. Tickets, which Go gives by itself, save a reconnect storm its RSA operations.
func TLSConfig(cert tls.Certificate, minVersion uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequestClientCert, // shown by devices of products with certificates; function auth verifies it
		MinVersion:   minVersion,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
			tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA256, // 0x3C
			tls.TLS_RSA_WITH_AES_256_CBC_SHA,    // 0x35
			tls.TLS_RSA_WITH_AES_128_CBC_SHA,    // 0x2F
		},
	}
}
