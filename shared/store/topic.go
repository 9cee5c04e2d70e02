package store

import (
	"hash/fnv"

	"relink/shared/device"
	"relink/shared/iot"
)

// A Topic is one custom topic category of a product as its owner sees it.
type Topic struct {
	device.TopicClass
	ID          int64  `json:"id,omitempty"` // unique in the installation; see TopicID
	Description string `json:"description,omitempty"`
	Codec       string `json:"codec,omitempty"`
}

// DefaultTopics are the categories of a new product.
func DefaultTopics(pk iot.ProductKey) []Topic {
	list := make([]Topic, 0, 3)
	for _, c := range device.DefaultTopics() {
		list = append(list, Topic{TopicClass: c, ID: TopicID(pk, c.Filter)})
	}
	return list
}

// TopicID makes the id of a topic category: a positive number of at most 53 bits, which every JSON reader can hold.
func TopicID(pk iot.ProductKey, filter string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(pk) + "/" + filter)) // never fails
	return int64(h.Sum64()>>11) | 1
}

// Classes are the categories as a grant has them.
func Classes(topics []Topic) []device.TopicClass {
	list := make([]device.TopicClass, len(topics))
	for i := range topics {
		list[i] = topics[i].TopicClass
	}
	return list
}
