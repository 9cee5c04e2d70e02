package rule

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"golang.org/x/sync/singleflight"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// maxSets bounds the products whose rules are kept compiled.
const maxSets = 4096

// A Set is the rules of a product that run, and its subscriptions. It is shared: nobody changes it.
type Set struct {
	Rules         []*Running
	Index         *rulesql.Index // calls rules by their places in Rules
	Subscriptions []*store.Subscription

	product interest.Product // what it was made of
}

// A Running is a rule that runs, compiled.
type Running struct {
	*store.Rule
	SQL     *rulesql.Rule
	Actions []Action // normal ones
	OnError *Action  // nil if there is none
}

// An Action is an action with its configuration read.
type Action struct {
	store.RuleAction
	Configuration Configuration
}

// A Cache gives the rules of products that run. It follows the interest document: a rule is read and compiled once per version of its
// row. It is safe for concurrent use.
type Cache struct {
	watch   *interest.Watch
	rules   store.Rules
	subs    store.Subscriptions
	log     *slog.Logger
	flights singleflight.Group

	mu   sync.Mutex
	sets map[iot.ProductKey]*Set
}

// NewCache makes a cache.
func NewCache(watch *interest.Watch, rules store.Rules, subs store.Subscriptions, log *slog.Logger) *Cache {
	return &Cache{watch: watch, rules: rules, subs: subs, log: log, sets: make(map[iot.ProductKey]*Set)}
}

// Refresh makes sure that the document is as new as it has to be; see interest.Watch. It is to be called once per batch.
func (c *Cache) Refresh(ctx context.Context) error { return c.watch.Refresh(ctx) }

// Of gives what runs for a product; an empty set if nothing does. Errors are Throttled and Unavailable.
func (c *Cache) Of(ctx context.Context, pk iot.ProductKey) (*Set, error) {
	snapshot := c.watch.Current()
	if snapshot == nil {
		return nil, iot.Errorf(iot.Unavailable, "what rules there are is not known yet")
	}
	product, ok := snapshot.Product(pk)
	if !ok {
		c.mu.Lock()
		delete(c.sets, pk)
		c.mu.Unlock()
		return &Set{Index: rulesql.NewIndex(nil)}, nil
	}
	c.mu.Lock()
	old := c.sets[pk]
	c.mu.Unlock()
	if old != nil && same(old.product, product) {
		return old, nil
	}
	v, err, _ := c.flights.Do(string(pk), func() (any, error) { return c.load(context.WithoutCancel(ctx), pk, product, old) })
	if err != nil {
		return nil, err
	}
	return v.(*Set), nil
}

// same tells whether two products are of the same documents or of ones with the same content. It allocates nothing.
func same(a, b interest.Product) bool {
	if len(a.Rules) != len(b.Rules) || len(a.Subscriptions) != len(b.Subscriptions) {
		return false
	}
	if len(a.Rules) > 0 && &a.Rules[0] != &b.Rules[0] {
		for i := range a.Rules {
			if a.Rules[i].ID != b.Rules[i].ID || a.Rules[i].Revision != b.Rules[i].Revision {
				return false
			}
		}
	}
	for i := range a.Subscriptions {
		if a.Subscriptions[i].Type != b.Subscriptions[i].Type || a.Subscriptions[i].Revision != b.Subscriptions[i].Revision {
			return false
		}
	}
	return true
}

func (c *Cache) load(ctx context.Context, pk iot.ProductKey, product interest.Product, old *Set) (*Set, error) {
	known := make(map[int64]*Running)
	if old != nil {
		for _, r := range old.Rules {
			known[r.ID] = r
		}
	}
	next := &Set{product: product}
	var ids []int64
	for _, r := range product.Rules {
		if k := known[r.ID]; k != nil && k.Revision == r.Revision {
			next.Rules = append(next.Rules, k)
		} else {
			ids = append(ids, r.ID)
		}
	}
	rows, err := c.rules.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row == nil || !row.Running || row.ProductKey != pk {
			continue // changed since: the next document tells
		}
		r, err := compile(row)
		if err != nil {
			c.log.Error("a running rule does not compile", slog.Int64("rule_id", row.ID), logs.Err(err))
			continue
		}
		next.Rules = append(next.Rules, r)
	}
	for _, sub := range product.Subscriptions {
		row, err := c.subs.Get(ctx, pk, sub.Type)
		if err != nil {
			return nil, err
		}
		if row != nil {
			next.Subscriptions = append(next.Subscriptions, row)
		}
	}
	compiled := make([]*rulesql.Rule, len(next.Rules))
	for i, r := range next.Rules {
		compiled[i] = r.SQL
	}
	next.Index = rulesql.NewIndex(compiled)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.sets[pk]; !ok && len(c.sets) >= maxSets {
		clear(c.sets)
	}
	c.sets[pk] = next
	return next, nil
}

func compile(row *store.Rule) (*Running, error) {
	sql, err := Compile(row)
	if err != nil {
		return nil, err
	}
	r := &Running{Rule: row, SQL: sql}
	for i := range row.Actions {
		a := Action{RuleAction: row.Actions[i]}
		if err := json.Unmarshal(row.Actions[i].Configuration, &a.Configuration); err != nil {
			return nil, err
		}
		if a.ForErrors {
			r.OnError = &a
		} else {
			r.Actions = append(r.Actions, a)
		}
	}
	return r, nil
}
