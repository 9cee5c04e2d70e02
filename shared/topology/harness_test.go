package topology_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/sign"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topology"
)

// The gateways, their products and sub-devices of all tests. Every device's secret is its name, 32 characters long.
var (
	gw    = iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw01"}
	other = iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw02"}
	lamp  = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}
	sub01 = iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "sub01"}
	sub02 = iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "sub02"}
	off01 = iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "off01"} // disabled
	mute1 = iot.DeviceRef{ProductKey: "a1NoDynReg0", DeviceName: "mute1"} // of a product that does not register
	cert1 = iot.DeviceRef{ProductKey: "a1Certified", DeviceName: "cert1"} // of a product whose devices have certificates
	none1 = iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "none1"} // not registered
)

const (
	productSecret = "SubPs12345678901"
	begin         = 1_700_000_000_000
)

func secretOf(ref iot.DeviceRef) iot.Secret {
	return iot.Secret((string(ref.DeviceName) + strings.Repeat("0", 32))[:32])
}

// A world is a service on tables in memory, and the function's desk in front of it.
type world struct {
	t        *testing.T
	store    *memory.Store
	service  *topology.Service
	desk     *exchange.Desk
	commands *commands
	at       int64
	message  int
}

type commands struct {
	mu      sync.Mutex
	list    []downlink.Command
	outcome downlink.State
	err     error
}

func (c *commands) Command(_ context.Context, cmd downlink.Command) (downlink.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, cmd)
	o := downlink.Outcome{State: c.outcome}
	if o.State == "" && cmd.Drop != nil {
		o.State = downlink.Dropped
	} else if o.State == "" {
		o.State = downlink.Sent
	}
	return o, c.err
}

func (c *commands) take() []downlink.Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func newWorld(t *testing.T, limits topology.Limits) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(), commands: new(commands), at: begin}
	for key, p := range map[iot.ProductKey]store.Product{
		gw.ProductKey: {NodeType: 1, DynamicRegister: true}, lamp.ProductKey: {DynamicRegister: true}, sub01.ProductKey: {DynamicRegister: true}, mute1.ProductKey: {},
		cert1.ProductKey: {DynamicRegister: true, AuthType: "x509"},
	} {
		p.Key, p.DataFormat, p.Secret, p.Topics = key, 1, productSecret, store.DefaultTopics("a1")
		w.must(w.store.Products().Create(t.Context(), &p))
	}
	for _, ref := range []iot.DeviceRef{gw, other, lamp, sub01, sub02, off01, mute1, cert1} {
		w.register(ref)
	}
	w.must(w.store.Devices().SetDisabled(t.Context(), off01, true, 1))
	for _, id := range []string{"n1", "n2"} {
		w.must(w.store.Nodes().Renew(t.Context(), store.Node{ID: id, URL: "http://" + id, Until: begin + 3_600_000}))
	}
	w.connect(gw, "n1")
	w.connect(other, "n2")
	w.service = topology.New(w.store, topology.Options{
		Commander: w.commands, Limits: limits, Now: func() time.Time { return time.UnixMilli(w.at) }, Log: slog.New(slog.DiscardHandler),
	})
	w.desk = &exchange.Desk{Log: slog.New(slog.DiscardHandler), Families: w.service.Families()}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) register(ref iot.DeviceRef) {
	w.t.Helper()
	w.must(w.store.Devices().Create(w.t.Context(), &store.Device{Ref: ref, IotID: iot.IotID("iot-" + ref.DeviceName), Secret: secretOf(ref), CreatedAt: 1}))
}

// connect gives a device a connection of its own.
func (w *world) connect(ref iot.DeviceRef, node string) {
	w.t.Helper()
	_, _, errs := w.store.Sessions().Take(w.t.Context(), []store.Take{{Ref: ref, Node: node, ExtRRPC: true, RemoteAddr: "192.0.2.7:5", At: begin - 1000}})
	w.must(errs[0])
}

func (w *world) link(gateway iot.DeviceRef, subs ...iot.DeviceRef) {
	w.t.Helper()
	for _, err := range w.store.Topology().Add(w.t.Context(), gateway, subs, begin) {
		w.must(err)
	}
}

// send is one message of a gateway on /sys/…/thing/ or, if topic begins with a slash, on that very topic.
func (w *world) send(from iot.DeviceRef, topic, payload string) record.Result {
	w.t.Helper()
	w.message++
	return w.attempt(from, topic, payload, 0)
}

// again is the last message once more, as if its first answer had been lost.
func (w *world) again(from iot.DeviceRef, topic, payload string) record.Result {
	w.t.Helper()
	return w.attempt(from, topic, payload, 1)
}

func (w *world) attempt(from iot.DeviceRef, topic, payload string, attempt int32) record.Result {
	w.t.Helper()
	if strings.HasPrefix(topic, "combine/") {
		topic = "/ext/session/" + from.String() + "/" + topic
	} else {
		topic = "/sys/" + from.String() + "/thing/" + topic
	}
	node := map[iot.DeviceRef]string{other: "n2"}[from]
	if node == "" {
		node = "n1"
	}
	return w.desk.Serve(w.t.Context(), node, []record.Record{{
		MessageID: strconv.Itoa(w.message), Device: from, Topic: topic, Payload: []byte(payload), QoS: 1, ReceivedAt: w.at, Attempt: attempt,
	}})[0]
}

// request wraps params.
func request(params string) string { return `{"id":"123","version":"1.0","params":` + params + `}` }

// names is an entry without a signature.
func names(refs ...iot.DeviceRef) string {
	var list []string
	for _, ref := range refs {
		list = append(list, `{"productKey":"`+string(ref.ProductKey)+`","deviceName":"`+string(ref.DeviceName)+`"}`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// signed is an entry as JS makes it.
func signed(ref iot.DeviceRef) string { return signedBy(ref, secretOf(ref)) }

func signedBy(ref iot.DeviceRef, secret iot.Secret) string {
	clientID := ref.ProductKey + "&" + iot.ProductKey(ref.DeviceName)
	content := "clientId" + string(clientID) + "deviceName" + string(ref.DeviceName) + "productKey" + string(ref.ProductKey) + "timestamp1700000000000"
	return `{"clientId":"` + string(clientID) + `","deviceName":"` + string(ref.DeviceName) + `","productKey":"` + string(ref.ProductKey) +
		`","timestamp":1700000000000,"signmethod":"hmacsha1","sign":"` + sign.Sign(sign.HMACSHA1, secret, content) + `"}`
}

// provisioned is an entry of product_register.
func provisioned(ref iot.DeviceRef, secret iot.Secret, method string) string {
	m := sign.ParseMethod(method)
	if m == sign.Unspecified {
		m = sign.HMACSHA256
	}
	return `{"productKey":"` + string(ref.ProductKey) + `","deviceName":"` + string(ref.DeviceName) + `","random":"567345","signMethod":"` + method + `","sign":"` +
		sign.Sign(m, secret, sign.RegisterContent(ref, "567345")) + `"}`
}

// wantReply compares the reply's payload.
func (w *world) wantReply(r record.Result, want string) {
	w.t.Helper()
	if len(r.Replies) != 1 || string(r.Replies[0].Payload) != want {
		got := "no reply"
		if len(r.Replies) > 0 {
			got = string(r.Replies[0].Payload)
		}
		w.t.Errorf("code %d (%s, %s), reply\n %s\nwant\n %s", r.Code, r.Reason, r.Detail, got, want)
	}
}

func (w *world) wantGateway(sub, gateway iot.DeviceRef) {
	w.t.Helper()
	links, err := w.store.Topology().Links(w.t.Context(), []iot.DeviceRef{sub})
	w.must(err)
	got := iot.DeviceRef{}
	if links[0] != nil {
		got = links[0].Gateway
	}
	if got != gateway {
		w.t.Errorf("%s belongs to %s, want %s", sub, got, gateway)
	}
}

func (w *world) session(ref iot.DeviceRef) store.Session {
	w.t.Helper()
	x, err := w.store.Sessions().Get(w.t.Context(), ref)
	w.must(err)
	if x == nil {
		return store.Session{}
	}
	return *x
}

func (w *world) subSessions(r record.Result) device.SubSessions {
	w.t.Helper()
	var out device.SubSessions
	if len(r.Data) > 0 {
		w.must(json.Unmarshal(r.Data, &out))
	}
	return out
}

// logIn logs a sub-device in and fails the test if that is refused.
func (w *world) logIn(gateway, sub iot.DeviceRef) {
	w.t.Helper()
	if r := w.send(gateway, "combine/login", request(signed(sub))); r.Code != 200 {
		w.t.Fatalf("login of %s: %d %s %s", sub, r.Code, r.Reason, r.Detail)
	}
}
