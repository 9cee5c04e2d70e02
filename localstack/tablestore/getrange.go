package tablestore

import (
	"bytes"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"
)

// A bound is a position between keys: all keys less than at lie before it.
type bound struct {
	at    []byte
	exact bool // at is the key of a row, which lies behind the position
}

// boundOf reads a primary key that may hold INF_MIN and INF_MAX.
func (t *table) boundOf(message []byte) (b bound, f *failure) {
	row, pk, f := decodeRow(message, nil)
	if f != nil {
		return b, f
	}
	if row.pk != len(row.cells) {
		return b, invalid("Attribute column cannot be given while reading data.")
	}
	if len(pk) != len(t.schema) {
		return b, failPK
	}
	b.at = appendTablePrefix(nil, t.id)
	edge := false // columns behind INF_MIN or INF_MAX do not matter
	for i := range pk {
		c := &pk[i]
		if f := t.checkKeyCell(i, c); f != nil {
			return b, f
		}
		switch {
		case c.typ == typeInfMin || c.typ == typeInfMax:
			if !edge && c.typ == typeInfMax {
				b.at = successor(b.at)
			}
			edge = true
		case c.typ == typeAutoInc:
			return b, invalid("PKAutoIncr can't be used for read operations.")
		case c.typ != t.schema[i].typ:
			return b, failPK
		case !edge:
			b.at = appendKeyColumn(b.at, c)
		}
	}
	b.exact = !edge
	return b, nil
}

// behind is the position behind b's row, if it is one.
func (b bound) behind() []byte {
	if b.exact {
		return append(bytes.Clone(b.at), 0) // no key is another with bytes appended
	}
	return b.at
}

func (s *Server) getRange(rq *request) (*failure, error) {
	var m otsprotocol.GetRangeRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	if m.TransactionId != nil {
		return unsupported("a local transaction"), nil
	}
	t, f := s.find(rq.instance, []byte(m.GetTableName()))
	if f != nil {
		return f, nil
	}
	sel, f := newSelection(t, &m, m.MaxVersions != nil, rq.now)
	if f != nil {
		return f, nil
	}
	if m.Limit != nil && *m.Limit <= 0 {
		return invalid("The limit must be greater than 0."), nil
	}
	start, f := t.boundOf(m.InclusiveStartPrimaryKey)
	if f != nil {
		return f, nil
	}
	end, f := t.boundOf(m.ExclusiveEndPrimaryKey)
	if f != nil {
		return f, nil
	}
	backward := m.GetDirection() == otsprotocol.Direction_BACKWARD
	o := &pebble.IterOptions{LowerBound: start.at, UpperBound: end.at}
	if backward {
		o = &pebble.IterOptions{LowerBound: end.behind(), UpperBound: start.behind()}
	}
	if order := bytes.Compare(start.at, end.at); !backward && order >= 0 {
		return invalid("Begin key must less than end key in FORWARD."), nil
	} else if backward && order <= 0 {
		return invalid("Begin key must more than end key in BACKWARD."), nil
	}
	limit := maxScanRows
	if m.Limit != nil {
		limit = int(*m.Limit)
	}
	iter, err := s.db.NewIter(o)
	if err != nil {
		return nil, err
	}
	next, err := s.scan(rq, sel, iter, backward, limit)
	if err := closeWith(iter, err); err != nil {
		return nil, err
	}
	rq.out = appendConsumed(rq.out, 1, rq.readCU, 0)
	rq.out = appendBytesField(rq.out, 2, rq.write.rowOut)
	if next != nil {
		rq.out = appendBytesField(rq.out, 3, next)
	}
	rq.out = appendVarintField(rq.out, 5, uint64(otsprotocol.DataBlockType_DBT_PLAIN_BUFFER))
	rq.out = appendVarintField(rq.out, 6, uint64(otsprotocol.CompressType_CPT_NONE))
	return nil, nil
}

// scan appends rows to rq.write.rowOut until the range or a bound of the scan ends, and returns the PlainBuffer primary
// key to go on from.
func (s *Server) scan(rq *request, sel *selection, iter *pebble.Iterator, backward bool, limit int) (next []byte, err error) {
	step := iter.Next
	more := iter.First
	if backward {
		step, more = iter.Prev, iter.Last
	}
	w := rowWriter{dst: rq.write.rowOut[:0]}
	scanned, bytesScanned, returned := 0, 0, 0
	var pkMemory [maxPKColumns]cell
	for ok := more(); ok; ok = step() {
		pk := pkMemory[:len(sel.table.schema)]
		if !sel.table.readKey(iter.Key(), pk) {
			return nil, errCorrupt
		}
		if returned == limit || scanned == maxScanRows || bytesScanned >= maxScanBytes {
			n := rowWriter{dst: appendHeader(nil)}
			n.begin()
			for i := range pk {
				n.key(&pk[i])
			}
			n.end()
			next = n.dst
			break
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return nil, err
		}
		scanned++
		cells, ok, size, err := sel.pick(value, rq.cells)
		if err != nil {
			return nil, err
		}
		rq.cells = cells
		for i := range pk {
			size += len(pk[i].name) + pk[i].size()
		}
		bytesScanned += size
		if !ok {
			continue
		}
		if returned++; returned == 1 {
			w.dst = appendHeader(w.dst)
		}
		w.begin()
		for i := range pk {
			w.key(&pk[i])
		}
		for i := range cells {
			w.attribute(&cells[i])
		}
		w.end()
	}
	rq.write.rowOut = w.dst
	rq.readCU = units(bytesScanned)
	s.stats.rowsRead.Add(int64(returned))
	return next, iter.Error()
}

// readKey decodes a row's key into pk.
func (t *table) readKey(key []byte, pk []cell) bool {
	if len(key) < tablePrefixSize {
		return false
	}
	rest, ok := key[tablePrefixSize:], true
	for i := range t.schema {
		pk[i] = cell{name: t.schema[i].name}
		if rest, ok = readKeyColumn(rest, t.schema[i].typ, &pk[i]); !ok {
			return false
		}
	}
	return len(rest) == 0
}
