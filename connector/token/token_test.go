package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/token"
)

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

// auth stands for the functions: it issues tokens, and answers resumes with a cause or a grant.
type auth struct {
	sealer *token.Sealer
	held   chan struct{} // if set, resumes wait for it

	mu      sync.Mutex
	cause   refusal.Cause
	err     error
	resumes int
	heard   []device.Heard
}

func (a *auth) set(cause refusal.Cause, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cause, a.err = cause, err
}

func (a *auth) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resumes
}

func (a *auth) Submit(_ context.Context, _ string, r record.Record, done func(record.Result, error)) error {
	go a.answer(r, done)
	return nil
}

func (a *auth) answer(r record.Record, done func(record.Result, error)) {
	a.mu.Lock()
	cause, err := a.cause, a.err
	switch r.Topic {
	case device.TopicResume:
		a.resumes++
	case device.TopicHeard:
		var h device.Heard
		if e := json.Unmarshal(r.Payload, &h); e != nil {
			err = e
		}
		a.heard = append(a.heard, h)
	}
	a.mu.Unlock()
	if r.Topic == device.TopicResume && a.held != nil {
		<-a.held
	}
	if err != nil {
		done(record.Result{}, err)
		return
	}
	if cause != "" {
		data, err := json.Marshal(device.Refusal{Cause: string(cause)})
		done(record.Result{Code: 401, Reason: string(cause), Data: data}, err)
		return
	}
	grant := device.Grant{ProductKey: r.Device.ProductKey, DeviceName: r.Device.DeviceName, IotID: "iot1", DataFormat: 1, Topics: device.NewClasses(device.DefaultTopics())}
	var given any = grant
	if r.Topic == device.TopicTokenLogin {
		var l device.TokenLogin
		if err := json.Unmarshal(r.Payload, &l); err != nil {
			done(record.Result{}, err)
			return
		}
		family, _ := token.FamilyOf(l.Protocol)
		text, err := a.sealer.Seal(token.Claims{Device: r.Device, Iot: token.HashOf("iot1"), Serial: 1, IssuedAt: l.At / 1000, ExpiresAt: l.At/1000 + 3600, Family: family})
		if err != nil {
			done(record.Result{}, err)
			return
		}
		given = device.TokenGrant{Token: text, ExpiresAt: l.At + 3_600_000, Grant: grant}
	}
	data, err := json.Marshal(given)
	done(record.Result{Code: 200, Data: data}, err)
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

func (j *journal) last() session.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[len(j.events)-1]
}

func keeper(t *testing.T, a *auth, change func(*Options)) (*Keeper, *journal) {
	t.Helper()
	sealer, err := token.New(config.Key{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.sealer = sealer
	log := new(journal)
	o := Options{Dispatcher: a, Journal: log, Sealer: sealer, NextID: func(int64) string { return "1" }, Node: "n1", Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	k := New(o)
	t.Cleanup(func() {
		if err := k.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return k, log
}

func login(protocol string, name iot.DeviceName) *device.TokenLogin {
	return &device.TokenLogin{Protocol: protocol, RemoteAddr: "192.0.2.1:5", Params: map[string]string{"productKey": string(lamp.ProductKey), "deviceName": string(name), "sign": "x"}}
}

func loggedIn(t *testing.T, k *Keeper, protocol string, name iot.DeviceName) *Ticket {
	t.Helper()
	got, err := k.Login(t.Context(), login(protocol, name))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const source = "192.0.2.1:5"

func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(auth)
		k, log := keeper(t, a, nil)
		got := loggedIn(t, k, "https", "lamp-001")
		if e := log.last(); e.Code != 200 || e.Device != lamp || e.Operation != session.OpAuth || e.Detail != "https" {
			t.Errorf("logged %+v", e)
		}
		s, err := k.Session(t.Context(), got.Token, "http", source)
		if err != nil || s != got.Session || s.Ref != lamp || a.asked() != 0 {
			t.Fatalf("%v, %v, %d resumes", s, err, a.asked())
		}
		if state := s.Publish("/sys/a1B2c3D4e5F/lamp-001/thing/service/property/set", nil, 0); state != downlink.Offline {
			t.Errorf("Publish: %s", state)
		}
		if again, err, ok := k.Try(got.Token, "http"); again != s || err != nil || !ok {
			t.Errorf("Try: %v, %v, %v", again, err, ok)
		}
		// After a minute it is asked whether the token holds; the session stays.
		time.Sleep(time.Minute)
		if _, _, ok := k.Try(got.Token, "http"); ok {
			t.Error("Try of a grant that is due")
		}
		if again, err := k.Session(t.Context(), got.Token, "http", source); again != s || err != nil || a.asked() != 1 {
			t.Errorf("%v, %v, %d resumes", again, err, a.asked())
		}
		// On another node nothing is known of it.
		other, _ := keeper(t, a, nil)
		if s, err := other.Session(t.Context(), got.Token, "http", source); err != nil || s.Ref != lamp || a.asked() != 2 {
			t.Errorf("on another node: %v, %d resumes", err, a.asked())
		}
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(auth)
		k, log := keeper(t, a, nil)
		got := loggedIn(t, k, "http", "lamp-001")
		check := func(name, text, protocol string, want refusal.Cause, dev iot.DeviceRef) {
			t.Helper()
			s, err := k.Session(t.Context(), text, protocol, source)
			why, ok := errors.AsType[*refusal.Error](err)
			if !ok || why.Cause != want || s != nil {
				t.Errorf("%s: %v, %v, want %s", name, s, err, want)
			}
			if e := log.last(); e.Reason != want || e.Device != dev || e.RemoteAddr != source || !strings.HasPrefix(e.Detail, protocol) {
				t.Errorf("%s: logged %+v", name, e)
			}
			if s, err, ok := k.Try(text, protocol); s != nil || err != nil || ok {
				t.Errorf("%s: Try: %v, %v, %v", name, s, err, ok)
			}
		}
		check("none", "", "http", refusal.TokenMissing, iot.DeviceRef{})
		check("junk", "6944e5bfb92e4d4ea3918d1eda3942f6", "http", refusal.TokenMalformed, iot.DeviceRef{})
		check("protocol", got.Token, "coaps", refusal.TokenOtherProtocol, lamp)
		time.Sleep(time.Hour)
		check("expired", got.Token, "http", refusal.TokenExpired, lamp)
		if a.asked() != 0 {
			t.Errorf("%d resumes for what can be seen here", a.asked())
		}
	})
}

// TestForget: what is known of a device that changes counts no more from then on, whatever is under way.
func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &auth{held: make(chan struct{})}
		k, _ := keeper(t, a, nil)
		got := loggedIn(t, k, "http", "lamp-001")
		k.Forget(lamp)
		answers := make(chan error, 2)
		ask := func() {
			_, err := k.Session(t.Context(), got.Token, "http", source)
			answers <- err
		}
		go ask()
		synctest.Wait() // it waits for an answer that says yes
		k.Forget(lamp)
		a.set(refusal.DeviceDisabled, nil)
		go ask()
		synctest.Wait()
		if a.asked() != 2 {
			t.Fatalf("%d resumes, want one more after the change", a.asked())
		}
		close(a.held)
		first, second := <-answers, <-answers
		if refusal.CauseOf(first) != refusal.DeviceDisabled {
			first, second = second, first
		}
		if _, ok := errors.AsType[*Undecided](second); !ok || refusal.CauseOf(first) != refusal.DeviceDisabled {
			t.Errorf("answers %v, %v", first, second)
		}
		// A refusal is kept for a moment, so that a device in a loop costs little.
		ask()
		if err := <-answers; refusal.CauseOf(err) != refusal.DeviceDisabled || a.asked() != 2 {
			t.Errorf("%v, %d resumes", err, a.asked())
		}
		a.set("", nil)
		time.Sleep(refusedFor)
		ask()
		if err := <-answers; err != nil || a.asked() != 3 {
			t.Errorf("enabled again: %v, %d resumes", err, a.asked())
		}
	})
}

// TestOneQuestion: many messages of a device whose grant is due ask once.
func TestOneQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &auth{held: make(chan struct{})}
		k, _ := keeper(t, a, nil)
		got := loggedIn(t, k, "coap", "lamp-001")
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if s, err := k.Session(t.Context(), got.Token, "coap", source); err != nil || s != got.Session {
					t.Errorf("%v, %v", s, err)
				}
			})
		}
		synctest.Wait()
		close(a.held)
		wg.Wait()
		if a.asked() != 1 {
			t.Errorf("%d resumes", a.asked())
		}
	})
}

// TestUndecided: while function auth does not answer, who was let in stays so for a time, unless something was said to have changed.
func TestUndecided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(auth)
		k, log := keeper(t, a, nil)
		got := loggedIn(t, k, "http", "lamp-001")
		a.set("", errors.New("function is gone"))
		time.Sleep(time.Minute)
		if s, err := k.Session(t.Context(), got.Token, "http", source); err != nil || s != got.Session {
			t.Errorf("%v, %v", s, err)
		}
		time.Sleep(graceFor)
		_, err := k.Session(t.Context(), got.Token, "http", source)
		if _, ok := errors.AsType[*Undecided](err); !ok || refusal.CauseOf(err) != "" {
			t.Errorf("after the grace: %v", err)
		}
		if e := log.last(); e.Reason != refusal.BackendUnavailable || e.Code != 500 {
			t.Errorf("logged %+v", e)
		}
		_, err = k.Login(t.Context(), login("http", "lamp-001"))
		if _, ok := errors.AsType[*Undecided](err); !ok {
			t.Errorf("Login: %v", err)
		}
		a.set(refusal.BackendUnavailable, nil)
		if _, err = k.Login(t.Context(), login("http", "lamp-001")); refusal.CauseOf(err) != "" || err == nil {
			t.Errorf("Login: %v", err)
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(auth)
		k, _ := keeper(t, a, func(o *Options) {
			o.Connects = limits.NewConnects(2, 1, 100, nil)
			o.Budget = limits.NewBudget(limits.BudgetOptions{Burst: 3, PerMinute: 1, MaxSources: 100})
			o.Rates = limits.Rates{UpQoS1: 2}
			o.MaxDevices = 3
		})
		a.set(refusal.SignMismatch, nil)
		for range 2 { // a login that is not granted does not count against the device
			if _, err := k.Login(t.Context(), login("http", "lamp-001")); refusal.CauseOf(err) != refusal.SignMismatch {
				t.Fatal(err)
			}
		}
		a.set("", nil)
		first := loggedIn(t, k, "http", "lamp-001")
		loggedIn(t, k, "http", "lamp-001")
		if _, err := k.Login(t.Context(), login("http", "lamp-001")); refusal.CauseOf(err) != refusal.RateLimitedDevice {
			t.Errorf("third login: %v", err)
		}
		for i, want := range []refusal.Cause{"", "", refusal.RateLimitedMessages} {
			if err := k.Allow(first.Session, 1); refusal.CauseOf(err) != want {
				t.Errorf("message %d: %v, want %q", i, err, want)
			}
		}
		// The budget of the source, of which two are spent.
		if _, err := k.Session(t.Context(), "junk", "http", source); refusal.CauseOf(err) != refusal.TokenMalformed {
			t.Error(err)
		}
		if _, err := k.Session(t.Context(), first.Token, "http", source); refusal.CauseOf(err) != refusal.RateLimitedSource {
			t.Error(err)
		}
		if _, err := k.Session(t.Context(), first.Token, "http", "192.0.2.9:1"); err != nil {
			t.Error(err)
		}
		for i := range 10 {
			l := login("coap", iot.DeviceName(fmt.Sprint("lamp-", i)))
			l.RemoteAddr = "192.0.2.9:1"
			if _, err := k.Login(t.Context(), l); err != nil {
				t.Error(err)
			}
		}
		if k.Devices() != 3 || len(k.byDevice) != 3 {
			t.Errorf("%d devices, %d by name", k.Devices(), len(k.byDevice))
		}
	})
}

func TestHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := new(auth)
		k, _ := keeper(t, a, nil)
		got := loggedIn(t, k, "coap", "lamp-001")
		elsewhere := netip.MustParseAddrPort("192.0.2.77:5") // it has moved since it logged in
		heard := func() int {
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.heard)
		}
		k.Heard(got.Session, "coap", elsewhere) // function auth knows of the login
		if n := heard(); n != 0 {
			t.Errorf("told %d times within a minute of the login", n)
		}
		time.Sleep(time.Minute)
		for range 3 {
			k.Heard(got.Session, "coap", elsewhere)
		}
		if n := heard(); n != 1 || a.heard[0].Protocol != "coap" || a.heard[0].At != time.Now().UnixMilli() || a.heard[0].RemoteAddr != "192.0.2.77:5" {
			t.Errorf("told %d times: %+v", n, a.heard)
		}
		a.set("", errors.New("function is gone"))
		time.Sleep(time.Minute)
		k.Heard(got.Session, "coap", elsewhere)
		synctest.Wait()
		a.set("", nil)
		k.Heard(got.Session, "coap", elsewhere)
		if n := heard(); n != 3 {
			t.Errorf("what was lost is not told again: %d", n)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	a := new(auth)
	sealer, err := token.New(config.Key{1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	a.sealer = sealer
	k := New(Options{Dispatcher: a, Journal: new(journal), Sealer: sealer, NextID: func(int64) string { return "1" }, Logger: slog.New(slog.DiscardHandler)})
	got, err := k.Login(b.Context(), login("http", "lamp-001"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Session(b.Context(), got.Token, "http", source); err != nil {
			b.Fatal(err)
		}
		k.Heard(got.Session, "http", netip.AddrPort{})
	}
}
