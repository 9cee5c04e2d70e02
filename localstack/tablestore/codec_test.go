package tablestore

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func sdkRow() []byte {
	key := &ots.PrimaryKey{}
	key.AddPrimaryKeyColumn("a", "text\x00")
	key.AddPrimaryKeyColumn("b", int64(-7))
	key.AddPrimaryKeyColumn("c", []byte{0, 255})
	ch := &ots.PutRowChange{PrimaryKey: key}
	ch.AddColumnWithTimestamp("s", "value", 1700000000000)
	ch.AddColumnWithTimestamp("i", int64(math.MinInt64), 1)
	ch.AddColumnWithTimestamp("d", 2.5, 2)
	ch.AddColumnWithTimestamp("t", true, 3)
	ch.AddColumnWithTimestamp("b2", []byte("a longer blob, over sixteen bytes"), 4)
	return ch.Serialize()
}

func sdkUpdate() []byte {
	key := &ots.PrimaryKey{}
	key.AddPrimaryKeyColumn("a", "k")
	ch := &ots.UpdateRowChange{PrimaryKey: key}
	ch.PutColumn("p", int64(1))
	ch.DeleteColumn("q")
	ch.DeleteColumnWithTimestamp("r", 9)
	ch.IncrementColumn("s", 3)
	return ch.Serialize()
}

func sdkBounds() []byte {
	key := &ots.PrimaryKey{}
	key.AddPrimaryKeyColumnWithMinValue("a")
	key.AddPrimaryKeyColumnWithMaxValue("b")
	key.AddPrimaryKeyColumnWithAutoIncrement("c")
	return key.Build(true)
}

// encodeRow is the inverse of decodeRow for rows as the server sends them.
func encodeRow(row plainRow) []byte {
	w := rowWriter{dst: appendHeader(nil)}
	w.begin()
	for i := range row.pk {
		w.key(&row.cells[i])
	}
	for i := row.pk; i < len(row.cells); i++ {
		w.attribute(&row.cells[i])
	}
	w.end()
	return w.dst
}

func TestDecodeRow(t *testing.T) {
	t.Parallel()
	row, _, f := decodeRow(sdkRow(), nil)
	if f != nil {
		t.Fatal(f)
	}
	var got []string
	for _, c := range row.cells {
		got = append(got, fmt.Sprintf("%s:%d:%d:%q:%d", c.name, c.typ, int64(c.num), c.data, c.ts))
	}
	want := []string{
		`a:3:0:"text\x00":0`, `b:0:-7:"":0`, `c:7:0:"\x00\xff":0`, `s:3:0:"value":1700000000000`,
		`i:0:-9223372036854775808:"":1`, fmt.Sprintf(`d:1:%d:"":2`, math.Float64bits(2.5)), `t:2:1:"":3`,
		`b2:7:0:"a longer blob, over sixteen bytes":4`,
	}
	if row.pk != 3 || !slices.Equal(got, want) {
		t.Errorf("decoded %d keys of\n%q, want\n%q", row.pk, got, want)
	}
	if again := encodeRow(row); !bytes.Equal(again, sdkRow()) {
		t.Errorf("encoded\n%x, want\n%x", again, sdkRow())
	}
	row, _, f = decodeRow(sdkUpdate(), nil)
	if f != nil {
		t.Fatal(f)
	}
	var ops []byte
	for _, c := range row.cells[row.pk:] {
		ops = append(ops, c.op)
	}
	if !bytes.Equal(ops, []byte{opPut, opDeleteAll, opDeleteOne, opIncrement}) {
		t.Errorf("ops = %v", ops)
	}
	row, _, f = decodeRow(sdkBounds(), nil)
	if f != nil || !row.deleteRow || row.cells[0].typ != typeInfMin || row.cells[1].typ != typeInfMax || row.cells[2].typ != typeAutoInc {
		t.Errorf("bounds = %+v, %v", row, f)
	}
}

func FuzzDecodeRow(f *testing.F) {
	f.Add(sdkRow())
	f.Add(sdkUpdate())
	f.Add(sdkBounds())
	f.Add([]byte{pbHeader, 0, 0, 0, tagRowPK, tagRowChecksum, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		row, buf, failed := decodeRow(b, nil)
		if failed != nil {
			return
		}
		if len(buf) != len(row.cells) || row.pk > len(row.cells) {
			t.Fatalf("%d cells, %d of the key, buffer of %d", len(row.cells), row.pk, len(buf))
		}
		for i, c := range row.cells {
			if !c.hasValue || c.op != opPut || row.deleteRow || c.hasTS != (i >= row.pk) {
				return // the server sends no such row
			}
		}
		again, _, failed := decodeRow(encodeRow(row), nil)
		if failed != nil {
			t.Fatalf("own encoding refused: %v", failed)
		}
		if !reflect.DeepEqual(row, again) {
			t.Errorf("decoded %+v, after encoding %+v", row, again)
		}
	})
}

func FuzzFilter(f *testing.F) {
	single := &ots.SingleColumnCondition{ColumnName: new(string), Comparator: new(ots.ComparatorType), ColumnValue: "x"}
	*single.ColumnName, *single.Comparator = "c", ots.CT_EQUAL
	and := ots.NewCompositeColumnCondition(ots.LO_AND)
	and.AddFilter(single)
	and.AddFilter(single)
	f.Add(single.Serialize())
	f.Add(and.Serialize())
	f.Add((&ots.PaginationFilter{Offset: 1, Limit: 2}).Serialize())
	f.Add(ots.NewSingleColumnValueRegexFilter("c", ots.CT_EQUAL, ots.NewValueTransferRule("x(1)", ots.Variant_INTEGER), int64(1)).Serialize())
	cells := []cell{{name: []byte("b"), typ: typeInteger}, {name: []byte("c"), typ: typeString, data: []byte("x1")}}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, failed := parseFilter(b, true)
		if failed != nil {
			return
		}
		first := tree.match(cells)
		if again := tree.match(cells); first != again || len(tree.window(cells)) > len(cells) {
			t.Error("evaluation is not stable")
		}
		tree.match(nil)
	})
}

func FuzzKeyOrder(f *testing.F) {
	f.Add([]byte("a"), []byte("a\x00"), int64(-1), int64(1))
	f.Add([]byte{0, 0xff}, []byte{0, 1}, int64(math.MinInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, s1, s2 []byte, i1, i2 int64) {
		a := []cell{{typ: typeBlob, data: s1}, {typ: typeInteger, num: uint64(i1)}}
		b := []cell{{typ: typeBlob, data: s2}, {typ: typeInteger, num: uint64(i2)}}
		encode := func(pk []cell) []byte {
			k := appendTablePrefix(nil, 1)
			for i := range pk {
				k = appendKeyColumn(k, &pk[i])
			}
			return k
		}
		want := compareValues(&a[0], &b[0])
		if want == 0 {
			want = compareValues(&a[1], &b[1])
		}
		ka, kb := encode(a), encode(b)
		if got := bytes.Compare(ka, kb); got != want {
			t.Errorf("keys of (%q, %d) and (%q, %d) compare %d, want %d", s1, i1, s2, i2, got, want)
		}
		if prefix := ka[:len(ka)-8]; bytes.Compare(ka, successor(prefix)) >= 0 {
			t.Errorf("key %x not below the successor of its prefix", ka)
		}
		table := &table{schema: []pkColumn{{[]byte("s"), typeBlob}, {[]byte("i"), typeInteger}}}
		var back [2]cell
		if !table.readKey(ka, back[:]) || !bytes.Equal(back[0].data, s1) || int64(back[1].num) != i1 {
			t.Errorf("key of (%q, %d) read as (%q, %d)", s1, i1, back[0].data, int64(back[1].num))
		}
		table.readKey(s1, back[:])
	})
}

func FuzzStoredRow(f *testing.F) {
	m := merger{now: 5, maxVersions: 2}
	value, _, err := m.merge(nil, nil, []cell{{name: []byte("a"), typ: typeString, data: []byte("x")}, {name: []byte("b"), typ: typeInteger}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(m.empty(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := stateOf(b, 3); err != nil {
			return
		}
		cells, err := readCells(b, 0, math.MaxInt, nil)
		if err != nil || len(b) == 0 || b[0] != formatCells {
			return
		}
		again := []byte{formatCells}
		for i := range cells {
			again = appendStored(again, &cells[i])
		}
		back, err := readCells(again, 0, math.MaxInt, nil)
		if err != nil || !reflect.DeepEqual(cells, back) {
			t.Errorf("read %+v, after writing %+v, %v", cells, back, err)
		}
	})
}

// TestMergeModel compares merge with the plainest possible implementation on random rows.
func TestMergeModel(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		m := merger{now: 1000, maxVersions: 1 + random.IntN(3)}
		if random.IntN(2) == 0 {
			m.oldest = 500
		}
		model := make(map[string]map[int64]uint64)
		var value []byte
		for range 6 {
			m.now += random.Int64N(3)
			if m.oldest > 0 {
				m.oldest += random.Int64N(100)
			}
			var changes []cell
			columns := random.Perm(40)[:1+random.IntN(39)]
			for _, col := range columns {
				c := cell{name: fmt.Appendf(nil, "c%02d", col), op: []byte{opPut, opPut, opPut, opDeleteAll, opDeleteOne, opIncrement}[random.IntN(6)]}
				c.num, c.hasValue = uint64(random.IntN(100)), true
				if c.op == opDeleteOne || (c.op == opPut && random.IntN(2) == 0) {
					c.ts, c.hasTS = max(m.oldest, 400)+random.Int64N(700), true
				}
				changes = append(changes, c)
			}
			applyModel(model, changes, &m)
			old := value
			if state, err := stateOf(old, m.oldest); err != nil || state == rowAbsent {
				old = nil
			}
			var err error
			var there bool
			value, there, err = m.merge(nil, old, changes)
			if err != nil {
				t.Fatal(err)
			}
			if !there {
				value = nil
			}
			cells, err := readCells(value, m.oldest, m.maxVersions, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]map[int64]uint64)
			for i, c := range cells {
				if i > 0 && (bytes.Compare(cells[i-1].name, c.name) > 0 || (bytes.Equal(cells[i-1].name, c.name) && cells[i-1].ts <= c.ts)) {
					t.Fatalf("cells out of order: %+v", cells)
				}
				if got[string(c.name)] == nil {
					got[string(c.name)] = make(map[int64]uint64)
				}
				got[string(c.name)][c.ts] = c.num
			}
			if !reflect.DeepEqual(got, model) {
				t.Fatalf("merged %v, want %v", got, model)
			}
		}
	}
}

func applyModel(model map[string]map[int64]uint64, changes []cell, m *merger) {
	newest := func(versions map[int64]uint64) (ts int64) {
		ts = -1
		for v := range versions {
			ts = max(ts, v)
		}
		return ts
	}
	for name, versions := range model {
		for ts := range versions {
			if ts < m.oldest {
				delete(versions, ts)
			}
		}
		if len(versions) == 0 {
			delete(model, name)
		}
	}
	for _, c := range changes {
		name := string(c.name)
		versions := model[name]
		if versions == nil {
			versions = make(map[int64]uint64)
		}
		switch c.op {
		case opPut:
			ts := m.now
			if c.hasTS {
				ts = c.ts
			}
			versions[ts] = c.num
		case opDeleteAll:
			clear(versions)
		case opDeleteOne:
			delete(versions, c.ts)
		case opIncrement:
			if last := newest(versions); last >= 0 {
				versions[max(last, m.now)] = versions[last] + c.num
			} else {
				versions[m.now] = c.num
			}
		}
		for len(versions) > m.maxVersions {
			oldest := int64(math.MaxInt64)
			for ts := range versions {
				oldest = min(oldest, ts)
			}
			delete(versions, oldest)
		}
		if model[name] = versions; len(versions) == 0 {
			delete(model, name)
		}
	}
}
