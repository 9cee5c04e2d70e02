package store

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/tsl"
)

// How long what was read is believed, and how many keys are remembered: what devices claim chooses the keys.
const (
	cacheFor   = 2 * time.Second
	missingFor = time.Second
	// staleFor is how long something old is believed after its time while the database does not answer.
	staleFor  = time.Minute
	staleStep = 250 * time.Millisecond
	maxCached = 8192
)

// A cache remembers what load answered for a short time. Concurrent misses of one key become one load. It is safe for
// concurrent use; values are shared and must not be changed.
type cache[V any] struct {
	load func(ctx context.Context, key string, old V) (V, error)
	now  func() time.Time

	flights singleflight.Group
	mu      sync.RWMutex
	entries map[string]cached[V]
}

type cached[V any] struct {
	value  V
	err    error // a definite one, such as ProductNotFound
	until  time.Time
	loaded time.Time // when value was last confirmed
}

func newCache[V any](load func(ctx context.Context, key string, old V) (V, error), now func() time.Time) *cache[V] {
	return &cache[V]{load: load, now: now, entries: make(map[string]cached[V])}
}

func (c *cache[V]) get(ctx context.Context, key string) (V, error) {
	c.mu.RLock()
	e, ok := c.entries[key]
	c.mu.RUnlock()
	if ok && c.now().Before(e.until) {
		return e.value, e.err
	}
	// The flight is shared, so it does not end with the context of the caller that happens to lead it; loads are bounded.
	shared := context.WithoutCancel(ctx)
	v, err, _ := c.flights.Do(key, func() (any, error) { return c.refresh(shared, key) })
	if err != nil {
		var none V
		return none, err
	}
	return v.(V), nil
}

func (c *cache[V]) refresh(ctx context.Context, key string) (V, error) {
	c.mu.RLock()
	old, known := c.entries[key]
	c.mu.RUnlock()
	value, err := c.load(ctx, key, old.value)
	now := c.now()
	e := cached[V]{value: value, until: now.Add(cacheFor), loaded: now}
	switch {
	case err == nil:
	case iot.Is(err, iot.ProductNotFound):
		e.err, e.until = err, now.Add(missingFor)
	case known && old.err == nil && passing(err) && now.Before(old.loaded.Add(staleFor)):
		e = old
		e.until = now.Add(staleStep)
	default:
		return value, err
	}
	c.mu.Lock()
	if _, known := c.entries[key]; !known && len(c.entries) >= maxCached {
		c.makeRoom(now)
	}
	c.entries[key] = e
	c.mu.Unlock()
	return e.value, e.err
}

// makeRoom forgets what is out of date, and everything if nothing is.
func (c *cache[V]) makeRoom(now time.Time) {
	for key, e := range c.entries {
		if e.err != nil || now.After(e.until) {
			delete(c.entries, key)
		}
	}
	if len(c.entries) >= maxCached {
		clear(c.entries)
	}
}

// A CachedProduct is a product with its newest published model ready for use, and without the text of models and draft, which
// would fill memory. It is shared: nobody changes it.
type CachedProduct struct {
	Product                     // Draft and Models are nil
	Classes []device.TopicClass // of Topics
	// Thing is the model; nil if none is published, and ThingErr is set if it could not be read.
	Thing    *tsl.Model
	ThingErr error
}

// CachedProducts reads products at most every two seconds each, and compiles a model once per revision of its product.
type CachedProducts struct{ cache *cache[*CachedProduct] }

// NewCachedProducts makes a cache in front of products. now is the clock, time.Now if nil.
func NewCachedProducts(products Products, now func() time.Time) *CachedProducts {
	if now == nil {
		now = time.Now
	}
	load := func(ctx context.Context, key string, old *CachedProduct) (*CachedProduct, error) {
		return loadProduct(ctx, products, iot.ProductKey(key), old)
	}
	return &CachedProducts{newCache(load, now)}
}

// A revisioner can tell whether a product has changed without reading it whole, which for one with many models costs some
// hundred times as much.
type revisioner interface {
	revision(ctx context.Context, key iot.ProductKey) (revision, createdAt int64, err error)
}

func loadProduct(ctx context.Context, products Products, key iot.ProductKey, old *CachedProduct) (*CachedProduct, error) {
	if r, ok := products.(revisioner); ok && old != nil {
		revision, createdAt, err := r.revision(ctx, key)
		if err != nil {
			return nil, err
		}
		if revision == old.Revision && createdAt == old.CreatedAt {
			return old, nil
		}
	}
	p, err := products.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	next := &CachedProduct{Product: *p}
	next.Draft, next.Models, next.Classes = nil, nil, Classes(p.Topics)
	switch {
	case old != nil && old.Revision == p.Revision && old.CreatedAt == p.CreatedAt:
		next.Thing, next.ThingErr = old.Thing, old.ThingErr
	case len(p.Models) > 0:
		next.Thing, next.ThingErr = tsl.Parse(p.Models[len(p.Models)-1].TSL)
	}
	return next, nil
}

// Get answers a product; ProductNotFound, Throttled, Unavailable.
func (c *CachedProducts) Get(ctx context.Context, key iot.ProductKey) (*CachedProduct, error) {
	return c.cache.get(ctx, string(key))
}

// CachedNodes reads nodes at most every two seconds each.
type CachedNodes struct{ cache *cache[*Node] }

// NewCachedNodes makes a cache in front of nodes. now is the clock, time.Now if nil.
func NewCachedNodes(nodes Nodes, now func() time.Time) *CachedNodes {
	if now == nil {
		now = time.Now
	}
	load := func(ctx context.Context, id string, _ *Node) (*Node, error) { return nodes.Get(ctx, id) }
	return &CachedNodes{newCache(load, now)}
}

// Get answers a node, nil without an error if it is unknown.
func (c *CachedNodes) Get(ctx context.Context, id string) (*Node, error) { return c.cache.get(ctx, id) }
