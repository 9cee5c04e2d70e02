package registry

import (
	"context"
	"time"

	"relink/shared/iot"
	"relink/shared/store"
)

// Bounds of the time for which the secret before is still accepted after a rotation has begun.
const (
	DefaultKeepOld = 30 * 24 * time.Hour
	MinKeepOld     = time.Minute
	MaxKeepOld     = 366 * 24 * time.Hour
)

// credentialRounds bounds how often a device is read again because its credentials are changed at the same time.
const credentialRounds = 5

// change changes a device's credentials as one step.
func (r *Registry) change(ctx context.Context, dev iot.DeviceRef, change func(d *store.Device, now int64) error) (*store.Device, error) {
	var err error
	for range credentialRounds {
		var d *store.Device
		if d, err = r.stores.Devices.Get(ctx, dev); err != nil {
			return nil, err
		}
		now := r.now().UnixMilli()
		if err = change(d, now); err != nil {
			return nil, err
		}
		d.UpdatedAt = now
		if err = r.stores.Devices.SetCredentials(ctx, d); !iot.Is(err, iot.Conflict) {
			return d, err
		}
	}
	return nil, err
}

// Reset lets a device that was activated be registered dynamically again, and takes back all tokens of its name ("ResetThing"). Its
// secret goes on working until it registers.
func (r *Registry) Reset(ctx context.Context, dev iot.DeviceRef) error {
	_, err := r.change(ctx, dev, func(d *store.Device, now int64) error {
		d.Credentials.ResetAt, d.Credentials.Tokens = now, nil
		return nil
	})
	return err
}

// Rotate issues a new secret and answers the device with it. The one before is accepted for keepOld more, so that the device goes on
// with it until it has taken over the new one. Errors: AlreadyExists if a rotation is under way, InvalidParams.
func (r *Registry) Rotate(ctx context.Context, dev iot.DeviceRef, keepOld time.Duration) (*store.Device, error) {
	if keepOld < MinKeepOld || keepOld > MaxKeepOld {
		return nil, iot.Errorf(iot.InvalidParams, "the old secret is kept for a minute to 366 days")
	}
	return r.change(ctx, dev, func(d *store.Device, now int64) error {
		if d.Rotating(now) {
			return iot.Errorf(iot.AlreadyExists, "a rotation of this device is under way: finish it first")
		}
		c := &d.Credentials
		c.OldSecret, c.OldUntil = d.Secret, now+keepOld.Milliseconds()
		d.Secret, c.Serial, c.IssuedAt = NewSecret(), c.Serial+1, now
		return nil
	})
}

// Finish ends the acceptance of the secret before; it is no error if there is none. Unless it is forced it refuses (InvalidParams) for a
// device that has not logged in with the new secret yet: it would be locked out.
func (r *Registry) Finish(ctx context.Context, dev iot.DeviceRef, force bool) error {
	sessions, err := r.stores.Sessions.GetMany(ctx, []iot.DeviceRef{dev})
	if err != nil {
		return err
	}
	_, err = r.change(ctx, dev, func(d *store.Device, now int64) error {
		if d.Rotating(now) && !force && LastSecret(d, sessions[0]) != SecretNew {
			return iot.Errorf(iot.InvalidParams, "the device has not logged in with the new secret yet, and would be locked out")
		}
		d.Credentials.OldSecret, d.Credentials.OldUntil = "", 0
		return nil
	})
	return err
}

// What LastSecret answers.
const (
	SecretNew  = "new"  // the one in force
	SecretOld  = "old"  // one before
	SecretNone = "none" // the device never logged in with a secret, or that is not known
)

// LastSecret tells which secret a device logged in with last; session is nil if it never did.
func LastSecret(d *store.Device, session *store.Session) string {
	switch {
	case session == nil || session.SecretSerial == 0:
		return SecretNone
	case session.SecretSerial == d.Credentials.Serial:
		return SecretNew
	}
	return SecretOld
}
