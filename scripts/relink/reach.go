package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"relink/scripts/load"
)

// endpoints are the variables that say where devices go.
var endpoints = map[load.Protocol]string{
	load.MQTT: "RELINK_MQTT", load.CoAP: "RELINK_COAP", load.CoAPS: "RELINK_COAPS", load.HTTP: "RELINK_HTTP", load.HTTPS: "RELINK_HTTPS",
}

// reach fills in how devices of a protocol get to the platform.
func (a *app) reach(o *load.Options, protocol string, psk bool) (err error) {
	o.Protocol = load.Protocol(protocol)
	if !slices.Contains(load.Protocols, o.Protocol) {
		return fmt.Errorf("--protocol is mqtt, coap, coaps, http or https, not %q", protocol)
	}
	if psk && o.Protocol != load.CoAPS {
		return errors.New("--psk is of coaps")
	}
	if o.Address, err = a.env.need(endpoints[o.Protocol]); err != nil {
		return err
	}
	o.TLS.PSK = psk
	if path := a.env.get("RELINK_CA"); path != "" && !psk && (o.Protocol == load.CoAPS || o.Protocol == load.HTTPS) {
		o.TLS.Roots, err = roots(path)
	}
	return err
}

// roots reads the certificates of authorities.
func roots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("RELINK_CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("RELINK_CA: %s has no certificate in PEM", path)
	}
	return pool, nil
}
