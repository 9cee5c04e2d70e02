package tablestore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

func TestTables(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c := start(t, tablestore.Options{Clock: clk.Now})
	request := tableSpec{name: "b", key: "p:s q:i r:b s:a", ttl: 86400 * 2, versions: 5, deviation: 1000}.request()
	request.TableMeta.AddDefinedColumn("d", ots.DefinedColumn_DOUBLE)
	request.ReservedThroughput = &ots.ReservedThroughput{Readcap: 2, Writecap: 3}
	if _, err := c.CreateTable(request); err != nil {
		t.Fatal(err)
	}
	create(t, c, tableSpec{name: "a", key: "p:s"})
	_, err := c.CreateTable(request)
	wantCode(t, err, "OTSObjectAlreadyExist")
	list, err := c.ListTable()
	if err != nil || !slices.Equal(list.TableNames, []string{"a", "b"}) {
		t.Errorf("tables = %v, %v", list.TableNames, err)
	}
	d, err := c.DescribeTable(&ots.DescribeTableRequest{TableName: "b"})
	if err != nil {
		t.Fatal(err)
	}
	keys := ""
	for _, k := range d.TableMeta.SchemaEntry {
		keys += fmt.Sprintf("%s:%d", *k.Name, *k.Type)
		if k.Option != nil {
			keys += "+"
		}
	}
	if keys != "p:2q:1r:3s:1+" || d.TableOption.TimeToAlive != 172800 || d.TableOption.MaxVersion != 5 ||
		d.TableOption.DeviationCellVersionInSec != 1000 || len(d.TableMeta.DefinedColumns) != 1 ||
		*d.ReservedThroughput != (ots.ReservedThroughput{Readcap: 2, Writecap: 3}) {
		t.Errorf("described %s %+v %+v %+v", keys, d.TableOption, d.TableMeta.DefinedColumns, d.ReservedThroughput)
	}

	u, err := c.UpdateTable(&ots.UpdateTableRequest{TableName: "b", TableOption: ots.NewTableOption(-1, 2)})
	if err != nil || u.TableOption.TimeToAlive != -1 || u.TableOption.MaxVersion != 2 || u.TableOption.DeviationCellVersionInSec != 1000 {
		t.Errorf("updated %+v, %v", u, err)
	}
	capacity := &ots.UpdateTableRequest{TableName: "b", ReservedThroughput: &ots.ReservedThroughput{Readcap: 9}}
	if _, err := c.UpdateTable(capacity); err != nil {
		t.Error(err)
	}
	_, err = c.UpdateTable(capacity)
	wantCode(t, err, "OTSTooFrequentReservedThroughputAdjustment")
	clk.add(121 * time.Second)
	if _, err := c.UpdateTable(capacity); err != nil {
		t.Error(err)
	}

	add := &ots.AddDefinedColumnRequest{TableName: "b"}
	add.AddDefinedColumn("e", ots.DefinedColumn_STRING)
	if _, err := c.AddDefinedColumn(add); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteDefinedColumn(&ots.DeleteDefinedColumnRequest{TableName: "b", DefinedColumns: []string{"d"}}); err != nil {
		t.Error(err)
	}
	d, err = c.DescribeTable(&ots.DescribeTableRequest{TableName: "b"})
	if err != nil || len(d.TableMeta.DefinedColumns) != 1 || d.TableMeta.DefinedColumns[0].Name != "e" {
		t.Errorf("defined columns %+v, %v", d.TableMeta.DefinedColumns, err)
	}

	// A table made anew has none of the rows of its predecessor.
	put(t, c, putChange("a", pk("p", "1"), ignore, "v", "x"))
	if _, err := c.DeleteTable(&ots.DeleteTableRequest{TableName: "a"}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeTable(&ots.DescribeTableRequest{TableName: "a"})
	wantCode(t, err, "OTSObjectNotExist")
	_, err = c.DeleteTable(&ots.DeleteTableRequest{TableName: "a"})
	wantCode(t, err, "OTSObjectNotExist")
	create(t, c, tableSpec{name: "a", key: "p:s"})
	wantRow(t, c, "a", pk("p", "1"), "")
}

func TestCreateTableRefusals(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	index := tableSpec{name: "t", key: "a:s"}.request()
	index.AddIndexMeta(&ots.IndexMeta{IndexName: "i", Primarykey: []string{"a"}})
	stream := tableSpec{name: "t", key: "a:s"}.request()
	stream.StreamSpec = &ots.StreamSpecification{EnableStream: true, ExpirationTime: 24}
	for _, tt := range []struct {
		name    string
		request *ots.CreateTableRequest
		code    string
	}{
		{"name", tableSpec{name: "1t", key: "a:s"}.request(), "OTSParameterInvalid"},
		{"key_name", tableSpec{name: "t", key: "1a:s"}.request(), "OTSParameterInvalid"},
		{"key_twice", tableSpec{name: "t", key: "a:s a:i"}.request(), "OTSParameterInvalid"},
		{"automatic_first", tableSpec{name: "t", key: "a:a"}.request(), "OTSParameterInvalid"},
		{"automatic_twice", tableSpec{name: "t", key: "a:s b:a c:a"}.request(), "OTSParameterInvalid"},
		{"short_ttl", tableSpec{name: "t", key: "a:s", ttl: 3600}.request(), "OTSParameterInvalid"},
		{"negative_versions", tableSpec{name: "t", key: "a:s", versions: -1}.request(), "OTSParameterInvalid"},
		{"index", index, "OTSUnsupportOperation"},
		{"stream", stream, "OTSUnsupportOperation"},
	} {
		_, err := c.CreateTable(tt.request)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		wantCode(t, err, tt.code)
	}
	for i := range 64 {
		create(t, c, tableSpec{name: fmt.Sprintf("t%d", i), key: "a:s"})
	}
	_, err := c.CreateTable(tableSpec{name: "t64", key: "a:s"}.request())
	wantCode(t, err, "OTSQuotaExhausted")
}

func TestInstancesAreSeparate(t *testing.T) {
	t.Parallel()
	_, endpoint := startServer(t, tablestore.Options{})
	one := client(endpoint)
	two := ots.NewClient(endpoint, "other", tablestore.DefaultAccessKeyID, tablestore.DefaultAccessKeySecret)
	create(t, one, tableSpec{name: "t", key: "a:s"})
	create(t, two, tableSpec{name: "t", key: "a:s"})
	put(t, one, putChange("t", pk("a", "1"), ignore, "v", "one"))
	put(t, two, putChange("t", pk("a", "1"), ignore, "v", "two"))
	wantRow(t, one, "t", pk("a", "1"), "v=one")
	wantRow(t, two, "t", pk("a", "1"), "v=two")
}

func TestTableNotReady(t *testing.T) {
	t.Parallel()
	clk := newClock()
	_, endpoint := startServer(t, tablestore.Options{Clock: clk.Now, TableReadyDelay: 5 * time.Second})
	config := ots.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	c := ots.NewClientWithConfig(endpoint, "relink", tablestore.DefaultAccessKeyID, tablestore.DefaultAccessKeySecret, "", config)
	create(t, c, tableSpec{name: "t", key: "a:s"})
	_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "1"), ignore, "v", "x")})
	wantCode(t, err, "OTSTableNotReady")
	if _, err := c.DescribeTable(&ots.DescribeTableRequest{TableName: "t"}); err != nil {
		t.Error(err)
	}
	clk.add(5 * time.Second)
	put(t, c, putChange("t", pk("a", "1"), ignore, "v", "x"))
}

func TestAllowUpdate(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	no := false
	r := tableSpec{name: "t", key: "a:s"}.request()
	r.TableOption.AllowUpdate = &no
	if _, err := c.CreateTable(r); err != nil {
		t.Fatal(err)
	}
	put(t, c, putChange("t", pk("a", "1"), ignore, "v", "x"))
	_, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: updateChange("t", pk("a", "1"), ignore, "v", "y")})
	wantCode(t, err, "OTSParameterInvalid")
}

func TestOperationsTable(t *testing.T) {
	t.Parallel()
	byStatus := make(map[tablestore.Status]int)
	for _, o := range tablestore.Operations() {
		byStatus[o.Status]++
		if (o.Status == tablestore.Partial) != (o.Note != "") {
			t.Errorf("%s is %s with note %q", o.Name, o.Status, o.Note)
		}
	}
	if byStatus[tablestore.Done] == 0 || byStatus[tablestore.Partial] == 0 || byStatus[tablestore.Missing] == 0 {
		t.Errorf("operations by status: %v", byStatus)
	}
}
