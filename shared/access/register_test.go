package access_test

import (
	"encoding/base64"
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

const productSecret = "fedcba9876543210"

// newRegistrationStore adds to newStore what registrations need: products that take them, that do not, and whose devices have certificates.
func newRegistrationStore(t testing.TB) *memory.Store {
	t.Helper()
	s := newStore(t)
	for _, p := range []store.Product{
		{Key: "a1Register0", Secret: productSecret, DynamicRegister: true}, {Key: "a1Closed000", Secret: productSecret},
		{Key: "a1Certified", Secret: productSecret, DynamicRegister: true, AuthType: "x509"},
	} {
		must(t, s.Products().Create(t.Context(), &p))
		for name, disabled := range map[iot.DeviceName]bool{"shelf-001": false, "shelf-off": true, "shelf-used": false} {
			must(t, s.Devices().Create(t.Context(), &store.Device{
				Ref: iot.DeviceRef{ProductKey: p.Key, DeviceName: name}, IotID: iot.IotID("iot-" + string(p.Key) + "-" + string(name)), Secret: secret, Disabled: disabled,
			}))
		}
	}
	_, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: iot.DeviceRef{ProductKey: "a1Register0", DeviceName: "shelf-used"}, Node: "n1", At: now.UnixMilli(), SecretSerial: 1}})
	must(t, errs[0])
	return s
}

// registration signs as a device does.
func registration(product iot.ProductKey, name iot.DeviceName, tokens bool) device.Registration {
	return device.Registration{
		ProductKey: string(product), DeviceName: string(name), Random: "12345", SignMethod: "hmacsha256", New: tokens, At: now.UnixMilli(),
		Sign: sign.Sign(sign.HMACSHA256, productSecret, sign.RegisterContent(iot.DeviceRef{ProductKey: product, DeviceName: name}, "12345")),
	}
}

func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	change := func(f func(r *device.Registration)) device.Registration {
		r := registration("a1Register0", "shelf-001", false)
		f(&r)
		return r
	}
	a := access.New(newRegistrationStore(t), 0, clock)
	for name, c := range map[string]struct {
		request device.Registration
		cause   refusal.Cause
		signed  bool
	}{
		"no_name":            {registration("a1Register0", "", false), refusal.RegistrationMalformed, false},
		"no_random":          {change(func(r *device.Registration) { r.Random = "" }), refusal.RegistrationMalformed, false},
		"long_random":        {change(func(r *device.Registration) { r.Random = strings.Repeat("x", 129) }), refusal.RegistrationMalformed, false},
		"no_sign":            {change(func(r *device.Registration) { r.Sign = "" }), refusal.RegistrationMalformed, false},
		"new_name_too_short": {registration("a1Register0", "abc", true), refusal.RegistrationMalformed, true},
		"method":             {change(func(r *device.Registration) { r.SignMethod = "hmacsha512" }), refusal.SignMethodUnknown, false},
		"unknown_product":    {registration("a1Unknown00", "shelf-001", false), refusal.ProductNotFound, true},
		"unknown_device":     {registration("a1Register0", "shelf-404", false), refusal.DeviceNotFound, true},
		"other_random":       {change(func(r *device.Registration) { r.Random = "54321" }), refusal.RegistrationSignMismatch, true},
		"off":                {registration("a1Closed000", "shelf-001", false), refusal.RegistrationOff, true},
		"off_and_wrong": {func() device.Registration {
			r := registration("a1Closed000", "shelf-001", false)
			r.Random = "x"
			return r
		}(), refusal.RegistrationSignMismatch, true},
		"certificates":        {registration("a1Certified", "shelf-001", false), refusal.AuthMethodNotAllowed, true},
		"disabled":            {registration("a1Register0", "shelf-off", false), refusal.DeviceDisabled, true},
		"activated":           {registration("a1Register0", "shelf-used", false), refusal.AlreadyActivated, true},
		"activated_by_secret": {registration("a1Register0", "shelf-used", true), refusal.AlreadyActivated, true},
	} {
		got := a.Register(t.Context(), []string{name}, []device.Registration{c.request})[0]
		if got.Refusal == nil || got.Refusal.Cause != string(c.cause) || (got.Refusal.Signed != "") != c.signed {
			t.Errorf("%s: %+v, %v, want %s, signed %v", name, got.Refusal, got.Err, c.cause, c.signed)
		} else if strings.Contains(fmt.Sprint(*got.Refusal), productSecret) {
			t.Errorf("%s: the refusal tells a secret: %+v", name, *got.Refusal)
		}
	}
}

func TestTooManyPhysicalDevices(t *testing.T) {
	t.Parallel()
	a := access.New(newRegistrationStore(t), 0, clock)
	for i := range 6 {
		got := a.Register(t.Context(), []string{fmt.Sprint(i)}, []device.Registration{registration("a1Register0", "rack-001", true)})[0]
		if i < 5 && got.Registered == nil {
			t.Fatalf("registration %d: %+v, %v", i, got.Refusal, got.Err)
		}
		if i == 5 && (got.Refusal == nil || got.Refusal.Cause != string(refusal.TooManyPhysicalDevices)) {
			t.Errorf("the sixth: %+v", got)
		}
	}
}

// preAuth signs as a device does.
func preAuth(product iot.ProductKey, name iot.DeviceName) device.PreAuth {
	content := "clientIdxdeviceName" + string(name) + "productKey" + string(product) + "timestamp1"
	return device.PreAuth{At: now.UnixMilli(), Params: map[string]string{
		"productKey": string(product), "deviceName": string(name), "clientId": "x", "timestamp": "1", "signmethod": "hmacsha256",
		"sign": sign.Sign(sign.HMACSHA256, secret, content),
	}}
}

func TestPreAuthenticationRefused(t *testing.T) {
	t.Parallel()
	change := func(name, value string) device.PreAuth {
		p := preAuth("a1Register0", "shelf-001")
		p.Params[name] = value
		return p
	}
	a := access.New(newRegistrationStore(t), 0, clock)
	for name, c := range map[string]struct {
		request device.PreAuth
		cause   refusal.Cause
	}{
		"no_sign":         {change("sign", ""), refusal.RegistrationMalformed},
		"method":          {change("signmethod", "md5"), refusal.SignMethodUnknown},
		"other_timestamp": {change("timestamp", "2"), refusal.SignMismatch},
		"unknown_product": {preAuth("a1Unknown00", "shelf-001"), refusal.ProductNotFound},
		"unknown_device":  {preAuth("a1Register0", "shelf-404"), refusal.DeviceNotFound},
		"disabled":        {preAuth("a1Register0", "shelf-off"), refusal.DeviceDisabled},
		"certificates":    {preAuth("a1Certified", "shelf-001"), refusal.AuthMethodNotAllowed},
	} {
		got := a.PreAuthenticate(t.Context(), []device.PreAuth{c.request})[0]
		if got.Refusal == nil || got.Refusal.Cause != string(c.cause) {
			t.Errorf("%s: %+v, %v, want %s", name, got.Refusal, got.Err, c.cause)
		}
	}
}

// A token of a pre-authentication holds for seven days, for its IotId, unchanged.
func TestTokenOfPreAuthentication(t *testing.T) {
	t.Parallel()
	s := newRegistrationStore(t)
	at := now
	a := access.New(s, 0, func() time.Time { return at })
	given := a.PreAuthenticate(t.Context(), []device.PreAuth{preAuth("a1Register0", "shelf-001")})[0].PreAuthenticated
	if given == nil {
		t.Fatal("no token")
	}
	raw, err := base64.RawURLEncoding.DecodeString(given.IotToken)
	must(t, err)
	raw[0]++ // it would hold longer
	for _, c := range []struct {
		name, user, token string
		after             time.Duration
		cause             refusal.Cause
	}{
		{"right", string(given.IotID), given.IotToken, 7*24*time.Hour - time.Second, ""},
		{"expired", string(given.IotID), given.IotToken, 7 * 24 * time.Hour, refusal.PreAuthTokenExpired},
		{"longer", string(given.IotID), base64.RawURLEncoding.EncodeToString(raw), 0, refusal.PreAuthTokenMismatch},
		{"not_base64", string(given.IotID), "!", 0, refusal.PreAuthTokenMismatch},
		{"of_another", "iot-a1Register0-shelf-off", given.IotToken, 0, refusal.PreAuthTokenMismatch},
		{"of_nobody", "nobody", given.IotToken, 0, refusal.PreAuthTokenMismatch},
	} {
		at = now.Add(c.after)
		d := a.Login(t.Context(), []device.Login{{ClientID: "x|securemode=-1,signmethod=hmacsha256|", Username: c.user, Password: c.token, Node: "n1", At: at.UnixMilli()}})[0]
		switch {
		case c.cause == "":
			if d.Grant == nil || d.Grant.DeviceName != "shelf-001" {
				t.Errorf("%s: %+v", c.name, d)
			}
		case d.Refusal == nil || d.Refusal.Cause != string(c.cause):
			t.Errorf("%s: %+v, want %s", c.name, d.Refusal, c.cause)
		}
	}
}

// Devices with one identity, at different addresses, push each other out: they are let in, and the log has a warning.
func TestIdentityFlapping(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := now
	a := access.New(s, 0, func() time.Time { return at })
	for i := range 8 {
		at = at.Add(time.Second)
		l := login("n1", dn, secret)
		l.RemoteAddr, l.At = fmt.Sprintf("10.1.2.%d:99", i%2), at.UnixMilli()
		d := a.Login(t.Context(), []device.Login{l})[0]
		if d.Grant == nil {
			t.Fatalf("login %d: %+v", i, d)
		}
		if w := d.Grant.Warning; i == 0 && w != nil || i == 7 && (w == nil || w.Cause != string(refusal.IdentityFlapping) || !strings.Contains(w.Detail, "10.1.2.1")) {
			t.Errorf("login %d: warning %+v", i, w)
		}
	}
}
