package product

import (
	"context"
	"errors"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// MaxTopics is how many custom topic categories a product has at most ("Quotas").
const MaxTopics = 50

// What is wrong with a change of topic categories.
var (
	ErrTopicExists  = errors.New("product: the product has a topic category of this name")
	ErrTopicMissing = errors.New("product: there is no such topic category")
	ErrTooManyTopic = errors.New("product: the product has as many topic categories as it may have")
)

// AddTopic adds a topic category, whose id it makes, and gives the product as it is then. Errors: ErrTopicExists, ErrTooManyTopic, ProductNotFound.
func (s *Service) AddTopic(ctx context.Context, key iot.ProductKey, t store.Topic) (added store.Topic, p *store.Product, err error) {
	err = s.update(ctx, key, func(now *store.Product) error {
		switch {
		case slices.ContainsFunc(now.Topics, func(o store.Topic) bool { return o.Filter == t.Filter }):
			return ErrTopicExists
		case len(now.Topics) >= MaxTopics:
			return ErrTooManyTopic
		}
		t.ID = store.TopicID(key, t.Filter)
		for topicIndex(now, t.ID) >= 0 { // one that was renamed keeps its id
			t.ID++
		}
		p, now.Topics = now, append(slices.Clone(now.Topics), t)
		return nil
	})
	return t, p, err
}

// ChangeTopic changes the topic category with this id. Errors: ErrTopicMissing, ErrTopicExists, what change answers.
func (s *Service) ChangeTopic(ctx context.Context, id int64, change func(*store.Topic) error) (*store.Product, error) {
	return s.updateTopic(ctx, id, func(p *store.Product, i int) error {
		p.Topics = slices.Clone(p.Topics)
		if err := change(&p.Topics[i]); err != nil {
			return err
		}
		for j := range p.Topics {
			if j != i && p.Topics[j].Filter == p.Topics[i].Filter {
				return ErrTopicExists
			}
		}
		return nil
	})
}

// RemoveTopic removes the topic category with this id. Errors: ErrTopicMissing.
func (s *Service) RemoveTopic(ctx context.Context, id int64) (*store.Product, error) {
	return s.updateTopic(ctx, id, func(p *store.Product, i int) error {
		p.Topics = slices.Delete(slices.Clone(p.Topics), i, i+1)
		return nil
	})
}

// updateTopic finds the product that has the category, of which the id says nothing.
func (s *Service) updateTopic(ctx context.Context, id int64, change func(p *store.Product, i int) error) (p *store.Product, err error) {
	all, err := s.products.List(ctx)
	if err != nil {
		return nil, err
	}
	found := slices.IndexFunc(all, func(p *store.Product) bool { return topicIndex(p, id) >= 0 })
	if found < 0 {
		return nil, ErrTopicMissing
	}
	err = s.update(ctx, all[found].Key, func(now *store.Product) error {
		i := topicIndex(now, id)
		if i < 0 {
			return ErrTopicMissing
		}
		p = now
		return change(now, i)
	})
	return p, err
}

func topicIndex(p *store.Product, id int64) int {
	return slices.IndexFunc(p.Topics, func(t store.Topic) bool { return t.ID == id })
}
