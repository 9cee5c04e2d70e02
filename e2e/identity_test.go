package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"relink/scripts/load"
)

// productSecret is the secret that signs dynamic registrations.
func productSecret(t *testing.T, api *iotapi.Client, pk string) string {
	t.Helper()
	p, err := api.QueryProduct(&iotapi.QueryProductRequest{ProductKey: &pk})
	if err != nil || !tea.BoolValue(p.Body.Success) {
		t.Fatalf("QueryProduct: %v %v", err, p)
	}
	return *p.Body.Data.ProductSecret
}

func hmacSHA256(key, content string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(content))
	return hex.EncodeToString(mac.Sum(nil))
}

// post sends a form as a C device does, on a raw connection, and gives the whole answer.
func post(t *testing.T, s *system, address string, config *tls.Config, path string, form url.Values) (head, body string) {
	t.Helper()
	var c net.Conn
	var err error
	if config != nil {
		c, err = tls.Dial("tcp", address, config)
	} else {
		c, err = net.Dial("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := form.Encode()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: text/xml,text/javascript,text/html,application/json\r\nContent-Length: %d\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n%s", path, address, len(text), text)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ = strings.Cut(string(answer), "\r\n\r\n")
	return head, body
}

// registrant connects as a device that asks for its credentials, and gives what it was sent, or the error of its CONNECT.
func registrant(t *testing.T, s *system, dn, pk, ps, params string) (mqtt.Message, error) {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker("ssl://" + s.env["RELINK_MQTT"]).SetTLSConfig(s.authority(t)).SetAutoReconnect(false).
		SetConnectTimeout(8 * time.Second).SetKeepAlive(0)
	o.SetClientID(fmt.Sprintf("%s.%s|random=12345,%s,signmethod=hmacsha256|", dn, pk, params))
	o.SetUsername(dn + "&" + pk).SetPassword(hmacSHA256(ps, "deviceName"+dn+"productKey"+pk+"random12345"))
	got := make(chan mqtt.Message, 1)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- m })
	c := mqtt.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		return nil, token.Error()
	}
	defer c.Disconnect(0)
	select {
	case m := <-got:
		return m, nil
	case <-time.After(10 * time.Second):
		t.Fatal("no result of the registration")
		return nil, nil
	}
}

func status(t *testing.T, api *iotapi.Client, pk, dn string) string {
	t.Helper()
	r, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{ProductKey: &pk, DeviceName: &dn})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("GetDeviceStatus: %v %v", err, r)
	}
	return *r.Body.Data.Status
}

// refusedWith connects and wants a CONNACK code.
func refusedWith(t *testing.T, o *mqtt.ClientOptions, code byte) {
	t.Helper()
	c := mqtt.NewClient(o)
	token := c.Connect().(*mqtt.ConnectToken)
	if !token.WaitTimeout(10*time.Second) || token.ReturnCode() != code {
		t.Errorf("CONNACK %d, %v; want %d", token.ReturnCode(), token.Error(), code)
	}
	c.Disconnect(0)
}

func TestDynamicRegistration(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	ps := productSecret(t, api, pk)
	old := newDevice(t, api, pk, "factory-001")
	var secrets []string
	for i := range 2 { // over MQTT, as long as it is not activated
		m, err := registrant(t, s, "factory-001", pk, ps, "authType=register,securemode=2")
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ ProductKey, DeviceName, DeviceSecret string }
		if err := json.Unmarshal(m.Payload(), &r); err != nil || m.Topic() != "/ext/register" || m.Qos() != 0 || len(r.DeviceSecret) != 32 {
			t.Fatalf("registration %d: %s %s, %v", i, m.Topic(), m.Payload(), err)
		}
		if want := fmt.Sprintf(`{"productKey":"%s","deviceName":"factory-001","deviceSecret":"%s"}`, pk, r.DeviceSecret); string(m.Payload()) != want {
			t.Errorf("%s, want %s", m.Payload(), want)
		}
		secrets = append(secrets, r.DeviceSecret)
	}
	// Over HTTP, as C SDKs read it.
	form := url.Values{"productKey": {pk}, "deviceName": {"factory-001"}, "random": {"8Ygb7ULYh53B6OA"}, "signMethod": {"hmacsha256"},
		"sign": {hmacSHA256(ps, "deviceNamefactory-001productKey"+pk+"random8Ygb7ULYh53B6OA")}}
	for _, config := range []*tls.Config{nil, s.authority(t)} {
		head, body := post(t, s, s.env["RELINK_MQTTS"], config, "/auth/register/device", form)
		var r struct{ Data struct{ DeviceSecret string } }
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := fmt.Sprintf(`{"code":200,"data":{"productKey":"%s","deviceName":"factory-001","deviceSecret":"%s"},"message":"success"}`, pk, r.Data.DeviceSecret)
		if body != want || len(body) >= 192 || len(head) >= 1024 || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") ||
			!strings.Contains(head, fmt.Sprintf("\r\nContent-Length: %d", len(body))) || strings.Contains(head, "chunked") {
			t.Errorf("answer %s\n\n%s\nwant %s", head, body, want)
		}
		secrets = append(secrets, r.Data.DeviceSecret)
	}
	if got := status(t, api, pk, "factory-001"); got != "UNACTIVE" {
		t.Errorf("after registrations the device is %s", got)
	}
	for _, stale := range append([]string{old.DeviceSecret}, secrets[:3]...) {
		refusedWith(t, lampOptions(load.Device{ProductKey: pk, DeviceName: "factory-001", DeviceSecret: stale}, "tcp://"+s.env["RELINK_MQTT"], nil), 4)
	}
	connect(t, load.Device{}, lampOptions(load.Device{ProductKey: pk, DeviceName: "factory-001", DeviceSecret: secrets[3]}, "tcp://"+s.env["RELINK_MQTT"], nil))
	if _, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form); body != `{"code":6289,"message":"device already activated"}` {
		t.Errorf("after the activation: %s", body)
	}
	if _, err := registrant(t, s, "factory-001", pk, ps, "authType=register,securemode=2"); err == nil {
		t.Error("an activated device registers over MQTT")
	}
	form.Set("deviceName", "factory-404")
	form.Set("sign", hmacSHA256(ps, "deviceNamefactory-404productKey"+pk+"random8Ygb7ULYh53B6OA"))
	if _, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form); body != `{"code":6100,"message":"device not found"}` {
		t.Errorf("unknown device: %s", body)
	}
	form.Set("sign", strings.Repeat("0", 64))
	if _, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form); body != `{"code":6600,"message":"signature check failed"}` {
		t.Errorf("wrong signature: %s", body)
	}
	// Plain TCP is refused.
	o := mqtt.NewClientOptions().AddBroker("tcp://" + s.env["RELINK_MQTT"]).SetAutoReconnect(false)
	o.SetClientID("x|authType=register,random=1,securemode=2,signmethod=hmacsha256|").SetUsername("factory-001&" + pk).SetPassword(strings.Repeat("0", 64))
	refusedWith(t, o, 2)
}

func TestRegistrationWithoutPreregistration(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	ps := productSecret(t, api, pk)
	login := func(clientID, token string) *mqtt.ClientOptions {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + s.env["RELINK_MQTT"]).SetAutoReconnect(false).SetConnectTimeout(8 * time.Second)
		return o.SetClientID(clientID + "|authType=connwl,securemode=-2,_ss=1,ext=3,_v=sdk-c-4.1.0|").SetUsername("shelf-001&" + pk).SetPassword(token)
	}
	type credentials struct{ ProductKey, DeviceName, ClientID, DeviceToken string }
	var all []credentials
	for i := range 5 {
		params := "authType=regnwl,securemode=2" // as C4 and Py send it
		if i == 0 {
			params = "securemode=-2,authType=regnwl,instanceId=iot-x"
		}
		m, err := registrant(t, s, "shelf-001", pk, ps, params)
		if err != nil {
			t.Fatal(err)
		}
		var c credentials
		if err := json.Unmarshal(m.Payload(), &c); err != nil || m.Topic() != "/ext/regnwl" {
			t.Fatalf("%s %s: %v", m.Topic(), m.Payload(), err)
		}
		if want := fmt.Sprintf(`{"productKey":"%s","deviceName":"shelf-001","clientId":"%s","deviceToken":"%s"}`, pk, c.ClientID, c.DeviceToken); string(m.Payload()) != want {
			t.Errorf("%s, want %s", m.Payload(), want)
		}
		all = append(all, c)
		if i == 0 {
			if got := status(t, api, pk, "shelf-001"); got != "UNACTIVE" {
				t.Errorf("after the registration the device is %s", got)
			}
			connect(t, load.Device{}, login(c.ClientID, c.DeviceToken)).Disconnect(0)
		}
	}
	if _, err := registrant(t, s, "shelf-001", pk, ps, "authType=regnwl,securemode=2"); err == nil {
		t.Error("a sixth physical device registers")
	}
	connect(t, load.Device{}, login(all[4].ClientID, all[4].DeviceToken)).Disconnect(0)
	refusedWith(t, login(all[0].ClientID, all[1].DeviceToken), 4)
	refusedWith(t, login("nobody", all[1].DeviceToken), 4)
	eventually(t, 10*time.Second, "the cause of the sixth is explained", func() bool {
		return strings.Contains(s.relink(t, "why", pk, "shelf-001"), "too_many_physical_devices")
	})
}

func TestPreAuthentication(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "pre-001")
	id := pk + ".pre-001"
	form := url.Values{"productKey": {pk}, "deviceName": {"pre-001"}, "signmethod": {"hmacsha256"}, "version": {"default"}, "clientId": {id},
		"timestamp": {"2524608000000"}, "resources": {"mqtt"},
		"sign": {hmacSHA256(d.DeviceSecret, "clientId"+id+"deviceNamepre-001productKey"+pk+"timestamp2524608000000")}}
	_, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/devicename", form)
	var r struct {
		Code int
		Data struct {
			IotID, IotToken string
			Resources       struct {
				MQTT struct {
					Host string
					Port int
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.Code != 200 || len(body) > 299 || len(r.Data.IotToken) > 64 {
		t.Fatalf("%s: %v", body, err)
	}
	to := fmt.Sprintf("%s:%d", r.Data.Resources.MQTT.Host, r.Data.Resources.MQTT.Port)
	if to != s.env["RELINK_MQTT"] {
		t.Errorf("the device is sent to %s", to)
	}
	login := func(mode int, user, token string) *mqtt.ClientOptions {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + to).SetAutoReconnect(false).SetConnectTimeout(8 * time.Second)
		return o.SetClientID(fmt.Sprintf("%s|timestamp=2524608000000,_v=sdk-c-3.0.1,securemode=%d,signmethod=hmacsha256,lan=C|", id, mode)).SetUsername(user).SetPassword(token)
	}
	l := connect(t, d, login(0, r.Data.IotID, r.Data.IotToken))
	l.post(t, l.sys("thing/event/property/post"), `{"id":"1","version":"1.0","params":{"level":5},"method":"thing.event.property.post"}`)
	refusedWith(t, login(-1, r.Data.IotID, strings.ToUpper(r.Data.IotToken)), 4)
	refusedWith(t, login(0, "nobody", r.Data.IotToken), 4)
	form.Set("sign", strings.Repeat("0", 64))
	if _, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/devicename", form); body != `{"code":401,"message":"request auth error"}` {
		t.Errorf("wrong signature: %s", body)
	}
	_, body = post(t, s, s.env["RELINK_MQTTS"], s.authority(t), "/auth/bootstrap", url.Values{"productKey": {pk}, "deviceName": {"pre-001"}, "clientId": {id}, "resources": {"mqtt"}})
	host, port, _ := net.SplitHostPort(s.env["RELINK_MQTTS"])
	if want := fmt.Sprintf(`{"code":200,"data":{"resources":{"mqtt":{"host":"%s","port":%s}}},"message":"success"}`, host, port); body != want {
		t.Errorf("bootstrap: %s, want %s", body, want)
	}
	resp, err := http.Post("http://"+s.env["RELINK_MQTT"]+"/nothing", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("unknown path: %s", resp.Status)
	}
}

// TestEveryPort speaks each form on each port ("What a server must therefore pass", 6 and 7).
func TestEveryPort(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "ports-001")
	for _, name := range []string{"RELINK_MQTT", "RELINK_MQTTS", "RELINK_WS", "RELINK_WSS"} {
		address := s.env[name]
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			address = u.Host
		}
		for scheme, path := range map[string]string{"tcp": "", "ssl": "", "ws": "/mqtt", "wss": "/"} {
			var config *tls.Config
			if scheme == "ssl" || scheme == "wss" {
				config = s.authority(t)
			}
			l := connect(t, d, lampOptions(d, scheme+"://"+address+path, config))
			l.post(t, l.sys("thing/event/property/post"), `{"id":"1","version":"1.0","params":{"level":5},"method":"thing.event.property.post"}`)
			l.Disconnect(0)
		}
		for _, suite := range []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA} {
			config := s.authority(t)
			config.CipherSuites, config.MinVersion, config.MaxVersion = []uint16{suite}, tls.VersionTLS12, tls.VersionTLS12
			config.InsecureSkipVerify, config.ServerName = true, "" // no SNI, and no name to verify
			var used tls.ConnectionState
			config.VerifyConnection = func(state tls.ConnectionState) error { used = state; return nil }
			o := lampOptions(d, "ssl://"+address, config)
			connect(t, d, o).Disconnect(0)
			if used.CipherSuite != suite || used.ServerName != "" {
				t.Errorf("%s: suite %#x, server name %q", name, used.CipherSuite, used.ServerName)
			}
		}
	}
}

// TestRotation changes a device's secret while it is connected, and its connection stays.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	old := newDevice(t, api, pk, "rotating-001")
	broker := "tcp://" + s.env["RELINK_MQTT"]
	l := connect(t, old, lampOptions(old, broker, nil))
	var started struct{ DeviceSecret string }
	if err := json.Unmarshal([]byte(s.relink(t, "device", "rotate", "start", pk, "rotating-001", "-o", "json")), &started); err != nil {
		t.Fatal(err)
	}
	l.post(t, l.sys("thing/event/property/post"), `{"id":"1","version":"1.0","params":{"level":5},"method":"thing.event.property.post"}`)
	l.Disconnect(0)
	connect(t, old, lampOptions(old, broker, nil)).Disconnect(0)
	if text := s.relink(t, "device", "rotate", "status", pk); !strings.Contains(text, "old") || !strings.Contains(text, "1 rotating that have not used the new secret") {
		t.Errorf("status: %s", text)
	}
	renewed := old
	renewed.DeviceSecret = started.DeviceSecret
	l = connect(t, renewed, lampOptions(renewed, broker, nil))
	s.relink(t, "device", "rotate", "finish", pk, "rotating-001")
	l.post(t, l.sys("thing/event/property/post"), `{"id":"2","version":"1.0","params":{"level":6},"method":"thing.event.property.post"}`)
	l.Disconnect(0)
	refusedWith(t, lampOptions(old, broker, nil), 4)
	connect(t, renewed, lampOptions(renewed, broker, nil)).Disconnect(0)
	if text := s.relink(t, "device", "rotate", "status", pk, "rotating-001"); !strings.Contains(text, "new") {
		t.Errorf("status after the end: %s", text)
	}
	// What a device does that cannot know better: it signs without the timestamp that it sends.
	o := lampOptions(renewed, broker, nil)
	id := pk + ".rotating-001"
	o.SetPassword(hmacSHA256(renewed.DeviceSecret, "clientId"+id+"deviceNamerotating-001productKey"+pk))
	refusedWith(t, o, 4)
	eventually(t, 10*time.Second, "relink why names what was signed wrongly", func() bool {
		return strings.Contains(s.relink(t, "why", pk, "rotating-001"), "timestamp: the device did not sign it")
	})
	// An operator switches registration off, and resets.
	ps := productSecret(t, api, pk)
	s.relink(t, "device", "reset", pk, "rotating-001")
	s.relink(t, "product", "registration", pk, "off")
	form := urlForm(pk, "rotating-001", ps)
	eventually(t, 10*time.Second, "the switch takes effect", func() bool {
		_, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form)
		return body == `{"code":6288,"message":"dynamic registration not allowed"}`
	})
	s.relink(t, "product", "registration", pk, "on")
	eventually(t, 10*time.Second, "a device that was reset registers again", func() bool {
		_, body := post(t, s, s.env["RELINK_MQTT"], nil, "/auth/register/device", form)
		return strings.HasPrefix(body, `{"code":200,`)
	})
}

func urlForm(pk, dn, ps string) url.Values {
	return url.Values{"productKey": {pk}, "deviceName": {dn}, "random": {"1"}, "signMethod": {"hmacsha256"},
		"sign": {hmacSHA256(ps, "deviceName"+dn+"productKey"+pk+"random1")}}
}

// TestClientCertificate lets a device log in with the certificate that the platform issued.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	p, err := api.CreateProduct(&iotapi.CreateProductRequest{ProductName: tea.String(fmt.Sprintf("x509_%d", time.Now().UnixNano()%1e12)), NodeType: tea.Int32(0),
		DataFormat: tea.Int32(1), AuthType: tea.String("x509"), AliyunCommodityCode: tea.String("iothub_senior")})
	if err != nil || !tea.BoolValue(p.Body.Success) {
		t.Fatalf("CreateProduct: %v %v", err, p)
	}
	pk := *p.Body.Data.ProductKey
	d := newDevice(t, api, pk, "door-001")
	q, err := api.QueryDeviceCert(&iotapi.QueryDeviceCertRequest{ProductKey: &pk, DeviceName: tea.String("door-001")})
	if err != nil || !tea.BoolValue(q.Body.Success) {
		t.Fatalf("QueryDeviceCert: %v %v", err, q)
	}
	info := q.Body.DeviceCertInfo
	pair, err := tls.X509KeyPair([]byte(*info.Certificate), []byte(*info.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	options := func(user string, shown bool) *mqtt.ClientOptions {
		config := s.authority(t)
		config.CipherSuites, config.MaxVersion = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}, tls.VersionTLS12
		if shown {
			config.Certificates = []tls.Certificate{pair}
		}
		o := mqtt.NewClientOptions().AddBroker("ssl://" + s.env["RELINK_MQTT"]).SetTLSConfig(config).SetAutoReconnect(false).SetConnectTimeout(8 * time.Second)
		return o.SetClientID("|securemode=2,_v=sdk-c-3.0.1|").SetUsername(user)
	}
	first := connect(t, d, options("&", true))
	if got, want := string(first.next(t, "/ext/auth/identity/response")), fmt.Sprintf(`{"productKey":"%s","deviceName":"door-001"}`, pk); got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
	first.Disconnect(0)
	l := connect(t, d, options("door-001&"+pk, true))
	l.post(t, "/"+pk+"/door-001/user/update", "{}")
	refusedWith(t, options("door-002&"+pk, true), 4)
	refusedWith(t, options("&", false), 4)
	refusedWith(t, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil), 5) // its product does not take secrets
	s.relink(t, "certificate", "revoke", *info.CertSN)
	select {
	case <-l.lost:
	case <-time.After(10 * time.Second):
		t.Error("the connection of a revoked certificate stays")
	}
	refusedWith(t, options("&", true), 4)
	if text := s.relink(t, "ca", "list"); !strings.Contains(text, "platform") {
		t.Errorf("ca list: %s", text)
	}
}
