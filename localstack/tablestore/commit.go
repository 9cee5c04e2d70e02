package tablestore

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

func (s *Server) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

// order sorts the rows by hash, which is the order of locking, and finds those that are changed more than once. They are
// applied in the order of the request, and may have no conditions ("Error codes", batch operations).
func (s *Server) order(w *writeSet) *failure {
	w.order = w.order[:0]
	for i := range w.rows {
		w.rows[i].hash = s.hash(w.rows[i].key)
		w.order = append(w.order, hashed{w.rows[i].hash, int32(i)})
	}
	slices.SortFunc(w.order, func(a, b hashed) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return int(a.index - b.index)
	})
	for i := 1; i < len(w.order); i++ {
		ch := &w.rows[w.order[i].index]
		for j := i - 1; j >= 0 && w.order[j].hash == ch.hash; j-- {
			p := &w.rows[w.order[j].index]
			if !bytes.Equal(p.key, ch.key) {
				continue
			}
			if p.expect != expectIgnore || ch.expect != expectIgnore {
				return invalid("Repeated rows do not support row exist expectation check in BatchModify.")
			}
			if p.filter != nil || ch.filter != nil {
				return invalid("Repeated rows do not support row condition check in BatchModify.")
			}
			ch.previous, w.repeats = int(w.order[j].index), true
			break
		}
	}
	return nil
}

// commit applies the rows under their locks and waits until they are on disk.
func (s *Server) commit(rq *request) error {
	b := s.db.NewBatch()
	defer b.Close()
	synced, err := s.applyLocked(rq, b)
	if err != nil || !synced {
		return err
	}
	return b.SyncWait()
}

// applyLocked makes the rows visible. Others see them before they are synced, but whatever they write because of it lies
// behind them in the log.
func (s *Server) applyLocked(rq *request, b *pebble.Batch) (applied bool, err error) {
	w := &rq.write
	last := -1
	for _, h := range w.order {
		if i := int(h.hash >> stripeShift); i != last {
			s.stripes[i].mu.Lock()
			last = i
		}
	}
	defer func() {
		last := -1
		for _, h := range w.order {
			if i := int(h.hash >> stripeShift); i != last {
				s.stripes[i].mu.Unlock()
				last = i
			}
		}
	}()
	for i := range w.rows {
		ch := &w.rows[i]
		if ch.failure == nil {
			if err := s.applyRow(rq, ch, b); err != nil {
				return false, err
			}
		}
		if ch.failure != nil && w.atomic {
			return false, nil
		}
	}
	if b.Empty() {
		return false, nil
	}
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return false, err
	}
	for i := range w.rows {
		s.remember(&w.rows[i])
	}
	return true, nil
}

// remember tells the stripe what has become of a row. Rows that are only ever put, as in a history, are not worth its
// memory.
func (s *Server) remember(ch *rowChange) {
	if ch.failure != nil || !ch.changed {
		return
	}
	st := &s.stripes[ch.hash>>stripeShift]
	if ch.value != nil && ch.wasRead {
		st.put(ch.hash, ch.key, ch.value)
	} else {
		st.forget(ch.hash, ch.key)
	}
}

// applyRow computes what one change does and adds it to b.
func (s *Server) applyRow(rq *request, ch *rowChange, b *pebble.Batch) error {
	w := &rq.write
	w.merger.now, w.merger.oldest, w.merger.maxVersions = rq.now, ch.options.oldest(rq.now), ch.options.MaxVersions
	var old []byte
	conditional := ch.expect != expectIgnore || ch.filter != nil
	if conditional || ch.kind == changeUpdate {
		ch.wasRead = true
		stored, closer, err := s.current(w, ch)
		if err != nil {
			return err
		}
		if closer != nil {
			defer closer.Close() // of a memtable or cache block; has no error of its own
		}
		state, err := stateOf(stored, w.merger.oldest)
		if err != nil {
			return err
		}
		if state != rowAbsent {
			old = stored
		}
	}
	if conditional {
		ch.read = units(ch.keySize)
		holds, err := ch.holds(rq, old)
		if err != nil {
			return err
		}
		if !holds {
			ch.failure, ch.write = failCondition, 1
			return nil
		}
	}
	from := len(w.values)
	exists := true
	switch ch.kind {
	case changeDelete:
		exists, ch.changed = false, true
		if err := b.Delete(ch.key, nil); err != nil {
			return err
		}
	case changePut:
		old = nil
		fallthrough
	case changeUpdate:
		var err error
		w.values, exists, err = w.merger.merge(w.values, old, ch.cells)
		if f, ok := err.(*failure); ok {
			ch.failure = f
			return nil
		}
		if err != nil {
			return err
		}
		if !exists && ch.kind == changePut {
			w.values, exists = w.merger.empty(w.values[:from]), true
		}
		if exists {
			ch.changed = true
			ch.value = w.values[from:len(w.values):len(w.values)]
			if err := b.Set(ch.key, ch.value, nil); err != nil {
				return err
			}
		}
	}
	if err := ch.buildReturn(rq); err != nil {
		return err
	}
	if len(ch.value) > rememberedBytes && !w.repeats { // nobody will look at it again, and it may be large
		w.values, ch.value = w.values[:from], nil
	}
	return nil
}

// current reads the stored row, or what an earlier change of the same batch made of it.
func (s *Server) current(w *writeSet, ch *rowChange) ([]byte, io.Closer, error) {
	for i := ch.previous; i >= 0; i = w.rows[i].previous {
		if w.rows[i].failure == nil {
			return w.rows[i].value, nil, nil
		}
	}
	if value, ok := s.stripes[ch.hash>>stripeShift].get(ch.hash, ch.key); ok {
		return value, nil, nil
	}
	value, closer, err := s.db.Get(ch.key)
	if err == pebble.ErrNotFound {
		return nil, nil, nil
	}
	return value, closer, err
}

// holds evaluates the conditions on the existing row, nil if there is none.
func (ch *rowChange) holds(rq *request, old []byte) (bool, error) {
	if (ch.expect == expectExist && old == nil) || (ch.expect == expectNotExist && old != nil) {
		return false, nil
	}
	if ch.filter == nil {
		return true, nil
	}
	var err error
	rq.cells, err = readCells(old, ch.options.oldest(rq.now), ch.options.MaxVersions, rq.cells[:0])
	return ch.filter.match(rq.cells), err
}

// buildReturn encodes what the change asked to be returned.
func (ch *rowChange) buildReturn(rq *request) error {
	if ch.returns == returnNone {
		return nil
	}
	out := rowWriter{dst: appendHeader(nil)}
	out.begin()
	for i := range ch.pk {
		out.key(&ch.pk[i])
	}
	if ch.returns == returnAfterModify && ch.value != nil {
		var err error
		rq.cells, err = readCells(ch.value, 0, 1, rq.cells[:0])
		if err != nil {
			return err
		}
		for i := range rq.cells {
			c := &rq.cells[i]
			if slices.ContainsFunc(ch.returnNames, func(n []byte) bool { return bytes.Equal(n, c.name) }) {
				out.attribute(c)
			}
		}
	}
	out.end()
	ch.returned = out.dst
	return nil
}
