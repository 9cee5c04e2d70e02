package certificate

import (
	"context"

	"relink/shared/iot"
	"relink/shared/store"
)

// Devices tells which devices there are; store.Devices is one.
type Devices interface {
	Get(ctx context.Context, ref iot.DeviceRef) (*store.Device, error)
}

// Bind binds a certificate, in PEM, of a registered authority to a device. One that is bound to another device which exists is moved only
// if move says so (else AlreadyExists); Former of the answer is then whom it was moved from, also when the call is repeated, and the caller
// ends that device's connection. A revoked certificate stays revoked (InvalidParams). Throttled: others change the binding all the time.
func (s *Service) Bind(ctx context.Context, devices Devices, d *store.Device, text string, move bool) (*store.Certificate, error) {
	leaf, err := parsePEM(text, "the certificate")
	if err != nil {
		return nil, err
	}
	s.forget() // it may have been registered this moment
	ca, err := s.issuerOf(ctx, leaf)
	if err != nil {
		return nil, iot.Wrap(iot.InvalidParams, err, "the certificate is of no registered authority")
	}
	var bound *store.Certificate
	err = store.Revise(ctx, func() error {
		bound, err = s.bind(ctx, devices, d, ca.id, serialOf(leaf), move)
		return err
	})
	return bound, err
}

func (s *Service) bind(ctx context.Context, devices Devices, d *store.Device, authority, serial string, move bool) (*store.Certificate, error) {
	at := s.now().UnixMilli()
	bound := &store.Certificate{Authority: authority, Serial: serial, Ref: d.Ref, IotID: d.IotID, CreatedAt: at, UpdatedAt: at}
	old, err := s.store.Get(ctx, authority, serial)
	switch {
	case err != nil:
		return nil, err
	case old == nil:
		err = s.store.Create(ctx, bound)
		if iot.Is(err, iot.AlreadyExists) { // somebody else bound it at the same time: look at it again
			err = iot.Wrap(iot.Conflict, err, "bound meanwhile")
		}
		return bound, err
	case old.Revoked:
		return nil, iot.Errorf(iot.InvalidParams, "the certificate was revoked")
	case old.Authority == store.PlatformAuthority:
		return nil, iot.Errorf(iot.InvalidParams, "the platform issued this certificate for %s", old.Ref)
	case old.IotID == d.IotID:
		return old, nil
	}
	live, err := holds(ctx, devices, old)
	switch {
	case err != nil:
		return nil, err
	case live && !move:
		return nil, iot.Errorf(iot.AlreadyExists, "the certificate is bound to %s; say Move=true to take it from that device", old.Ref)
	case live:
		bound.Former = old.Ref
	}
	bound.CreatedAt, bound.UpdatedAt = old.CreatedAt, max(at, old.UpdatedAt+1)
	return bound, s.store.Put(ctx, bound, old.UpdatedAt)
}

// holds tells whether the device that a certificate is bound to still exists, and is not another one of the same name.
func holds(ctx context.Context, devices Devices, c *store.Certificate) (bool, error) {
	d, err := devices.Get(ctx, c.Ref)
	if iot.Is(err, iot.DeviceNotFound) {
		return false, nil
	}
	return err == nil && d != nil && d.IotID == c.IotID, err
}

// Revoke refuses a certificate from now on, and answers whom it was bound to. Errors: DeviceNotFound if it is not bound; Throttled if
// others change the binding all the time.
func (s *Service) Revoke(ctx context.Context, authority, serial string) (ref iot.DeviceRef, err error) {
	err = store.Revise(ctx, func() error {
		bound, err := s.store.Get(ctx, authority, serial)
		switch {
		case err != nil:
			return err
		case bound == nil:
			return iot.Errorf(iot.DeviceNotFound, "no certificate with this serial number is bound")
		}
		ref = bound.Ref
		if bound.Revoked {
			return nil
		}
		before := bound.UpdatedAt
		bound.Revoked, bound.UpdatedAt = true, max(s.now().UnixMilli(), before+1)
		return s.store.Put(ctx, bound, before)
	})
	return ref, err
}
