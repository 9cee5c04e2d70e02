package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"relink/shared/iot"
	"relink/shared/store"
)

// A ruleTables is the state of the rule engine. The zero value is empty.
type ruleTables struct {
	rules   map[int64]store.Rule
	index   []byte
	version int64
	ledger  map[ledgerPlace]store.LedgerRow
	dead    []store.ForwardDead // in the order of ForwardDeadPlace
}

type ledgerPlace struct {
	function, batch string
	time            int64
}

func copyRule(r *store.Rule) store.Rule {
	c := *r
	c.Actions = slices.Clone(r.Actions)
	for i := range c.Actions {
		c.Actions[i].Configuration = bytes.Clone(c.Actions[i].Configuration)
	}
	return c
}

// Rules is the table `rule`.
func (s *Store) Rules() store.Rules { return rules{s} }

type rules struct{ s *Store }

func (t rules) Get(ctx context.Context, id int64) (*store.Rule, error) {
	list, err := t.many(ctx, "rules.get", []int64{id})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func (t rules) GetMany(ctx context.Context, ids []int64) ([]*store.Rule, error) {
	return t.many(ctx, "rules.get_many", ids)
}

func (t rules) many(ctx context.Context, op string, ids []int64) ([]*store.Rule, error) {
	end, err := t.s.begin(ctx, op, iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	list := make([]*store.Rule, len(ids))
	for i, id := range ids {
		if r, ok := t.s.ruleTables.rules[id]; ok {
			r = copyRule(&r)
			list[i] = &r
		}
	}
	return list, nil
}

func (t rules) List(ctx context.Context) ([]*store.Rule, error) {
	end, err := t.s.begin(ctx, "rules.list", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Rule
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(t.s.ruleTables.rules))) {
		r := t.s.ruleTables.rules[id]
		r.Actions = nil
		list = append(list, &r)
	}
	return list, nil
}

func (t rules) Put(ctx context.Context, r *store.Rule) error {
	end, err := t.s.begin(ctx, "rules.put", iot.DeviceRef{ProductKey: r.ProductKey})
	if err != nil {
		return err
	}
	defer end()
	if t.s.ruleTables.rules[r.ID].Revision != r.Revision {
		return iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
	}
	if t.s.ruleTables.rules == nil {
		t.s.ruleTables.rules = make(map[int64]store.Rule)
	}
	r.Revision++
	t.s.ruleTables.rules[r.ID] = copyRule(r)
	return nil
}

func (t rules) Delete(ctx context.Context, id, revision int64) error {
	end, err := t.s.begin(ctx, "rules.delete", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	if r, ok := t.s.ruleTables.rules[id]; ok && r.Revision != revision {
		return iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
	}
	delete(t.s.ruleTables.rules, id)
	return nil
}

// RuleIndex is the table `rule_index`.
func (s *Store) RuleIndex() store.RuleIndex { return ruleIndex{s} }

type ruleIndex struct{ s *Store }

func (x ruleIndex) Version(ctx context.Context) (int64, error) {
	end, err := x.s.begin(ctx, "rule_index.version", iot.DeviceRef{})
	if err != nil {
		return 0, err
	}
	defer end()
	return x.s.ruleTables.version, nil
}

func (x ruleIndex) Get(ctx context.Context) ([]byte, int64, error) {
	end, err := x.s.begin(ctx, "rule_index.get", iot.DeviceRef{})
	if err != nil {
		return nil, 0, err
	}
	defer end()
	return bytes.Clone(x.s.ruleTables.index), x.s.ruleTables.version, nil
}

func (x ruleIndex) Put(ctx context.Context, document []byte, over int64) (int64, error) {
	end, err := x.s.begin(ctx, "rule_index.put", iot.DeviceRef{})
	if err != nil {
		return 0, err
	}
	defer end()
	if x.s.ruleTables.version != over {
		return over, iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
	}
	x.s.ruleTables.index, x.s.ruleTables.version = bytes.Clone(document), over+1
	return over + 1, nil
}

// Subscriptions is the table `subscription`.
func (s *Store) Subscriptions() store.Subscriptions { return subscriptions{s} }

type subscriptions struct{ s *Store }

const tableSubscription = "subscription"

func (t subscriptions) Get(ctx context.Context, pk iot.ProductKey, kind string) (*store.Subscription, error) {
	end, err := t.s.begin(ctx, "subscriptions.get", iot.DeviceRef{ProductKey: pk})
	if err != nil {
		return nil, err
	}
	defer end()
	return t.get(pk, kind)
}

func (t subscriptions) get(pk iot.ProductKey, kind string) (*store.Subscription, error) {
	sub := &store.Subscription{ProductKey: pk, Type: kind}
	var err error
	if sub.Revision, err = t.s.documents.get(documentKey{tableSubscription, string(pk), kind}, sub); err != nil || sub.Revision == 0 {
		return nil, err
	}
	return sub, nil
}

func (t subscriptions) List(ctx context.Context) ([]*store.Subscription, error) {
	end, err := t.s.begin(ctx, "subscriptions.list", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Subscription
	for _, k := range t.s.documents.keys(tableSubscription, "") {
		sub, err := t.get(iot.ProductKey(k.first), k.second)
		if err != nil {
			return nil, err
		}
		list = append(list, sub)
	}
	return list, nil
}

func (t subscriptions) Put(ctx context.Context, sub *store.Subscription) error {
	end, err := t.s.begin(ctx, "subscriptions.put", iot.DeviceRef{ProductKey: sub.ProductKey})
	if err != nil {
		return err
	}
	defer end()
	return t.s.documents.put(documentKey{tableSubscription, string(sub.ProductKey), sub.Type}, sub, &sub.Revision)
}

func (t subscriptions) Delete(ctx context.Context, pk iot.ProductKey, kind string) error {
	end, err := t.s.begin(ctx, "subscriptions.delete", iot.DeviceRef{ProductKey: pk})
	if err != nil {
		return err
	}
	defer end()
	delete(t.s.documents.rows, documentKey{tableSubscription, string(pk), kind})
	return nil
}

// Ledger is the table `ledger`.
func (s *Store) Ledger() store.Ledger { return ledger{s} }

type ledger struct{ s *Store }

func (l ledger) Put(ctx context.Context, row *store.LedgerRow) error {
	end, err := l.s.begin(ctx, "ledger.put", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	if l.s.ruleTables.ledger == nil {
		l.s.ruleTables.ledger = make(map[ledgerPlace]store.LedgerRow)
	}
	r := *row
	r.Of = maps.Clone(row.Of)
	l.s.ruleTables.ledger[ledgerPlace{r.Function, r.Batch, r.Time}] = r
	return nil
}

func (l ledger) Each(ctx context.Context, from, to int64, f func(*store.LedgerRow)) error {
	end, err := l.s.begin(ctx, "ledger.each", iot.DeviceRef{})
	if err != nil {
		return err
	}
	rows := slices.Collect(maps.Values(l.s.ruleTables.ledger))
	end()
	for _, r := range rows {
		if from <= r.Time && r.Time <= to {
			r.Of = maps.Clone(r.Of)
			f(&r)
		}
	}
	return nil
}

// ForwardDeads is the table `forward_dead`.
func (s *Store) ForwardDeads() store.ForwardDeads { return forwardDeads{s} }

type forwardDeads struct{ s *Store }

func comparePlaces(a, b store.ForwardDeadPlace) int {
	return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
}

func placeOf(d *store.ForwardDead) store.ForwardDeadPlace {
	return store.ForwardDeadPlace{Owner: d.Owner, At: d.At, ID: d.MessageID + "/" + strconv.FormatInt(d.Action, 10)}
}

func (t forwardDeads) Put(ctx context.Context, list []*store.ForwardDead) error {
	end, err := t.s.begin(ctx, "forward_deads.put", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	for _, d := range list {
		letter := *d
		letter.Body, letter.Item = bytes.Clone(d.Body), bytes.Clone(d.Item)
		i, found := t.find(placeOf(d))
		if found {
			t.s.ruleTables.dead[i] = letter
			continue
		}
		t.s.ruleTables.dead = slices.Insert(t.s.ruleTables.dead, i, letter)
	}
	return nil
}

func (t forwardDeads) find(p store.ForwardDeadPlace) (int, bool) {
	return slices.BinarySearchFunc(t.s.ruleTables.dead, p, func(d store.ForwardDead, p store.ForwardDeadPlace) int { return comparePlaces(placeOf(&d), p) })
}

func (t forwardDeads) List(ctx context.Context, owner, cursor string, limit int) ([]*store.ForwardDead, string, error) {
	if limit <= 0 {
		return nil, "", nil
	}
	var after store.ForwardDeadPlace
	if cursor != "" {
		var err error
		if after, err = store.ReadForwardDeadCursor(cursor); err != nil {
			return nil, "", err
		}
		if owner != "" && after.Owner != owner {
			return nil, "", iot.Errorf(iot.InvalidParams, "the token is one of another list")
		}
	}
	end, err := t.s.begin(ctx, "forward_deads.list", iot.DeviceRef{})
	if err != nil {
		return nil, "", err
	}
	defer end()
	var list []*store.ForwardDead
	for _, d := range t.s.ruleTables.dead {
		if owner != "" && d.Owner != owner || comparePlaces(placeOf(&d), after) <= 0 {
			continue
		}
		if len(list) == limit {
			return list, placeOf(list[limit-1]).Cursor(), nil
		}
		d.Body, d.Item = bytes.Clone(d.Body), bytes.Clone(d.Item)
		list = append(list, &d)
	}
	return list, "", nil
}

func (t forwardDeads) Delete(ctx context.Context, list []*store.ForwardDead) error {
	end, err := t.s.begin(ctx, "forward_deads.delete", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	for _, d := range list {
		if i, found := t.find(placeOf(d)); found {
			t.s.ruleTables.dead = slices.Delete(t.s.ruleTables.dead, i, i+1)
		}
	}
	return nil
}
