package product_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/iot"
	"relink/shared/product"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func newService(products store.Products, m *memory.Store) *product.Service {
	return product.New(products, m.Devices(), time.Now)
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"abcd": true, "abc": false, "网关": true, "网": false, strings.Repeat("网", 15): true, strings.Repeat("网", 15) + "a": false,
		"a_-@()1": true, "with space": false, "": false, "abc\x00": false, "かな": true,
	} {
		if got := product.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := newService(m.Products(), m)
	p, err := s.Create(t.Context(), product.Creation{Name: "thermostat", Senior: true, Publish: true})
	if err != nil {
		t.Fatal(err)
	}
	if !iot.ValidProductKey(string(p.Key)) || len(p.Key) != 11 || p.Key[:2] != "a1" || len(p.Secret.Reveal()) != 16 || len(p.Topics) != 3 || len(p.Models) != 1 || !p.DynamicRegister || p.Status != product.StatusDevelopment {
		t.Errorf("created %+v", p)
	}
	if _, err := s.Create(t.Context(), product.Creation{Name: "thermostat"}); !iot.Is(err, iot.AlreadyExists) {
		t.Errorf("the same name again: %v", err)
	}
	if _, err := s.Create(t.Context(), product.Creation{Name: "x"}); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("a short name: %v", err)
	}
}

func TestDeleteRefusedWithDevices(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := newService(m.Products(), m)
	p, err := s.Create(t.Context(), product.Creation{Name: "thermostat"})
	if err != nil {
		t.Fatal(err)
	}
	ref := iot.DeviceRef{ProductKey: p.Key, DeviceName: "dev-1"}
	if err := m.Devices().Create(t.Context(), &store.Device{Ref: ref, IotID: "i1", Secret: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), p.Key); !iot.Is(err, iot.ProductInUse) {
		t.Errorf("with a device: %v", err)
	}
	if err := m.Devices().Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), p.Key); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), p.Key); !iot.Is(err, iot.ProductNotFound) {
		t.Errorf("again: %v", err)
	}
}

// contended is a table on which others write between our read and our write, so many times.
type contended struct {
	store.Products
	mu    sync.Mutex
	times int
}

func (c *contended) Update(ctx context.Context, p *store.Product) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times > 0 {
		c.times--
		other, err := c.Products.Get(ctx, p.Key)
		if err != nil {
			return err
		}
		other.Description += "x"
		if err := c.Products.Update(ctx, other); err != nil {
			return err
		}
	}
	return c.Products.Update(ctx, p)
}

func TestUpdatesSurviveContention(t *testing.T) {
	t.Parallel()
	m := memory.New()
	c := &contended{Products: m.Products()}
	s := newService(c, m)
	p, err := s.Create(t.Context(), product.Creation{Name: "thermostat", Senior: true})
	if err != nil {
		t.Fatal(err)
	}
	c.times = 3
	if err := s.Rename(t.Context(), p.Key, "renamed", nil); err != nil {
		t.Fatal(err)
	}
	p, err = s.Get(t.Context(), p.Key)
	if err != nil || p.Name != "renamed" || p.Description != "xxx" {
		t.Errorf("%+v, %v: somebody's change is lost", p, err)
	}
	c.times = 100
	if err := s.Publish(t.Context(), p.Key, "1", ""); !iot.Is(err, iot.Conflict) {
		t.Errorf("without end: %v", err)
	}
}

func TestModelVersions(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := newService(m.Products(), m)
	p, err := s.Create(t.Context(), product.Creation{Name: "thermostat", Senior: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := product.Published(p, ""); !iot.Is(err, iot.ModelNotFound) {
		t.Errorf("nothing is published: %v", err)
	}
	if err := errors.Join(s.Publish(t.Context(), p.Key, "1.0", "a"), s.Publish(t.Context(), p.Key, "2.0", "b")); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), p.Key, "1.0", ""); !iot.Is(err, iot.AlreadyExists) {
		t.Errorf("a version again: %v", err)
	}
	for _, bad := range []string{"a b", strings.Repeat("1", 17), "1-0"} {
		if err := s.Publish(t.Context(), p.Key, bad, ""); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("version %q: %v", bad, err)
		}
	}
	if p, err = s.Get(t.Context(), p.Key); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{"": "2.0", "1.0": "1.0"} {
		if got, err := product.Published(p, version); err != nil || got.Version != want {
			t.Errorf("Published(%q) = %+v, %v", version, got, err)
		}
	}
	if _, err := product.Published(p, "3.0"); !iot.Is(err, iot.ModelNotFound) {
		t.Errorf("an unknown version: %v", err)
	}
	p.Status = product.StatusReleased
	if err := m.Products().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteFeatures(t.Context(), p.Key, product.Block{}, nil, nil, nil); !iot.Is(err, iot.ProductReleased) {
		t.Errorf("a released product: %v", err)
	}
	if err := s.Import(t.Context(), p.Key, product.Block{}, make([]byte, 256<<10+1)); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("a document that is too large: %v", err)
	}
}
