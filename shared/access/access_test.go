package access_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/shared/access"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
	"relink/shared/store/memory"
)

const (
	pk     = "a1B2c3D4e5F"
	dn     = "lamp-001"
	secret = "0123456789abcdefghijklmnopqrstuv"
)

var now = time.UnixMilli(1_700_000_000_000)

func clock() time.Time { return now }

// newStore has one product with two lamps: the first of the protocol's test vectors, and one that is disabled.
func newStore(t testing.TB) *memory.Store {
	t.Helper()
	s := memory.New()
	must(t, s.Products().Create(t.Context(), &store.Product{Key: pk, NodeType: 1, DataFormat: 1, Topics: store.DefaultTopics("a1")}))
	for name, disabled := range map[iot.DeviceName]bool{dn: false, "lamp-off": true} {
		must(t, s.Devices().Create(t.Context(), &store.Device{
			Ref: iot.DeviceRef{ProductKey: pk, DeviceName: name}, IotID: iot.IotID("iot-" + name), Secret: secret, Disabled: disabled,
		}))
	}
	must(t, s.Devices().Create(t.Context(), &store.Device{Ref: iot.DeviceRef{ProductKey: pk, DeviceName: "bare"}, IotID: "iot-bare"}))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// login signs as a device does.
func login(node string, name iot.DeviceName, with iot.Secret) device.Login {
	id := "id|securemode=3,signmethod=hmacsha256,timestamp=789,ext=1|"
	ref := iot.DeviceRef{ProductKey: pk, DeviceName: name}
	return device.Login{
		ClientID: id, Username: string(name) + "&" + pk, Node: node, RemoteAddr: "10.1.2.3:4", At: now.UnixMilli(),
		Password: sign.Sign(sign.HMACSHA256, with, sign.Content(sign.ClientID{ID: "id", Timestamp: "789", HasTimestamp: true}, ref)),
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a := access.New(s, 0, clock)
	// The vectors M1, M4 and M7 of the protocol.
	vectors := []device.Login{
		{ClientID: pk + "." + dn + "|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,|",
			Password: "04A44E0371C8B6BDD7F2CDCF48001242263B6D171539BB09F73CA18A55096A92"},
		{ClientID: pk + "&" + dn + "|securemode=3,signmethod=hmacsha1,timestamp=1700000000000,lan=NodeJS,_v=1.2.8|",
			Password: "aebd6e6fc2363841751b90f0496cb5c9a01fb03f"},
		{ClientID: dn + "&" + pk + "|securemode=2,_v=1,lan=Android,os=9,ext=1|", Password: "961b4e3a99677d020867828650508cbe"},
	}
	for i := range vectors {
		vectors[i].Username, vectors[i].Node, vectors[i].At = dn+"&"+pk, "n1", now.UnixMilli()
	}
	epoch := int64(0)
	for i, d := range a.Login(t.Context(), vectors) {
		if d.Grant == nil {
			t.Fatalf("vector %d: %+v, %v", i, d.Refusal, d.Err)
		}
		g := d.Grant
		if g.Epoch <= epoch {
			t.Errorf("vector %d: epoch %d after %d", i, g.Epoch, epoch)
		}
		epoch = g.Epoch
		if g.ProductKey != pk || g.DeviceName != dn || g.IotID != "iot-"+dn || g.NodeType != 1 || g.DataFormat != 1 || len(g.Topics.List()) != 3 ||
			g.ExtRRPC != (i != 1) || g.ExpiresAt != now.Add(24*time.Hour).UnixMilli() || g.Previous != nil {
			t.Errorf("vector %d: %+v", i, *g)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	change := func(f func(l *device.Login)) device.Login {
		l := login("n1", dn, secret)
		f(&l)
		return l
	}
	id := func(s string) device.Login { return change(func(l *device.Login) { l.ClientID = s }) }
	user := func(s string) device.Login { return change(func(l *device.Login) { l.Username = s }) }
	cases := []struct {
		name   string
		login  device.Login
		cause  refusal.Cause
		signed bool // the log shows what the server signed
	}{
		{"no_parameters", id("id"), refusal.ClientIDMalformed, false},
		{"long_id", id(strings.Repeat("x", 65) + "|securemode=3|"), refusal.ClientIDTooLong, false},
		{"id2", id("id|securemode=8|"), refusal.SecureModeUnsupported, false},
		{"pre_authenticated_tls", id("id|securemode=-1|"), refusal.SecureModeUnsupported, false},
		{"pre_authenticated_tcp", id("id|securemode=0|"), refusal.SecureModeUnsupported, false},
		{"token_login", id("id|securemode=-2,authType=connwl|"), refusal.TokenMismatch, false},
		{"registration", id("id|securemode=2,authType=register,random=1|"), refusal.AuthTypeUnsupported, false},
		{"no_registration_by_mode", id("id|securemode=-2|"), refusal.SecureModeUnsupported, false},
		{"method", id("id|securemode=3,signmethod=hmacsha512|"), refusal.SignMethodUnknown, false},
		{"iot_id_as_user", user("someiotid"), refusal.UsernameMalformed, false},
		{"unknown_product", user(dn + "&a1unknown00"), refusal.ProductNotFound, true},
		{"unknown_device", user("nobody&" + pk), refusal.DeviceNotFound, true},
		{"wrong_secret", login("n1", dn, "wrong"), refusal.SignMismatch, true},
		{"other_timestamp", id("id|securemode=3,signmethod=hmacsha256,timestamp=790|"), refusal.SignMismatch, true},
		{"no_password", change(func(l *device.Login) { l.Password = "" }), refusal.SignLength, true},
		{"secret_as_password", change(func(l *device.Login) { l.Password = secret }), refusal.SignLength, true},
		{"method_of_other_length", id("id|securemode=3,signmethod=hmacsha1,timestamp=789|"), refusal.SignLength, true},
		{"disabled", login("n1", "lamp-off", secret), refusal.DeviceDisabled, true},
		{"disabled_with_wrong_secret", login("n1", "lamp-off", "wrong"), refusal.SignMismatch, true},
		{"device_without_secret", login("n1", "bare", ""), refusal.SignMismatch, true},
	}
	s := newStore(t)
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "sessions.take" {
			t.Error("a refused login took a session")
		}
		return nil
	}
	a := access.New(s, 0, clock)
	logins := make([]device.Login, len(cases))
	for i, c := range cases {
		logins[i] = c.login
	}
	for i, d := range a.Login(t.Context(), logins) {
		t.Run(cases[i].name, func(t *testing.T) {
			if d.Refusal == nil {
				t.Fatalf("grant %+v, error %v", d.Grant, d.Err)
			}
			if d.Refusal.Cause != string(cases[i].cause) || (d.Refusal.Signed != "") != cases[i].signed {
				t.Errorf("%+v, want cause %s, signed %v", *d.Refusal, cases[i].cause, cases[i].signed)
			}
			text, err := json.Marshal(d.Refusal)
			must(t, err)
			right := sign.Sign(sign.HMACSHA256, secret, d.Refusal.Signed)
			if strings.Contains(string(text), secret) || strings.Contains(strings.ToLower(string(text)), right) {
				t.Errorf("the refusal tells a secret: %s", text)
			}
			if _, ok := refusal.Explain(refusal.Cause(d.Refusal.Cause)); !ok {
				t.Errorf("cause %s is not explained", d.Refusal.Cause)
			}
		})
	}
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a := access.New(s, time.Hour, clock)
	until := now.Add(time.Minute).UnixMilli()
	for _, n := range []store.Node{{ID: "n1", URL: "http://n1", Until: until}, {ID: "n2", URL: "http://n2", Until: now.UnixMilli() - 1}} {
		must(t, s.Nodes().Renew(t.Context(), n))
	}
	grant := func(node string) *device.Grant {
		t.Helper()
		d := a.Login(t.Context(), []device.Login{login(node, dn, secret)})[0]
		if d.Grant == nil {
			t.Fatalf("%+v, %v", d.Refusal, d.Err)
		}
		return d.Grant
	}
	first := grant("n1")
	second := grant("n2")
	if want := (device.Owner{Node: "n1", URL: "http://n1", Epoch: first.Epoch}); second.Previous == nil || *second.Previous != want {
		t.Errorf("previous of a living node: %+v, want %+v", second.Previous, want)
	}
	if again := grant("n2"); again.Previous == nil || again.Previous.Epoch != first.Epoch {
		t.Errorf("the same login again: previous %+v", again.Previous)
	}
	if third := grant("n3"); third.Previous != nil {
		t.Errorf("previous node's lease is over: %+v", third.Previous)
	}
}

func TestBatchKeepsOrderOfOneDevice(t *testing.T) {
	t.Parallel()
	a := access.New(newStore(t), 0, clock)
	var logins []device.Login
	for i := range 20 {
		l := login(fmt.Sprint("n", i), dn, secret)
		if i%5 == 4 {
			l.Password = "0" + l.Password[1:]
			l.Password = l.Password[:63] + "x"
		}
		logins = append(logins, l)
	}
	epoch := int64(0)
	for i, d := range a.Login(t.Context(), logins) {
		if i%5 == 4 {
			if d.Refusal == nil {
				t.Errorf("login %d: not refused", i)
			}
			continue
		}
		if d.Grant == nil || d.Grant.Epoch <= epoch {
			t.Fatalf("login %d: %+v", i, d)
		}
		epoch = d.Grant.Epoch
	}
}

func TestBusyStore(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"products.get", "devices.get_many", "sessions.take"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			s.Fault = func(o string, _ iot.DeviceRef) error {
				if o == op {
					return iot.Errorf(iot.Throttled, "busy")
				}
				return nil
			}
			d := access.New(s, 0, clock).Login(t.Context(), []device.Login{login("n1", dn, secret), {ClientID: "bad"}})
			if !iot.Is(d[0].Err, iot.Throttled) || d[0].Grant != nil || d[0].Refusal != nil {
				t.Errorf("%+v", d[0])
			}
			if d[1].Refusal == nil {
				t.Errorf("a login that needs no store: %+v", d[1])
			}
		})
	}
}

func TestOneDamagedDevice(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Fault = func(op string, dev iot.DeviceRef) error {
		if op == "devices.get_many" || op == "devices.get" && dev.DeviceName == "lamp-off" {
			return fmt.Errorf("secret does not open")
		}
		return nil
	}
	d := access.New(s, 0, clock).Login(t.Context(), []device.Login{login("n1", "lamp-off", secret), login("n1", dn, secret)})
	if d[0].Err == nil || d[1].Grant == nil {
		t.Errorf("%+v", d)
	}
}
