package tablestore

import (
	"bytes"
	"math"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"
)

// A selection says which cells of a row a read wants.
type selection struct {
	table       *table
	options     *tableOptions
	oldest      int64
	columns     [][]byte // sorted; nil = all
	anyKey      bool     // columns names a primary key column
	startColumn []byte   // inclusive
	endColumn   []byte   // exclusive
	from, until int64    // versions, ms, [from, until)
	maxVersions int
	filter      *filter
}

// criteria are the fields that all reads have.
type criteria interface {
	GetColumnsToGet() []string
	GetTimeRange() *otsprotocol.TimeRange
	GetMaxVersions() int32
	GetFilter() []byte
	GetStartColumn() string
	GetEndColumn() string
}

func newSelection(t *table, c criteria, hasMax bool, now int64) (*selection, *failure) {
	s := &selection{table: t, options: t.options.Load(), until: math.MaxInt64}
	s.oldest = s.options.oldest(now)
	if n := len(c.GetColumnsToGet()); n > maxColumnsToGet {
		return nil, invalid("The number of columns from the request exceeds the limit, limit count: %d , column count:%d.",
			maxColumnsToGet, n)
	}
	for _, name := range c.GetColumnsToGet() {
		if !validName([]byte(name)) {
			return nil, invalid("Invalid column name: '%s'.", name)
		}
		if slices.ContainsFunc(t.schema, func(k pkColumn) bool { return string(k.name) == name }) {
			s.anyKey = true
		}
		s.columns = append(s.columns, []byte(name))
	}
	slices.SortFunc(s.columns, bytes.Compare)
	s.startColumn, s.endColumn = []byte(c.GetStartColumn()), []byte(c.GetEndColumn())
	if f := s.setVersions(c.GetTimeRange(), c.GetMaxVersions(), hasMax); f != nil {
		return nil, f
	}
	if len(c.GetFilter()) > 0 {
		var f *failure
		if s.filter, f = parseFilter(c.GetFilter(), true); f != nil {
			return nil, f
		}
	}
	return s, nil
}

func (s *selection) setVersions(r *otsprotocol.TimeRange, maxVersions int32, hasMax bool) *failure {
	switch {
	case r == nil && !hasMax:
		return invalid("No version condition is specified while querying row.")
	case hasMax && maxVersions <= 0:
		return invalid("Invalid max versions: %d . Reason: Max versions must be positive.", maxVersions)
	}
	s.maxVersions = math.MaxInt
	if hasMax {
		s.maxVersions = int(maxVersions)
	}
	if r == nil {
		return nil
	}
	if r.SpecificTime != nil {
		if r.StartTime != nil || r.EndTime != nil {
			return invalid("Specific tiemstamp and time range cannot be given at the same time.")
		}
		if *r.SpecificTime < 0 {
			return invalid("Specific timestamp cannot be less than 0.")
		}
		s.from, s.until = *r.SpecificTime, *r.SpecificTime+1
		return nil
	}
	if r.StartTime == nil || r.EndTime == nil {
		return invalid("Start and end time must be given at the same time.")
	}
	s.from, s.until = *r.StartTime, *r.EndTime
	if s.from < 0 || s.from >= s.until {
		return invalid("Invalid time range: [%d, %d).", s.from, s.until)
	}
	return nil
}

// pick reads a stored row into buf: the cells to return, whether the row is to be returned, and the bytes it is billed
// for, without its key.
func (s *selection) pick(value []byte, buf []cell) (cells []cell, ok bool, size int, err error) {
	state, err := stateOf(value, s.oldest)
	if err != nil || state == rowAbsent {
		return buf[:0], false, 0, err
	}
	cells, err = readCells(value, s.oldest, s.options.MaxVersions, buf[:0])
	if err != nil {
		return cells, false, 0, err
	}
	had := len(cells) > 0
	kept := cells[:0]
	var last []byte
	versions, wanted := 0, false
	for i := range cells {
		c := &cells[i]
		if i == 0 || !bytes.Equal(c.name, last) {
			last, versions, wanted = c.name, 0, s.wants(c.name)
		}
		if !wanted || c.ts < s.from || c.ts >= s.until || versions == s.maxVersions {
			continue
		}
		versions++
		size += len(c.name) + c.size()
		if s.options.versioned() {
			size += 8
		}
		kept = append(kept, *c)
	}
	// A row of which nothing was selected is not returned, unless it has nothing or its key was asked for.
	ok = len(kept) > 0 || s.anyKey || (!had && s.columns == nil)
	if ok && s.filter != nil {
		if s.filter.kind == filterPagination {
			kept = s.filter.window(kept)
		} else {
			ok = s.filter.match(kept)
		}
	}
	return kept, ok, size, nil
}

func (s *selection) wants(name []byte) bool {
	if s.columns != nil {
		if _, ok := slices.BinarySearchFunc(s.columns, name, bytes.Compare); !ok {
			return false
		}
	}
	return (len(s.startColumn) == 0 || bytes.Compare(name, s.startColumn) >= 0) &&
		(len(s.endColumn) == 0 || bytes.Compare(name, s.endColumn) < 0)
}

// getOne reads the row of a PlainBuffer primary key and appends it as a PlainBuffer message to dst; nothing if there is
// no such row.
func (s *Server) getOne(rq *request, sel *selection, message, dst []byte) (out []byte, read int, f *failure, err error) {
	row, pk, f := decodeRow(message, nil)
	if f != nil {
		return dst, 0, f, nil
	}
	if row.pk != len(row.cells) {
		return dst, 0, invalid("Attribute column cannot be given while reading data."), nil
	}
	if t := sel.table; t.autoInc >= 0 && t.autoInc < len(pk) && pk[t.autoInc].typ == typeAutoInc {
		return dst, 0, invalid("PKAutoIncr can't be used for read operations."), nil
	}
	var keySize int
	if rq.key, keySize, f = sel.table.appendKey(rq.key[:0], pk); f != nil {
		return dst, 0, f, nil
	}
	value, closer, err := s.db.Get(rq.key)
	if err == pebble.ErrNotFound {
		return dst, 1, nil, nil
	}
	if err != nil {
		return dst, 0, nil, err
	}
	defer closer.Close() // of a memtable or cache block; has no error of its own
	cells, ok, size, err := sel.pick(value, rq.cells)
	if err != nil {
		return dst, 0, nil, err
	}
	rq.cells = cells
	if !ok {
		return dst, units(keySize + size), nil, nil
	}
	s.stats.rowsRead.Add(1)
	w := rowWriter{dst: appendHeader(dst)}
	w.begin()
	for i := range pk {
		w.key(&pk[i])
	}
	for i := range cells {
		w.attribute(&cells[i])
	}
	w.end()
	return w.dst, units(keySize + size), nil, nil
}

func (s *Server) getRow(rq *request) (*failure, error) {
	var m otsprotocol.GetRowRequest
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
	var read int
	var err error
	rq.write.rowOut, read, f, err = s.getOne(rq, sel, m.PrimaryKey, rq.write.rowOut[:0])
	if f != nil || err != nil {
		return f, err
	}
	rq.readCU = read
	rq.out = appendConsumed(rq.out, 1, read, 0)
	rq.out = appendBytesField(rq.out, 2, rq.write.rowOut)
	return nil, nil
}

func (s *Server) batchGetRow(rq *request) (*failure, error) {
	var m otsprotocol.BatchGetRowRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	selections, f := s.selectBatch(rq, &m)
	if f != nil {
		return f, nil
	}
	faults := s.faults.Load()
	w := &rq.write
	for i, tm := range m.Tables {
		start := len(rq.out)
		out := appendBytesField(rq.out, 1, tm.GetTableName())
		for _, pk := range tm.PrimaryKey {
			var read int
			var err error
			f := faults.row(rq.op)
			if f == nil {
				w.rowOut, read, f, err = s.getOne(rq, selections[i], pk, w.rowOut[:0])
			}
			if err != nil {
				return nil, err
			}
			if f != nil && f.code != codeParameterInvalid && f.code != codeInvalidPK {
				s.stats.rowsFailed.Add(1)
			} else if f != nil {
				return f, nil // a malformed key fails the request
			}
			rq.readCU += read
			out = append(out, 2<<3|2)
			at := len(out)
			if f != nil {
				out = appendVarintField(out, 1, 0)
				out = appendError(out, 2, f)
				out = appendConsumed(out, 3, 0, 0)
			} else {
				out = appendVarintField(out, 1, 1)
				out = appendConsumed(out, 3, read, 0)
				out = appendBytesField(out, 4, w.rowOut)
			}
			out = insertLength(out, at)
		}
		out = insertLength(out, start)
		rq.out = slices.Insert(out, start, 1<<3|2)
	}
	return nil, nil
}

// selectBatch checks a BatchGetRow request as a whole.
func (s *Server) selectBatch(rq *request, m *otsprotocol.BatchGetRowRequest) ([]*selection, *failure) {
	var selections []*selection
	rows := 0
	for i, tm := range m.Tables {
		for _, other := range m.Tables[:i] {
			if other.GetTableName() == tm.GetTableName() {
				return nil, invalid("Duplicated table name: %s.", tm.GetTableName())
			}
		}
		t, f := s.find(rq.instance, []byte(tm.GetTableName()))
		if f != nil {
			return nil, f
		}
		sel, f := newSelection(t, tm, tm.MaxVersions != nil, rq.now)
		if f != nil {
			return nil, f
		}
		selections = append(selections, sel)
		rows += len(tm.PrimaryKey)
		seen := make(map[string]bool, len(tm.PrimaryKey))
		for _, pk := range tm.PrimaryKey {
			if seen[string(pk)] {
				return nil, invalid("Duplicate rows detected in MultiGet.")
			}
			seen[string(pk)] = true
		}
	}
	if rows == 0 {
		return nil, invalid("No row specified in the request of BatchGetRow.")
	}
	if rows > maxBatchGetRows {
		return nil, invalid("Rows count exceeds the upper limit: %d.", maxBatchGetRows)
	}
	return selections, nil
}
