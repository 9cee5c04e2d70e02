package load

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/shared/iot"
	"relink/shared/sign"
)

// A CoAPS device with a key made of its secret posts in clear under DTLS, without sequence numbers.
func TestCoAPSDevicesWithPSK(t *testing.T) {
	t.Parallel()
	d := devices[0]
	ref := iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}
	listener, err := dtls.ListenWithOptions("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
		dtls.WithPSK(func(identity []byte) ([]byte, error) {
			if string(identity) != sign.PSKIdentity(ref, pskTimestamp) {
				t.Errorf("identity %q", identity)
			}
			return []byte(sign.PSK(iot.Secret(d.DeviceSecret), ref, pskTimestamp).Reveal()), nil
		}), dtls.WithPSKIdentityHint([]byte{}), dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CBC_SHA256))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for b := make([]byte, 1500); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m := message.Message{Options: make(message.Options, 0, 16)}
			if _, err := coder.DefaultCoder.Decode(b[:n], &m); err != nil {
				t.Error(err)
				return
			}
			reply := ack(m, codes.Content, []byte(`{"token":"T"}`))
			if strings.Trim(path(m), "/") != "auth" {
				reply.Payload = []byte(`{"code":200,"id":"1"}`)
				if value(m, optionSequence) != nil || string(value(m, optionToken)) != "T" || !strings.HasPrefix(string(m.Payload), `{"id":"`) {
					reply = ack(m, codes.BadRequest, nil)
				}
			}
			out := make([]byte, 1500)
			n, err = coder.DefaultCoder.Encode(reply, out)
			if err == nil {
				_, err = conn.Write(out[:n])
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	r, err := Run(context.Background(), Options{Protocol: CoAPS, TLS: TLS{PSK: true}, Address: listener.Addr().String(), Devices: devices[:1], Duration: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked == 0 || r.Acked != r.Sent || r.Replied != r.Acked {
		t.Errorf("%+v codes %v, first %v", r.Counts, r.Codes, r.FirstError)
	}
	listener.Close()
	<-ended
}
