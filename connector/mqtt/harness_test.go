package mqtt_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/topic"
)

const (
	pk     = "a1B2c3D4e5F"
	secret = "0123456789abcdefghijklmnopqrstuv"
)

// fakeCloud stands for dispatch and all functions: auth knows the secret, property echoes.
type fakeCloud struct {
	mu       sync.Mutex
	records  []record.Record
	held     []func() // answers of function property that are held back
	hold     bool
	epoch    atomic.Int64
	disabled map[string]refusal.Cause // device name → why it is refused
	grant    func(*device.Grant)
	undecide error // given to done of property posts
	result   *record.Result
	down     bool // auth does not answer
	full     chan struct{}
	slow     iot.DeviceName                    // whose posts are held
	topology func(record.Record) record.Result // answers function topology
	online   *record.Result                    // answers lifecycle/online
}

func (f *fakeCloud) Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error {
	f.mu.Lock()
	f.records = append(f.records, r)
	hold, undecide, down, full, result := f.hold || f.slow != "" && f.slow == r.Device.DeviceName, f.undecide, f.down, f.full, f.result
	topology, online := f.topology, f.online
	f.mu.Unlock()
	if string(r.Payload) == "boom" {
		panic("boom")
	}
	switch function {
	case "auth":
		if !down {
			go done(f.auth(r), nil)
		}
	case "property":
		if full != nil {
			select {
			case <-full:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		answer := func() {
			if undecide != nil {
				done(record.Result{}, undecide)
				return
			}
			if result != nil {
				done(*result, nil)
				return
			}
			req, _ := alink.Parse(r.Payload)
			done(record.Result{Code: 200, Replies: []record.Reply{{
				Topic: r.Topic + "_reply", QoS: r.QoS, Payload: alink.AppendReply(nil, 200, req.ID, nil, "success", "thing.event.property.post"),
			}}}, nil)
		}
		if hold {
			f.mu.Lock()
			f.held = append(f.held, answer)
			f.mu.Unlock()
			return nil
		}
		go answer()
	case "topology":
		go func() { done(topology(r), nil) }() // it may take its time
	default:
		if r.Topic == device.TopicOnline && online != nil {
			go done(*online, nil)
			return nil
		}
		go done(record.Result{Code: 200}, nil)
	}
	return nil
}

func (f *fakeCloud) auth(r record.Record) record.Result {
	if r.Topic == device.TopicRegister {
		return f.register(r)
	}
	var l device.Login
	if err := json.Unmarshal(r.Payload, &l); err != nil {
		return record.Result{Code: 400, Reason: string(refusal.ConnectMalformed)}
	}
	ref, _ := sign.ParseUsername(l.Username)
	id, _ := sign.ParseClientID(l.ClientID)
	refuse := func(c refusal.Cause, signed string) record.Result {
		data, _ := json.Marshal(device.Refusal{Cause: string(c), ProductKey: ref.ProductKey, DeviceName: ref.DeviceName, Signed: signed})
		return record.Result{Code: 400, Reason: string(c), Data: data}
	}
	f.mu.Lock()
	cause, edit := f.disabled[string(ref.DeviceName)], f.grant
	f.mu.Unlock()
	if cause != "" {
		return refuse(cause, "")
	}
	content := sign.Content(id, ref)
	if !sign.Verify(id.SignMethod, secret, content, l.Password) {
		return refuse(refusal.SignMismatch, content)
	}
	g := device.Grant{
		ProductKey: ref.ProductKey, DeviceName: ref.DeviceName, IotID: "iot-" + iot.IotID(ref.DeviceName), Epoch: f.epoch.Add(1), DataFormat: 1,
		ExtRRPC: id.Ext&sign.ExtRRPC != 0, ExpiresAt: time.Now().Add(time.Hour).UnixMilli(),
		Topics: device.NewClasses(append(device.DefaultTopics(), device.TopicClass{Filter: "user/both", Publish: true, Subscribe: true})),
	}
	if edit != nil {
		edit(&g)
	}
	data, _ := json.Marshal(g)
	return record.Result{Code: 200, Data: data}
}

func (f *fakeCloud) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// of gives the records with a topic.
func (f *fakeCloud) of(topic string) []record.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []record.Record
	for _, r := range f.records {
		if r.Topic == topic {
			found = append(found, r)
		}
	}
	return found
}

func (f *fakeCloud) release() {
	f.mu.Lock()
	held := f.held
	f.held, f.hold, f.slow = nil, false, ""
	f.mu.Unlock()
	for _, answer := range held {
		answer()
	}
}

type journal struct {
	mu     sync.Mutex
	events []session.Event
}

func (j *journal) Record(e session.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) find(op string, cause refusal.Cause) (session.Event, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Operation == op && e.Reason == cause {
			return e, true
		}
	}
	return session.Event{}, false
}

// has reports whether an event has a cause, and a detail that contains a text.
func (j *journal) has(op string, cause refusal.Cause, detail string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.events, func(e session.Event) bool {
		return e.Operation == op && e.Reason == cause && strings.Contains(e.Detail, detail)
	})
}

type noMeter struct{}

func (noMeter) Accepted(string)                                   {}
func (noMeter) Refused(refusal.Cause)                             {}
func (noMeter) Established(byte, time.Duration)                   {}
func (noMeter) Ended(refusal.Cause)                               {}
func (noMeter) Received(int)                                      {}
func (noMeter) Sent(int)                                          {}
func (noMeter) Panicked()                                         {}
func (noMeter) Uplink(topic.Family, refusal.Cause, time.Duration) {}

// node is a server under test.
type node struct {
	*mqtt.Server
	cloud    *fakeCloud
	journal  *journal
	registry *session.Registry
	addr     string
}

func start(t testing.TB, edit ...func(*mqtt.Options)) *node {
	t.Helper()
	n := &node{cloud: &fakeCloud{disabled: map[string]refusal.Cause{}}, journal: &journal{}, registry: &session.Registry{}}
	ids := uplink.NewIDs(7)
	logger := slog.New(slog.DiscardHandler)
	opts := mqtt.Options{
		Dispatcher: n.cloud, Registry: n.registry, Journal: n.journal, Meter: noMeter{}, Logger: logger, Node: "n1", ExemptLoopback: true,
		Router: &uplink.Router{Dispatcher: n.cloud, Journal: n.journal, Meter: noMeter{}, IDs: ids},
		Presence: &session.Presence{
			Dispatcher: n.cloud, Journal: n.journal, Logger: logger, NextID: ids.Next, Node: "n1", URL: "http://127.0.0.1:1", Now: time.Now,
		},
		TLS: certificate(t), Budget: limits.NewBudget(limits.DefaultBudget()),
	}
	for _, e := range edit {
		e(&opts)
	}
	n.Server = mqtt.New(opts)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	n.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return n
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key := rsaKey()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return mqtt.TLSConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, tls.VersionTLS10)
}

// credentials are what a device with the right secret presents.
func credentials(dn string, params string) (clientID, username, password string) {
	clientID = pk + "." + dn + "|securemode=3,signmethod=hmacsha256,timestamp=2524608000000" + params + "|"
	id, err := sign.ParseClientID(clientID)
	if err != nil {
		panic(err)
	}
	ref := iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(dn)}
	return clientID, dn + "&" + pk, sign.Sign(sign.HMACSHA256, secret, sign.Content(id, ref))
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// insecure is the configuration of a TLS client that verifies nothing.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
