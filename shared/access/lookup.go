package access

import (
	"context"
	"errors"
	"sync"

	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/store"
)

// lookups bounds the products that one batch asks for at the same time.
const lookups = 8

// findIotIDs finds who the logins after a pre-authentication are of. An unknown IotId stays without a name.
func (s *Service) findIotIDs(ctx context.Context, attempts []attempt) {
	var asking []*attempt
	for i := range attempts {
		if a := &attempts[i]; !a.decided() && a.claim.proof == byPreAuth {
			asking = append(asking, a)
		}
	}
	eachOf(len(asking), func(i int) {
		a := asking[i]
		ref, err := s.devices.Resolve(ctx, a.claim.iotID)
		switch {
		case iot.Is(err, iot.DeviceNotFound):
			a.refuse(refusal.PreAuthTokenMismatch, "no device has this IotId")
		case err != nil:
			a.answer.Err = err
		default:
			a.claim.ref = ref
		}
	})
}

// findCertificates finds who the logins with a certificate are of.
func (s *Service) findCertificates(ctx context.Context, attempts []attempt) {
	var asking []*attempt
	for i := range attempts {
		if a := &attempts[i]; !a.decided() && a.claim.proof == byCertificate {
			asking = append(asking, a)
		}
	}
	eachOf(len(asking), func(i int) {
		a := asking[i]
		bound, err := s.certs.Identify(ctx, a.login.Certificate)
		if e, ok := errors.AsType[*refusal.Error](err); ok {
			a.refuse(e.Cause, e.Detail)
			return
		}
		if err != nil {
			a.answer.Err = err
			return
		}
		a.unnamed = a.claim.ref.IsZero()
		if !a.unnamed && a.claim.ref != bound.Ref {
			a.refuse(refusal.CertificateOtherDevice, "it is bound to "+bound.Ref.String())
			return
		}
		a.claim.ref, a.bound = bound.Ref, bound
	})
}

// findProducts sets the product of every attempt that is not decided; unknown ones stay nil.
func (s *Service) findProducts(ctx context.Context, attempts []attempt) {
	type found struct {
		product *store.CachedProduct
		err     error
	}
	products := make(map[iot.ProductKey]*found)
	var wg sync.WaitGroup
	slots := make(chan struct{}, lookups)
	for i := range attempts {
		key := attempts[i].claim.ref.ProductKey
		if attempts[i].decided() || products[key] != nil {
			continue
		}
		f := new(found)
		products[key] = f
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f.product, f.err = s.products.Get(ctx, key)
		})
	}
	wg.Wait()
	for i := range attempts {
		a := &attempts[i]
		if a.decided() {
			continue
		}
		f := products[a.claim.ref.ProductKey]
		a.product = f.product
		if f.err != nil && !iot.Is(f.err, iot.ProductNotFound) {
			a.answer.Err = f.err
		}
	}
}

// findDevices sets the device of every attempt whose product exists; unknown ones stay nil.
func (s *Service) findDevices(ctx context.Context, attempts []attempt) {
	var asking []*attempt
	var refs []iot.DeviceRef
	for i := range attempts {
		if a := &attempts[i]; !a.decided() && a.product != nil {
			asking = append(asking, a)
			refs = append(refs, a.claim.ref)
		}
	}
	if len(refs) == 0 {
		return
	}
	devices, err := s.devices.GetMany(ctx, refs)
	for i, a := range asking {
		if err == nil {
			a.device = devices[i]
			continue
		}
		if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
			a.answer.Err = err
			continue
		}
		// One row that cannot be read, a damaged secret for example, must not keep the others out.
		dev, err := s.devices.Get(ctx, a.claim.ref)
		a.device = dev
		if err != nil && !iot.Is(err, iot.DeviceNotFound) {
			a.answer.Err = err
		}
	}
}
