package mqtt

import (
	"slices"
	"sync"

	"relink/shared/device"
	"relink/shared/iot"
)

// maxClasses bounds the products whose topic classes are shared.
const maxClasses = 10_000

// classes lets all sessions of a product share its topic classes: each grant comes with a copy of its own.
type classes struct {
	mu        sync.Mutex
	byProduct map[iot.ProductKey][]device.TopicClass
}

// share gives the grant's classes, as an earlier grant of the product had them if nothing has changed. Nobody writes to them.
func (c *classes) share(g *device.Grant) []device.TopicClass {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.byProduct[g.ProductKey]; slices.Equal(known, g.Topics) {
		return known
	}
	if c.byProduct == nil || len(c.byProduct) >= maxClasses {
		c.byProduct = make(map[iot.ProductKey][]device.TopicClass)
	}
	c.byProduct[g.ProductKey] = g.Topics
	return g.Topics
}
