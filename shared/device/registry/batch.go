package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"relink/shared/iot"
	"relink/shared/store"
)

// Limits of batch registration ("BatchRegisterDevice", Count).
const (
	MaxBatch = 10_000

	batchTime  = 6 * time.Second // of one call; the vendor's Java SDK waits 10
	batchLanes = 32              // registrations at once
	batchRead  = 100             // devices per read
)

// States of an Application ("QueryBatchRegisterDeviceStatus", Status).
const (
	CheckSuccess  = "CHECK_SUCCESS"
	CheckFailed   = "CHECK_FAILED"
	Creating      = "CREATE"
	CreateSuccess = "CREATE_SUCCESS"
	CreateFailed  = "CREATE_FAILED"
)

// RegisterBatch registers count devices with random names. Errors: ProductNotFound, QuotaExceeded.
func (r *Registry) RegisterBatch(ctx context.Context, pk iot.ProductKey, count int) (*store.Application, error) {
	if count < 1 || count > MaxBatch {
		return nil, iot.Errorf(iot.QuotaExceeded, "a batch has 1 to %d devices", MaxBatch)
	}
	if _, err := r.stores.Products.Get(ctx, pk); err != nil {
		return nil, err
	}
	names := make([]iot.DeviceName, count)
	for i := range names {
		names[i] = randomName()
	}
	a := r.newApplication(pk, names, Creating)
	if err := r.stores.Applications.Put(ctx, a); err != nil {
		return nil, err
	}
	return a, r.run(ctx, a, false)
}

// CheckNames records names, which must be valid and differ, as an application that RegisterChecked carries out. Names that are
// taken make it CHECK_FAILED and are its Invalid. Errors: ProductNotFound, InvalidParams, QuotaExceeded.
func (r *Registry) CheckNames(ctx context.Context, pk iot.ProductKey, names []iot.DeviceName) (*store.Application, error) {
	if len(names) < 1 || len(names) > MaxBatch {
		return nil, iot.Errorf(iot.QuotaExceeded, "a batch has 1 to %d devices", MaxBatch)
	}
	for _, name := range names {
		if !iot.ValidNewDeviceName(string(name)) {
			return nil, iot.Errorf(iot.InvalidParams, "a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:")
		}
	}
	if _, err := r.stores.Products.Get(ctx, pk); err != nil {
		return nil, err
	}
	a := r.newApplication(pk, names, CheckSuccess)
	found, err := r.devices(ctx, a)
	if err != nil {
		return nil, err
	}
	for i, d := range found {
		if d != nil {
			a.Invalid = append(a.Invalid, names[i])
		}
	}
	if len(a.Invalid) > 0 {
		a.Status = CheckFailed
	}
	return a, r.stores.Applications.Put(ctx, a)
}

// RegisterChecked registers the devices of an application of CheckNames.
func (r *Registry) RegisterChecked(ctx context.Context, a *store.Application) error {
	a.Status, a.CreatedAt = Creating, r.now().UnixMilli()
	if err := r.stores.Applications.Put(ctx, a); err != nil {
		return err
	}
	return r.run(ctx, a, false)
}

// Application gets a batch of a product, and carries it on if it is not complete. It is nil without an error if there is none.
func (r *Registry) Application(ctx context.Context, pk iot.ProductKey, id int64) (*store.Application, error) {
	a, err := r.stores.Applications.Get(ctx, id)
	if err != nil || a == nil || pk != "" && a.ProductKey != pk {
		return nil, err
	}
	if a.Status != Creating {
		return a, nil
	}
	return a, r.run(ctx, a, true)
}

// run registers what is not registered yet. A function has no background, so the work is done within the call; what does not
// fit into the time leaves the status CREATE, and the next question for the status carries on, as an application that polls
// asks until it hears CREATE_SUCCESS. Two callers may do so at once, and one may come to an end half-way, without harm: a name
// is created once, and a device is this application's if it has the IotId that the application gives to its name.
func (r *Registry) run(ctx context.Context, a *store.Application, resumed bool) error {
	deadline := r.now().Add(batchTime)
	todo := make([]int, len(a.Names))
	for i := range todo {
		todo[i] = i
	}
	taken := make([]bool, len(a.Names))
	if resumed {
		found, err := r.devices(ctx, a)
		if err != nil {
			return err
		}
		todo = todo[:0]
		for i, d := range found {
			if d == nil {
				todo = append(todo, i)
			} else {
				taken[i] = d.IotID != batchIotID(a.ID, d.Ref)
			}
		}
	}
	var late atomic.Bool
	g, work := errgroup.WithContext(ctx)
	g.SetLimit(batchLanes)
	for _, i := range todo {
		if late.Load() || work.Err() != nil {
			break
		}
		g.Go(func() error {
			if r.now().After(deadline) {
				late.Store(true)
				return nil
			}
			ref := iot.DeviceRef{ProductKey: a.ProductKey, DeviceName: a.Names[i]}
			err := r.create(work, &store.Device{Ref: ref, IotID: batchIotID(a.ID, ref), CreatedAt: a.CreatedAt})
			if !iot.Is(err, iot.AlreadyExists) {
				return err
			}
			d, err := r.stores.Devices.Get(work, ref)
			if err != nil {
				return err
			}
			taken[i] = d.IotID != batchIotID(a.ID, ref)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		if k := iot.KindOf(err); k == iot.Throttled || k == iot.Unavailable {
			return nil // as if time had run out: the application is recorded, and the next question carries on
		}
		return err
	}
	if late.Load() {
		return nil
	}
	a.Status = CreateSuccess
	for i, t := range taken {
		if t {
			a.Status = CreateFailed
			a.Invalid = append(a.Invalid, a.Names[i])
		}
	}
	slices.Sort(a.Invalid)
	a.Invalid = slices.Compact(a.Invalid)
	return r.stores.Applications.Put(ctx, a)
}

// Registered gets the devices of an application that exist and are its own, from offset on, at most limit of them.
func (r *Registry) Registered(ctx context.Context, a *store.Application, offset, limit int) ([]*store.Device, error) {
	names := a.Names[min(offset, len(a.Names)):min(offset+limit, len(a.Names))]
	found, err := r.devices(ctx, &store.Application{ProductKey: a.ProductKey, Names: names})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(d *store.Device) bool { return d == nil || d.IotID != batchIotID(a.ID, d.Ref) }), nil
}

// devices gets the devices of an application, nil where there is none.
func (r *Registry) devices(ctx context.Context, a *store.Application) ([]*store.Device, error) {
	found := make([]*store.Device, len(a.Names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchLanes)
	for at := 0; at < len(a.Names); at += batchRead {
		g.Go(func() error {
			names := a.Names[at:min(at+batchRead, len(a.Names))]
			refs := make([]iot.DeviceRef, len(names))
			for i, name := range names {
				refs[i] = iot.DeviceRef{ProductKey: a.ProductKey, DeviceName: name}
			}
			some, err := r.stores.Devices.GetMany(ctx, refs)
			copy(found[at:], some)
			return err
		})
	}
	return found, g.Wait()
}

// newApplication makes one with an id of 16 digits: unique by its time and three random digits, and below 2^53, because
// applications in JavaScript read it as a number.
func (r *Registry) newApplication(pk iot.ProductKey, names []iot.DeviceName, status string) *store.Application {
	var b [2]byte
	rand.Read(b[:])
	at := r.now().UnixMilli()
	return &store.Application{ID: at*1000 + int64(binary.BigEndian.Uint16(b[:])%1000), ProductKey: pk, Names: names, Status: status, CreatedAt: at}
}

// batchIotID is the IotId that a batch gives to a device: the same whenever it is asked, and nobody else's.
func batchIotID(application int64, ref iot.DeviceRef) iot.IotID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", application, ref))
	id := make([]byte, iotIDRandom)
	for i := range id {
		id[i] = alphanumerics[sum[i]%62]
	}
	return iot.IotID(id) + iotIDSuffix
}
