package tablestore_test

import (
	"fmt"
	"strings"
	"testing"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

func batchRequest(changes []ots.RowChange) *ots.BatchWriteRowRequest {
	r := &ots.BatchWriteRowRequest{}
	for _, ch := range changes {
		r.AddRowChange(ch)
	}
	return r
}

// outcomes renders the results of one table as a string of "+" and the codes of rows that failed.
func outcomes(rows []ots.RowResult) string {
	var parts []string
	for _, r := range rows {
		if r.IsSucceed {
			parts = append(parts, "+")
		} else {
			parts = append(parts, r.Error.Code)
		}
	}
	return strings.Join(parts, " ")
}

// wantBatch writes changes of one table and compares the outcomes, "" meaning that all succeed.
func wantBatch(t testing.TB, c *ots.TableStoreClient, changes []ots.RowChange, want string) []ots.RowResult {
	t.Helper()
	r, err := c.BatchWriteRow(batchRequest(changes))
	if err != nil {
		t.Fatalf("batch of %d: %v", len(changes), err)
	}
	rows := r.TableToRowsResult[changes[0].GetTableName()]
	if want == "" {
		want = strings.TrimSpace(strings.Repeat("+ ", len(changes)))
	}
	if got := outcomes(rows); got != want {
		t.Errorf("outcomes = %s, want %s", got, want)
	}
	return rows
}

func TestBatchWriteRow(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	create(t, c, tableSpec{name: "u", key: "a:s"})
	put(t, c, putChange("t", pk("a", "1"), ignore, "v", int64(1), "n", int64(5)))
	put(t, c, putChange("t", pk("a", "2"), ignore, "v", int64(1)))
	rm := &ots.DeleteRowChange{TableName: "t", PrimaryKey: pk("a", "2")}
	rm.SetCondition(exist)
	conditional := updateChange("t", pk("a", "7"), ignore, "v", int64(1))
	conditional.SetColumnCondition(condition("v", ots.CT_EQUAL, int64(9), true))
	counter := updateChange("t", pk("a", "1"), ignore, "n", inc(2))
	counter.SetReturnIncrementValue()
	counter.AppendIncrementColumnToReturn("n")
	r, err := c.BatchWriteRow(batchRequest([]ots.RowChange{
		putChange("u", pk("a", "1"), notExist, "v", "u"),
		counter,
		rm,
		putChange("t", pk("a", "3"), notExist, "v", int64(3)),
		updateChange("t", pk("a", "4"), exist, "v", int64(4)),
		conditional,
		updateChange("t", pk("a", "5"), ignore, "v", int64(5)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outcomes(r.TableToRowsResult["t"]), "+ + + OTSConditionCheckFail OTSConditionCheckFail +"; got != want {
		t.Errorf("outcomes of t = %s, want %s", got, want)
	}
	if got := outcomes(r.TableToRowsResult["u"]); got != "+" {
		t.Errorf("outcomes of u = %s", got)
	}
	first := r.TableToRowsResult["t"][0]
	if got := row(first.Columns); got != "n=7" {
		t.Errorf("returned %q, want n=7", got)
	}
	if cu := r.TableToRowsResult["t"][1].ConsumedCapacityUnit; cu.Read != 1 || cu.Write != 1 {
		t.Errorf("conditional delete consumed %+v", cu)
	}
	if cu := r.TableToRowsResult["t"][5].ConsumedCapacityUnit; cu.Read != 0 || cu.Write != 1 {
		t.Errorf("plain update consumed %+v", cu)
	}
	wantRow(t, c, "t", pk("a", "1"), "n=7 v=1")
	wantRow(t, c, "t", pk("a", "2"), "")
	wantRow(t, c, "t", pk("a", "3"), "v=3")
	wantRow(t, c, "t", pk("a", "4"), "")
	wantRow(t, c, "t", pk("a", "5"), "v=5")
	wantRow(t, c, "u", pk("a", "1"), "v=u")
}

func TestBatchRepeatedRows(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	rm := &ots.DeleteRowChange{TableName: "t", PrimaryKey: pk("a", "2")}
	rm.SetCondition(ignore)
	wantBatch(t, c, []ots.RowChange{
		updateChange("t", pk("a", "1"), ignore, "x", int64(1)),
		updateChange("t", pk("a", "1"), ignore, "y", int64(2), "n", inc(1)),
		updateChange("t", pk("a", "2"), ignore, "x", int64(1)),
		updateChange("t", pk("a", "1"), ignore, "n", inc(1), "x", int64(3)),
		rm,
		updateChange("t", pk("a", "2"), ignore, "z", int64(9)),
	}, "")
	wantRow(t, c, "t", pk("a", "1"), "n=2 x=3 y=2")
	wantRow(t, c, "t", pk("a", "2"), "z=9")
	_, err := c.BatchWriteRow(batchRequest([]ots.RowChange{
		updateChange("t", pk("a", "1"), exist, "x", int64(1)),
		updateChange("t", pk("a", "1"), ignore, "x", int64(2)),
	}))
	wantCode(t, err, "OTSParameterInvalid")
	wantRow(t, c, "t", pk("a", "1"), "n=2 x=3 y=2")
}

func TestBatchRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	var many, large []ots.RowChange
	for i := range 201 {
		many = append(many, putChange("t", pk("a", fmt.Sprint(i)), ignore, "v", "x"))
	}
	for i := range 5 {
		large = append(large, putChange("t", pk("a", fmt.Sprint(i)), ignore, "v", make([]byte, 900<<10)))
	}
	for name, tt := range map[string]struct {
		changes []ots.RowChange
		code    string
	}{
		"no_rows":       {nil, "OTSParameterInvalid"},
		"many_rows":     {many, "OTSParameterInvalid"},
		"too_large":     {large, "OTSParameterInvalid"},
		"missing_table": {[]ots.RowChange{many[0], putChange("nothing", pk("a", "1"), ignore, "v", "x")}, "OTSObjectNotExist"},
		"bad_key":       {[]ots.RowChange{many[0], putChange("t", pk("b", "1"), ignore, "v", "x")}, "OTSInvalidPK"},
	} {
		_, err := c.BatchWriteRow(batchRequest(tt.changes))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, tt.code)
	}
	wantRow(t, c, "t", pk("a", "0"), "")
}

func TestAtomicBatch(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s b:i"})
	atomic := func(changes ...ots.RowChange) error {
		r := batchRequest(changes)
		r.IsAtomic = true
		_, err := c.BatchWriteRow(r)
		return err
	}
	if err := atomic(putChange("t", pk("a", "k", "b", 1), notExist, "v", "x"), putChange("t", pk("a", "k", "b", 2), notExist, "v", "y")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, atomic(putChange("t", pk("a", "k", "b", 3), notExist, "v", "x"), putChange("t", pk("a", "k", "b", 1), notExist, "v", "y")), "OTSConditionCheckFail")
	wantRow(t, c, "t", pk("a", "k", "b", 1), "v=x")
	wantRow(t, c, "t", pk("a", "k", "b", 3), "")
	wantCode(t, atomic(putChange("t", pk("a", "k", "b", 4), ignore, "v", "x"), putChange("t", pk("a", "l", "b", 1), ignore, "v", "y")), "OTSParameterInvalid")
}

func TestBatchGetRow(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:s"})
	create(t, c, tableSpec{name: "u", key: "a:i"})
	put(t, c, putChange("t", pk("a", "1"), ignore, "v", "x", "w", "y"))
	put(t, c, putChange("u", pk("a", 7), ignore, "v", make([]byte, 5000)))
	request := func(table string, columns []string, keys ...*ots.PrimaryKey) *ots.MultiRowQueryCriteria {
		q := &ots.MultiRowQueryCriteria{TableName: table, MaxVersion: 1, ColumnsToGet: columns}
		for _, k := range keys {
			q.AddRow(k)
		}
		return q
	}
	r, err := c.BatchGetRow(&ots.BatchGetRowRequest{MultiRowQueryCriteria: []*ots.MultiRowQueryCriteria{
		request("t", []string{"w"}, pk("a", "0"), pk("a", "1")), request("u", nil, pk("a", 7)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	rows := r.TableToRowsResult["t"]
	if len(rows) != 2 || !rows[0].IsSucceed || len(rows[0].Columns) != 0 || row(rows[1].Columns) != "w=y" {
		t.Errorf("rows of t = %+v", rows)
	}
	if u := r.TableToRowsResult["u"]; len(u) != 1 || u[0].ConsumedCapacityUnit.Read != 2 {
		t.Errorf("rows of u = %+v", u)
	}
	var many []*ots.PrimaryKey
	for i := range 101 {
		many = append(many, pk("a", fmt.Sprint(i)))
	}
	for name, q := range map[string][]*ots.MultiRowQueryCriteria{
		"many":     {request("t", nil, many...)},
		"none":     {request("t", nil)},
		"repeated": {request("t", nil, pk("a", "1"), pk("a", "1"))},
		"no_table": {request("t", nil, pk("a", "1")), request("t", nil, pk("a", "2"))},
	} {
		_, err := c.BatchGetRow(&ots.BatchGetRowRequest{MultiRowQueryCriteria: q})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, "OTSParameterInvalid")
	}
}
