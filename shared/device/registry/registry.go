// Package registry is the life of devices as the OpenAPI knows it ("Devices"): registered one by one or in batches, found by
// name or IotId, disabled, enabled, deleted, and seen online or offline. It is not in package device because the stores, whose
// rows it speaks of, are built on that one.
package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/store"
)

// Stores are the tables that a Registry works on.
type Stores struct {
	Products interface {
		Get(ctx context.Context, key iot.ProductKey) (*store.Product, error)
	}
	Devices  store.Devices
	Sessions interface {
		GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*store.Session, error)
	}
	Nodes interface {
		Get(ctx context.Context, id string) (*store.Node, error)
	}
	Applications store.Applications
}

// A Dropper ends the live connection of a device; it is no error if there is none.
type Dropper interface {
	Drop(ctx context.Context, dev iot.DeviceRef, reason string) error
}

// A Registry does what the OpenAPI's actions on devices do. It is safe for concurrent use.
type Registry struct {
	stores  Stores
	dropper Dropper
	rules   *message.Sender // nil: nobody wants anything
	now     func() time.Time
}

// New makes a Registry; now is the clock.
func New(stores Stores, dropper Dropper, now func() time.Time) *Registry {
	return &Registry{stores: stores, dropper: dropper, now: now}
}

// Reasons of dropped connections, as the connector logs them.
const (
	reasonDisabled = "disabled"
	reasonDeleted  = "deleted"
)

// A Registration is a device to be registered.
type Registration struct {
	ProductKey iot.ProductKey
	DeviceName iot.DeviceName // random if empty
	Nickname   string
}

// Register creates a device with a new secret and IotId. Errors: ProductNotFound, InvalidParams, AlreadyExists.
func (r *Registry) Register(ctx context.Context, n Registration) (*store.Device, error) {
	if _, err := r.stores.Products.Get(ctx, n.ProductKey); err != nil {
		return nil, err
	}
	if n.DeviceName == "" {
		n.DeviceName = randomName()
	}
	if !iot.ValidNewDeviceName(string(n.DeviceName)) {
		return nil, iot.Errorf(iot.InvalidParams, "a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:")
	}
	if n.Nickname != "" && !ValidNickname(n.Nickname) {
		return nil, iot.Errorf(iot.InvalidParams, "a nickname has 4 to 64 characters: CJK, which count twice, letters, digits, and _")
	}
	d := &store.Device{Ref: iot.DeviceRef{ProductKey: n.ProductKey, DeviceName: n.DeviceName}, IotID: newIotID(), Nickname: n.Nickname, CreatedAt: r.now().UnixMilli()}
	if err := r.create(ctx, d); err != nil {
		return nil, err
	}
	return d, nil
}

// NewDevice makes a device with a new IotId and secret, not stored yet.
func NewDevice(ref iot.DeviceRef, at int64) *store.Device {
	return &store.Device{Ref: ref, IotID: newIotID(), Secret: NewSecret(), CreatedAt: at, UpdatedAt: at}
}

// create stores a device under a new secret.
func (r *Registry) create(ctx context.Context, d *store.Device) error {
	d.Secret, d.UpdatedAt = NewSecret(), d.CreatedAt
	if err := r.rules.Refresh(ctx); err != nil {
		return iot.Wrap(iot.Unavailable, err, "")
	}
	if err := r.stores.Devices.Create(ctx, d); err != nil {
		return err
	}
	return r.tell(ctx, message.Create, d)
}

// Find gets a device by its IotID, if one is given, or else by its name. Errors: DeviceNotFound.
func (r *Registry) Find(ctx context.Context, id iot.IotID, ref iot.DeviceRef) (*store.Device, error) {
	if id != "" {
		resolved, err := r.stores.Devices.Resolve(ctx, id)
		if err != nil {
			return nil, err
		}
		ref = resolved
	}
	return r.stores.Devices.Get(ctx, ref)
}

// Enable lets a disabled device connect again.
func (r *Registry) Enable(ctx context.Context, dev iot.DeviceRef) error {
	d, err := r.watched(ctx, dev)
	if err != nil {
		return err
	}
	if err := r.stores.Devices.SetDisabled(ctx, dev, false, r.now().UnixMilli()); err != nil {
		return err
	}
	return r.tell(ctx, message.Enable, d)
}

// Disable refuses the device's logins from now on and then ends its connection. In this order no login slips in between. If
// the connection cannot be ended the caller is told and repeats the call, which is idempotent.
func (r *Registry) Disable(ctx context.Context, dev iot.DeviceRef) error {
	d, err := r.watched(ctx, dev)
	if err != nil {
		return err
	}
	if err := r.stores.Devices.SetDisabled(ctx, dev, true, r.now().UnixMilli()); err != nil {
		return err
	}
	if err := r.dropper.Drop(ctx, dev, reasonDisabled); err != nil {
		return err
	}
	return r.tell(ctx, message.Disable, d)
}

// Delete removes the device with everything that belongs to it. It is disabled first and its connection ended, because the
// session row, which tells who holds the connection, goes with the device; what fails on the way leaves a disabled device, and
// the call can be repeated.
func (r *Registry) Delete(ctx context.Context, dev iot.DeviceRef) error {
	d, err := r.watched(ctx, dev)
	if err != nil {
		return err
	}
	if err := r.stores.Devices.SetDisabled(ctx, dev, true, r.now().UnixMilli()); err != nil {
		return err
	}
	if err := r.dropper.Drop(ctx, dev, reasonDeleted); err != nil {
		return err
	}
	if err := r.stores.Devices.Delete(ctx, dev); err != nil {
		return err
	}
	return r.tell(ctx, message.Delete, d)
}

// ValidNickname tells whether a device may have this nickname: 4 to 64 characters of CJK, which count twice, letters, digits
// and _ ("RegisterDevice", Nickname).
func ValidNickname(s string) bool { return iotText(s, 4, 64) }

// NewSecret makes a DeviceSecret: 32 hex digits.
func NewSecret() iot.Secret {
	var b [16]byte
	rand.Read(b[:])
	return iot.Secret(hex.EncodeToString(b[:]))
}

// alphanumerics has 62 characters: a byte below 248 picks one evenly.
const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func randomAlphanumerics(n int) string {
	s := make([]byte, 0, n)
	var b [64]byte
	for {
		rand.Read(b[:])
		for _, c := range b {
			if c >= 4*62 {
				continue
			}
			if s = append(s, alphanumerics[c%62]); len(s) == n {
				return string(s)
			}
		}
	}
}

// An IotId is 20 random characters and the suffix that the vendor's ids have.
const (
	iotIDRandom = 20
	iotIDSuffix = "000101"
)

func newIotID() iot.IotID { return iot.IotID(randomAlphanumerics(iotIDRandom) + iotIDSuffix) }

// randomName is the name of a device that was registered without one: 20 alphanumerics.
func randomName() iot.DeviceName { return iot.DeviceName(randomAlphanumerics(20)) }
