package tablestore

import "bytes"

// The kinds of row change, numbered as OperationType.
const (
	changePut    = 1
	changeUpdate = 2
	changeDelete = 3
)

// The row existence expectations, numbered as RowExistenceExpectation.
const (
	expectIgnore   = 0
	expectExist    = 1
	expectNotExist = 2
)

// The return types, numbered as ReturnType.
const (
	returnNone        = 0
	returnPK          = 1
	returnAfterModify = 2
)

// A rowChange is one PutRow, UpdateRow or DeleteRow, alone or in a batch.
type rowChange struct {
	kind        int
	message     []byte // PlainBuffer
	expect      int
	condition   []byte // Filter message; nil = none
	returns     int
	returnNames [][]byte

	table   *table
	options *tableOptions
	filter  *filter
	pk      []cell
	cells   []cell
	key     []byte
	keySize int // bytes of primary key names and values, as billed

	hash     uint64
	previous int    // index of the change of the same row before this one in the batch, or -1
	wasRead  bool   // the stored row was looked at
	changed  bool   // value has been added to the batch
	value    []byte // what the row became; nil = absent, or large and of no further use

	failure  *failure
	read     int // capacity units
	write    int
	returned []byte // row to return
}

// A tableChanges is the changes of one table in a request.
type tableChanges struct {
	name []byte
	rows int // the table's rows are the next so many of writeSet.rows
}

// A writeSet is the changes of one request.
type writeSet struct {
	tables []tableChanges
	rows   []rowChange
	atomic bool

	cells   []cell // memory of rows
	keys    []byte
	values  []byte
	order   []hashed
	repeats bool // a row is changed more than once
	merger  merger
	rowOut  []byte
}

type hashed struct {
	hash  uint64
	index int32
}

// reset forgets everything but keeps memory within bounds.
func (w *writeSet) reset() {
	clear(w.tables)
	clear(w.rows)
	w.tables, w.rows, w.order, w.atomic, w.repeats = w.tables[:0], w.rows[:0], w.order[:0], false, false
	if cap(w.cells) > keepMemory/64 {
		w.cells = nil
	}
	clear(w.cells)
	w.cells = w.cells[:0]
	if cap(w.keys) > keepMemory {
		w.keys = nil
	}
	if cap(w.values) > keepMemory {
		w.values = nil
	}
	if cap(w.rowOut) > keepMemory {
		w.rowOut = nil
	}
	w.keys, w.values, w.rowOut = w.keys[:0], w.values[:0], w.rowOut[:0]
}

// add returns a new change at the end of the set.
func (w *writeSet) add() *rowChange {
	w.rows = append(w.rows, rowChange{previous: -1})
	return &w.rows[len(w.rows)-1]
}

// parseSingle reads a PutRow, UpdateRow or DeleteRow request, which have the same fields.
func (w *writeSet) parseSingle(b []byte, kind int) (name []byte, f *failure) {
	ch := w.add()
	ch.kind = kind
	m := fields{b: b}
	seen := 0
	for {
		num, _, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			name = data
			seen |= 1
		case 2:
			ch.message = data
			seen |= 2
		case 3:
			if !ch.parseCondition(data) {
				return nil, failProtobuf
			}
			seen |= 4
		case 4:
			if !ch.parseReturn(data) {
				return nil, failProtobuf
			}
		case 5:
			return nil, unsupported("a local transaction")
		}
	}
	if m.bad || seen != 7 {
		return nil, failProtobuf
	}
	return name, nil
}

// parseBatch reads a BatchWriteRow request.
func (w *writeSet) parseBatch(b []byte) *failure {
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			if f := w.parseTable(data); f != nil {
				return f
			}
		case 2:
			return unsupported("a local transaction")
		case 3:
			w.atomic = v != 0
		}
	}
	if m.bad {
		return failProtobuf
	}
	if len(w.tables) == 0 {
		return invalid("No row is specified in BatchWriteRow.")
	}
	return nil
}

func (w *writeSet) parseTable(b []byte) *failure {
	var t tableChanges
	m := fields{b: b}
	for {
		num, _, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			t.name = data
		case 2:
			if len(w.rows) == maxBatchWriteRows {
				return invalid("Rows count exceeds the upper limit: %d.", maxBatchWriteRows)
			}
			t.rows++
			if !w.add().parseInBatch(data) {
				return failProtobuf
			}
		}
	}
	if m.bad || t.name == nil {
		return failProtobuf
	}
	if t.rows == 0 {
		return invalid("No operation is specified for table:%s.", t.name)
	}
	for i := range w.tables {
		if bytes.Equal(w.tables[i].name, t.name) {
			return invalid("Duplicated table name: %s.", t.name)
		}
	}
	w.tables = append(w.tables, t)
	return nil
}

func (ch *rowChange) parseInBatch(b []byte) bool {
	m := fields{b: b}
	condition := false
	for {
		num, v, data, ok := m.next()
		if !ok {
			return !m.bad && condition && ch.kind != 0
		}
		switch num {
		case 1:
			ch.kind = int(v)
		case 2:
			ch.message = data
		case 3:
			condition = true
			if !ch.parseCondition(data) {
				return false
			}
		case 4:
			if !ch.parseReturn(data) {
				return false
			}
		}
	}
}

func (ch *rowChange) parseCondition(b []byte) bool {
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			return !m.bad
		}
		switch num {
		case 1:
			ch.expect = int(v)
		case 2:
			ch.condition = data
		}
	}
}

func (ch *rowChange) parseReturn(b []byte) bool {
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			return !m.bad
		}
		switch num {
		case 1:
			ch.returns = int(v)
		case 2:
			ch.returnNames = append(ch.returnNames, data)
		}
	}
}
