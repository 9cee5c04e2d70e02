package access

import (
	"bytes"
	"encoding/hex"
	"maps"
	"testing"
	"time"

	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/token"
)

const vectorSecret = "0123456789abcdefghijklmnopqrstuv"

var vectorRef = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

// tokens has the device of the protocol's test vectors.
func tokens(t *testing.T, o TokenOptions) (*Tokens, *memory.Store, *time.Time) {
	t.Helper()
	now := time.UnixMilli(1_700_000_000_000)
	s := memory.New()
	if err := s.Products().Create(t.Context(), &store.Product{Key: vectorRef.ProductKey, NodeType: 1, DataFormat: 1, Topics: store.DefaultTopics("a1")}); err != nil {
		t.Fatal(err)
	}
	d := &store.Device{Ref: vectorRef, IotID: "iot1", Secret: vectorSecret, Credentials: store.Credentials{Serial: 4}}
	if err := s.Devices().Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.Sealer, err = token.New(config.Key{1}, nil); err != nil {
		t.Fatal(err)
	}
	return NewTokens(New(s, 0, func() time.Time { return now }), o), s, &now
}

// params are those of C4 (vector H1), with changes.
func params(change map[string]string) map[string]string {
	p := map[string]string{
		"clientId": "a1B2c3D4e5F.lamp-001", "deviceName": "lamp-001", "productKey": "a1B2c3D4e5F", "signmethod": "hmacsha256",
		"sign": "ed0dc681289cb702454fd262e1e14acb6ed74a70342ccc44f507ee991afc4a14",
	}
	maps.Copy(p, change)
	maps.DeleteFunc(p, func(_, v string) bool { return v == "-" })
	return p
}

// TestTokenVectors: the vectors of HTTP and CoAP in the device protocol are all let in.
func TestTokenVectors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		protocol string
		change   map[string]string
	}{
		"H1": {"https", nil},
		"H2": {"http", map[string]string{"clientId": "127.0.0.1", "timestamp": "1501668289957", "signmethod": "hmacmd5", "version": "default",
			"resources": "mqtt", "sign": "a166d830982d80bd914f39672ae7182e"}},
		"H3":         {"http", map[string]string{"signmethod": "hmacsha1", "sign": "5d93ca5c5070099c1bd7688d15c7a267d0385504"}},
		"Q1":         {"coap", map[string]string{"signmethod": "-", "seq": "10", "sign": "4dcb49eeb80eab2f3d1ae279dbdbc8d4"}},
		"Q2":         {"coaps", map[string]string{"signmethod": "-", "sign": "dd841751b3f48b2c8d747fcfd3e23909"}},
		"Q3":         {"coap", map[string]string{"seq": "1A2B", "sign": "01bd4c53299d6f4d3b9c0b5b253a5f888aff9afcc68284619ec9427539dfaf79"}},
		"Q4":         {"coap", map[string]string{"clientId": "mylight1000002", "signmethod": "hmacmd5", "seq": "10", "timestamp": "1501668289957", "sign": "ac838da9650fe82b6a9f23125d96ce3b"}},
		"upper_case": {"http", map[string]string{"signmethod": "HmacSHA1", "sign": "5D93CA5C5070099C1BD7688D15C7A267D0385504"}},
	} {
		k, _, now := tokens(t, TokenOptions{Random: bytes.NewReader([]byte{0xad, 0x2b, 0x3c, 0x4d, 0x5e, 0x6f, 0x70, 0x81})})
		d := k.Login(t.Context(), []device.TokenLogin{{Protocol: c.protocol, Params: params(c.change)}})[0]
		if d.Token == nil {
			t.Errorf("%s: %+v, %v", name, d.Refusal, d.Err)
			continue
		}
		claims, err := k.opts.Sealer.Open(d.Token.Token)
		if err != nil || claims.Device != vectorRef || claims.Serial != 4 || claims.Iot != token.HashOf("iot1") ||
			claims.ExpiresAt != now.Add(7*24*time.Hour).Unix() || d.Token.ExpiresAt != claims.ExpiresAt*1000 {
			t.Errorf("%s: %+v, %v", name, claims, err)
		}
		if g := d.Token.Grant; g.Ref() != vectorRef || g.IotID != "iot1" || g.Epoch != 0 || g.DataFormat != 1 || len(g.Topics.List()) != 3 {
			t.Errorf("%s: grant %+v", name, g)
		}
		random, key := "", ""
		if c.protocol == "coap" { // vector K1
			random, key = "ad2b3c4d5e6f7081", "2ae8a99384b0bbc5e6fc89e5bb936a96"
		}
		if d.Token.Random != random || hex.EncodeToString(d.Token.Key) != key {
			t.Errorf("%s: random %q, key %x", name, d.Token.Random, d.Token.Key)
		}
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range maxParams {
		many["extra"+string(rune('a'+i))] = "1"
	}
	for name, c := range map[string]struct {
		protocol string
		change   map[string]string
		cause    refusal.Cause
		detail   string
	}{
		"sign":          {"http", map[string]string{"sign": hex.EncodeToString(make([]byte, 32))}, refusal.SignMismatch, ""},
		"not_signed":    {"http", map[string]string{"ackMode": "1"}, refusal.SignMismatch, "ackMode: the device did not sign it, and sent it"},
		"wrong_key":     {"http", map[string]string{"sign": sign.Sign(sign.HMACSHA256, vectorSecret+"\n", sign.TokenContent(params(nil)))}, refusal.SignMismatch, "key: the device secret with a line feed at its end"},
		"signed_method": {"http", map[string]string{"sign": sign.Sign(sign.HMACSHA256, vectorSecret, sign.TokenContent(params(nil))+"signmethodhmacsha256")}, refusal.SignMismatch, "signmethod: the device signed it; it is not part of the signed string"},
		"default_md5":   {"http", map[string]string{"signmethod": "-"}, refusal.SignLength, ""},
		"method":        {"http", map[string]string{"signmethod": "hmacsha512"}, refusal.SignMethodUnknown, "hmacsha512"},
		"product":       {"http", map[string]string{"productKey": "unknown"}, refusal.ProductNotFound, ""},
		"device":        {"coap", map[string]string{"deviceName": "lamp-404"}, refusal.DeviceNotFound, ""},
		"no_device":     {"coap", map[string]string{"deviceName": "-"}, refusal.TokenLoginMalformed, "deviceName"},
		"no_sign":       {"coap", map[string]string{"sign": "-"}, refusal.TokenLoginMalformed, "sign"},
		"many":          {"coap", many, refusal.TokenLoginMalformed, "29 members"},
		"protocol":      {"mqtt", nil, refusal.TokenLoginMalformed, `protocol "mqtt"`},
	} {
		k, _, _ := tokens(t, TokenOptions{})
		d := k.Login(t.Context(), []device.TokenLogin{{Protocol: c.protocol, Params: params(c.change)}})[0]
		if d.Refusal == nil || d.Refusal.Cause != string(c.cause) || d.Refusal.Detail != c.detail {
			t.Errorf("%s: %+v, %v, want %s %q", name, d.Refusal, d.Err, c.cause, c.detail)
		}
	}
}

func TestTokenTimestamp(t *testing.T) {
	t.Parallel()
	k, _, _ := tokens(t, TokenOptions{Window: 15 * time.Minute})
	for stamp, ok := range map[string]bool{"1700000000000": true, "1700000899000": true, "1700000901000": false, "1699999099000": false, "1700000000": false, "x": false} {
		p := params(map[string]string{"timestamp": stamp})
		p["sign"] = sign.Sign(sign.HMACSHA256, vectorSecret, sign.TokenContent(p))
		d := k.Login(t.Context(), []device.TokenLogin{{Protocol: "http", Params: p}})[0]
		if (d.Token != nil) != ok || !ok && d.Refusal.Cause != string(refusal.TimestampOutOfWindow) {
			t.Errorf("%s: %+v, want %v", stamp, d.Refusal, ok)
		}
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	k, s, now := tokens(t, TokenOptions{})
	hash := token.HashOf("iot1")
	ask := func(serial int64, hash token.IotHash) TokenDecision {
		return k.Resume(t.Context(), []device.Resume{{ProductKey: vectorRef.ProductKey, DeviceName: vectorRef.DeviceName, IotHash: hash[:], Serial: serial}})[0]
	}
	cause := func(d TokenDecision) refusal.Cause {
		if d.Refusal == nil {
			return ""
		}
		return refusal.Cause(d.Refusal.Cause)
	}
	if d := ask(4, hash); d.Grant == nil || d.Grant.IotID != "iot1" {
		t.Errorf("held: %+v", d)
	}
	if got := cause(ask(4, token.HashOf("iot2"))); got != refusal.DeviceNotFound {
		t.Errorf("another device of the name: %s", got)
	}
	// A rotation keeps the old secret, and its tokens, for a time.
	d, err := s.Devices().Get(t.Context(), vectorRef)
	if err != nil {
		t.Fatal(err)
	}
	d.Credentials.OldSecret, d.Credentials.OldUntil, d.Secret, d.Credentials.Serial = d.Secret, now.Add(time.Hour).UnixMilli(), "another", 5
	if err := s.Devices().SetCredentials(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if old, other := cause(ask(4, hash)), cause(ask(5, hash)); old != "" || other != "" {
		t.Errorf("while rotating: %s, %s", old, other)
	}
	*now = now.Add(2 * time.Hour)
	if old, other := cause(ask(4, hash)), cause(ask(5, hash)); old != refusal.TokenRevoked || other != "" {
		t.Errorf("after it: %s, %s", old, other)
	}
	if err := s.Devices().SetDisabled(t.Context(), vectorRef, true, 1); err != nil {
		t.Fatal(err)
	}
	if got := cause(ask(5, hash)); got != refusal.DeviceDisabled {
		t.Errorf("disabled: %s", got)
	}
	if err := s.Devices().Delete(t.Context(), vectorRef); err != nil {
		t.Fatal(err)
	}
	if got := cause(ask(5, hash)); got != refusal.DeviceNotFound {
		t.Errorf("deleted: %s", got)
	}
}

func TestPSK(t *testing.T) {
	t.Parallel()
	k, s, now := tokens(t, TokenOptions{})
	ask := func(identity string) TokenDecision {
		return k.PSK(t.Context(), []device.PSKLogin{{Identity: identity}})[0]
	}
	const identity = "devicename|hmacsha256|a1B2c3D4e5F&lamp-001|2524608000000" // vector P1
	const key = "E78BFBEDD5B29266D56551882FDADC22A05613BD61DFA6A82EDBAFF52873E334"
	if d := ask(identity); d.PSK == nil || string(d.PSK.Key) != key || d.PSK.DeviceName != "lamp-001" {
		t.Errorf("P1: %+v", d)
	}
	for bad, want := range map[string]refusal.Cause{
		"": refusal.PSKIdentityMalformed, "lamp-001": refusal.PSKIdentityMalformed, "devicename|hmacmd5|a1B2c3D4e5F&lamp-001|1": refusal.PSKIdentityMalformed,
		"devicename|hmacsha256|a1B2c3D4e5F|1": refusal.PSKIdentityMalformed, "devicename|hmacsha256|a1B2c3D4e5F&lamp-001|x": refusal.PSKIdentityMalformed,
		"devicename|hmacsha256|a1B2c3D4e5F&lamp-404|1": refusal.DeviceNotFound, "devicename|hmacsha256|unknown&lamp-001|1": refusal.ProductNotFound,
	} {
		if d := ask(bad); d.Refusal == nil || d.Refusal.Cause != string(want) {
			t.Errorf("%q: %+v, want %s", bad, d.Refusal, want)
		}
	}
	// While the secret is rotated it is the key of the one that the device used last.
	d, err := s.Devices().Get(t.Context(), vectorRef)
	if err != nil {
		t.Fatal(err)
	}
	d.Credentials.OldSecret, d.Credentials.OldUntil, d.Secret, d.Credentials.Serial = d.Secret, now.Add(time.Hour).UnixMilli(), "another", 5
	if err := s.Devices().SetCredentials(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if d := ask(identity); d.PSK == nil || string(d.PSK.Key) != key {
		t.Errorf("rotating: %+v", d)
	}
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: vectorRef, Node: "n", At: 1, SecretSerial: 5}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if d := ask(identity); d.PSK == nil || string(d.PSK.Key) == key {
		t.Errorf("rotated: %+v", d)
	}
}

// TestTokenActivates: who has got a token is active, with the secret that it used, and is not given away by a registration.
func TestTokenActivates(t *testing.T) {
	t.Parallel()
	k, s, now := tokens(t, TokenOptions{})
	d := k.Login(t.Context(), []device.TokenLogin{{Protocol: "coap", Params: params(map[string]string{"sign": "-"})}, {Protocol: "coap", Params: params(nil), RemoteAddr: "10.0.0.1:5"}})
	if d[0].Refusal == nil || d[1].Token == nil {
		t.Fatalf("%+v", d)
	}
	at := now.UnixMilli()
	got, err := s.Sessions().Get(t.Context(), vectorRef)
	if err != nil || got == nil || got.ActiveAt != at || got.HeardAt != at || got.HeardUntil != at+600_000 || got.SecretSerial != 4 || got.HeardFrom != "10.0.0.1:5" || got.Node != "" {
		t.Errorf("%+v, %v", got, err)
	}
	product, err := s.Products().Get(t.Context(), vectorRef.ProductKey)
	if err != nil {
		t.Fatal(err)
	}
	product.Secret, product.DynamicRegister = "ps", true
	if err := s.Products().Update(t.Context(), product); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(time.Hour) // the product is read again
	issue := k.service.Register(t.Context(), []string{"1"}, []device.Registration{{
		ProductKey: string(vectorRef.ProductKey), DeviceName: string(vectorRef.DeviceName), Random: "r", SignMethod: "hmacsha1",
		Sign: sign.Sign(sign.HMACSHA1, "ps", sign.RegisterContent(vectorRef, "r")),
	}})[0]
	if issue.Refusal == nil || issue.Refusal.Cause != string(refusal.AlreadyActivated) {
		t.Errorf("registration: %+v", issue)
	}
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "sessions.hear" {
			return iot.Errorf(iot.Throttled, "busy")
		}
		return nil
	}
	if d := k.Login(t.Context(), []device.TokenLogin{{Protocol: "http", Params: params(nil)}})[0]; d.Token != nil || !iot.Is(d.Err, iot.Throttled) {
		t.Errorf("while the table is throttled: %+v", d)
	}
}
