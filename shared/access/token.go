package access

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"time"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
	"relink/shared/token"
)

// DefaultTokenLife is how long a token holds ("POST /auth": seven days).
const DefaultTokenLife = 7 * 24 * time.Hour

// randomSize is the size of what a CoAP device is told for its key, in bytes: 16 hex digits, as the vendor has them.
const randomSize = 8

// maxParams bounds the members of a POST /auth. Devices send six or seven.
const maxParams = 24

// TokenOptions configure Tokens. Sealer is required.
type TokenOptions struct {
	Sealer *token.Sealer
	Life   time.Duration // of a token; DefaultTokenLife if 0
	// Window, if set, is how far the timestamp of a login may be from the clock. Without it the timestamp is signed and not looked at: a
	// device without a clock cannot do better.
	Window time.Duration
	Random io.Reader // of what devices are told for their key; crypto/rand if nil
}

// Tokens decides who gets a token, and whether one that was issued still holds. It is safe for concurrent use.
type Tokens struct {
	service *Service
	opts    TokenOptions
}

// NewTokens makes a Tokens that knows the products and devices of a Service.
func NewTokens(s *Service, o TokenOptions) *Tokens {
	if o.Life <= 0 {
		o.Life = DefaultTokenLife
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Tokens{service: s, opts: o}
}

// A TokenDecision answers one request of a device without a connection. Exactly one member is set, as in a Decision; of the grants the
// one that was asked for.
type TokenDecision struct {
	Token   *device.TokenGrant
	Grant   *device.Grant
	PSK     *device.PSKGrant
	Refusal *device.Refusal
	Err     error
}

// Login decides a batch of POST /auth; the answers have their order.
func (t *Tokens) Login(ctx context.Context, logins []device.TokenLogin) []TokenDecision {
	s := t.service
	now := s.now()
	answers := make([]TokenDecision, len(logins))
	decisions := make([]Decision, len(logins))
	attempts := make([]attempt, len(logins))
	for i := range attempts {
		a := &attempts[i]
		a.login, a.params, a.answer = &device.Login{Password: logins[i].Params["sign"], RemoteAddr: logins[i].RemoteAddr}, logins[i].Params, &decisions[i]
		var err error
		if a.claim, err = t.readClaim(logins[i].Params, now); err == nil {
			if _, known := token.FamilyOf(logins[i].Protocol); !known {
				err = refusal.New(refusal.TokenLoginMalformed, "protocol "+strconv.Quote(clipped(logins[i].Protocol)))
			}
		}
		if err != nil {
			e := asRefusal(err)
			a.refuse(e.Cause, e.Detail)
		}
	}
	s.findProducts(ctx, attempts)
	s.findDevices(ctx, attempts)
	for i := range attempts {
		if a := &attempts[i]; !a.decided() {
			a.verify(now.UnixMilli())
		}
	}
	var heard []store.Hearing
	var proven []int
	for i := range attempts {
		a := &attempts[i]
		if a.decided() {
			continue
		}
		if answers[i].Token, a.answer.Err = t.issue(a, logins[i].Protocol, now); a.answer.Err != nil {
			continue
		}
		proven = append(proven, i)
		heard = append(heard, store.Hearing{
			Ref: a.device.Ref, At: now.UnixMilli(), Until: now.UnixMilli() + device.OnlineFor(logins[i].Protocol), Over: logins[i].Protocol,
			From: logins[i].RemoteAddr, Login: true, SecretSerial: a.serial,
		})
	}
	if len(heard) > 0 {
		for j, err := range s.sessions.Hear(ctx, heard) { // before the device learns of it: from now on it is active
			decisions[proven[j]].Err = err
		}
	}
	for i := range answers {
		answers[i].Refusal, answers[i].Err = decisions[i].Refusal, decisions[i].Err
		if answers[i].Err != nil {
			answers[i].Token = nil
		}
	}
	return answers
}

// readClaim reads what a device presented. The error is a *refusal.Error.
func (t *Tokens) readClaim(p map[string]string, now time.Time) (claim, error) {
	var c claim
	malformed := func(detail string) (claim, error) { return c, refusal.New(refusal.TokenLoginMalformed, detail) }
	pk, dn := p["productKey"], p["deviceName"]
	if iot.ValidProductKey(pk) && iot.ValidDeviceName(dn) {
		c.ref = iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}
	}
	switch {
	case !iot.ValidProductKey(pk):
		return malformed("productKey")
	case !iot.ValidDeviceName(dn):
		return malformed("deviceName")
	case p["sign"] == "":
		return malformed("sign")
	case len(p) > maxParams:
		return malformed(fmt.Sprintf("%d members", len(p)))
	}
	method := p["signmethod"]
	if method == "" {
		method = p["signMethod"]
	}
	c.method = sign.HMACMD5 // "default hmacmd5"
	if method != "" {
		if c.method = sign.ParseMethod(method); c.method == sign.Unspecified {
			return c, refusal.New(refusal.SignMethodUnknown, clipped(method))
		}
	}
	c.content = sign.TokenContent(p)
	if _, err := sign.Resolve(c.method, p["sign"]); err != nil {
		return c, err
	}
	if stamp, sent := p["timestamp"]; sent && t.opts.Window > 0 {
		at, err := strconv.ParseInt(stamp, 10, 64)
		if off := now.Sub(time.UnixMilli(at)); err != nil || off.Abs() > t.opts.Window {
			return c, refusal.New(refusal.TimestampOutOfWindow, clipped(stamp))
		}
	}
	return c, nil
}

// issue makes the token of a device that has proved who it is.
func (t *Tokens) issue(a *attempt, protocol string, now time.Time) (*device.TokenGrant, error) {
	family, _ := token.FamilyOf(protocol)
	ends := now.Add(t.opts.Life)
	text, err := t.opts.Sealer.Seal(token.Claims{
		Device: a.device.Ref, Iot: token.HashOf(a.device.IotID), Serial: a.serial, IssuedAt: now.Unix(), ExpiresAt: ends.Unix(), Family: family,
	})
	if err != nil {
		return nil, err
	}
	g := &device.TokenGrant{Token: text, ExpiresAt: ends.Unix() * 1000, Grant: *t.grant(a.product, a.device)}
	if protocol == "coap" {
		var random [randomSize]byte
		if _, err := io.ReadFull(t.opts.Random, random[:]); err != nil {
			return nil, err
		}
		g.Random = hex.EncodeToString(random[:])
		key := sign.SessionKey(a.secret, g.Random)
		g.Key = key[:]
	}
	return g, nil
}

// grant is what a device may do that has no session.
func (t *Tokens) grant(p *store.CachedProduct, d *store.Device) *device.Grant {
	return &device.Grant{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, IotID: d.IotID, NodeType: p.NodeType, DataFormat: p.DataFormat,
		Topics: device.NewClasses(p.Classes), TopicsAt: p.Revision, ExpiresAt: t.service.now().Add(t.service.grants.grantFor).UnixMilli(),
	}
}

// Resume decides whether the devices of tokens may go on; the answers have the order of the requests.
func (t *Tokens) Resume(ctx context.Context, requests []device.Resume) []TokenDecision {
	s := t.service
	answers := make([]TokenDecision, len(requests))
	decisions := make([]Decision, len(requests))
	attempts := make([]attempt, len(requests))
	for i := range attempts {
		a := &attempts[i]
		a.claim.ref, a.answer = requests[i].Ref(), &decisions[i]
		if !iot.ValidProductKey(string(requests[i].ProductKey)) || !iot.ValidDeviceName(string(requests[i].DeviceName)) {
			a.refuse(refusal.TokenMalformed, "it names no device")
		}
	}
	s.findProducts(ctx, attempts)
	s.findDevices(ctx, attempts)
	now := s.now().UnixMilli()
	for i := range attempts {
		a := &attempts[i]
		if !a.decided() {
			a.resume(&requests[i], now)
		}
		answers[i].Refusal, answers[i].Err = decisions[i].Refusal, decisions[i].Err
		if !a.decided() {
			answers[i].Grant = t.grant(a.product, a.device)
		}
	}
	return answers
}

// resume checks what has happened to a device since its token was issued.
func (a *attempt) resume(r *device.Resume, now int64) {
	switch {
	case a.product == nil:
		a.refuse(refusal.ProductNotFound, "")
	case a.device == nil:
		a.refuse(refusal.DeviceNotFound, "")
	case string(r.IotHash) != string(hashOf(a.device)):
		a.refuse(refusal.DeviceNotFound, "the device of the token was deleted, and another one has its name")
	case a.product.AuthType == authTypeX509:
		a.refuse(refusal.AuthMethodNotAllowed, "the product has certificates")
	case !accepted(a.device, r.Serial, now):
		a.refuse(refusal.TokenRevoked, "")
	case a.device.Disabled:
		a.refuse(refusal.DeviceDisabled, "")
	}
}

func hashOf(d *store.Device) []byte {
	hash := token.HashOf(d.IotID)
	return hash[:]
}

// accepted reports whether a login with the secret of a serial would be accepted.
func accepted(d *store.Device, serial, now int64) bool {
	secrets, serials := d.Secrets(now)
	for i, s := range serials {
		if s == serial && secrets[i] != "" {
			return true
		}
	}
	return false
}

// PSK finds the keys of identities; the answers have the order of the requests. Of a device whose secret is being rotated it is the key
// of the secret that it logged in with last, because an identity does not say which one it has.
func (t *Tokens) PSK(ctx context.Context, requests []device.PSKLogin) []TokenDecision {
	s := t.service
	answers := make([]TokenDecision, len(requests))
	decisions := make([]Decision, len(requests))
	attempts := make([]attempt, len(requests))
	stamps := make([]string, len(requests))
	for i := range attempts {
		a := &attempts[i]
		a.answer = &decisions[i]
		var err error
		if a.claim.ref, stamps[i], err = sign.ParsePSKIdentity(requests[i].Identity); err != nil {
			e := asRefusal(err)
			a.refuse(e.Cause, e.Detail)
		}
	}
	s.findProducts(ctx, attempts)
	s.findDevices(ctx, attempts)
	now := s.now().UnixMilli()
	for i := range attempts {
		a := &attempts[i]
		if !a.decided() {
			a.keyed(ctx, s.sessions, now)
		}
		answers[i].Refusal, answers[i].Err = decisions[i].Refusal, decisions[i].Err
		if !a.decided() {
			key := sign.PSK(a.secret, a.claim.ref, stamps[i]).Reveal()
			answers[i].PSK = &device.PSKGrant{Key: []byte(key), ProductKey: a.device.Ref.ProductKey, DeviceName: a.device.Ref.DeviceName}
		}
	}
	return answers
}

// keyed chooses the secret of a pre-shared key.
func (a *attempt) keyed(ctx context.Context, sessions store.Sessions, now int64) {
	switch {
	case a.product == nil:
		a.refuse(refusal.ProductNotFound, "")
		return
	case a.device == nil:
		a.refuse(refusal.DeviceNotFound, "")
		return
	case a.product.AuthType == authTypeX509:
		a.refuse(refusal.AuthMethodNotAllowed, "the product has certificates")
		return
	case a.device.Secret == "":
		a.refuse(refusal.AuthMethodNotAllowed, "the device has no secret")
		return
	case a.device.Disabled:
		a.refuse(refusal.DeviceDisabled, "")
		return
	}
	secrets, serials := a.device.Secrets(now)
	a.secret = secrets[0]
	if len(secrets) == 1 {
		return
	}
	session, err := sessions.Get(ctx, a.device.Ref)
	if err != nil {
		a.answer.Err = err
		return
	}
	if session == nil || session.SecretSerial != serials[0] {
		a.secret = secrets[1]
	}
}
