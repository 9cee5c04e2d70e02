package mqtt

import (
	"slices"
	"sync"

	"relink/shared/device"
	"relink/shared/iot"
)

// maxClasses bounds the products whose topic classes are shared.
const maxClasses = 10_000

// classes lets all sessions of a product share its topic classes, so that a change reaches them all. Each grant comes with a copy of
// its own.
type classes struct {
	mu        sync.Mutex
	byProduct map[iot.ProductKey]*shared
}

type shared struct {
	classes  *device.Classes
	revision int64
}

// share gives the classes that the sessions of the grant's product have, which become those of the grant if it is newer. Sessions of
// products that were forgotten because there were too many keep what they have until they log in again.
func (c *classes) share(g *device.Grant) *device.Classes {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.byProduct[g.ProductKey]
	if known == nil {
		if c.byProduct == nil || len(c.byProduct) >= maxClasses {
			c.byProduct = make(map[iot.ProductKey]*shared)
		}
		known = &shared{device.NewClasses(g.Topics.List()), g.TopicsAt}
		c.byProduct[g.ProductKey] = known
	}
	known.set(g.TopicsAt, g.Topics.List())
	return known.classes
}

// change sets a product's classes for all its sessions.
func (c *classes) change(pk iot.ProductKey, revision int64, list []device.TopicClass) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.byProduct[pk]; known != nil {
		known.set(revision, list)
		return
	}
	if c.byProduct == nil || len(c.byProduct) >= maxClasses {
		c.byProduct = make(map[iot.ProductKey]*shared)
	}
	c.byProduct[pk] = &shared{device.NewClasses(list), revision} // a login may be under way that read the product before
}

func (s *shared) set(revision int64, list []device.TopicClass) {
	if revision < s.revision {
		return
	}
	s.revision = revision
	if !slices.Equal(s.classes.List(), list) {
		s.classes.Set(list)
	}
}

// ChangeClasses sets the topic classes of a product for all its sessions here, unless they know a newer revision of the product.
func (s *Server) ChangeClasses(pk iot.ProductKey, revision int64, list []device.TopicClass) {
	s.classes.change(pk, revision, list)
}

// ShareClasses gives the topic classes that the sessions of a grant's product have here, for sessions that are not MQTT's.
func (s *Server) ShareClasses(g *device.Grant) *device.Classes { return s.classes.share(g) }
