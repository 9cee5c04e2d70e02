package tablestore

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// prepare decodes a change and checks all that can be checked without the stored row. It returns the size of its data as
// billed.
func (w *writeSet) prepare(ch *rowChange, now int64) (size int, f *failure) {
	switch {
	case ch.kind < changePut || ch.kind > changeDelete:
		return 0, invalid("The modify type is invalid.")
	case ch.expect < expectIgnore || ch.expect > expectNotExist:
		return 0, invalid("Invalid row-existence expectation: %d.", ch.expect)
	case ch.returns < returnNone || ch.returns > returnAfterModify:
		return 0, invalid("Invalid return type: %d.", ch.returns)
	case ch.kind == changeUpdate && !ch.options.AllowUpdate:
		return 0, invalid("UpdateRow is not allowed: the table's AllowUpdate is false.")
	}
	var row plainRow
	if row, w.cells, f = decodeRow(ch.message, w.cells); f != nil {
		return 0, f
	}
	ch.pk, ch.cells = row.cells[:row.pk], row.cells[row.pk:]
	if f = w.prepareKey(ch, now); f != nil {
		return 0, f
	}
	if row.deleteRow != (ch.kind == changeDelete) {
		if row.deleteRow {
			return 0, invalid("Invalid request of put/update row: unexpected RowDeleteMarker in request.")
		}
		return 0, invalid("Invalid request of delete row: missing RowDeleteMarker in request.")
	}
	if len(ch.condition) > 0 {
		if ch.filter, f = parseFilter(ch.condition, false); f != nil {
			return 0, f
		}
	}
	switch {
	case ch.kind == changeDelete && len(ch.cells) > 0:
		return 0, invalid("Invalid delete row request: unexpected cells in request.")
	case ch.kind == changeUpdate && len(ch.cells) == 0:
		return 0, invalid("Invalid update row request: missing cells in request.")
	case len(ch.cells) > maxColumnsPerWrite:
		return 0, invalid("The number of attribute columns exceeds the limit, limit count:%d, column count: %d.",
			maxColumnsPerWrite, len(ch.cells))
	}
	size = ch.keySize
	versioned := ch.options.versioned()
	for i := range ch.cells {
		c := &ch.cells[i]
		if f = ch.checkCell(c, now); f != nil {
			return 0, f
		}
		size += len(c.name) + c.size()
		if versioned {
			size += 8
		}
	}
	if ch.kind == changeUpdate {
		if f = checkIncrements(ch.cells); f != nil {
			return 0, f
		}
	}
	return size, nil
}

// prepareKey checks the primary key against the schema and encodes it.
func (w *writeSet) prepareKey(ch *rowChange, now int64) *failure {
	t := ch.table
	if t.autoInc >= 0 && t.autoInc < len(ch.pk) && ch.pk[t.autoInc].typ == typeAutoInc {
		switch {
		case ch.kind == changeDelete:
			return invalid("Invalid row to delete which with pk auto increment.")
		case ch.expect != expectIgnore:
			return invalid("Invalid expect:%d when modify row with pk auto increment.", ch.expect)
		case len(ch.condition) > 0:
			return invalid("Can't set condition when modify row with pk auto increment.")
		}
		ch.pk[t.autoInc].typ, ch.pk[t.autoInc].num = typeInteger, uint64(t.nextAuto(now))
	}
	from := len(w.keys)
	var f *failure
	w.keys, ch.keySize, f = t.appendKey(w.keys, ch.pk)
	ch.key = w.keys[from:len(w.keys):len(w.keys)]
	return f
}

// appendKey appends the encoded key of a complete primary key.
func (t *table) appendKey(dst []byte, pk []cell) (key []byte, size int, f *failure) {
	if len(pk) != len(t.schema) {
		return dst, 0, failPK
	}
	dst = appendTablePrefix(dst, t.id)
	for i := range pk {
		c := &pk[i]
		if f := t.checkKeyCell(i, c); f != nil {
			return dst, 0, f
		}
		if c.typ != t.schema[i].typ {
			return dst, 0, failPK
		}
		size += len(c.name) + c.size()
		dst = appendKeyColumn(dst, c)
	}
	return dst, size, nil
}

// checkKeyCell checks a key cell for all but its type.
func (t *table) checkKeyCell(i int, c *cell) *failure {
	switch {
	case !bytes.Equal(c.name, t.schema[i].name):
		return failPK
	case !c.hasValue:
		return invalid("No value is given for primary key name:%s.", c.name)
	case c.op != opPut:
		return invalid("OpType cannot be given for primary key name :%s.", c.name)
	case c.hasTS:
		return invalid("Timestamp cannot be given for primary key name:%s.", c.name)
	case len(c.data) > maxPKValue:
		return invalid("The length of primary key column: %s exceeds the MaxLength: %d with CurrentLength: %d.",
			c.name, maxPKValue, len(c.data))
	case c.typ == typeString && !utf8.Valid(c.data):
		return invalid("Value of column %s must be UTF8 encoding.", c.name)
	}
	return nil
}

// nextAuto hands out automatic keys: increasing, unique over restarts as long as the clock does not go back.
func (t *table) nextAuto(now int64) int64 {
	for {
		last := t.lastAuto.Load()
		next := max(now*1000, last+1)
		if t.lastAuto.CompareAndSwap(last, next) {
			return next
		}
	}
}

// checkCell checks one attribute change.
func (ch *rowChange) checkCell(c *cell, now int64) *failure {
	if !validName(c.name) {
		return invalid("Invalid column name: '%s'.", c.name)
	}
	for i := range ch.pk {
		if bytes.Equal(ch.pk[i].name, c.name) {
			return invalid("Duplicated attribute column name with primary key column: %s.", c.name)
		}
	}
	switch c.op {
	case opPut, opIncrement:
		if !c.hasValue {
			return invalid("No value is given for column name.")
		}
	case opDeleteAll, opDeleteOne:
		if c.hasValue {
			return invalid("Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.")
		}
	default:
		return invalid("Invalid op type of cell: %d.", c.op)
	}
	switch {
	case c.op != opPut && ch.kind == changePut:
		return invalid("OpType cannot be given for column name:%s in PutRow.", c.name)
	case c.op == opDeleteOne && !c.hasTS:
		return invalid("Timestamp must be given when type is DELETE_ONE_VERSION.")
	case c.op == opDeleteAll && c.hasTS:
		return invalid("Timestamp cannot be given when type is DELETE_ALL_VERSION.")
	case c.op == opIncrement && c.hasTS:
		return invalid("Timestamp cannot be given when type is INCREMENT.")
	case c.op == opIncrement && c.typ != typeInteger:
		return invalid("Column %s: only an integer can be the value of an INCREMENT.", c.name)
	}
	if c.hasTS && (c.ts < 0 || c.ts >= math.MaxInt64/1000) {
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	}
	if c.hasTS && c.op == opPut && !ch.options.accepts(c.ts, now) {
		return invalid("Invalid timestamp. Cell:%s.", c.name)
	}
	switch c.typ {
	case typeString:
		if !utf8.Valid(c.data) {
			return invalid("Value of column %s must be UTF8 encoding.", c.name)
		}
	case typeDouble:
		switch v := float(c.num); {
		case math.IsNaN(v):
			return invalid("NaN can't be set to double value.")
		case math.IsInf(v, 0):
			return invalid("Infinity can't be set to double value.")
		}
	case typeInfMin, typeInfMax, typeAutoInc:
		return invalid("Invalid column type: %d.", c.typ)
	}
	if len(c.data) > maxAttributeValue {
		return invalid("The length of attribute column: %s exceeded the MaxLength:%d with Current Length:%d.",
			c.name, maxAttributeValue, len(c.data))
	}
	return nil
}

// accepts tells whether a cell may be written with version ts (ms) at time now:
// [max(now-deviation, now-TTL), now+deviation) ("Error codes", Invalid timestamp).
func (o *tableOptions) accepts(ts, now int64) bool {
	if o.Deviation < math.MaxInt64/4000 {
		d := o.Deviation * 1000
		if ts < now-d || ts >= now+d {
			return false
		}
	}
	return ts >= o.oldest(now)
}

// checkIncrements refuses an increment of a column that the same request changes otherwise.
func checkIncrements(cells []cell) *failure {
	for i := range cells {
		if cells[i].op != opIncrement {
			continue
		}
		for j := range cells {
			if i != j && bytes.Equal(cells[i].name, cells[j].name) {
				return invalid("Column %s: INCREMENT cannot be combined with another change of the column.", cells[i].name)
			}
		}
	}
	return nil
}
