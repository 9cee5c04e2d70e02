package coap_test

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/connector/coap"
	"relink/connector/limits"
	"relink/connector/session"
	devicetoken "relink/connector/token"
	"relink/connector/uplink"
	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/download"
	"relink/shared/iot"
	"relink/shared/objects/memory"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/token"
	"relink/shared/topic"
)

// A backend stands for the functions behind the dispatcher: it decides logins by the signature, stores posts, and replies.
type backend struct {
	sealer *token.Sealer
	random string
	now    func() time.Time

	mu      sync.Mutex
	stored  []record.Record
	logins  int
	cause   refusal.Cause // of logins and resumes
	reply   func(record.Record) record.Result
	err     error         // nothing is decided
	full    bool          // no room in any queue
	held    chan struct{} // if set, posts are decided when it is closed
	resumed int
}

var _ session.Dispatcher = (*backend)(nil)

func (b *backend) Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.Topic {
	case device.TopicTokenLogin:
		b.logins++
		go done(b.login(r), nil)
		return nil
	case device.TopicResume:
		b.resumed++
		if b.cause != "" {
			go done(refusedWith(b.cause), nil)
			return nil
		}
		go done(ok(grantOf(r.Device)), nil)
		return nil
	case device.TopicRegister:
		if b.cause != "" {
			go done(refusedWith(b.cause), nil)
			return nil
		}
		go done(ok(device.Registered{ProductKey: r.Device.ProductKey, DeviceName: r.Device.DeviceName, DeviceSecret: testSecret}), nil)
		return nil
	}
	if function == "lifecycle" {
		go done(record.Result{Code: 200}, nil)
		return nil
	}
	if b.full {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.mu.Unlock()
		<-ctx.Done()
		b.mu.Lock()
		return context.Cause(ctx)
	}
	b.stored = append(b.stored, r)
	err, reply, held := b.err, b.reply, b.held
	go func() {
		if held != nil {
			<-held
		}
		if err != nil {
			done(record.Result{}, err)
			return
		}
		done(reply(r), nil)
	}()
	return nil
}

func (b *backend) posts() []record.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.stored)
}

// asked is how many logins and resumes were decided.
func (b *backend) asked() (logins, resumes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logins, b.resumed
}

func (b *backend) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func ok(v any) record.Result {
	data, err := json.Marshal(v)
	if err != nil {
		return record.Result{Code: 500}
	}
	return record.Result{Code: 200, Data: data}
}

func refusedWith(cause refusal.Cause) record.Result {
	r := ok(device.Refusal{Cause: string(cause)})
	r.Code, r.Reason = 401, string(cause)
	return r
}

func grantOf(dev iot.DeviceRef) device.Grant {
	return device.Grant{ProductKey: dev.ProductKey, DeviceName: dev.DeviceName, IotID: "iot1", DataFormat: 1, Topics: device.NewClasses(device.DefaultTopics())}
}

// login is what function auth does, in short. The lock is held.
func (b *backend) login(r record.Record) record.Result {
	if b.cause != "" {
		return refusedWith(b.cause)
	}
	var l device.TokenLogin
	if err := json.Unmarshal(r.Payload, &l); err != nil {
		return refusedWith(refusal.TokenLoginMalformed)
	}
	members := map[string]any{}
	for name, value := range l.Params {
		members[name] = value
	}
	method := l.Params["signmethod"]
	if method == "" {
		method = "hmacmd5"
	}
	if want := hexMAC(method, testSecret, signed(members)); !hmac.Equal([]byte(want), []byte(l.Params["sign"])) {
		return refusedWith(refusal.SignMismatch)
	}
	family, _ := token.FamilyOf(l.Protocol)
	now := b.now()
	text, err := b.sealer.Seal(token.Claims{Device: r.Device, Iot: token.HashOf("iot1"), Serial: 1, IssuedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix(), Family: family})
	if err != nil {
		return record.Result{Code: 500}
	}
	g := device.TokenGrant{Token: text, ExpiresAt: now.Add(time.Hour).UnixMilli(), Grant: grantOf(r.Device)}
	if l.Protocol == "coap" {
		key := sign.SessionKey(testSecret, b.random)
		g.Random, g.Key = b.random, key[:]
	}
	return ok(g)
}

// alinkReply answers a post as function property does.
func alinkReply(r record.Record) record.Result {
	u, err := topic.ParseUplink(r.Topic)
	if err != nil || u.Method == "" {
		return record.Result{Code: 200}
	}
	var m struct {
		ID  string `json:"id"`
		Sys struct {
			Ack *int `json:"ack"`
		} `json:"sys"`
	}
	if json.Unmarshal(r.Payload, &m) != nil {
		return record.Result{Code: 460}
	}
	if m.Sys.Ack != nil && *m.Sys.Ack == 0 {
		return record.Result{Code: 200}
	}
	return record.Result{Code: 200, Replies: []record.Reply{
		{Topic: "/ota/device/upgrade/" + r.Device.String(), Payload: []byte("another message")},
		{Topic: r.Topic + "_reply", Payload: fmt.Appendf(nil, `{"code":200,"data":{},"id":%q,"message":"success","method":%q,"version":"1.0"}`, m.ID, u.Method)},
	}}
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

// has waits until an event with the cause is there.
func (j *journal) has(t *testing.T, cause refusal.Cause) session.Event {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		j.mu.Lock()
		for _, e := range j.events {
			if e.Reason == cause {
				j.mu.Unlock()
				return e
			}
		}
		j.mu.Unlock()
	}
	t.Errorf("the device log has no %s", cause)
	return session.Event{}
}

type meter struct{ refused, panicked atomic.Int64 }

func (m *meter) Accepted(string)                                   {}
func (m *meter) Refused(refusal.Cause)                             { m.refused.Add(1) }
func (m *meter) Received(int)                                      {}
func (m *meter) Sent(int)                                          {}
func (m *meter) Panicked()                                         { m.panicked.Add(1) }
func (m *meter) Uplink(topic.Family, refusal.Cause, time.Duration) {}

// A fixture is a server on a loopback port with a real Keeper.
type fixture struct {
	*coap.Server
	backend *backend
	log     *journal
	meter   *meter
	keeper  *devicetoken.Keeper
	bucket  *memory.Bucket
	urls    *download.Signer
	address string
	ahead   atomic.Int64 // of the clock, milliseconds
}

func (f *fixture) now() time.Time {
	return time.Now().Add(time.Duration(f.ahead.Load()) * time.Millisecond)
}

func start(t testing.TB, change func(*coap.Options, *devicetoken.Options)) *fixture {
	t.Helper()
	sealer, err := token.New(config.Key{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{log: new(journal), meter: new(meter), bucket: new(memory.Bucket)}
	f.backend = &backend{sealer: sealer, random: "ad2b3c4d5e6f7081", now: f.now, reply: alinkReply}
	if f.urls, err = download.NewSigner("http://dl.example", config.Key{7}, f.now); err != nil {
		t.Fatal(err)
	}
	ids := uplink.NewIDs(1)
	budget := limits.NewBudget(limits.BudgetOptions{Burst: 20, PerMinute: 1, MaxSources: 1000})
	ko := devicetoken.Options{
		Dispatcher: f.backend, Journal: f.log, Sealer: sealer, NextID: ids.Next, Node: "n1", Logger: slog.New(slog.DiscardHandler), Forgeable: budget, Now: f.now,
	}
	o := coap.Options{
		Sealer: sealer, Dispatcher: f.backend, Journal: f.log, Meter: f.meter, Metrics: prometheus.NewRegistry(), Forgeable: budget, Logger: slog.New(slog.DiscardHandler),
		Router: &uplink.Router{Dispatcher: f.backend, Journal: f.log, Meter: f.meter, IDs: ids}, Files: f.bucket, URLs: f.urls, Now: f.now,
	}
	if change != nil {
		change(&o, &ko)
	}
	f.keeper = devicetoken.New(ko)
	o.Keeper = f.keeper
	f.Server = coap.New(o)
	conn, err := coap.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = conn.LocalAddr().String()
	f.ServeUDP(conn)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := f.keeper.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := f.meter.panicked.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
	return f
}

func mustHex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var errUndecided = errors.New("no idea")
