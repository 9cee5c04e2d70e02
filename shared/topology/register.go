package topology

import (
	"context"
	"strconv"

	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/sign"
	"relink/shared/store"
)

// register is thing/sub/register: the gateway learns the secrets of devices that were created in advance.
func (s *Service) register(ctx context.Context, r *exchange.Request) exchange.Answer {
	gateway := r.Ref()
	entries, k, err := s.presented(ctx, r, maxRegistered)
	if err != nil {
		return exchange.Answer{Err: err}
	}
	sessions, err := s.sessions.GetMany(ctx, refsOf(entries))
	if err != nil {
		return exchange.Answer{Err: err}
	}
	data := []byte{'['}
	for i := range entries {
		_, err := s.mayRegister(ctx, gateway, entries[i].ref)
		if err == nil {
			err = mayLearn(gateway, k.devices[i], k.gatewayOf(i), sessions[i])
		}
		if err != nil {
			return exchange.Answer{Err: err, Detail: entries[i].ref.String()}
		}
		if i > 0 {
			data = append(data, ',')
		}
		d := k.devices[i]
		data = alink.AppendString(append(data, `{"iotId":`...), string(d.IotID))
		data = alink.AppendString(append(data, `,"productKey":`...), string(d.Ref.ProductKey))
		data = alink.AppendString(append(data, `,"deviceName":`...), string(d.Ref.DeviceName))
		data = append(alink.AppendString(append(data, `,"deviceSecret":`...), d.Secret.Reveal()), '}')
	}
	return exchange.Answer{Data: append(data, ']'), Detail: strconv.Itoa(len(entries)) + " sub-devices"}
}

// mayRegister tells why a gateway may not learn a secret of the product; nil if it may.
func (s *Service) mayRegister(ctx context.Context, gateway, ref iot.DeviceRef) (*store.CachedProduct, error) {
	if ref == gateway {
		return nil, errSelf
	}
	p, err := s.products.Get(ctx, ref.ProductKey)
	switch {
	case iot.Is(err, iot.ProductNotFound):
		return nil, errProduct
	case err != nil:
		return nil, err
	case p.NodeType == device.NodeGateway:
		return nil, errNotSubDevice
	case p.AuthType == authTypeX509:
		return nil, errCertified
	case !p.DynamicRegister:
		return nil, errOff
	}
	return p, nil
}

// mayLearn tells why a gateway may not learn the secret of a device that belongs to owner; nil if it may. One that is in use has its
// secret, which only its own gateway may learn again ("Dynamic registration"); session is the last that it had.
func mayLearn(gateway iot.DeviceRef, d *store.Device, owner iot.DeviceRef, session *store.Session) error {
	switch {
	case d == nil:
		return errDevice
	case d.Disabled:
		return errDisabled
	case !owner.IsZero() && owner != gateway:
		return errBound
	case session != nil && session.LastActive() > d.Credentials.ResetAt && owner != gateway:
		return errActivated
	}
	return nil
}

// productRegister is thing/proxy/provisioning/product_register: the same for who knows the secret of the sub-device's product. Each entry
// succeeds or fails by itself.
func (s *Service) productRegister(ctx context.Context, r *exchange.Request) exchange.Answer {
	const none = `{"successes":[],"failures":[]}`
	gateway := r.Ref()
	if is, err := s.isGateway(ctx, gateway); err != nil {
		return exchange.Answer{Err: err, Data: []byte(none)}
	} else if !is {
		return exchange.Answer{Err: errNotGateway, Data: []byte(none)}
	}
	var entries []entry
	err := malformed("proxieds is missing or not an array")
	for name, value := range alink.Members(r.Alink.Params) {
		if string(name) == "proxieds" && value[0] == '[' {
			entries, err = readEntries(value, maxRegistered)
		}
	}
	if err != nil {
		return exchange.Answer{Err: err, Data: []byte(none)}
	}
	refs := refsOf(entries)
	k, err := s.lookUp(ctx, refs)
	if err != nil {
		return exchange.Answer{Err: err, Data: []byte(none)}
	}
	sessions, err := s.sessions.GetMany(ctx, refs)
	if err != nil {
		return exchange.Answer{Err: err, Data: []byte(none)}
	}
	var successes, failures []byte
	answer := exchange.Answer{}
	for i := range entries {
		err := s.provision(ctx, gateway, &entries[i], &k, i, sessions[i])
		if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
			return exchange.Answer{Err: err}
		}
		if err != nil {
			failures = appendFailure(failures, entries[i].ref, err)
			answer.Cause, answer.Detail = exchange.CauseOf(err), entries[i].ref.String()
			if detail := alink.DetailOf(err); detail != "" {
				answer.Detail += ": " + detail
			}
			continue
		}
		if len(successes) > 0 {
			successes = append(successes, ',')
		}
		successes = alink.AppendString(append(successes, `{"productKey":`...), string(refs[i].ProductKey))
		successes = alink.AppendString(append(successes, `,"deviceName":`...), string(refs[i].DeviceName))
		successes = append(alink.AppendString(append(successes, `,"deviceSecret":`...), k.devices[i].Secret.Reveal()), '}')
	}
	answer.Data = append(append([]byte(`{"successes":[`), successes...), `],"failures":[`...)
	answer.Data = append(append(answer.Data, failures...), "]}"...)
	return answer
}

// provision tells why one entry of product_register fails; nil if it does not.
func (s *Service) provision(ctx context.Context, gateway iot.DeviceRef, e *entry, k *known, i int, session *store.Session) error {
	method, ok := e.resolve()
	switch {
	case !ok:
		return errMethod
	case e.sign == "" || e.random == "":
		return malformed("sign or random is missing")
	}
	p, err := s.mayRegister(ctx, gateway, e.ref)
	if err != nil {
		return err
	}
	if p.Secret == "" || !sign.Verify(method, p.Secret, sign.RegisterContent(e.ref, e.random), e.sign) {
		return errRegisterSign
	}
	return mayLearn(gateway, k.devices[i], k.gatewayOf(i), session)
}

func appendFailure(dst []byte, ref iot.DeviceRef, err error) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	code, message := alink.CodeOf(err)
	dst = alink.AppendString(append(dst, `{"productKey":`...), string(ref.ProductKey))
	dst = alink.AppendString(append(dst, `,"deviceName":`...), string(ref.DeviceName))
	dst = strconv.AppendInt(append(dst, `,"errorDetail":{"code":`...), int64(code), 10)
	return append(alink.AppendString(append(dst, `,"message":`...), message), "}}"...)
}
