package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Subscription is what a product's messages are delivered to without a rule: a row of the table `subscription`. A product has at most
// one of each type.
type Subscription struct {
	ProductKey iot.ProductKey    `json:"-"`
	Type       string            `json:"-"` // MNS; AMQP
	Flags      SubscriptionFlags `json:"flags"`
	// MNSConfiguration is as the caller gave it: themeName, regionName, role.
	MNSConfiguration string   `json:"mnsConfiguration,omitempty"`
	Queue            string   `json:"queue,omitempty"`      // of MNS: where the messages go
	QueueMade        bool     `json:"queueMade,omitempty"`  // the platform created the queue, and deletes it with the subscription
	ConsumerGroups   []string `json:"groups,omitempty"`     // of AMQP
	SubscribeFlags   string   `json:"extraFlags,omitempty"` // of other protocols: kept and shown
	CreatedAt        int64    `json:"createdAt"`
	ModifiedAt       int64    `json:"modifiedAt"`
	Revision         int64    `json:"-"`
}

// SubscriptionFlags are the kinds of messages that a subscription selects.
type SubscriptionFlags struct {
	DeviceData      bool `json:"data,omitempty"`
	DeviceStatus    bool `json:"status,omitempty"`
	DeviceLifecycle bool `json:"lifecycle,omitempty"`
	DeviceTopology  bool `json:"topology,omitempty"`
	FoundDevices    bool `json:"found,omitempty"`
	DeviceTags      bool `json:"tags,omitempty"`
	ThingHistory    bool `json:"history,omitempty"`
	OTAEvent        bool `json:"otaEvent,omitempty"`
	OTAVersion      bool `json:"otaVersion,omitempty"`
	OTAJob          bool `json:"otaJob,omitempty"`
}

// Subscriptions is the table `subscription`.
type Subscriptions interface {
	Get(ctx context.Context, pk iot.ProductKey, kind string) (*Subscription, error) // nil without an error if there is none
	List(ctx context.Context) ([]*Subscription, error)                              // by product and type
	Put(ctx context.Context, s *Subscription) error                                 // over the revision that was read, 0 for none, and advances it; Conflict
	Delete(ctx context.Context, pk iot.ProductKey, kind string) error               // idempotent
}

const tableSubscription = "subscription" // keys: product_key, type

type subscriptions struct{ client *client }

// Subscriptions is the table `subscription`.
func (s *Store) Subscriptions() Subscriptions { return subscriptions{s.client} }

func subscriptionKey(pk iot.ProductKey, kind string) *tablestore.PrimaryKey {
	k := productKey(pk)
	k.AddPrimaryKeyColumn("type", kind)
	return k
}

func (t subscriptions) Get(ctx context.Context, pk iot.ProductKey, kind string) (*Subscription, error) {
	s := &Subscription{ProductKey: pk, Type: kind}
	var err error
	if s.Revision, err = getDocument(ctx, t.client, tableSubscription, subscriptionKey(pk, kind), s); err != nil || s.Revision == 0 {
		return nil, err
	}
	return s, nil
}

func (t subscriptions) List(ctx context.Context) ([]*Subscription, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	for _, column := range []string{"product_key", "type"} {
		start.AddPrimaryKeyColumnWithMinValue(column)
		end.AddPrimaryKeyColumnWithMaxValue(column)
	}
	var list []*Subscription
	var failed error
	q := tablestore.RangeRowQueryCriteria{TableName: tableSubscription, StartPrimaryKey: start, EndPrimaryKey: end}
	err := t.client.scan(ctx, q, func(row *tablestore.Row) bool {
		s := new(Subscription)
		if s.Revision, failed = readDocument(tableSubscription, newCells(row.Columns), s); failed != nil {
			return false
		}
		pk, _ := row.PrimaryKey.PrimaryKeys[0].Value.(string)
		s.ProductKey = iot.ProductKey(pk)
		s.Type, _ = row.PrimaryKey.PrimaryKeys[1].Value.(string)
		list = append(list, s)
		return true
	})
	if err == nil {
		err = failed
	}
	return list, err
}

func (t subscriptions) Put(ctx context.Context, s *Subscription) error {
	return putDocument(ctx, t.client, tableSubscription, subscriptionKey(s.ProductKey, s.Type), s, &s.Revision)
}

func (t subscriptions) Delete(ctx context.Context, pk iot.ProductKey, kind string) error {
	return deleteRow(ctx, t.client, tableSubscription, subscriptionKey(pk, kind))
}
