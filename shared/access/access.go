// Package access decides who may connect. It is the server's side of "MQTT CONNECT" in the device protocol: the decision
// procedure after the connector's own checks, from the client id to the session.
//
// What a device is told is the connector's business and the same for an unknown product, an unknown device and a wrong
// signature; what is decided here says which it was, for the log.
package access

import (
	"context"
	"fmt"
	"time"

	"relink/shared/certificate"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
)

// DefaultGrantFor is how long a grant holds before the connector asks again.
const DefaultGrantFor = 24 * time.Hour

// A Decision answers one login: exactly one member is set. Err is that nothing was decided; if it is Throttled or Unavailable
// the same login may be asked again.
type Decision struct {
	Grant   *device.Grant
	Refusal *device.Refusal
	Err     error

	Identify bool // beside Grant: the device does not know who it is, and is to be told
}

// A Service decides logins. It is safe for concurrent use.
type Service struct {
	products *store.CachedProducts
	devices  store.Devices
	sessions store.Sessions
	grants   *Granter
	certs    *certificate.Service
	now      func() time.Time
}

// Stores is where products, devices and sessions are.
type Stores interface {
	Products() store.Products
	Devices() store.Devices
	Sessions() store.Sessions
	Nodes() store.Nodes
	Certificates() store.Certificates
}

// New makes a service whose grants hold for grantFor, DefaultGrantFor if 0. now is the clock, time.Now if nil.
func New(s Stores, grantFor time.Duration, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{
		products: store.NewCachedProducts(s.Products(), now), devices: s.Devices(), sessions: s.Sessions(),
		grants: NewGranter(s.Nodes(), grantFor, now), certs: certificate.New(s.Certificates(), now), now: now,
	}
}

// attempt is one login on its way through the checks.
type attempt struct {
	login   *device.Login
	claim   claim
	product *store.CachedProduct
	device  *store.Device
	answer  *Decision
	unnamed bool               // the user name does not say who it is
	bound   *store.Certificate // that proved it
	serial  int64              // of the secret that proved it; 0 if none did
	secret  iot.Secret         // that secret
	params  map[string]string  // of a login for a token; nil for MQTT
}

func (a *attempt) decided() bool { return *a.answer != Decision{} }

func (a *attempt) refuse(cause refusal.Cause, detail string) {
	r := &device.Refusal{Cause: string(cause), Detail: detail, ProductKey: a.claim.ref.ProductKey, DeviceName: a.claim.ref.DeviceName, Signed: a.claim.content}
	if a.claim.content != "" {
		r.Method = a.claim.method.String()
	}
	a.answer.Refusal = r
}

// Login decides a batch of logins; the answers have their order. Logins of one device are decided in the order of the batch.
func (s *Service) Login(ctx context.Context, logins []device.Login) []Decision {
	answers := make([]Decision, len(logins))
	attempts := make([]attempt, len(logins))
	for i := range attempts {
		a := &attempts[i]
		a.login, a.answer = &logins[i], &answers[i]
		var err error
		if a.claim, err = readClaim(a.login); err != nil {
			e := asRefusal(err)
			a.refuse(e.Cause, e.Detail)
		}
	}
	now := s.now().UnixMilli()
	s.findIotIDs(ctx, attempts)
	s.findCertificates(ctx, attempts)
	s.findProducts(ctx, attempts)
	s.findDevices(ctx, attempts)
	for i := range attempts {
		if a := &attempts[i]; !a.decided() {
			a.verify(now)
		}
	}
	s.take(ctx, attempts)
	return answers
}

// verify checks the proof and then, for who has proved to be the device, its state.
func (a *attempt) verify(now int64) {
	secrets, serials := []iot.Secret{decoy}, []int64{0}
	if a.device != nil {
		secrets, serials = a.device.Secrets(now)
	}
	// Proofs are checked for unknown devices too, so that the time it takes does not tell them apart.
	cause, detail, which := refusal.Cause(""), "", -1
	switch a.claim.proof {
	case byToken:
		var tokens []store.Token
		if a.device != nil {
			tokens = a.device.Credentials.Tokens
		}
		if !checkDeviceToken(tokens, a.claim.id.ID, a.login.Password) {
			cause = refusal.TokenMismatch
		}
	case byCertificate:
		if a.device != nil && a.device.IotID != a.bound.IotID {
			cause, detail = refusal.CertificateUnbound, "it was bound to a device of this name that was deleted"
		}
	case byPreAuth:
		which, cause = checkPreAuthToken(secrets, a.claim.iotID, a.login.Password, now)
	default:
		if which = sign.VerifyAny(a.claim.method, secrets, a.claim.content, a.login.Password); which < 0 {
			cause = refusal.SignMismatch
		}
	}
	switch {
	case a.product == nil:
		a.refuse(refusal.ProductNotFound, "")
	case a.device == nil:
		a.refuse(refusal.DeviceNotFound, "")
	case cause != "":
		if cause == refusal.SignMismatch {
			if detail = a.mistake(secrets); a.device.Secret == "" {
				detail = "the device has no secret"
			}
		}
		a.refuse(cause, detail)
	case (a.product.AuthType == authTypeX509) != (a.claim.proof == byCertificate):
		detail := "the product has certificates"
		if a.claim.proof == byCertificate {
			detail = "the product has secrets"
		}
		a.refuse(refusal.AuthMethodNotAllowed, detail)
	case a.device.Disabled:
		a.refuse(refusal.DeviceDisabled, "")
	case which >= 0:
		a.serial, a.secret = serials[which], secrets[which]
	}
}

// take gives the sessions to those who passed.
func (s *Service) take(ctx context.Context, attempts []attempt) {
	var passed []*attempt
	var takes []store.Take
	for i := range attempts {
		a := &attempts[i]
		if a.decided() {
			continue
		}
		at := a.login.At
		if at <= 0 {
			at = s.now().UnixMilli()
		}
		passed = append(passed, a)
		keep, expiry := a.login.Persistent()
		takes = append(takes, store.Take{
			Persistent: keep, Discard: a.login.CleanStart, Expiry: expiry,
			Ref: a.claim.ref, Node: a.login.Node, ExtRRPC: a.claim.id.Ext&sign.ExtRRPC != 0, RemoteAddr: a.login.RemoteAddr, At: at,
			Client:       a.claim.id.Software(),
			SecretSerial: a.serial,
		})
	}
	if len(takes) == 0 {
		return
	}
	sessions, before, errs := s.sessions.Take(ctx, takes)
	for i, a := range passed {
		if errs[i] != nil {
			a.answer.Err = errs[i]
			continue
		}
		a.answer.Grant = s.grants.Grant(ctx, a.product, a.device, sessions[i])
		Keep(a.answer.Grant, sessions[i], before[i])
		a.answer.Identify = a.unnamed
		a.answer.Grant.Warning = flapping(sessions[i])
	}
}

// Keep puts into a grant what MQTT keeps of the session: of now, which was taken, and the one before, nil if there was none.
func Keep(g *device.Grant, now, before *store.Session) {
	g.Present, g.Since, g.QueueFrom = now.Continued(), now.Since, now.QueueFrom
	g.Queued = now.Persistent || now.Continued()
	g.Discard = before != nil && before.QueueFrom < now.QueueFrom
}

// flapLimit is how many takeovers between addresses, each within a minute of the first, are one too many.
const flapLimit = 3

// flapping warns of an identity that several devices have. The login itself follows the rule that the newest connection wins.
func flapping(session *store.Session) *device.Refusal {
	if session.Flaps < flapLimit {
		return nil
	}
	return &device.Refusal{Cause: string(refusal.IdentityFlapping), ProductKey: session.Ref.ProductKey, DeviceName: session.Ref.DeviceName,
		Detail: fmt.Sprintf("%d takeovers between different addresses within a minute, now by %s", session.Flaps, session.RemoteAddr)}
}

// decoy is the secret of devices that do not exist. Nothing signed with it is let in.
const decoy iot.Secret = "00000000000000000000000000000000"
