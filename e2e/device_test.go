package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"relink/scripts/load"
)

// lampModel has what the tests need: properties of several types, an asynchronous and a synchronous service.
const lampModel = `{"properties":[
 {"identifier":"temperature","name":"temperature","accessMode":"rw","required":false,"dataType":{"type":"float","specs":{"min":"-40","max":"120","step":"0.1"}}},
 {"identifier":"level","name":"level","accessMode":"rw","required":false,"dataType":{"type":"int","specs":{"min":"0","max":"100","step":"1"}}},
 {"identifier":"seq","name":"seq","accessMode":"r","required":false,"dataType":{"type":"int","specs":{"min":"0","max":"2147483647","step":"1"}}},
 {"identifier":"fill","name":"fill","accessMode":"r","required":false,"dataType":{"type":"text","specs":{"length":"10240"}}}],
 "events":[],
 "services":[
 {"identifier":"reboot","name":"reboot","required":false,"callType":"async","inputData":[],"outputData":[]},
 {"identifier":"measure","name":"measure","required":false,"callType":"sync","inputData":[{"identifier":"times","name":"times","dataType":{"type":"int","specs":{"min":"1","max":"10","step":"1"}}}],
  "outputData":[{"identifier":"mean","name":"mean","dataType":{"type":"float","specs":{"min":"-40","max":"120","step":"0.1"}}}]}]}`

// newProduct creates a product with the lamp's model, published.
func newProduct(t *testing.T, api *iotapi.Client) string {
	t.Helper()
	name := fmt.Sprintf("e2e_%d", time.Now().UnixNano()%1e12)
	p, err := api.CreateProduct(&iotapi.CreateProductRequest{
		ProductName: &name, NodeType: tea.Int32(0), DataFormat: tea.Int32(1), AliyunCommodityCode: tea.String("iothub_senior"),
	})
	if err != nil || !tea.BoolValue(p.Body.Success) {
		t.Fatalf("CreateProduct: %v %v", err, p)
	}
	pk := p.Body.Data.ProductKey
	i, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: pk, TslStr: tea.String(lampModel)})
	if err != nil || !tea.BoolValue(i.Body.Success) {
		t.Fatalf("ImportThingModelTsl: %v %v", err, i)
	}
	pub, err := api.PublishThingModel(&iotapi.PublishThingModelRequest{ProductKey: pk})
	if err != nil || !tea.BoolValue(pub.Body.Success) {
		t.Fatalf("PublishThingModel: %v %v", err, pub)
	}
	return *pk
}

// newDevice registers a device.
func newDevice(t *testing.T, api *iotapi.Client, pk, name string) load.Device {
	t.Helper()
	r, err := api.RegisterDevice(&iotapi.RegisterDeviceRequest{ProductKey: &pk, DeviceName: &name})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("RegisterDevice: %v %v", err, r)
	}
	return load.Device{ProductKey: pk, DeviceName: name, DeviceSecret: *r.Body.Data.DeviceSecret}
}

// A lamp is a paho client that is connected as a device, and what it has received.
type lamp struct {
	mqtt.Client
	device   load.Device
	messages chan mqtt.Message
	lost     chan error
}

// lampOptions are those of an SDK: id, parameters, sign string with a timestamp, securemode by transport.
func lampOptions(d load.Device, url string, tlsConfig *tls.Config) *mqtt.ClientOptions {
	const timestamp = "2524608000000"
	id := d.ProductKey + "." + d.DeviceName
	mode := 3
	if tlsConfig != nil {
		mode = 2
	}
	mac := hmac.New(sha256.New, []byte(d.DeviceSecret))
	fmt.Fprintf(mac, "clientId%sdeviceName%sproductKey%stimestamp%s", id, d.DeviceName, d.ProductKey, timestamp)
	o := mqtt.NewClientOptions().AddBroker(url).SetTLSConfig(tlsConfig).SetAutoReconnect(false).SetCleanSession(true).
		SetConnectTimeout(8 * time.Second).SetKeepAlive(60 * time.Second).SetOrderMatters(false)
	o.SetClientID(fmt.Sprintf("%s|timestamp=%s,_v=sdk-c-3.0.1,securemode=%d,signmethod=hmacsha256,lan=C,gw=0,ext=0|", id, timestamp, mode))
	o.SetUsername(d.DeviceName + "&" + d.ProductKey)
	o.SetPassword(strings.ToUpper(hex.EncodeToString(mac.Sum(nil))))
	return o
}

func connect(t *testing.T, d load.Device, o *mqtt.ClientOptions) *lamp {
	t.Helper()
	l := &lamp{device: d, messages: make(chan mqtt.Message, 100), lost: make(chan error, 1)}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.messages <- m })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { l.lost <- err })
	l.Client = mqtt.NewClient(o)
	if token := l.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("connect %s: %v", d.DeviceName, token.Error())
	}
	t.Cleanup(func() { l.Disconnect(0) })
	return l
}

// post publishes and waits for the acknowledgement.
func (l *lamp) post(t *testing.T, topic, payload string) {
	t.Helper()
	if token := l.Publish(topic, 1, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("publish %s: %v", topic, token.Error())
	}
}

// next waits for a message on a topic; others are passed over.
func (l *lamp) next(t *testing.T, topic string) []byte {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-l.messages:
			if m.Topic() == topic {
				return m.Payload()
			}
		case err := <-l.lost:
			t.Fatalf("connection lost while waiting for %s: %v", topic, err)
		case <-deadline:
			t.Fatalf("nothing arrived on %s", topic)
		}
	}
}

// sys is a system topic of the device.
func (l *lamp) sys(suffix string) string {
	return "/sys/" + l.device.ProductKey + "/" + l.device.DeviceName + "/" + suffix
}

// A reply is the platform's answer.
type reply struct {
	Code    int             `json:"code"`
	Data    json.RawMessage `json:"data"`
	ID      string          `json:"id"`
	Message string          `json:"message"`
	Method  string          `json:"method"`
	Version string          `json:"version"`
}

func parseReply(t *testing.T, payload []byte) reply {
	t.Helper()
	var r reply
	if err := json.Unmarshal(payload, &r); err != nil {
		t.Fatalf("reply %s: %v", payload, err)
	}
	return r
}

// authority trusts the system's demo certificate authority, and nothing else.
func (s *system) authority(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(s.env["RELINK_CA"])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", s.env["RELINK_CA"])
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}
