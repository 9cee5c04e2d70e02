package load

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/pion/dtls/v3"

	"relink/shared/iot"
	"relink/shared/sign"
)

// pskTimestamp is the one that Link SDK C 4 has in its identity: a day in 2050.
const pskTimestamp = "2524608000000"

// dtlsDialer connects to 5684: by certificate, or with a key made of the device's secret ("TLS-PSK and DTLS-PSK").
func dtlsDialer(o *Options, d *Device) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // for all flights of the handshake
		defer cancel()
		addr, err := net.ResolveUDPAddr("udp", o.Address)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(o.Address)
		if err != nil {
			return nil, err
		}
		options := []dtls.ClientOption{dtls.WithServerName(host), dtls.WithRootCAs(o.TLS.Roots)}
		if o.TLS.PSK {
			ref := iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}
			key := []byte(sign.PSK(iot.Secret(d.DeviceSecret), ref, pskTimestamp).Reveal())
			options = []dtls.ClientOption{
				dtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
				dtls.WithPSKIdentityHint([]byte(sign.PSKIdentity(ref, pskTimestamp))),
				dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CBC_SHA256),
			}
		}
		conn, err := dtls.DialWithOptions("udp", addr, options...)
		if err != nil {
			return nil, err
		}
		if err := conn.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("DTLS handshake with %s: %w", o.Address, err)
		}
		return conn, nil
	}
}
