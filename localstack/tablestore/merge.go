package tablestore

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// A merger computes new row values. It keeps scratch memory between rows and belongs to one request.
type merger struct {
	now         int64 // ms; version of cells written without one
	oldest      int64 // versions below have expired; 0 = none
	maxVersions int
	versions    []cell // of the column at hand
}

// sortChanges orders changes by column, keeping the order of the changes of one column.
func sortChanges(cells []cell) {
	if len(cells) > 32 {
		slices.SortStableFunc(cells, func(a, b cell) int { return bytes.Compare(a.name, b.name) })
		return
	}
	for i := 1; i < len(cells); i++ {
		if bytes.Compare(cells[i-1].name, cells[i].name) <= 0 {
			continue
		}
		c, j := cells[i], i
		for ; j > 0 && bytes.Compare(cells[j-1].name, c.name) > 0; j-- {
			cells[j] = cells[j-1]
		}
		cells[j] = c
	}
}

// merge appends to dst the value that old becomes by changes, which it sorts. old is nil when the row does not exist or
// is replaced. It returns exists = false if there is no row before nor after.
func (m *merger) merge(dst, old []byte, changes []cell) (value []byte, exists bool, err error) {
	sortChanges(changes)
	start := len(dst)
	dst = append(dst, formatCells)
	exists = old != nil
	var rest []byte
	if exists && old[0] == formatCells {
		rest = old[1:]
	}
	for len(changes) > 0 {
		name := changes[0].name
		n := 1
		for n < len(changes) && bytes.Equal(changes[n].name, name) {
			n++
		}
		group := changes[:n]
		changes = changes[n:]

		if dst, rest, err = m.copyBefore(dst, rest, name); err != nil {
			return dst, false, err
		}
		m.versions = m.versions[:0]
		if rest, err = m.collect(rest, name); err != nil {
			return dst, false, err
		}
		if f := m.apply(group); f != nil {
			return dst, false, f
		}
		for i := range m.versions {
			dst = appendStored(dst, &m.versions[i])
			exists = true
		}
	}
	if m.oldest > 0 {
		dst, _, err = m.copyBefore(dst, rest, nil)
	} else {
		dst = append(dst, rest...)
	}
	if len(dst) == start+1 && exists {
		dst = m.empty(dst[:start])
	}
	return dst, exists, err
}

// empty appends the value of a row without attributes.
func (m *merger) empty(dst []byte) []byte {
	return binary.AppendUvarint(append(dst, formatEmpty), uint64(m.now))
}

// copyBefore copies the cells of columns before name, or all if name is nil, without what has expired.
func (m *merger) copyBefore(dst, rest, name []byte) ([]byte, []byte, error) {
	var c cell
	from := rest // the run of cells to copy at once
	run := 0
	for run < len(from) {
		n := readStored(from[run:], &c)
		if n == 0 {
			return dst, nil, errCorrupt
		}
		if name != nil && bytes.Compare(c.name, name) >= 0 {
			break
		}
		if c.ts < m.oldest {
			dst = append(dst, from[:run]...)
			from, run = from[run+n:], 0
			continue
		}
		run += n
	}
	return append(dst, from[:run]...), from[run:], nil
}

// collect moves the versions of column name from the front of rest to m.versions.
func (m *merger) collect(rest, name []byte) ([]byte, error) {
	for len(rest) > 0 {
		var c cell
		n := readStored(rest, &c)
		if n == 0 {
			return nil, errCorrupt
		}
		if !bytes.Equal(c.name, name) {
			break
		}
		if c.ts >= m.oldest {
			m.versions = append(m.versions, c)
		}
		rest = rest[n:]
	}
	return rest, nil
}

// apply applies the changes of one column to m.versions, which stay newest first.
func (m *merger) apply(group []cell) *failure {
	for i := range group {
		c := &group[i]
		switch c.op {
		case opPut:
			if !c.hasTS {
				c.ts = m.now
			}
			m.put(c)
		case opDeleteAll:
			m.versions = m.versions[:0]
		case opDeleteOne:
			m.versions = slices.DeleteFunc(m.versions, func(v cell) bool { return v.ts == c.ts })
		case opIncrement:
			if f := m.increment(c); f != nil {
				return f
			}
		}
	}
	if len(m.versions) > m.maxVersions {
		m.versions = m.versions[:m.maxVersions]
	}
	return nil
}

// put inserts a version; one with the same time is replaced.
func (m *merger) put(c *cell) {
	i := 0
	for i < len(m.versions) && m.versions[i].ts > c.ts {
		i++
	}
	if i < len(m.versions) && m.versions[i].ts == c.ts {
		m.versions[i] = *c
		return
	}
	m.versions = slices.Insert(m.versions, i, *c)
}

// increment adds to the newest version; a missing column counts as 0. The new version is never older than the one it was
// computed from, whatever the clock did.
func (m *merger) increment(c *cell) *failure {
	sum := *c
	sum.op, sum.ts = opPut, m.now
	if len(m.versions) > 0 {
		v := &m.versions[0]
		if v.typ != typeInteger {
			return invalid("Column %s is not an integer and cannot be incremented.", c.name)
		}
		a, b := int64(v.num), int64(c.num)
		if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
			return invalid("Increment of column %s overflows.", c.name)
		}
		sum.num, sum.ts = uint64(a+b), max(m.now, v.ts)
	}
	m.put(&sum)
	return nil
}
