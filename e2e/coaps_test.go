//lint:file-ignore SA1019 one struct says what a client does; its options are as many functions

package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/pion/dtls/v3"
	coapdtls "github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/client"

	"relink/scripts/load"
)

// coapsPSK is what Link SDK C 4 makes of a device's secret ("TLS-PSK and DTLS-PSK").
func coapsPSK(d load.Device) *dtls.Config {
	mac := hmac.New(sha256.New, []byte(d.DeviceSecret))
	mac.Write([]byte("id" + d.ProductKey + "&" + d.DeviceName + "timestamp2524608000000"))
	key := fmt.Appendf(nil, "%X", mac.Sum(nil))
	return &dtls.Config{
		PSK: func([]byte) ([]byte, error) { return key, nil }, PSKIdentityHint: []byte("devicename|hmacsha256|" + d.ProductKey + "&" + d.DeviceName + "|2524608000000"),
		CipherSuites: []dtls.CipherSuiteID{dtls.TLS_PSK_WITH_AES_128_CBC_SHA256},
	}
}

// coapsCertificate verifies the installation's certificate.
func coapsCertificate(t *testing.T, s *system) *dtls.Config {
	t.Helper()
	pem, err := os.ReadFile(s.env["RELINK_CA"])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("RELINK_CA holds no certificate")
	}
	return &dtls.Config{RootCAs: pool, ServerName: "localhost"}
}

func dialCoAPS(t *testing.T, s *system, c *dtls.Config) *client.Conn {
	t.Helper()
	conn, err := coapdtls.Dial(s.env["RELINK_COAPS"], c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// coapsPost posts and gives code and payload.
func coapsPost(t *testing.T, conn *client.Conn, path, body string, options ...message.Option) (codes.Code, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := conn.Post(ctx, path, message.AppJSON, strings.NewReader(body), options...)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := got.ReadBody()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return got.Code(), string(bytes.TrimSpace(payload))
}

// coapsAuth is POST /auth as C3 does it on 5684.
func coapsAuth(t *testing.T, conn *client.Conn, d load.Device) (codes.Code, string) {
	t.Helper()
	id := d.ProductKey + "." + d.DeviceName
	mac := hmac.New(md5.New, []byte(d.DeviceSecret))
	mac.Write([]byte("clientId" + id + "deviceName" + d.DeviceName + "productKey" + d.ProductKey))
	code, body := coapsPost(t, conn, "/auth", fmt.Sprintf(`{"productKey":%q,"deviceName":%q,"clientId":%q,"sign":"%x"}`, d.ProductKey, d.DeviceName, id, mac.Sum(nil)))
	var answer struct{ Token string }
	if code == codes.Content {
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
			t.Fatalf("auth: %s %v", body, err)
		}
	}
	return code, answer.Token
}

// TestCoAPSDevice authenticates and posts over DTLS, with the certificate and with a pre-shared key, by go-coap's client.
func TestCoAPSDevice(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	for i, name := range []string{"coaps-cert", "coaps-psk"} {
		d := newDevice(t, api, pk, name)
		config := coapsPSK(d)
		if name == "coaps-cert" {
			config = coapsCertificate(t, s)
		}
		conn := dialCoAPS(t, s, config)
		code, token := coapsAuth(t, conn, d)
		if code != codes.Content {
			t.Fatalf("%s: auth: %v", name, code)
		}
		value := fmt.Sprintf("2%d.5", i)
		code, reply := coapsPost(t, conn, "/topic/sys/"+pk+"/"+name+"/thing/event/property/post",
			`{"id":"7","version":"1.0","params":{"temperature":`+value+`},"method":"thing.event.property.post"}`, message.Option{ID: 2088, Value: []byte(token)})
		if want := `{"code":200,"data":{},"id":"7","message":"success","method":"thing.event.property.post","version":"1.0"}`; code != codes.Content || reply != want {
			t.Errorf("%s: %v %s, want %s", name, code, reply, want)
		}
		values, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &pk, DeviceName: &name})
		if err != nil || !strings.Contains(values.Body.String(), value) {
			t.Errorf("%s: %v %v", name, err, values)
		}
	}
}

// TestCoAPSRefusals are those that only DTLS has: a key that is another device's, and one that is wrong.
func TestCoAPSRefusals(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	mine, other := newDevice(t, api, pk, "coaps-mine"), newDevice(t, api, pk, "coaps-other")
	conn := dialCoAPS(t, s, coapsPSK(mine))
	if code, _ := coapsAuth(t, conn, other); code != codes.Unauthorized {
		t.Errorf("another device's login over this one's connection: %v", code)
	}
	whyFinds(t, s, "psk_other_device", nil, pk, other.DeviceName)

	wrong := mine
	wrong.DeviceSecret = "0123456789abcdefghijklmnopqrstuv"
	unknown := mine
	unknown.DeviceName = "coaps-nobody"
	for cause, d := range map[string]load.Device{"psk_mismatch": wrong, "device_not_found": unknown} {
		c := coapsPSK(d)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		raw, err := dialDTLS(s.env["RELINK_COAPS"], c)
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.HandshakeContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the client sees %v, want nothing", cause, err)
		}
		cancel()
		_ = raw.Close()
		whyFinds(t, s, cause, nil, pk, d.DeviceName)
	}
}

func dialDTLS(address string, c *dtls.Config) (*dtls.Conn, error) {
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	return dtls.Dial("udp", to, c)
}
