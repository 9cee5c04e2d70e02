package device

import (
	"encoding/json"
	"sync/atomic"
)

// A TopicClass is one custom topic category of a product.
type TopicClass struct {
	Filter    string `json:"filter"`              // part after /{pk}/{dn}/: user/update; + and # allowed if Subscribe
	Publish   bool   `json:"publish"`             // the device may publish
	Subscribe bool   `json:"subscribe"`           // the device may subscribe
	Automatic bool   `json:"automatic,omitempty"` // with Subscribe: the platform subscribes for the device
}

// DefaultTopics are the categories that every new product gets.
func DefaultTopics() []TopicClass {
	return []TopicClass{
		{Filter: "user/update", Publish: true},
		{Filter: "user/update/error", Publish: true},
		{Filter: "user/get", Subscribe: true},
	}
}

// Classes are the topic categories of one product, as all its sessions on a node see them. They change while sessions last. It is safe
// for concurrent use; nil has none. Its JSON is the list.
type Classes struct{ list atomic.Pointer[[]TopicClass] }

// NewClasses makes classes of a list that nobody writes to any more.
func NewClasses(list []TopicClass) *Classes {
	c := new(Classes)
	c.Set(list)
	return c
}

// List gives the categories, to be read only.
func (c *Classes) List() []TopicClass {
	if p := c.Version(); p != nil {
		return *p
	}
	return nil
}

// Version tells one list from another: what was found out with one holds as long as it is the same.
func (c *Classes) Version() *[]TopicClass {
	if c == nil {
		return nil
	}
	return c.list.Load()
}

// Set replaces the categories.
func (c *Classes) Set(list []TopicClass) { c.list.Store(&list) }

// MarshalJSON writes the list.
func (c *Classes) MarshalJSON() ([]byte, error) { return json.Marshal(c.List()) }

// UnmarshalJSON reads the list.
func (c *Classes) UnmarshalJSON(text []byte) error {
	var list []TopicClass
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	c.Set(list)
	return nil
}
