package main

import (
	"context"
	"log/slog"
	"time"

	"relink/shared/device/registry"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/openapi"
	"relink/shared/store"
)

// resetThing lets a device fetch its credentials again.
func (a *api) resetThing(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.devices.Reset(ctx, d.Ref)
}

// A rotation is where a device is on its way from one secret to the next. Times are Unix milliseconds.
type rotation struct {
	ProductKey   iot.ProductKey
	DeviceName   iot.DeviceName
	Rotating     bool
	SecretSerial int64  // of the secret in force: 1 for a device's first
	IssuedAt     int64  // of it
	OldUntil     int64  `json:",omitempty"` // until when the secret before is accepted
	LastUsed     string // new, old or none: the secret of the last login
	DeviceSecret string `json:",omitempty"` // of RelinkRotateDeviceSecret alone
}

func (a *api) rotationOf(d *store.Device, s *store.Session) rotation {
	r := rotation{ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, SecretSerial: d.Credentials.Serial, IssuedAt: d.Credentials.IssuedAt,
		Rotating: d.Rotating(a.now().UnixMilli()), LastUsed: registry.LastSecret(d, s)}
	if r.IssuedAt == 0 {
		r.IssuedAt = d.CreatedAt
	}
	if r.Rotating {
		r.OldUntil = d.Credentials.OldUntil
	}
	return r
}

// rotateDeviceSecret (RelinkRotateDeviceSecret) issues a new secret and keeps the old one for a time.
func (a *api) rotateDeviceSecret(ctx context.Context, c *openapi.Call) (any, error) {
	seconds, err := c.Params.Int("KeepOldFor", int(registry.DefaultKeepOld/time.Second))
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	if d, err = a.devices.Rotate(ctx, d.Ref, time.Duration(seconds)*time.Second); err != nil {
		return nil, err
	}
	s, err := a.devices.State(ctx, d)
	if err != nil {
		return nil, err
	}
	r := a.rotationOf(d, s.Session)
	r.DeviceSecret = d.Secret.Reveal()
	return dataAnswer[rotation]{r}, nil
}

// finishRotation (RelinkFinishRotation) ends the old secret.
func (a *api) finishRotation(ctx context.Context, c *openapi.Call) (any, error) {
	force, err := c.Params.Bool("Force", false)
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := a.devices.Finish(ctx, d.Ref, force); err != nil {
		return nil, err
	}
	a.forget(ctx, d.Ref)
	return nil, nil
}

// forget has all connectors ask again what a device may do that speaks with a token. One that could not be told asks within a minute by
// itself, so that is no failure of the call.
func (a *api) forget(ctx context.Context, dev iot.DeviceRef) {
	_, err := a.commander.Command(ctx, downlink.Command{Forget: &downlink.Forget{ProductKey: dev.ProductKey, DeviceName: dev.DeviceName}})
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "connectors not told of a changed device", logs.Device(dev), logs.Err(err))
	}
}

type rotationList struct {
	Data      struct{ Rotation []rotation }
	Page      int
	PageCount int
	PageSize  int
	Total     int // devices of the product
}

// queryRotations (RelinkQueryRotations) tells of one device, or of a page of a product's devices, newest first.
func (a *api) queryRotations(ctx context.Context, c *openapi.Call) (any, error) {
	if c.Params.String("IotId") != "" || c.Params.String("DeviceName") != "" {
		d, err := a.device(ctx, c)
		if err != nil {
			return nil, err
		}
		s, err := a.devices.State(ctx, d)
		if err != nil {
			return nil, err
		}
		answer := rotationList{Page: 1, PageCount: 1, PageSize: 1, Total: 1}
		answer.Data.Rotation = []rotation{a.rotationOf(d, s.Session)}
		return answer, nil
	}
	number, size, err := page(c, 50, 200)
	if err != nil {
		return nil, err
	}
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	devices, err := a.rows.List(ctx, p.Key, (number-1)*size, size)
	if err != nil {
		return nil, err
	}
	states, err := a.devices.States(ctx, devices)
	if err != nil {
		return nil, err
	}
	total, err := a.rows.Count(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	answer := rotationList{Page: number, PageCount: pages(total, size), PageSize: size, Total: total}
	answer.Data.Rotation = list(len(devices), func(i int) rotation { return a.rotationOf(devices[i], states[i].Session) })
	return answer, nil
}

type registration struct {
	ProductKey iot.ProductKey
	Enabled    bool
}

// dynamicRegistration (RelinkDynamicRegistration) tells whether devices of a product may register, and switches it if Enabled is given.
func (a *api) dynamicRegistration(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	on, err := c.Params.Bool("Enabled", p.DynamicRegister)
	if err != nil {
		return nil, err
	}
	if on != p.DynamicRegister {
		if err := a.products.SetDynamicRegister(ctx, p.Key, on); err != nil {
			return nil, err
		}
	}
	return dataAnswer[registration]{registration{p.Key, on}}, nil
}
