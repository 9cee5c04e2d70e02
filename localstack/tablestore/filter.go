package tablestore

import (
	"bytes"
	"cmp"
	"math"
	"regexp"
	"strconv"
)

// Filters and column conditions (ots_filter.proto): a tree of comparisons, or a window of columns.

const (
	filterSingle     = 1
	filterComposite  = 2
	filterPagination = 3

	logicNot = 1
	logicAnd = 2
	logicOr  = 3
)

const maxFilterDepth = 16

// A filter is one node.
type filter struct {
	kind int

	// single
	comparator      int
	column          []byte
	value           cell
	missingFails    bool
	latestOnly      bool
	transfer        *regexp.Regexp
	transferredType byte

	// composite
	logic int
	subs  []*filter

	// pagination
	offset, limit int
}

var failFilter = invalid("Deserialize filter failed.")

// parseFilter reads a Filter message; it refuses pagination unless allowed, as in conditions.
func parseFilter(b []byte, pagination bool) (*filter, *failure) {
	leaves := 0
	f, err := parseFilterNode(b, pagination, 0, &leaves)
	if err == nil && leaves > maxFilters {
		return nil, invalid("The count of filter exceeds the max:%d.", maxFilters)
	}
	return f, err
}

func parseFilterNode(b []byte, pagination bool, depth int, leaves *int) (*filter, *failure) {
	if depth > maxFilterDepth {
		return nil, failFilter
	}
	f := &filter{}
	var body []byte
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			f.kind = int(v)
		case 2:
			body = data
		}
	}
	if m.bad {
		return nil, failFilter
	}
	switch f.kind {
	case filterSingle:
		*leaves++
		return f, f.parseSingle(body)
	case filterComposite:
		return f, f.parseComposite(body, depth, leaves)
	case filterPagination:
		if !pagination || depth > 0 {
			return nil, invalid("Invalid type of sub-filter: %d.", f.kind)
		}
		*leaves++
		return f, f.parsePagination(body)
	}
	return nil, invalid("Invalid type of filter: %d.", f.kind)
}

func (f *filter) parseSingle(b []byte) *failure {
	failed := invalid("Deserialize relation filter failed.")
	var rule []byte
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			f.comparator = int(v)
		case 2:
			f.column = data
		case 3:
			if n, err := decodeValue(data, &f.value); err != nil || n != len(data) || f.value.typ >= typeInfMin {
				return failed
			}
			f.value.hasValue = true
		case 4:
			f.missingFails = v != 0
		case 5:
			f.latestOnly = v != 0
		case 6:
			rule = data
		}
	}
	if m.bad || !f.value.hasValue {
		return failed
	}
	if f.comparator < 1 || f.comparator > 6 {
		return invalid("Invalid relation operator: %d.", f.comparator)
	}
	if !validName(f.column) {
		return invalid("Invalid column name: %s.", f.column)
	}
	if rule == nil {
		return nil
	}
	m = fields{b: rule}
	f.transferredType = typeString
	for {
		num, v, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			re, err := regexp.Compile(string(data))
			if err != nil {
				return failed
			}
			f.transfer = re
		case 2:
			f.transferredType = byte(v)
		}
	}
	if m.bad || f.transfer == nil {
		return failed
	}
	return nil
}

func (f *filter) parseComposite(b []byte, depth int, leaves *int) *failure {
	m := fields{b: b}
	for {
		num, v, data, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			f.logic = int(v)
		case 2:
			sub, err := parseFilterNode(data, false, depth+1, leaves)
			if err != nil {
				return err
			}
			f.subs = append(f.subs, sub)
		}
	}
	switch {
	case m.bad:
		return invalid("Deserialize composite filter failed.")
	case f.logic == logicNot && len(f.subs) != 1:
		return invalid("Invalid NOT operator: the number of sub-filters must be 1.")
	case (f.logic == logicAnd || f.logic == logicOr) && len(f.subs) < 2:
		return invalid("Invalid AND/OR operator: the number of sub-filters must be 2.")
	case f.logic < logicNot || f.logic > logicOr:
		return invalid("Deserialize composite filter failed.")
	}
	return nil
}

func (f *filter) parsePagination(b []byte) *failure {
	m := fields{b: b}
	for {
		num, v, _, ok := m.next()
		if !ok {
			break
		}
		switch num {
		case 1:
			f.offset = int(int32(v))
		case 2:
			f.limit = int(int32(v))
		}
	}
	switch {
	case m.bad:
		return invalid("Deserialize column pagination filter failed.")
	case f.offset < 0:
		return invalid("Offset in ColumnPaginationFilter must be greater than or equal to 0.")
	case f.limit <= 0:
		return invalid("Limit in ColumnPaginationFilter must be greater than 0.")
	}
	return nil
}

// match evaluates the tree on cells sorted by name, newest version first. A missing row has no cells.
func (f *filter) match(cells []cell) bool {
	switch f.kind {
	case filterSingle:
		return f.matchSingle(cells)
	case filterComposite:
		switch f.logic {
		case logicNot:
			return !f.subs[0].match(cells)
		case logicAnd:
			for _, s := range f.subs {
				if !s.match(cells) {
					return false
				}
			}
			return true
		}
		for _, s := range f.subs {
			if s.match(cells) {
				return true
			}
		}
		return false
	}
	return true
}

func (f *filter) matchSingle(cells []cell) bool {
	missing := true
	for i := range cells {
		c := &cells[i]
		order := bytes.Compare(c.name, f.column)
		if order > 0 {
			break
		}
		if order < 0 {
			continue
		}
		missing = false
		if f.compare(c) {
			return true
		}
		if f.latestOnly {
			break
		}
	}
	return missing && !f.missingFails
}

// compare applies the comparator to one version. Values of different types are unequal and unordered.
func (f *filter) compare(c *cell) bool {
	if f.transfer != nil {
		var t cell
		if !f.transferred(c, &t) {
			return false
		}
		c = &t
	}
	if c.typ != f.value.typ {
		return f.comparator == 2
	}
	order := compareValues(c, &f.value)
	switch f.comparator {
	case 1:
		return order == 0
	case 2:
		return order != 0
	case 3:
		return order > 0
	case 4:
		return order >= 0
	case 5:
		return order < 0
	default:
		return order <= 0
	}
}

// transferred applies a value transfer rule: the first group of the pattern, or the whole match, cast to a type.
func (f *filter) transferred(c, t *cell) bool {
	if c.typ != typeString {
		return false
	}
	match := f.transfer.FindSubmatch(c.data)
	if match == nil {
		return false
	}
	text := match[min(1, len(match)-1)]
	t.typ = f.transferredType
	switch t.typ {
	case typeInteger:
		v, err := strconv.ParseInt(string(text), 10, 64)
		t.num = uint64(v)
		return err == nil
	case typeDouble:
		v, err := strconv.ParseFloat(string(text), 64)
		t.num = math.Float64bits(v)
		return err == nil
	case typeString, typeBlob:
		t.data = text
		return true
	}
	return false
}

// compareValues orders two values of one type.
func compareValues(a, b *cell) int {
	switch a.typ {
	case typeInteger:
		return cmp.Compare(int64(a.num), int64(b.num))
	case typeDouble:
		return cmp.Compare(float(a.num), float(b.num))
	case typeBoolean:
		return cmp.Compare(a.num, b.num)
	}
	return bytes.Compare(a.data, b.data)
}

// window applies a pagination filter: columns offset to offset+limit, with all their selected versions.
func (f *filter) window(cells []cell) []cell {
	column, from := -1, len(cells)
	var last []byte
	for i := range cells {
		if column < 0 || !bytes.Equal(cells[i].name, last) {
			column, last = column+1, cells[i].name
			if column == f.offset {
				from = i
			}
			if column == f.offset+f.limit {
				return cells[from:i]
			}
		}
	}
	return cells[from:]
}
