package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"relink/shared/device"
	"relink/shared/device/registry"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/sign"
	"relink/shared/store"
)

// An Issue answers one request for credentials: exactly one member is set, as in a Decision.
type Issue struct {
	Registered       *device.Registered
	PreAuthenticated *device.PreAuthenticated
	Refusal          *device.Refusal
	Err              error
}

// PreAuthFor is how long a token of a pre-authentication holds ("Pre-authentication and bootstrap").
const PreAuthFor = 7 * 24 * time.Hour

// registerRounds bounds how often a device's row is read again because others change its credentials.
const registerRounds = 5

// An asking is one request for credentials on its way.
type asking struct {
	ref     iot.DeviceRef
	content string
	method  sign.Method
	answer  *Issue
}

func (k *asking) refuse(cause refusal.Cause, detail string) {
	k.answer.Refusal = &device.Refusal{Cause: string(cause), Detail: detail, ProductKey: k.ref.ProductKey, DeviceName: k.ref.DeviceName, Signed: k.content}
	if k.content != "" {
		k.answer.Refusal.Method = k.method.String()
	}
}

// Register decides a batch of dynamic registrations. ids[i] names the request i for good: if it is decided again, because an answer was
// lost, it takes the same place among the physical devices of a name.
func (s *Service) Register(ctx context.Context, ids []string, requests []device.Registration) []Issue {
	answers := make([]Issue, len(requests))
	eachOf(len(requests), func(i int) { s.register(ctx, ids[i], &requests[i], &answers[i]) })
	return answers
}

// eachOf calls f(0) … f(n-1), some of them together.
func eachOf(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, lookups)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

func (s *Service) register(ctx context.Context, id string, r *device.Registration, answer *Issue) {
	k := &asking{answer: answer}
	if iot.ValidProductKey(r.ProductKey) && iot.ValidDeviceName(r.DeviceName) {
		k.ref = iot.DeviceRef{ProductKey: iot.ProductKey(r.ProductKey), DeviceName: iot.DeviceName(r.DeviceName)}
	}
	const maxRandom = 128
	switch {
	case k.ref.IsZero():
		k.refuse(refusal.RegistrationMalformed, "product key or device name")
		return
	case r.Random == "" || len(r.Random) > maxRandom:
		k.refuse(refusal.RegistrationMalformed, "random")
		return
	case r.Sign == "":
		k.refuse(refusal.RegistrationMalformed, "sign")
		return
	}
	if r.SignMethod != "" {
		if k.method = sign.ParseMethod(r.SignMethod); k.method == sign.Unspecified {
			k.refuse(refusal.SignMethodUnknown, clipped(r.SignMethod))
			return
		}
	}
	product, err := s.products.Get(ctx, k.ref.ProductKey)
	if err != nil && !iot.Is(err, iot.ProductNotFound) {
		answer.Err = err
		return
	}
	k.content = sign.RegisterContent(k.ref, r.Random)
	key := decoy
	if err == nil && product.Secret != "" {
		key = product.Secret
	}
	right := sign.Verify(k.method, key, k.content, r.Sign)
	if method, err := sign.Resolve(k.method, r.Sign); err == nil {
		k.method = method
	}
	switch {
	case err != nil:
		k.refuse(refusal.ProductNotFound, "")
	case !right:
		k.refuse(refusal.RegistrationSignMismatch, "")
	case !product.DynamicRegister:
		k.refuse(refusal.RegistrationOff, "")
	case product.AuthType == authTypeX509:
		k.refuse(refusal.AuthMethodNotAllowed, "the product has certificates")
	default:
		s.issue(ctx, id, r.New, k)
	}
}

// clipped is the beginning of what somebody sent, for the log.
func clipped(s string) string { return s[:min(len(s), 32)] }

// issue gives out new credentials.
func (s *Service) issue(ctx context.Context, id string, tokens bool, k *asking) {
	for range registerRounds {
		dev, err := s.devices.Get(ctx, k.ref)
		if iot.Is(err, iot.DeviceNotFound) && tokens {
			dev, err = s.create(ctx, k)
		}
		switch {
		case k.answer.Refusal != nil:
			return
		case iot.Is(err, iot.DeviceNotFound):
			k.refuse(refusal.DeviceNotFound, "")
			return
		case iot.Is(err, iot.AlreadyExists):
			continue // somebody else made it at the same time
		case err != nil:
			k.answer.Err = err
			return
		case dev.Disabled:
			k.refuse(refusal.DeviceDisabled, "")
			return
		}
		session, err := s.sessions.Get(ctx, k.ref)
		if err != nil {
			k.answer.Err = err
			return
		}
		// A device that has a secret of its own, and has used it, is not given away by a token either.
		if session != nil && session.LastActive() > dev.Credentials.ResetAt && (!tokens || session.SecretSerial != 0) {
			k.refuse(refusal.AlreadyActivated, "")
			return
		}
		got := device.Registered{ProductKey: k.ref.ProductKey, DeviceName: k.ref.DeviceName}
		at := s.now().UnixMilli()
		dev.UpdatedAt = at
		if !tokens {
			replaceSecret(dev, at)
			got.DeviceSecret = dev.Secret.Reveal()
		} else if got.ClientID, got.DeviceToken = addToken(dev, id, at); got.ClientID == "" {
			k.refuse(refusal.TooManyPhysicalDevices, "")
			return
		}
		err = s.devices.SetCredentials(ctx, dev)
		switch {
		case iot.Is(err, iot.Conflict):
			continue
		case err != nil:
			k.answer.Err = err
		default:
			k.answer.Registered = &got
		}
		return
	}
	k.answer.Err = iot.Errorf(iot.Throttled, "device %s is registering from several places at once", k.ref)
}

func (s *Service) create(ctx context.Context, k *asking) (*store.Device, error) {
	if !iot.ValidNewDeviceName(string(k.ref.DeviceName)) {
		k.refuse(refusal.RegistrationMalformed, "a new device's name has 4 to 32 characters")
		return nil, nil
	}
	dev := registry.NewDevice(k.ref, s.now().UnixMilli())
	return dev, s.devices.Create(ctx, dev)
}

// replaceSecret puts a new secret in the place of all others.
func replaceSecret(dev *store.Device, at int64) {
	dev.Secret = registry.NewSecret()
	c := &dev.Credentials
	c.Serial, c.IssuedAt, c.OldSecret, c.OldUntil = c.Serial+1, at, "", 0
}

// addToken makes a client id and a token for one more physical device; empty ones if there is no place. A request that was decided
// before, under the same id, gets its place again.
func addToken(dev *store.Device, request string, at int64) (clientID, token string) {
	sum := sha256.Sum256([]byte(dev.Ref.String() + "\x00" + request))
	clientID, token = hex.EncodeToString(sum[:12]), newDeviceToken()
	entry := store.Token{ClientID: clientID, Digest: tokenDigest(token), IssuedAt: at}
	for i, t := range dev.Credentials.Tokens {
		if t.ClientID == clientID {
			dev.Credentials.Tokens[i] = entry
			return clientID, token
		}
	}
	if len(dev.Credentials.Tokens) >= store.MaxTokens {
		return "", ""
	}
	dev.Credentials.Tokens = append(dev.Credentials.Tokens, entry)
	return clientID, token
}

// PreAuthenticate decides a batch of pre-authentications.
func (s *Service) PreAuthenticate(ctx context.Context, requests []device.PreAuth) []Issue {
	answers := make([]Issue, len(requests))
	eachOf(len(requests), func(i int) { s.preAuthenticate(ctx, requests[i].Params, &answers[i]) })
	return answers
}

func (s *Service) preAuthenticate(ctx context.Context, p map[string]string, answer *Issue) {
	k := &asking{answer: answer}
	if iot.ValidProductKey(p["productKey"]) && iot.ValidDeviceName(p["deviceName"]) {
		k.ref = iot.DeviceRef{ProductKey: iot.ProductKey(p["productKey"]), DeviceName: iot.DeviceName(p["deviceName"])}
	}
	if k.ref.IsZero() || p["sign"] == "" {
		k.refuse(refusal.RegistrationMalformed, "product key, device name or sign")
		return
	}
	method := p["signmethod"]
	if method == "" {
		method = p["signMethod"]
	}
	if k.method = sign.ParseMethod(method); method != "" && k.method == sign.Unspecified {
		k.refuse(refusal.SignMethodUnknown, clipped(method))
		return
	}
	for _, name := range []string{"clientId", "deviceName", "productKey", "timestamp"} {
		if v, sent := p[name]; sent {
			k.content += name + v
		}
	}
	product, err := s.products.Get(ctx, k.ref.ProductKey)
	if err != nil && !iot.Is(err, iot.ProductNotFound) {
		answer.Err = err
		return
	}
	var dev *store.Device
	if err == nil {
		if dev, err = s.devices.Get(ctx, k.ref); err != nil && !iot.Is(err, iot.DeviceNotFound) {
			answer.Err = err
			return
		}
	}
	now := s.now()
	secrets := []iot.Secret{decoy}
	if err == nil {
		secrets, _ = dev.Secrets(now.UnixMilli())
	}
	which := sign.VerifyAny(k.method, secrets, k.content, p["sign"])
	if method, err := sign.Resolve(k.method, p["sign"]); err == nil {
		k.method = method
	}
	switch {
	case iot.Is(err, iot.ProductNotFound):
		k.refuse(refusal.ProductNotFound, "")
	case err != nil:
		k.refuse(refusal.DeviceNotFound, "")
	case which < 0:
		k.refuse(refusal.SignMismatch, "")
	case dev.Disabled:
		k.refuse(refusal.DeviceDisabled, "")
	case product.AuthType == authTypeX509:
		k.refuse(refusal.AuthMethodNotAllowed, "the product has certificates")
	default:
		answer.PreAuthenticated = &device.PreAuthenticated{
			IotID: dev.IotID, IotToken: newPreAuthToken(secrets[which], dev.IotID, now.Add(PreAuthFor).Unix()),
		}
	}
}
