package tablestore_test

import (
	"fmt"
	"strings"
	"testing"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

// scanAll reads a range page by page and returns the last key column of each row and the number of pages.
func scanAll(t *testing.T, c *ots.TableStoreClient, q ots.RangeRowQueryCriteria) (keys []string, pages int) {
	t.Helper()
	if q.MaxVersion == 0 {
		q.MaxVersion = 1
	}
	for {
		r, err := c.GetRange(&ots.GetRangeRequest{RangeRowQueryCriteria: &q})
		if err != nil {
			t.Fatalf("get range: %v", err)
		}
		pages++
		for _, row := range r.Rows {
			keys = append(keys, fmt.Sprint(row.PrimaryKey.PrimaryKeys[len(row.PrimaryKey.PrimaryKeys)-1].Value))
		}
		if r.NextStartPrimaryKey == nil {
			return keys, pages
		}
		q.StartPrimaryKey = r.NextStartPrimaryKey
	}
}

func TestGetRange(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s b:i"})
	create(t, c, tableSpec{name: "u", key: "a:s b:i"})
	for _, a := range []string{"", "x", "x\x00", "xy", "y"} {
		for _, b := range []int{-2, -1, 0, 1, 2} {
			put(t, c, putChange("t", pk("a", a, "b", b), ignore, "v", int64(b)))
		}
	}
	put(t, c, putChange("u", pk("a", "x", "b", 9), ignore, "v", int64(1)))
	even := ots.NewCompositeColumnCondition(ots.LO_OR)
	even.AddFilter(condition("v", ots.CT_EQUAL, int64(-2), true))
	even.AddFilter(condition("v", ots.CT_EQUAL, int64(2), true))
	for _, tt := range []struct {
		name string
		q    ots.RangeRowQueryCriteria
		want string
	}{
		{"partition", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", "x", "b", lowest), EndPrimaryKey: pk("a", "x", "b", highest)}, "-2 -1 0 1 2"},
		{"partition_with_zero_byte", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", "x\x00", "b", lowest), EndPrimaryKey: pk("a", "x\x00", "b", highest)}, "-2 -1 0 1 2"},
		{"half_open", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", "x", "b", -1), EndPrimaryKey: pk("a", "x", "b", 1)}, "-1 0"},
		{"over_partitions", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", "x", "b", 2), EndPrimaryKey: pk("a", "xy", "b", 0)}, "2 -2 -1 0 1 2 -2 -1"},
		{"everything", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", lowest, "b", lowest), EndPrimaryKey: pk("a", highest, "b", highest)},
			strings.TrimSpace(strings.Repeat("-2 -1 0 1 2 ", 5))},
		{"everything_backward", ots.RangeRowQueryCriteria{Direction: ots.BACKWARD,
			StartPrimaryKey: pk("a", highest, "b", highest), EndPrimaryKey: pk("a", lowest, "b", lowest)},
			strings.TrimSpace(strings.Repeat("2 1 0 -1 -2 ", 5))},
		{"backward", ots.RangeRowQueryCriteria{Direction: ots.BACKWARD,
			StartPrimaryKey: pk("a", "x", "b", 1), EndPrimaryKey: pk("a", "x", "b", -1)}, "1 0"},
		{"backward_partition", ots.RangeRowQueryCriteria{Direction: ots.BACKWARD,
			StartPrimaryKey: pk("a", "x", "b", highest), EndPrimaryKey: pk("a", "x", "b", lowest)}, "2 1 0 -1 -2"},
		{"filtered", ots.RangeRowQueryCriteria{Filter: even,
			StartPrimaryKey: pk("a", "x", "b", lowest), EndPrimaryKey: pk("a", "x", "b", highest)}, "-2 2"},
		{"empty", ots.RangeRowQueryCriteria{
			StartPrimaryKey: pk("a", "z", "b", lowest), EndPrimaryKey: pk("a", "z", "b", highest)}, ""},
	} {
		for _, limit := range []int32{0, 1, 2, 3, 100} {
			q := tt.q
			q.TableName, q.Limit = "t", limit
			keys, pages := scanAll(t, c, q)
			if got := strings.Join(keys, " "); got != tt.want {
				t.Errorf("%s, limit %d: got %q, want %q", tt.name, limit, got, tt.want)
			}
			if want := max(1, (len(keys)+int(limit)-1)/max(1, int(limit))); limit > 0 && tt.q.Filter == nil && pages != want {
				t.Errorf("%s, limit %d: %d pages, want %d", tt.name, limit, pages, want)
			}
		}
	}
	for name, q := range map[string]ots.RangeRowQueryCriteria{
		"reversed": {StartPrimaryKey: pk("a", "y", "b", 1), EndPrimaryKey: pk("a", "x", "b", 1)},
		"reversed_backward": {Direction: ots.BACKWARD,
			StartPrimaryKey: pk("a", "x", "b", 1), EndPrimaryKey: pk("a", "y", "b", 1)},
		"negative_limit": {Limit: -1, StartPrimaryKey: pk("a", "x", "b", lowest), EndPrimaryKey: pk("a", "y", "b", highest)},
	} {
		q.TableName, q.MaxVersion = "t", 1
		_, err := c.GetRange(&ots.GetRangeRequest{RangeRowQueryCriteria: &q})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, "OTSParameterInvalid")
	}
}

func TestGetRangeScanBounds(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "rows", key: "a:i"})
	create(t, c, tableSpec{name: "bytes", key: "a:i"})
	for from := 0; from < 5200; from += 200 {
		var changes []ots.RowChange
		for i := from; i < from+200; i++ {
			changes = append(changes, putChange("rows", pk("a", i), ignore, "v", int64(i)))
		}
		wantBatch(t, c, changes, "")
	}
	for i := range 12 {
		put(t, c, putChange("bytes", pk("a", i), ignore, "v", make([]byte, 1<<20)))
	}
	all := func(table string, filter ots.ColumnFilter) ots.RangeRowQueryCriteria {
		return ots.RangeRowQueryCriteria{TableName: table, Filter: filter, MaxVersion: 1,
			StartPrimaryKey: pk("a", lowest), EndPrimaryKey: pk("a", highest)}
	}
	if keys, pages := scanAll(t, c, all("rows", nil)); len(keys) != 5200 || pages != 2 {
		t.Errorf("%d rows in %d pages, want 5200 in 2", len(keys), pages)
	}
	// A filter can leave a page empty.
	if keys, pages := scanAll(t, c, all("rows", condition("v", ots.CT_EQUAL, int64(5100), true))); len(keys) != 1 || pages != 2 {
		t.Errorf("filtered: %d rows in %d pages, want 1 in 2", len(keys), pages)
	}
	if keys, pages := scanAll(t, c, all("bytes", nil)); len(keys) != 12 || pages != 3 {
		t.Errorf("%d rows in %d pages, want 12 in 3", len(keys), pages)
	}
	q := all("rows", nil)
	r, err := c.GetRange(&ots.GetRangeRequest{RangeRowQueryCriteria: &q})
	if err != nil {
		t.Fatal(err)
	}
	if want := int32((5000*18 + 4095) / 4096); r.ConsumedCapacityUnit.Read != want { // a row is 1+8+1+8 bytes
		t.Errorf("read units = %d, want %d", r.ConsumedCapacityUnit.Read, want)
	}
}
