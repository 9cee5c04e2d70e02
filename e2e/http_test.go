package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/scripts/load"
	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/token"
)

// An httpDevice is a device that speaks HTTP alone, written after the protocol's chapter "HTTP(S) device access".
type httpDevice struct {
	load.Device
	t      *testing.T
	base   string // URL
	client *http.Client
	token  string
}

// An httpAnswer is the envelope of every answer.
type httpAnswer struct {
	Code    int
	Message string
	Info    struct {
		Token     string
		MessageID json.Number `json:"messageId"`
		Data      json.RawMessage
	}
}

func newHTTPDevice(t *testing.T, s *system, d load.Device, base string) *httpDevice {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: s.authority(t)}}
	t.Cleanup(client.CloseIdleConnections)
	return &httpDevice{Device: d, t: t, base: base, client: client}
}

func (d *httpDevice) send(path, password, body string) httpAnswer {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, d.base+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header["password"] = []string{password} // as C3 writes it
	resp, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var answer httpAnswer
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(text)) {
		d.t.Fatalf("%s: %v, %s, length %d: %s", path, err, resp.Status, resp.ContentLength, text)
	}
	return answer
}

// auth asks for a token as C4 does.
func (d *httpDevice) auth() httpAnswer {
	d.t.Helper()
	id := d.ProductKey + "." + d.DeviceName
	content := "clientId" + id + "deviceName" + d.DeviceName + "productKey" + d.ProductKey
	a := d.send("/auth?_v=sdk-c-4.1.0", "", fmt.Sprintf(`{"clientId":%q,"deviceName":%q,"productKey":%q,"signmethod":"hmacsha256","sign":%q}`,
		id, d.DeviceName, d.ProductKey, hmacSHA256(d.DeviceSecret, content)))
	if a.Info.Token != "" {
		d.token = a.Info.Token
	}
	return a
}

func (d *httpDevice) post(topic, body string) httpAnswer {
	d.t.Helper()
	return d.send("/topic"+topic, d.token, body)
}

func (d *httpDevice) sys(suffix string) string {
	return "/sys/" + d.ProductKey + "/" + d.DeviceName + "/" + suffix
}

func (d *httpDevice) temperature(value string) httpAnswer {
	d.t.Helper()
	return d.post(d.sys("thing/event/property/post"), `{"id":"1","version":"1.0","params":{"temperature":`+value+`},"method":"thing.event.property.post"}`)
}

func (d *httpDevice) wants(what string, a httpAnswer, code int) {
	d.t.Helper()
	if a.Code != code || code == 0 && a.Info.Token == "" && a.Info.MessageID == "" {
		d.t.Errorf("%s: %+v, want code %d", what, a, code)
	}
}

// becomes waits for a code, no longer than a second.
func (d *httpDevice) becomes(what string, code int) {
	d.t.Helper()
	eventually(d.t, time.Second, what, func() bool { return d.temperature("1").Code == code })
}

func propertyOf(t *testing.T, api *iotapi.Client, d load.Device, identifier string) string {
	t.Helper()
	r, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("QueryDevicePropertyStatus: %v %v", err, r)
	}
	for _, p := range r.Body.Data.List.PropertyStatusInfo {
		if tea.StringValue(p.Identifier) == identifier {
			return tea.StringValue(p.Value)
		}
	}
	return ""
}

// A device authenticates and posts over HTTP and over HTTPS, on the ports for it and on that of MQTT; what it posts is stored when it has
// its answer, and read back through the official SDK.
func TestHTTPDevice(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	for i, base := range []string{s.env["RELINK_HTTP"], s.env["RELINK_HTTPS"], "http://" + s.env["RELINK_MQTT"], "https://" + s.env["RELINK_MQTTS"]} {
		d := newHTTPDevice(t, s, newDevice(t, api, pk, fmt.Sprint("poster-", i)), base)
		d.wants(base+": auth", d.auth(), 0)
		d.wants(base+": post", d.temperature(fmt.Sprint(20+i, ".5")), 0)
		if got, want := propertyOf(t, api, d.Device, "temperature"), fmt.Sprint(20+i, ".5"); got != want {
			t.Errorf("%s: temperature %q, want %s", base, got, want)
		}
		if got := status(t, api, pk, d.DeviceName); got != "OFFLINE" { // it was there, and is online no longer than a request takes
			t.Errorf("%s: status %s", base, got)
		}
		if a := d.post(d.sys("thing/event/property/post"), `{"id":"1","params":{"temperature":"warm"}}`); a.Code != 10001 || a.Info.MessageID == "" || !strings.Contains(a.Message, "6") {
			t.Errorf("%s: a value of the wrong type: %+v", base, a)
		}
		if a := d.post("/ext/ntp/"+pk+"/"+d.DeviceName+"/request", `{"deviceSendTime":"1"}`); a.Code != 0 || !bytes.Contains(a.Info.Data, []byte(`"deviceSendTime":"1"`)) {
			t.Errorf("%s: NTP: %+v", base, a)
		}
		if a := d.post("/"+pk+"/"+d.DeviceName+"/user/update", "anything"); a.Code != 0 || len(a.Info.Data) > 0 {
			t.Errorf("%s: custom topic: %+v", base, a)
		}
	}
}

// What C3 does: its authentication fails if one of the two posts that it sends by itself does.
func TestHTTPBootOfC3(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	d := newHTTPDevice(t, s, newDevice(t, api, newProduct(t, api), "c3-001"), s.env["RELINK_HTTPS"])
	id := d.ProductKey + "." + d.DeviceName
	h := hmac.New(sha1.New, []byte(d.DeviceSecret))
	h.Write([]byte("clientId" + id + "deviceName" + d.DeviceName + "productKey" + d.ProductKey))
	a := d.send("/auth", "", fmt.Sprintf(`{"version":"default","clientId":%q,"signmethod":"hmacsha1","sign":%q,"productKey":%q,"deviceName":%q}`,
		id, hex.EncodeToString(h.Sum(nil)), d.ProductKey, d.DeviceName))
	d.wants("auth", a, 0)
	d.token = a.Info.Token
	d.wants("deviceinfo", d.post(d.sys("thing/deviceinfo/update"), `{"id":"1","version":"1.0","params":[{"attrKey":"SYS_LP_SDK_VERSION","attrValue":"3.0.1","domain":"SYSTEM"},`+
		`{"attrKey":"SYS_SDK_LANGUAGE","attrValue":"C","domain":"SYSTEM"}],"method":"thing.deviceinfo.update"}`), 0)
	d.wants("inform", d.post("/ota/device/inform/"+d.ProductKey+"/"+d.DeviceName, `{"id":"2","params":{"version":"app-1.0.0-20180101.1000"}}`), 0)
	eventually(t, 5*time.Second, "the version is known", func() bool {
		r, err := api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{ProductKey: &d.ProductKey, DeviceName: &d.DeviceName})
		return err == nil && tea.StringValue(r.Body.Data.FirmwareVersion) == "app-1.0.0-20180101.1000"
	})
}

// Every refusal has the code of the protocol, and relink why tells what it was.
func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newHTTPDevice(t, s, newDevice(t, api, pk, "refused-http"), s.env["RELINK_HTTP"])
	secret := d.DeviceSecret
	d.DeviceSecret = "wrong"
	d.wants("wrong secret", d.auth(), 20000)
	whyFinds(t, s, "sign_mismatch", []string{"deviceNamerefused-httpproductKey" + pk, "http"}, pk, d.DeviceName)
	d.DeviceSecret = secret
	d.wants("no sign", d.send("/auth", "", `{"productKey":"`+pk+`","deviceName":"refused-http"}`), 10001)
	whyFinds(t, s, "token_login_malformed", []string{"sign"}, pk, d.DeviceName)
	d.wants("no token", d.temperature("1"), 20002)
	d.token = "6944e5bfb92e4d4ea3918d1eda3942f6"
	d.wants("wrong token", d.temperature("1"), 20003)
	d.token = s.tokenOf(t, d.Device, token.HTTP, time.Now().Add(-time.Second))
	d.wants("expired token", d.temperature("1"), 20001)
	whyFinds(t, s, "token_expired", []string{"http"}, pk, d.DeviceName)
	d.token = s.tokenOf(t, d.Device, token.CoAP, time.Now().Add(time.Hour))
	d.wants("token of CoAP", d.temperature("1"), 20003)
	whyFinds(t, s, "token_of_other_protocol", nil, pk, d.DeviceName)
	d.token = s.tokenOf(t, d.Device, token.HTTP, time.Now().Add(time.Hour)) // of another IotId: the device was deleted meanwhile
	d.wants("token of a former device", d.temperature("1"), 20003)
	d.wants("auth", d.auth(), 0)
	d.wants("foreign topic", d.post("/sys/"+pk+"/another/thing/event/property/post", `{}`), 30001)
	whyFinds(t, s, "topic_not_own", []string{"another"}, pk, d.DeviceName)
	d.wants("too large", d.post(d.sys("thing/event/property/post"), strings.Repeat(" ", 128<<10+1)), 10001)
	whyFinds(t, s, "payload_too_large", nil, pk, d.DeviceName)
	d.wants("after all that", d.temperature("1"), 0)
}

// tokenOf seals a token as the system's function auth does.
func (s *system) tokenOf(t *testing.T, d load.Device, family token.Family, until time.Time) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "connector.env"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\nRELINK_INTERNAL_KEY=")
	hexKey, _, _ := strings.Cut(after, "\n")
	var key config.Key
	if err := key.EnvDecode(hexKey); err != nil {
		t.Fatal(err)
	}
	sealer, err := token.New(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealer.Seal(token.Claims{Device: iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}, Serial: 1, ExpiresAt: until.Unix(), Family: family})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// A token holds on every connector, and a device that is disabled, rotated or deleted is refused on all of them within a second.
func TestHTTPOnTwoConnectors(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	s.secondConnector(t)
	a := newHTTPDevice(t, s, newDevice(t, api, pk, "roaming-http"), s.env["RELINK_HTTP"])
	b := newHTTPDevice(t, s, a.Device, "http://127.0.0.1:"+strconv.Itoa(8180+s.offset))
	a.wants("auth", a.auth(), 0)
	b.token = a.token
	a.wants("on A", a.temperature("21.5"), 0)
	b.wants("on B", b.temperature("22.5"), 0)
	if got := propertyOf(t, api, a.Device, "temperature"); got != "22.5" {
		t.Errorf("temperature %q", got)
	}
	if r, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: &pk, DeviceName: &a.DeviceName}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("DisableThing: %v %v", err, r)
	}
	a.becomes("a disabled device is refused on A", 20003)
	b.becomes("a disabled device is refused on B", 20003)
	whyFinds(t, s, "device_disabled", []string{"http"}, pk, a.DeviceName)
	if r, err := api.EnableThing(&iotapi.EnableThingRequest{ProductKey: &pk, DeviceName: &a.DeviceName}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("EnableThing: %v %v", err, r)
	}
	for _, d := range []*httpDevice{a, b} {
		eventually(t, 5*time.Second, "an enabled device posts again", func() bool { return d.temperature("1").Code == 0 })
	}

	// The old secret's token holds while the rotation lasts, and no longer.
	var started struct{ DeviceSecret string }
	if err := json.Unmarshal([]byte(s.relink(t, "device", "rotate", "start", pk, a.DeviceName, "-o", "json")), &started); err != nil {
		t.Fatal(err)
	}
	old := a.token
	a.wants("while rotating", a.temperature("2"), 0)
	a.DeviceSecret = started.DeviceSecret
	a.wants("auth with the new secret", a.auth(), 0)
	a.wants("with the new token", a.temperature("2"), 0)
	s.relink(t, "device", "rotate", "finish", pk, a.DeviceName)
	b.becomes("the old secret's token is refused on B", 20001)
	a.wants("the new one is not", a.temperature("3"), 0)
	a.token, b.token = old, a.token
	a.becomes("the old secret's token is refused on A", 20001)
	b.wants("the new one is not", b.temperature("3"), 0)
	whyFinds(t, s, "token_revoked", []string{"http"}, pk, a.DeviceName)

	if r, err := api.DeleteDevice(&iotapi.DeleteDeviceRequest{ProductKey: &pk, DeviceName: &a.DeviceName}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("DeleteDevice: %v %v", err, r)
	}
	b.becomes("a deleted device is refused on B", 20003)
}
