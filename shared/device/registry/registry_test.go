package registry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"relink/shared/device/registry"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/store/memory"
)

// steps writes down what happens to a device, in its order.
type steps struct {
	store.Devices
	mu    sync.Mutex
	list  []string
	drops error

	clock  *time.Time // if set, every Create takes creates
	create time.Duration
	fail   func(name iot.DeviceName) error
}

func (s *steps) note(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, step)
}

func (s *steps) SetDisabled(ctx context.Context, ref iot.DeviceRef, disabled bool, at int64) error {
	s.note("disable")
	return s.Devices.SetDisabled(ctx, ref, disabled, at)
}

func (s *steps) Delete(ctx context.Context, ref iot.DeviceRef) error {
	s.note("delete")
	return s.Devices.Delete(ctx, ref)
}

func (s *steps) Drop(_ context.Context, _ iot.DeviceRef, reason string) error {
	s.note("drop " + reason)
	return s.drops
}

func (s *steps) Create(ctx context.Context, d *store.Device) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock != nil {
		*s.clock = s.clock.Add(s.create)
	}
	if s.fail != nil {
		if err := s.fail(d.Ref.DeviceName); err != nil {
			return err
		}
	}
	return s.Devices.Create(ctx, d)
}

func newRegistry(t *testing.T) (*registry.Registry, *steps, *memory.Store) {
	t.Helper()
	m := memory.New()
	if err := m.Products().Create(t.Context(), &store.Product{Key: "a1Product00"}); err != nil {
		t.Fatal(err)
	}
	s := &steps{Devices: m.Devices()}
	now := time.UnixMilli(1767225600000)
	s.clock = &now
	return registry.New(registry.Stores{Products: m.Products(), Devices: s, Sessions: m.Sessions(), Nodes: m.Nodes(), Applications: m.Applications()}, s,
		func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return now }), s, m
}

// The store comes first, so that no login slips in; the session row goes last, because it tells whom to call.
func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	r, s, m := newRegistry(t)
	d, err := r.Register(t.Context(), registry.Registration{ProductKey: "a1Product00", DeviceName: "dev-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Disable(t.Context(), d.Ref); err != nil {
		t.Fatal(err)
	}
	s.drops = errors.New("no connector")
	if err := r.Delete(t.Context(), d.Ref); !errors.Is(err, s.drops) {
		t.Errorf("deleted although its connection lives: %v", err)
	}
	if _, err := m.Devices().Get(t.Context(), d.Ref); err != nil {
		t.Errorf("the deletion cannot be repeated: %v", err)
	}
	s.drops = nil
	if err := r.Delete(t.Context(), d.Ref); err != nil {
		t.Fatal(err)
	}
	want := []string{"disable", "drop disabled", "disable", "drop deleted", "disable", "drop deleted", "delete"}
	if !slices.Equal(s.list, want) {
		t.Errorf("steps %q, want %q", s.list, want)
	}
	if _, err := r.Find(t.Context(), d.IotID, iot.DeviceRef{}); !iot.Is(err, iot.DeviceNotFound) {
		t.Errorf("found after deletion: %v", err)
	}
}

func TestBatchRunsOutOfTime(t *testing.T) {
	t.Parallel()
	r, s, m := newRegistry(t)
	s.create = 100 * time.Millisecond // of six seconds
	a, err := r.RegisterBatch(t.Context(), "a1Product00", 200)
	if err != nil || a.Status != registry.Creating {
		t.Fatalf("%+v, %v", a, err)
	}
	questions := 0
	for a.Status == registry.Creating {
		before, err := m.Devices().Count(t.Context(), "a1Product00")
		if err != nil {
			t.Fatal(err)
		}
		if a, err = r.Application(t.Context(), "a1Product00", a.ID); err != nil {
			t.Fatal(err)
		}
		after, err := m.Devices().Count(t.Context(), "a1Product00")
		if err != nil || after <= before {
			t.Fatalf("no progress: %d, %d, %v", before, after, err)
		}
		questions++
	}
	n, err := m.Devices().Count(t.Context(), "a1Product00")
	if a.Status != registry.CreateSuccess || n != 200 || questions < 2 || err != nil {
		t.Errorf("%s with %d devices after %d questions, %v", a.Status, n, questions, err)
	}
	devices, err := r.Registered(t.Context(), a, 190, 50)
	if err != nil || len(devices) != 10 {
		t.Errorf("%d devices on the last page, %v", len(devices), err)
	}
}

func TestBatchSurvivesThrottling(t *testing.T) {
	t.Parallel()
	r, s, m := newRegistry(t)
	failures := 3
	s.fail = func(iot.DeviceName) error {
		if failures--; failures >= 0 {
			return iot.Errorf(iot.Throttled, "busy")
		}
		return nil
	}
	a, err := r.RegisterBatch(t.Context(), "a1Product00", 50)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if a, err = r.Application(t.Context(), "", a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := m.Devices().Count(t.Context(), "a1Product00"); a.Status != registry.CreateSuccess || n != 50 || err != nil {
		t.Errorf("%s with %d devices, %v", a.Status, n, err)
	}
}

func TestApplicationOfAnotherProduct(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	a, err := r.RegisterBatch(t.Context(), "a1Product00", 1)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := r.Application(t.Context(), "a1Other0000", a.ID); other != nil || err != nil {
		t.Errorf("%+v, %v", other, err)
	}
	if _, err := r.RegisterBatch(t.Context(), "a1Other0000", 1); !iot.Is(err, iot.ProductNotFound) {
		t.Errorf("for no product: %v", err)
	}
}

func TestValidNickname(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"温度": true, "abc": false, "ab_1": true, "a-b-c": false, "": false} {
		if got := registry.ValidNickname(name); got != want {
			t.Errorf("ValidNickname(%q) = %v", name, got)
		}
	}
}
