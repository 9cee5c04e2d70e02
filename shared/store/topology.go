package store

import (
	"context"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Link is one row of the table `topology`: to which gateway a device belongs.
type Link struct {
	Sub     iot.DeviceRef
	Gateway iot.DeviceRef // zero if it belongs to none
	Since   int64
	// Former and EndedBy are the gateway that the last relation was with and the message that ended it, so that the same message,
	// invoked again because its first answer was lost, is answered alike. Empty while there is a relation.
	Former  iot.DeviceRef
	EndedBy string
}

// Topology is the tables `topology` and `topology_by_gateway`: which gateway a sub-device belongs to, which is one at most. Where
// several calls race for one sub-device the last one holds. A device at most once in subs.
type Topology interface {
	// Links answers the relation of each device; nil where it never had one.
	Links(ctx context.Context, subs []iot.DeviceRef) ([]*Link, error)
	// Add gives sub-devices to a gateway; those of another one move. What the gateway already has stays as it is.
	Add(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, at int64) []error
	// Remove takes sub-devices from a gateway, unless they belong to another one by now; by names the message that asks for it.
	Remove(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, by string) []error
	// List answers the sub-devices of a gateway in the order of their names, at most limit after offset, and how many it has in all.
	List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) (subs []iot.DeviceRef, total int, err error)
	// Count is how many sub-devices a gateway has at most: what a change that broke off has left counts. It is cheaper than List.
	Count(ctx context.Context, gateway iot.DeviceRef) (int, error)
}

const (
	tableTopology          = "topology"            // key: device (the sub-device)
	tableTopologyByGateway = "topology_by_gateway" // key: gateway (hashed like a device), product_key, device_name of the sub-device

	linkRounds = 6 // how often a relation is read again because others change it at the same time
)

// The row of `topology` is what holds. The one of `topology_by_gateway` is written before it and deleted after it, under the claim of
// that very relation; one that was left by a call that broke off is passed over by readers.

type topologies struct{ client *client }

func byGatewayKey(gateway, sub iot.DeviceRef) *tablestore.PrimaryKey {
	k := stringKey("gateway", deviceKey(gateway))
	k.AddPrimaryKeyColumn("product_key", string(sub.ProductKey))
	k.AddPrimaryKeyColumn("device_name", string(sub.DeviceName))
	return k
}

func (t topologies) Links(ctx context.Context, subs []iot.DeviceRef) ([]*Link, error) {
	keys, place := distinctKeys(subs)
	rows, err := t.client.getMany(ctx, tableTopology, keys)
	if err != nil {
		return nil, err
	}
	links := make([]*Link, len(subs))
	for i, sub := range subs {
		links[i] = readLink(sub, rows[place[i]])
	}
	return links, nil
}

func readLink(sub iot.DeviceRef, row cells) *Link {
	if row == nil {
		return nil
	}
	return &Link{
		Sub: sub, Gateway: readRef(row, "gateway"), Since: row.int("since"), Former: readRef(row, "former"), EndedBy: row.str("ended_by"),
	}
}

// readRef reads a device from two columns that begin with prefix.
func readRef(row cells, prefix string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: iot.ProductKey(row.str(prefix + "_product_key")), DeviceName: iot.DeviceName(row.str(prefix + "_device_name"))}
}

func (c *columns) addRef(prefix string, ref iot.DeviceRef) {
	c.add(prefix+"_product_key", string(ref.ProductKey))
	c.add(prefix+"_device_name", string(ref.DeviceName))
}

func (t topologies) Add(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, at int64) []error {
	return t.change(ctx, subs, func(i int, before *Link) columns {
		if before != nil && before.Gateway == gateway {
			return nil
		}
		var c columns
		c.addRef("gateway", gateway)
		c.add("since", at)
		return c
	})
}

func (t topologies) Remove(ctx context.Context, gateway iot.DeviceRef, subs []iot.DeviceRef, by string) []error {
	return t.change(ctx, subs, func(i int, before *Link) columns {
		if before == nil || before.Gateway != gateway {
			return nil
		}
		var c columns
		c.addRef("former", gateway)
		c.add("ended_by", by)
		return c
	})
}

// linking is one relation under way.
type linking struct {
	index  int
	claim  int64
	before cells
	tried  bool
}

// change replaces the rows of subs by what next makes of each, nil if it may stay: index rows of new relations first, then the
// relations on the condition that nothing changed, then the index rows of those that they replaced.
func (t topologies) change(ctx context.Context, subs []iot.DeviceRef, next func(i int, before *Link) columns) []error {
	errs := make([]error, len(subs))
	open := make([]*linking, len(subs))
	for i := range subs {
		open[i] = &linking{index: i, claim: claim()}
	}
	for range linkRounds {
		if open = t.changeRound(ctx, subs, open, next, errs); len(open) == 0 {
			return errs
		}
	}
	for _, l := range open {
		errs[l.index] = iot.Errorf(iot.Throttled, "the relation of device %s is changed from several places at once", subs[l.index])
	}
	return errs
}

// changeRound answers those that have to be tried again.
func (t topologies) changeRound(ctx context.Context, subs []iot.DeviceRef, open []*linking, next func(i int, before *Link) columns, errs []error) []*linking {
	fail := func(list []*linking, err error) []*linking {
		for _, l := range list {
			errs[l.index] = err
		}
		return nil
	}
	keys := make([]*tablestore.PrimaryKey, len(open))
	for i, l := range open {
		keys[i] = deviceRowKey(subs[l.index])
	}
	rows, err := t.client.getMany(ctx, tableTopology, keys)
	if err != nil {
		return fail(open, err)
	}
	var index, relations, stale []tablestore.RowChange
	var written []*linking
	for i, l := range open {
		sub := subs[l.index]
		errs[l.index] = nil
		if l.tried && rows[i] != nil && rows[i].int("claim") == l.claim { // the write that seemed to fail was done; its answer was lost
			if drop := dropIndexRow(sub, l.before); drop != nil {
				stale = append(stale, drop)
			}
			continue
		}
		c := next(l.index, readLink(sub, rows[i]))
		if c == nil {
			continue
		}
		l.before, l.tried = rows[i], true
		if gateway := columnRef(c, "gateway"); !gateway.IsZero() {
			var mark columns
			mark.add("claim", l.claim)
			mark.add("since", time.Now().UnixMilli())
			index = append(index, &tablestore.PutRowChange{TableName: tableTopologyByGateway, PrimaryKey: byGatewayKey(gateway, sub), Columns: mark, Condition: always})
		}
		c.add("claim", l.claim)
		put := &tablestore.PutRowChange{TableName: tableTopology, PrimaryKey: keys[i], Columns: c, Condition: ifMissing}
		if l.before != nil {
			put.Condition = ifColumn("claim", tablestore.CT_EQUAL, l.before.int("claim"))
		}
		relations = append(relations, put)
		written = append(written, l)
	}
	if err := firstError(t.client.write(ctx, index)); err != nil {
		return fail(written, err)
	}
	var again []*linking
	for i, err := range t.client.write(ctx, relations) {
		l := written[i]
		switch {
		case conflict(err):
			again = append(again, l)
		case err != nil:
			errs[l.index] = err
		default:
			if drop := dropIndexRow(subs[l.index], l.before); drop != nil {
				stale = append(stale, drop)
			}
		}
	}
	// What is left of a former relation misleads nobody; it need not fail the call.
	_ = t.client.write(ctx, stale)
	return again
}

func columnRef(c columns, prefix string) iot.DeviceRef {
	var ref iot.DeviceRef
	for _, col := range c {
		switch s, _ := col.Value.(string); col.ColumnName {
		case prefix + "_product_key":
			ref.ProductKey = iot.ProductKey(s)
		case prefix + "_device_name":
			ref.DeviceName = iot.DeviceName(s)
		}
	}
	return ref
}

// dropIndexRow deletes the index row of a relation that was replaced, unless a newer relation with the same gateway has it.
func dropIndexRow(sub iot.DeviceRef, before cells) tablestore.RowChange {
	gateway := readRef(before, "gateway")
	if gateway.IsZero() {
		return nil
	}
	return &tablestore.DeleteRowChange{
		TableName: tableTopologyByGateway, PrimaryKey: byGatewayKey(gateway, sub), Condition: ifColumn("claim", tablestore.CT_EQUAL, before.int("claim")),
	}
}

// indexedSub is one row of topology_by_gateway.
type indexedSub struct {
	sub          iot.DeviceRef
	claim, since int64
}

// eachOf walks through the index rows of a gateway in the order of product key and device name.
func (t topologies) eachOf(ctx context.Context, gateway iot.DeviceRef, f func(indexedSub)) error {
	first, last := stringKey("gateway", deviceKey(gateway)), stringKey("gateway", deviceKey(gateway))
	for _, name := range []string{"product_key", "device_name"} {
		first.AddPrimaryKeyColumnWithMinValue(name)
		last.AddPrimaryKeyColumnWithMaxValue(name)
	}
	return t.client.scan(ctx, tablestore.RangeRowQueryCriteria{
		TableName: tableTopologyByGateway, StartPrimaryKey: first, EndPrimaryKey: last, Direction: tablestore.FORWARD,
	}, func(row *tablestore.Row) bool {
		pk := row.PrimaryKey.PrimaryKeys
		product, _ := pk[1].Value.(string)
		name, _ := pk[2].Value.(string)
		c := newCells(row.Columns)
		f(indexedSub{iot.DeviceRef{ProductKey: iot.ProductKey(product), DeviceName: iot.DeviceName(name)}, c.int("claim"), c.int("since")})
		return true
	})
}

func (t topologies) Count(ctx context.Context, gateway iot.DeviceRef) (int, error) {
	n := 0
	err := t.eachOf(ctx, gateway, func(indexedSub) { n++ })
	return n, err
}

// List compares every index row with the relation itself, and removes what a call that broke off has left.
func (t topologies) List(ctx context.Context, gateway iot.DeviceRef, offset, limit int) ([]iot.DeviceRef, int, error) {
	var rows []indexedSub
	if err := t.eachOf(ctx, gateway, func(r indexedSub) { rows = append(rows, r) }); err != nil {
		return nil, 0, err
	}
	subs := make([]iot.DeviceRef, len(rows))
	for i := range rows {
		subs[i] = rows[i].sub
	}
	links, err := t.Links(ctx, subs)
	if err != nil {
		return nil, 0, err
	}
	held := subs[:0]
	var stale []tablestore.RowChange
	for i, link := range links {
		if link != nil && link.Gateway == gateway {
			held = append(held, rows[i].sub)
		} else if time.Since(time.UnixMilli(rows[i].since)) > staleAfter {
			stale = append(stale, &tablestore.DeleteRowChange{
				TableName: tableTopologyByGateway, PrimaryKey: byGatewayKey(gateway, rows[i].sub), Condition: ifColumn("claim", tablestore.CT_EQUAL, rows[i].claim),
			})
		}
	}
	_ = t.client.write(ctx, stale) // the next List tries again
	return held[min(max(offset, 0), len(held)):min(max(offset, 0)+max(limit, 0), len(held))], len(held), nil
}

// forget removes all relations of a device that is deleted: with its gateway, and with its sub-devices.
func (t topologies) forget(ctx context.Context, dev iot.DeviceRef) error {
	row, err := t.client.get(ctx, tableTopology, deviceRowKey(dev))
	if err != nil {
		return err
	}
	if row != nil {
		if drop := dropIndexRow(dev, row); drop != nil {
			if err := t.client.write(ctx, []tablestore.RowChange{drop})[0]; err != nil && !conflict(err) {
				return err
			}
		}
		if err := t.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableTopology, PrimaryKey: deviceRowKey(dev), Condition: always}); err != nil {
			return err
		}
	}
	var subs []iot.DeviceRef
	if err := t.eachOf(ctx, dev, func(r indexedSub) { subs = append(subs, r.sub) }); err != nil {
		return err
	}
	return firstError(t.Remove(ctx, dev, subs, "deleted"))
}
