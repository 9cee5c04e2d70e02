package tablestore_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

func TestPutGetUpdateDelete(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s b:i c:b"})
	key := pk("a", "x\x00y", "b", -5, "c", []byte{0, 1, 255})
	put(t, c, putChange("t", key, ignore, "s", "text", "i", int64(math.MinInt64), "d", 1.5, "f", true, "bin", []byte{0, 9}))
	wantRow(t, c, "t", key, "bin=[0 9] d=1.5 f=true i=-9223372036854775808 s=text")
	r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: key})
	if got := r.PrimaryKey.PrimaryKeys; len(got) != 3 || got[0].Value != "x\x00y" || got[1].Value != int64(-5) || !bytes.Equal(got[2].Value.([]byte), []byte{0, 1, 255}) {
		t.Errorf("primary key = %v", got)
	}
	update(t, c, updateChange("t", key, ignore, "i", inc(7), "s", del{}, "z", "new", "a1", "first"))
	wantRow(t, c, "t", key, "a1=first bin=[0 9] d=1.5 f=true i=-9223372036854775801 z=new")
	put(t, c, putChange("t", key, exist, "only", "this"))
	wantRow(t, c, "t", key, "only=this")
	ch := &ots.DeleteRowChange{TableName: "t", PrimaryKey: key}
	ch.SetCondition(exist)
	if _, err := c.DeleteRow(&ots.DeleteRowRequest{DeleteRowChange: ch}); err != nil {
		t.Fatal(err)
	}
	if r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: key}); len(r.PrimaryKey.PrimaryKeys) != 0 {
		t.Errorf("deleted row = %v", r.PrimaryKey)
	}
	_, err := c.DeleteRow(&ots.DeleteRowRequest{DeleteRowChange: ch})
	wantCode(t, err, "OTSConditionCheckFail")
}

func TestRowExistence(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "1"), exist, "v", int64(1))})
	wantCode(t, err, "OTSConditionCheckFail")
	_, err = c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: updateChange("t", pk("a", "1"), exist, "v", int64(1))})
	wantCode(t, err, "OTSConditionCheckFail")
	put(t, c, putChange("t", pk("a", "1"), notExist, "v", int64(1)))
	_, err = c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "1"), notExist, "v", int64(2))})
	wantCode(t, err, "OTSConditionCheckFail")
	update(t, c, updateChange("t", pk("a", "1"), exist, "v", del{}))
	// A row whose columns are all deleted still exists.
	update(t, c, updateChange("t", pk("a", "1"), exist, "w", int64(3)))
	wantRow(t, c, "t", pk("a", "1"), "w=3")
	// Deleting columns does not create a row.
	update(t, c, updateChange("t", pk("a", "2"), ignore, "v", del{}))
	put(t, c, putChange("t", pk("a", "2"), notExist))
	if r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", "2")}); len(r.PrimaryKey.PrimaryKeys) != 1 {
		t.Errorf("row of a key only = %v", r.PrimaryKey)
	}
}

func TestColumnConditions(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s", versions: 3})
	put(t, c, putChange("t", pk("a", "1"), ignore, "epoch", int64(4), "node", "n1", "d", 2.5))
	and := func(fs ...ots.ColumnFilter) ots.ColumnFilter {
		f := ots.NewCompositeColumnCondition(ots.LO_AND)
		for _, sub := range fs {
			f.AddFilter(sub)
		}
		return f
	}
	not := ots.NewCompositeColumnCondition(ots.LO_NOT)
	not.AddFilter(condition("node", ots.CT_EQUAL, "n1", true))
	or := ots.NewCompositeColumnCondition(ots.LO_OR)
	or.AddFilter(condition("node", ots.CT_EQUAL, "n9", true))
	or.AddFilter(condition("d", ots.CT_GREATER_THAN, 2.0, true))
	for _, tt := range []struct {
		name  string
		key   string
		cond  ots.ColumnFilter
		holds bool
	}{
		{"equal", "1", condition("epoch", ots.CT_EQUAL, int64(4), true), true},
		{"not_equal", "1", condition("epoch", ots.CT_NOT_EQUAL, int64(4), true), false},
		{"less", "1", condition("epoch", ots.CT_LESS_THAN, int64(5), true), true},
		{"less_or_equal", "1", condition("epoch", ots.CT_LESS_EQUAL, int64(3), true), false},
		{"greater_or_equal", "1", condition("epoch", ots.CT_GREATER_EQUAL, int64(4), true), true},
		{"other_type", "1", condition("epoch", ots.CT_EQUAL, "4", true), false},
		{"missing_passes", "1", condition("nothing", ots.CT_EQUAL, int64(1), false), true},
		{"missing_fails", "1", condition("nothing", ots.CT_EQUAL, int64(1), true), false},
		{"missing_row_passes", "2", condition("epoch", ots.CT_EQUAL, int64(1), false), true},
		{"missing_row_fails", "2", condition("epoch", ots.CT_EQUAL, int64(1), true), false},
		{"and", "1", and(condition("epoch", ots.CT_EQUAL, int64(4), true), condition("node", ots.CT_EQUAL, "n1", true)), true},
		{"and_one_false", "1", and(condition("epoch", ots.CT_EQUAL, int64(4), true), condition("node", ots.CT_EQUAL, "n2", true)), false},
		{"not", "1", not, false},
		{"or", "1", or, true},
	} {
		ch := updateChange("t", pk("a", tt.key), ignore, "touched", true)
		ch.SetColumnCondition(tt.cond)
		r, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: ch})
		if tt.holds && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.holds && err == nil && (r.ConsumedCapacityUnit.Read != 1 || r.ConsumedCapacityUnit.Write != 1) {
			t.Errorf("%s: consumed %+v", tt.name, r.ConsumedCapacityUnit)
		}
		if !tt.holds {
			wantCode(t, err, "OTSConditionCheckFail")
		}
	}

	// An older version satisfies a condition that is not about the latest one only.
	now := time.Now().UnixMilli()
	put(t, c, putChange("t", pk("a", "v"), ignore, "x", at{int64(1), now - 10}, "x", at{int64(2), now}))
	any := condition("x", ots.CT_EQUAL, int64(1), true)
	any.LatestVersionOnly = false
	ch := updateChange("t", pk("a", "v"), ignore, "y", true)
	ch.SetColumnCondition(any)
	update(t, c, ch)
	any.LatestVersionOnly = true
	_, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: ch})
	wantCode(t, err, "OTSConditionCheckFail")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "many", key: "a:s", versions: 3, deviation: 10 * 365 * 86400})
	create(t, c, tableSpec{name: "one", key: "a:s", deviation: 10 * 365 * 86400})
	create(t, c, tableSpec{name: "narrow", key: "a:s"})
	base := time.Now().Add(-365 * 24 * time.Hour).UnixMilli()
	key := pk("a", "k")

	// An older version never hides a newer one.
	update(t, c, updateChange("one", key, ignore, "temp", at{int64(20), base + 20}, "hum", at{int64(1), base}))
	update(t, c, updateChange("one", key, ignore, "temp", at{int64(10), base + 10}))
	wantRow(t, c, "one", key, "hum=1 temp=20")
	update(t, c, updateChange("one", key, ignore, "temp", at{int64(21), base + 20}))
	update(t, c, updateChange("one", key, ignore, "hum", at{int64(2), base + 1}))
	wantRow(t, c, "one", key, "hum=2 temp=21")
	if r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "one", PrimaryKey: key}); r.Columns[1].Timestamp != base+20 {
		t.Errorf("version = %d, want %d", r.Columns[1].Timestamp, base+20)
	}

	for i := range 5 {
		update(t, c, updateChange("many", key, ignore, "v", at{int64(i), base + int64(i)}))
	}
	wantRow(t, c, "many", key, "v=4 v=3 v=2")
	for _, tt := range []struct {
		name string
		q    ots.SingleRowQueryCriteria
		want string
	}{
		{"latest", ots.SingleRowQueryCriteria{MaxVersion: 1}, "v=4"},
		{"range", ots.SingleRowQueryCriteria{TimeRange: &ots.TimeRange{Start: base + 2, End: base + 4}}, "v=3 v=2"},
		{"range_latest", ots.SingleRowQueryCriteria{MaxVersion: 1, TimeRange: &ots.TimeRange{Start: base, End: base + 4}}, "v=3"},
		{"specific", ots.SingleRowQueryCriteria{TimeRange: &ots.TimeRange{Specific: base + 3}}, "v=3"},
		{"nothing", ots.SingleRowQueryCriteria{TimeRange: &ots.TimeRange{Start: 1, End: 2}}, ""},
	} {
		tt.q.TableName, tt.q.PrimaryKey = "many", key
		if got := row(get(t, c, &tt.q).Columns); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	update(t, c, updateChange("many", key, ignore, "v", delAt(base+3)))
	wantRow(t, c, "many", key, "v=4 v=2")
	update(t, c, updateChange("many", key, ignore, "v", del{}))
	wantRow(t, c, "many", key, "")

	_, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: updateChange("narrow", key, ignore, "v", at{int64(1), base})})
	wantCode(t, err, "OTSParameterInvalid")
	put(t, c, putChange("narrow", key, ignore, "v", at{int64(1), time.Now().Add(-23 * time.Hour).UnixMilli()}))
}

func TestTTL(t *testing.T) {
	t.Parallel()
	clk := newClock()
	// The clock stays within the signature window of the SDK's real time; the cells are written almost expired.
	c := start(t, tablestore.Options{Clock: clk.Now})
	create(t, c, tableSpec{name: "t", key: "a:s", ttl: 86400})
	old := clk.Now().Add(-24*time.Hour + time.Minute).UnixMilli()
	put(t, c, putChange("t", pk("a", "mixed"), ignore, "old", at{"x", old}, "new", "y"))
	put(t, c, putChange("t", pk("a", "gone"), ignore, "old", at{"x", old}))
	wantRow(t, c, "t", pk("a", "mixed"), "new=y old=x")
	clk.add(2 * time.Minute)
	wantRow(t, c, "t", pk("a", "mixed"), "new=y")
	if r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", "gone")}); len(r.PrimaryKey.PrimaryKeys) != 0 {
		t.Errorf("expired row = %v", r)
	}
	put(t, c, putChange("t", pk("a", "gone"), notExist, "v", "again"))
	update(t, c, updateChange("t", pk("a", "mixed"), exist, "more", "z"))
	wantRow(t, c, "t", pk("a", "mixed"), "more=z new=y")
	_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "x"), ignore, "v", at{"x", old})})
	wantCode(t, err, "OTSParameterInvalid")
}

func TestIncrement(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	key := pk("a", "k")
	for want := int64(3); want <= 9; want += 3 {
		ch := updateChange("t", key, ignore, "n", inc(3), "other", "x")
		ch.SetReturnIncrementValue()
		ch.AppendIncrementColumnToReturn("n")
		if got := update(t, c, ch).Columns; len(got) != 1 || got[0].Value != want {
			t.Errorf("returned %s, want n=%d", row(got), want)
		}
	}
	for name, ch := range map[string]*ots.UpdateRowChange{
		"not an integer": updateChange("t", key, ignore, "other", inc(1)),
		"overflow":       updateChange("t", key, ignore, "n", inc(math.MaxInt64)),
		"twice":          updateChange("t", key, ignore, "n", inc(1), "n", inc(1)),
		"with a put":     updateChange("t", key, ignore, "n", inc(1), "n", int64(1)),
	} {
		_, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: ch})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, "OTSParameterInvalid")
	}
	wantRow(t, c, "t", key, "n=9 other=x")
}

func TestAutoIncrement(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s seq:a"})
	last := int64(0)
	for range 5 {
		ch := putChange("t", pk("a", "k", "seq", automatic), ignore, "v", "x")
		ch.SetReturnPk()
		r := put(t, c, ch)
		seq := r.PrimaryKey.PrimaryKeys[1].Value.(int64)
		if seq <= last {
			t.Errorf("key %d after %d", seq, last)
		}
		last = seq
		wantRow(t, c, "t", pk("a", "k", "seq", int(seq)), "v=x")
	}
	_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "k", "seq", automatic), notExist, "v", "x")})
	wantCode(t, err, "OTSParameterInvalid")
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s b:i"})
	many := make([]any, 0, 2*1025)
	for i := range 1025 {
		many = append(many, fmt.Sprintf("c%d", i), int64(i))
	}
	good := pk("a", "k", "b", 1)
	for _, tt := range []struct {
		name string
		ch   *ots.PutRowChange
		code string
	}{
		{"missing_table", putChange("nothing", good, ignore, "v", "x"), "OTSObjectNotExist"},
		{"bad_table_name", putChange("no-such", good, ignore, "v", "x"), "OTSParameterInvalid"},
		{"short_key", putChange("t", pk("a", "k"), ignore, "v", "x"), "OTSInvalidPK"},
		{"wrong_key_name", putChange("t", pk("a", "k", "c", 1), ignore, "v", "x"), "OTSInvalidPK"},
		{"wrong_key_type", putChange("t", pk("a", "k", "b", "1"), ignore, "v", "x"), "OTSInvalidPK"},
		{"long_key", putChange("t", pk("a", strings.Repeat("k", 1025), "b", 1), ignore, "v", "x"), "OTSParameterInvalid"},
		{"infinite_key", putChange("t", pk("a", "k", "b", highest), ignore, "v", "x"), "OTSInvalidPK"},
		{"bad_column_name", putChange("t", good, ignore, "1v", "x"), "OTSParameterInvalid"},
		{"column_named_as_key", putChange("t", good, ignore, "a", "x"), "OTSParameterInvalid"},
		{"not_utf8", putChange("t", good, ignore, "v", "\xff"), "OTSParameterInvalid"},
		{"nan", putChange("t", good, ignore, "v", math.NaN()), "OTSParameterInvalid"},
		{"large_value", putChange("t", good, ignore, "v", make([]byte, 2<<20+1)), "OTSParameterInvalid"},
		{"large_body", putChange("t", good, ignore, "v", make([]byte, 2<<20), "w", make([]byte, 2<<20), "x", make([]byte, 2<<20)), "OTSRequestBodyTooLarge"},
		{"many_columns", putChange("t", good, ignore, many...), "OTSParameterInvalid"},
	} {
		_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: tt.ch})
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		t.Logf("%s: %v", tt.name, err)
		wantCode(t, err, tt.code)
	}
	_, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: updateChange("t", good, ignore)})
	wantCode(t, err, "OTSParameterInvalid")
}

func TestLargeRow(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	key := pk("a", "k")
	r := put(t, c, putChange("t", key, ignore, "v", make([]byte, 2<<20), "w", make([]byte, 2<<20)))
	if r.ConsumedCapacityUnit.Write != 1025 { // two values of 2 MB and 4 bytes of names
		t.Errorf("write units = %d, want 1025", r.ConsumedCapacityUnit.Write)
	}
	for part := range 5 {
		ch := updateChange("t", key, ignore)
		for i := range 1000 {
			ch.PutColumn(fmt.Sprintf("c%d_%d", part, i), int64(i))
		}
		update(t, c, ch)
	}
	g := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: key})
	if len(g.Columns) != 5002 {
		t.Errorf("%d columns, want 5002", len(g.Columns))
	}
	if g.ConsumedCapacityUnit.Read < 1025 {
		t.Errorf("read units = %d", g.ConsumedCapacityUnit.Read)
	}
}

func TestProjection(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	key := pk("a", "k")
	put(t, c, putChange("t", key, ignore, "c1", int64(1), "c2", int64(2), "c3", int64(3), "c4", int64(4)))
	from, to := "c2", "c4"
	for _, tt := range []struct {
		name string
		q    ots.SingleRowQueryCriteria
		want string
		row  bool
	}{
		{"all", ots.SingleRowQueryCriteria{}, "c1=1 c2=2 c3=3 c4=4", true},
		{"columns", ots.SingleRowQueryCriteria{ColumnsToGet: []string{"c3", "c1", "nothing"}}, "c1=1 c3=3", true},
		{"no_such_column", ots.SingleRowQueryCriteria{ColumnsToGet: []string{"nothing"}}, "", false},
		{"key_column", ots.SingleRowQueryCriteria{ColumnsToGet: []string{"a"}}, "", true},
		{"column_range", ots.SingleRowQueryCriteria{StartColumn: &from, EndColumn: &to}, "c2=2 c3=3", true},
		{"page", ots.SingleRowQueryCriteria{Filter: &ots.PaginationFilter{Offset: 1, Limit: 2}}, "c2=2 c3=3", true},
		{"page_behind", ots.SingleRowQueryCriteria{Filter: &ots.PaginationFilter{Offset: 9, Limit: 2}}, "", true},
		{"filter_true", ots.SingleRowQueryCriteria{Filter: condition("c2", ots.CT_EQUAL, int64(2), true)}, "c1=1 c2=2 c3=3 c4=4", true},
		{"filter_false", ots.SingleRowQueryCriteria{Filter: condition("c2", ots.CT_EQUAL, int64(3), true)}, "", false},
		{"filter_not_selected", ots.SingleRowQueryCriteria{ColumnsToGet: []string{"c1"}, Filter: condition("c2", ots.CT_EQUAL, int64(2), true)}, "", false},
	} {
		tt.q.TableName, tt.q.PrimaryKey = "t", key
		r := get(t, c, &tt.q)
		if got := row(r.Columns); got != tt.want || (len(r.PrimaryKey.PrimaryKeys) > 0) != tt.row {
			t.Errorf("%s: got %q, key %v, want %q, row %v", tt.name, got, r.PrimaryKey.PrimaryKeys, tt.want, tt.row)
		}
		if r.ConsumedCapacityUnit.Read != 1 || r.ConsumedCapacityUnit.Write != 0 {
			t.Errorf("%s: consumed %+v", tt.name, r.ConsumedCapacityUnit)
		}
	}
	rule := ots.NewSingleColumnValueRegexFilter("r", ots.CT_GREATER_THAN, ots.NewValueTransferRule(`t(\d+)`, ots.Variant_INTEGER), int64(40))
	put(t, c, putChange("t", key, ignore, "r", "unit t41"))
	if r := get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: key, Filter: rule}); len(r.Columns) != 1 {
		t.Errorf("value transfer rule: got %q", row(r.Columns))
	}
}
