package main

import (
	"context"
	"log/slog"
	"time"

	"relink/shared/certificate"
	"relink/shared/device/registry"
	"relink/shared/deviceinfo"
	"relink/shared/iot"
	"relink/shared/ledger"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/rule"
	"relink/shared/script"
	"relink/shared/shadow"
	"relink/shared/store"
	"relink/shared/subscription"
	"relink/shared/topology"
	"relink/shared/tsl"
)

// An api holds what the actions work with.
type api struct {
	products     *product.Service
	cached       *store.CachedProducts // for calls that send and read; what others change is seen after two seconds
	devices      *registry.Registry
	certificates *certificate.Service
	rows         store.Devices // for lists, which need no use case
	properties   store.Properties
	events       store.Events
	calls        store.Calls
	desired      store.DesiredProperties
	sessions     store.Sessions
	nodes        store.Nodes
	delivery     *delivery
	commander    commander
	recorder     callRecorder // the same, for who stores many requests together
	ids          *ids
	topology     *topology.Service
	now          func() time.Time
	region       string
	log          *slog.Logger
	shadows      *shadow.Service
	scripts      *script.Service
	scriptRows   store.Scripts
	runner       script.Runner
	keys         openapi.Keys
	infos        *deviceinfo.Service
	tagIndex     store.DeviceInfos
	broadcasts   *broadcastLimit
	rules        *rule.Service
	subscribed   *subscription.Service
	account      int64
	engine       engineStores
	books        ledger.Stores
	functions    invoker
}

// productKey reads the parameter ProductKey.
func productKey(c *openapi.Call) (iot.ProductKey, error) {
	key := c.Params.String("ProductKey")
	if key == "" {
		return "", openapi.Refusef(openapi.CodeNullProductKey, "ProductKey is empty")
	}
	if !iot.ValidProductKey(key) {
		return "", openapi.Refusef(openapi.CodeBadProductKey, "ProductKey is malformed")
	}
	c.Device.ProductKey = iot.ProductKey(key)
	return iot.ProductKey(key), nil
}

// product gets the product that the call names.
func (a *api) product(ctx context.Context, c *openapi.Call) (*store.Product, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	return a.products.Get(ctx, pk)
}

// withModel does something with a product and its thing model in force. They are taken from the cache first; if what is asked
// does not fit what is there, the product is read again, so that nobody is refused for what was published a second ago.
func (a *api) withModel(ctx context.Context, pk iot.ProductKey, do func(p *store.Product, m *tsl.Model) error) error {
	if c, err := a.cached.Get(ctx, pk); err == nil && c.Senior && c.Thing != nil && do(&c.Product, c.Thing) == nil {
		return nil
	}
	p, err := a.products.Get(ctx, pk)
	if err != nil {
		return err
	}
	m, err := product.Published(p, "")
	if err != nil {
		return err
	}
	return do(p, m.Model)
}

// haveProperties is NotInModel unless the thing model in force has all these properties.
func (a *api) haveProperties(ctx context.Context, pk iot.ProductKey, identifiers ...string) error {
	return a.withModel(ctx, pk, func(_ *store.Product, m *tsl.Model) error {
		for _, id := range identifiers {
			if _, ok := m.Property(id); !ok {
				return iot.Errorf(iot.NotInModel, "the thing model has no property %s", id)
			}
		}
		return nil
	})
}

// block gets the thing model in force, and that module of it which the call names in FunctionBlockId.
func (a *api) block(ctx context.Context, c *openapi.Call, pk iot.ProductKey) (model, block *tsl.Model, err error) {
	p, err := a.products.Get(ctx, pk)
	if err != nil {
		return nil, nil, err
	}
	m, err := product.Published(p, "")
	if err != nil {
		return nil, nil, err
	}
	block, err = m.Block(c.Params.String("FunctionBlockId"))
	return m.Model, block, err
}

// device gets the device that the call names: by IotId, or else by ProductKey and DeviceName.
func (a *api) device(ctx context.Context, c *openapi.Call) (*store.Device, error) {
	id := c.Params.String("IotId")
	if len(id) > 64 {
		return nil, openapi.Refusef(openapi.CodeBadIotID, "IotId is malformed")
	}
	var ref iot.DeviceRef
	if id == "" {
		name := c.Params.String("DeviceName")
		if c.Params.String("ProductKey") == "" && name == "" {
			return nil, openapi.Refusef(openapi.CodeNoDevice, "neither IotId nor ProductKey and DeviceName are given")
		}
		pk, err := productKey(c)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, openapi.Refusef(openapi.CodeNullDeviceName, "DeviceName is empty")
		}
		if !iot.ValidDeviceName(name) {
			return nil, openapi.Refusef(openapi.CodeBadDeviceName, "DeviceName is malformed")
		}
		ref = iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(name)}
		c.Device = ref
	}
	d, err := a.devices.Find(ctx, iot.IotID(id), ref)
	if err != nil {
		if iot.Is(err, iot.DeviceNotFound) && id == "" {
			if _, err := a.products.Get(ctx, ref.ProductKey); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
	c.Device = d.Ref
	return d, nil
}

// page reads CurrentPage and PageSize. Without defaults (0) both are required by the table.
func page(c *openapi.Call, defaultSize, maxSize int) (number, size int, err error) {
	if number, err = c.Params.Int("CurrentPage", 1); err != nil {
		return 0, 0, err
	}
	if size, err = c.Params.Int("PageSize", defaultSize); err != nil {
		return 0, 0, err
	}
	if number < 1 || size < 1 || size > maxSize || number > 1_000_000_000/size {
		return 0, 0, openapi.Refusef(openapi.CodePage, "CurrentPage is at least 1 and PageSize 1 to %d", maxSize)
	}
	return number, size, nil
}

// pages is how many pages of a size hold so many.
func pages(total, size int) int { return (total + size - 1) / size }

// list makes a list that encodes as [] if it is empty.
func list[T any](n int, item func(i int) T) []T {
	l := make([]T, 0, n)
	for i := range n {
		l = append(l, item(i))
	}
	return l
}
