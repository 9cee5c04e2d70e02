// Package subscription keeps the subscriptions of products: which kinds of messages are delivered to the owner's queues without a rule
// ("Server-side subscription", "Model", "MNS subscription" and "Management notes"). Subscriptions of consumer groups, type AMQP, are
// refused until there is somebody who delivers to them.
package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
)

// Codes of refusals ("Server-side subscription").
const (
	codeEmpty = "iot.consumer.group.CallbackTypeEmpty"
	codeType  = "iot.consumer.group.InvalidSubscribeType"
	codeMNS   = "iot.consumer.group.MnsCheckFailed"
)

// maxText bounds the texts that are only kept.
const maxText = 4 << 10

// Queues makes the queues that messages are delivered to; *mns.Client is one.
type Queues interface {
	Exists(ctx context.Context, queue string) (bool, error)
	Create(ctx context.Context, queue string) error
	Delete(ctx context.Context, queue string) error
}

// Products tells whether a product exists.
type Products interface {
	Get(ctx context.Context, pk iot.ProductKey) (*store.Product, error) // ProductNotFound
}

// A Service is the use cases about subscriptions. It is safe for concurrent use.
type Service struct {
	tables   interest.Stores
	products Products
	queues   Queues
	now      func() time.Time
}

// New makes a service.
func New(tables interest.Stores, products Products, queues Queues, now func() time.Time) *Service {
	return &Service{tables, products, queues, now}
}

// QueueOf is the queue of a product's subscription.
func QueueOf(pk iot.ProductKey) string { return "aliyun-iot-" + string(pk) }

// A subscription without flags is one that is being made or deleted: its row is there first and last, so that whoever repeats a call
// that broke off knows whether the queue is the platform's.
func active(s *store.Subscription) bool { return s != nil && s.Flags != store.SubscriptionFlags{} }

func (s *Service) check(sub *store.Subscription) error {
	if err := checkType(sub.Type); err != nil {
		return err
	}
	if len(interest.Kinds(sub.Type, sub.Flags)) == 0 {
		return openapi.Refusef(codeEmpty, "no kind of messages is selected that type MNS delivers")
	}
	if len(sub.SubscribeFlags) > maxText || len(sub.MNSConfiguration) > maxText {
		return openapi.Refusef(openapi.CodeFormat, "SubscribeFlags and MnsConfiguration have at most %d bytes", maxText)
	}
	var object map[string]json.RawMessage
	if sub.MNSConfiguration != "" && json.Unmarshal([]byte(sub.MNSConfiguration), &object) != nil {
		return openapi.Refusef(codeMNS, "MnsConfiguration is no JSON object")
	}
	return nil
}

func checkType(kind string) error {
	switch kind {
	case interest.MNS:
		return nil
	case interest.AMQP:
		return openapi.Refusef(codeType, "subscriptions of type AMQP are not served yet; MNS is")
	}
	return openapi.Refusef(codeType, "Type is MNS or AMQP")
}

// Create makes a subscription, whose ProductKey, Type, Flags, MNSConfiguration and SubscribeFlags are given, and its queue.
func (s *Service) Create(ctx context.Context, given store.Subscription) error {
	if err := s.check(&given); err != nil {
		return err
	}
	if _, err := s.products.Get(ctx, given.ProductKey); err != nil {
		return err
	}
	return s.write(ctx, func(old *store.Subscription) (*store.Subscription, error) {
		if active(old) {
			return nil, openapi.Refusef(openapi.CodeFormat, "the product has a subscription of this type; change it with UpdateSubscribeRelation")
		}
		now := s.now().UnixMilli()
		if old == nil {
			exists, err := s.queues.Exists(ctx, QueueOf(given.ProductKey))
			if err != nil {
				return nil, refuse(err)
			}
			old = &store.Subscription{ProductKey: given.ProductKey, Type: given.Type, Queue: QueueOf(given.ProductKey), QueueMade: !exists, CreatedAt: now}
			if err := s.tables.Subscriptions().Put(ctx, old); err != nil {
				return nil, err
			}
		}
		if err := s.queues.Create(ctx, old.Queue); err != nil {
			return nil, refuse(err)
		}
		return old, nil
	}, given)
}

// Update replaces the flags and texts of a subscription.
func (s *Service) Update(ctx context.Context, given store.Subscription) error {
	if err := s.check(&given); err != nil {
		return err
	}
	if _, err := s.products.Get(ctx, given.ProductKey); err != nil {
		return err
	}
	return s.write(ctx, func(old *store.Subscription) (*store.Subscription, error) {
		if !active(old) {
			return nil, openapi.Refusef(openapi.CodeFormat, "the product has no subscription of this type")
		}
		return old, nil
	}, given)
}

// write writes what is given over the row that prepare answers, and makes the interest document anew; also where prepare refuses, because
// the call may be one that broke off, made again.
func (s *Service) write(ctx context.Context, prepare func(old *store.Subscription) (*store.Subscription, error), given store.Subscription) error {
	err := store.Revise(ctx, func() error {
		row, err := s.tables.Subscriptions().Get(ctx, given.ProductKey, given.Type)
		if err != nil {
			return err
		}
		if row, err = prepare(row); err != nil {
			return err
		}
		row.Flags, row.MNSConfiguration, row.SubscribeFlags, row.ModifiedAt = given.Flags, given.MNSConfiguration, given.SubscribeFlags, s.now().UnixMilli()
		return s.tables.Subscriptions().Put(ctx, row)
	})
	if again := interest.Rebuild(ctx, s.tables); err == nil {
		err = again
	}
	return err
}

// Get gives a subscription; nil without an error if there is none.
func (s *Service) Get(ctx context.Context, pk iot.ProductKey, kind string) (*store.Subscription, error) {
	if kind == interest.AMQP {
		return nil, nil
	}
	if err := checkType(kind); err != nil {
		return nil, err
	}
	sub, err := s.tables.Subscriptions().Get(ctx, pk, kind)
	if !active(sub) {
		return nil, err
	}
	return sub, err
}

// Delete deletes a subscription, and its queue if the platform has created it. One that is not there is no error.
func (s *Service) Delete(ctx context.Context, pk iot.ProductKey, kind string) error {
	if kind == interest.AMQP {
		return nil
	}
	if err := checkType(kind); err != nil {
		return err
	}
	var row *store.Subscription
	err := store.Revise(ctx, func() error {
		var err error
		if row, err = s.tables.Subscriptions().Get(ctx, pk, kind); err != nil || !active(row) {
			return err
		}
		row.Flags = store.SubscriptionFlags{}
		return s.tables.Subscriptions().Put(ctx, row)
	})
	if err == nil {
		err = interest.Rebuild(ctx, s.tables)
	}
	if err != nil || row == nil {
		return err
	}
	if row.QueueMade {
		if err := s.queues.Delete(ctx, row.Queue); err != nil {
			return refuse(err)
		}
	}
	return s.tables.Subscriptions().Delete(ctx, pk, kind)
}

// refuse is what the API says when the queue service does not do what it should; the cause is for the log.
func refuse(err error) error {
	return errors.Join(openapi.Refusef(codeMNS, "the queue cannot be made ready: %s", iot.KindOf(err)), err)
}
