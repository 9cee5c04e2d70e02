package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"relink/connector/coap"
	"relink/connector/limits"
	"relink/connector/ops"
	"relink/connector/session"
	"relink/connector/uplink"
	urls "relink/shared/download"
	"relink/shared/objects"
	"relink/shared/token"
)

// listenPackets opens a UDP port of CoAP devices; nil if it is not to be opened.
func listenPackets(variable, address string) (*net.UDPConn, error) {
	if address == "" {
		return nil, nil
	}
	conn, err := coap.Listen(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s (UDP) is in use: stop what holds it, or set %s to another address", address, variable)
	case err != nil:
		return nil, fmt.Errorf("%s=%s: %w", variable, address, err)
	}
	return conn, nil
}

// coapFace makes the exchange layer of CoAP devices. files is nil if the installation has no downloads.
func (c *connector) coapFace(reg prometheus.Registerer, sealer *token.Sealer, router *uplink.Router, events session.Journal, meter *ops.Meter, budget, forgeable *limits.Budget,
	connects *limits.Connects, files objects.Bucket, signer *urls.Signer) {
	s := c.settings
	o := coap.Options{
		Keeper: c.tokens, Sealer: sealer, Router: router, Dispatcher: c.dispatcher, Journal: events, Meter: meter, Metrics: reg, Budget: budget, Forgeable: forgeable, Connects: connects,
		Logger: c.log, LoginTimeout: s.LoginTimeout, MaxTokens: s.MaxTokenDevices, MaxRemembered: s.MaxCoAPRemembered, MaxReplies: s.MaxCoAPReplies,
	}
	if files != nil {
		o.Files, o.URLs = files, signer
	}
	c.coap = coap.New(o)
}
