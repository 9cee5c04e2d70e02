// Package dtls is DTLS 1.2 as devices on port 5684 speak it (RFC 6347 and RFC 5246; "DTLS on 5684"): a server that brings the
// datagrams of CoAP under keys, and takes clients with a pre-shared key and clients that verify a certificate on one port.
//
// It is written here because of what those devices are. Link SDKs C offer RSA key exchange with CBC and nothing else, or
// TLS_PSK_WITH_AES_128_CBC_SHA; libraries for Go have neither. And a server of 100,000 sleeping devices must keep nothing for an address
// that has not shown that it exists, and little for a device that is silent: here a hello costs one HMAC until it brings its cookie,
// and a connection is a few kilobytes without a goroutine. Ciphers, hashes, curves and RSA are Go's; CCM is of pion/dtls.
//
// What is not there: other versions of DTLS, resumption of sessions, renegotiation, certificates of clients.
package dtls
