package tablestore

import (
	"encoding/binary"
	"slices"
)

// writeRow serves PutRow, UpdateRow and DeleteRow.
func (s *Server) writeRow(rq *request, kind int) (*failure, error) {
	w := &rq.write
	name, f := w.parseSingle(rq.body, kind)
	if f != nil {
		return f, nil
	}
	t, f := s.find(rq.instance, name)
	if f != nil {
		return f, nil
	}
	ch := &w.rows[0]
	ch.table, ch.options = t, t.options.Load()
	size, f := w.prepare(ch, rq.now)
	if f != nil {
		return f, nil
	}
	ch.write = units(size)
	if f := s.order(w); f != nil {
		return f, nil
	}
	if err := s.commit(rq); err != nil {
		return nil, err
	}
	rq.readCU, rq.writeCU = ch.read, ch.write
	if ch.failure != nil {
		return ch.failure, nil
	}
	s.stats.rowsPut.Add(1)
	rq.out = appendConsumed(rq.out, 1, ch.read, ch.write)
	if ch.returns != returnNone {
		rq.out = appendBytesField(rq.out, 2, ch.returned)
	}
	return nil, nil
}

func (s *Server) putRow(rq *request) (*failure, error)    { return s.writeRow(rq, changePut) }
func (s *Server) updateRow(rq *request) (*failure, error) { return s.writeRow(rq, changeUpdate) }
func (s *Server) deleteRow(rq *request) (*failure, error) { return s.writeRow(rq, changeDelete) }

// batchWriteRow serves BatchWriteRow. What can be told from the request alone fails all of it; conditions fail a row,
// unless the batch is atomic ("Tablestore, BatchWriteRow").
func (s *Server) batchWriteRow(rq *request) (*failure, error) {
	w := &rq.write
	if f := w.parseBatch(rq.body); f != nil {
		return f, nil
	}
	faults := s.faults.Load()
	total, next := 0, 0
	for i := range w.tables {
		t, f := s.find(rq.instance, w.tables[i].name)
		if f != nil {
			return f, nil
		}
		options := t.options.Load()
		rows := w.rows[next : next+w.tables[i].rows]
		next += len(rows)
		for j := range rows {
			ch := &rows[j]
			ch.table, ch.options = t, options
			size, f := w.prepare(ch, rq.now)
			if f != nil {
				return f, nil
			}
			ch.write = units(size)
			total += size
			if w.atomic && compareValues(&ch.pk[0], &rows[0].pk[0]) != 0 {
				return invalid("The partition keys of an atomic batch must be the same in table: %s.", w.tables[i].name), nil
			}
			if faults != nil {
				ch.failure = faults.row(rq.op)
			}
		}
	}
	if total > maxBatchWriteBytes {
		return invalid("The total data size of BatchWriteRow request exceeds the limit, limit size: %d, data size:%d.",
			maxBatchWriteBytes, total), nil
	}
	if f := s.order(w); f != nil {
		return f, nil
	}
	if err := s.commit(rq); err != nil {
		return nil, err
	}
	if w.atomic {
		for i := range w.rows {
			if f := w.rows[i].failure; f != nil {
				return f, nil
			}
		}
	}
	s.answerBatch(rq)
	return nil, nil
}

// answerBatch appends a BatchWriteRowResponse.
func (s *Server) answerBatch(rq *request) {
	w := &rq.write
	next, ok := 0, 0
	for i := range w.tables {
		t := &w.tables[i]
		out := appendBytesField(w.rowOut[:0], 1, t.name)
		for j := range w.rows[next : next+t.rows] {
			ch := &w.rows[next+j]
			rq.readCU += ch.read
			rq.writeCU += ch.write
			size := 2 + len(ch.returned) + 64
			if ch.failure != nil {
				size += len(ch.failure.text)
			}
			out = slices.Grow(out, size)
			out = append(out, 2<<3|2)
			at := len(out)
			out = append(out, 1<<3, 1)
			if ch.failure != nil {
				out[len(out)-1] = 0
				out = appendError(out, 2, ch.failure)
			} else {
				ok++
			}
			out = appendConsumed(out, 3, ch.read, ch.write)
			if ch.failure == nil && ch.returns != returnNone {
				out = appendBytesField(out, 4, ch.returned)
			}
			out = insertLength(out, at)
		}
		next += t.rows
		rq.out = appendBytesField(rq.out, 1, out)
		w.rowOut = out
	}
	s.stats.rowsPut.Add(int64(ok))
	s.stats.rowsFailed.Add(int64(len(w.rows) - ok))
}

// insertLength inserts the length of b[at:] before it.
func insertLength(b []byte, at int) []byte {
	n := len(b) - at
	if n < 0x80 {
		b = append(b, 0)
		copy(b[at+1:], b[at:])
		b[at] = byte(n)
		return b
	}
	var length [binary.MaxVarintLen64]byte
	return slices.Insert(b, at, length[:binary.PutUvarint(length[:], uint64(n))]...)
}
