package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/connector/coap"
	"relink/connector/dtls"
	"relink/connector/limits"
	"relink/connector/ops"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
)

var _ coap.Transport = (*dtls.Conn)(nil)

// dtlsFace makes the transport of CoAP devices over DTLS; what they send goes the way of all CoAP.
func (c *connector) dtlsFace(reg prometheus.Registerer, certificate *tls.Config, events session.Journal, meter *ops.Meter, budget *limits.Budget, next func(int64) string) {
	s := c.settings
	keys := &keyServer{dispatcher: c.dispatcher, within: s.LoginTimeout, next: next}
	c.dtls = dtls.New(dtls.Options{
		Certificate: func() *tls.Certificate {
			if certificate == nil {
				return nil
			}
			return &certificate.Certificates[0]
		},
		Key: keys.key,
		Handle: func(conn *dtls.Conn, datagram []byte) {
			c.coap.Receive(coap.Peer{Transport: conn, Addr: conn.Addr()}, datagram)
		},
		Ended: func(conn *dtls.Conn) { c.coap.Gone(coap.Peer{Transport: conn, Addr: conn.Addr()}) },
		Failed: func(f dtls.Failure) {
			e := failed(f)
			meter.Refused(e.Reason)
			events.Record(e)
		},
		Openings: limits.NewOpenings(s.MaxOpening, s.MaxPerSource, s.ExemptLoopback), Budget: budget,
		MaxConnections: s.MaxDTLS, IdleTimeout: s.DTLSIdle, LookupTimeout: s.LoginTimeout, Logger: c.log, Metrics: reg,
	})
}

// failed is a failed handshake as the device log has it.
func failed(f dtls.Failure) session.Event {
	e := session.Event{Operation: session.OpAuth, Code: 401, Reason: refusal.CauseOf(f.Err), RemoteAddr: f.Remote.String()}
	if why, ok := errors.AsType[*refusal.Error](f.Err); ok {
		e.Detail = why.Detail
	}
	if ref, timestamp, err := sign.ParsePSKIdentity(f.Identity); err == nil {
		e.Device = ref
		if e.Reason == refusal.PSKMismatch {
			e.Signed = sign.PSKContent(ref, timestamp)
		}
	} else if f.Identity != "" && e.Detail == "" {
		e.Detail = "identity " + f.Identity
	}
	return e
}

// A keyServer asks function auth for pre-shared keys.
type keyServer struct {
	dispatcher session.Dispatcher
	within     time.Duration
	next       func(int64) string // message ids
}

// key implements dtls.Options.Key. What cannot be an identity costs no invocation.
func (k *keyServer) key(ctx context.Context, identity string, remote netip.AddrPort) (dtls.Key, error) {
	dev, _, err := sign.ParsePSKIdentity(identity)
	if err != nil {
		return dtls.Key{}, err
	}
	at := time.Now().UnixMilli()
	payload, err := json.Marshal(device.PSKLogin{Identity: identity, RemoteAddr: remote.String(), At: at})
	if err != nil {
		return dtls.Key{}, err
	}
	result, err := session.Ask(ctx, k.dispatcher, "auth", k.within, record.Record{
		MessageID: k.next(at), Device: dev, Topic: device.TopicPSK, Payload: payload, ReceivedAt: at,
	})
	if err != nil {
		return dtls.Key{}, err
	}
	if result.Code == 200 {
		var g device.PSKGrant
		if err := json.Unmarshal(result.Data, &g); err != nil {
			return dtls.Key{}, err
		}
		if got := (iot.DeviceRef{ProductKey: g.ProductKey, DeviceName: g.DeviceName}); got != dev || len(g.Key) == 0 {
			return dtls.Key{}, errors.New("function auth answered with the key of another device")
		}
		return dtls.Key{Key: g.Key, Device: dev}, nil
	}
	why := session.RefusalOf(&result)
	cause := refusal.Cause(why.Cause)
	if _, known := refusal.Explain(cause); !known || cause == refusal.BackendUnavailable || result.Retry {
		return dtls.Key{}, errors.New("function auth answered " + why.Cause)
	}
	return dtls.Key{}, refusal.New(cause, why.Detail)
}
