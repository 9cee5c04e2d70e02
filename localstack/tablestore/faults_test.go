package tablestore_test

import (
	"strings"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

// impatient returns a client that gives up after the first answer.
func impatient(endpoint string) *ots.TableStoreClient {
	config := ots.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	return ots.NewClientWithConfig(endpoint, "relink", tablestore.DefaultAccessKeyID, tablestore.DefaultAccessKeySecret, "", config)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s, endpoint := startServer(t, tablestore.Options{})
	c := impatient(endpoint)
	create(t, c, tableSpec{name: "t", key: "a:s"})
	set := func(rules ...tablestore.Fault) {
		t.Helper()
		if err := s.SetFaults(tablestore.Faults{Seed: 1, Rules: rules}); err != nil {
			t.Fatal(err)
		}
	}
	putOne := func(key string) error {
		_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", key), ignore, "v", key)})
		return err
	}

	set(tablestore.Fault{Operation: "PutRow", Fraction: 1, Code: "OTSNotEnoughCapacityUnit"})
	wantCode(t, putOne("1"), "OTSNotEnoughCapacityUnit")
	wantRow(t, c, "t", pk("a", "1"), "")

	pattern := func() string {
		set(tablestore.Fault{Operation: "PutRow", Fraction: 0.5, Code: "OTSServerBusy"})
		var b strings.Builder
		for range 40 {
			if putOne("2") == nil {
				b.WriteByte('+')
			} else {
				b.WriteByte('-')
			}
		}
		return b.String()
	}
	first := pattern()
	if n := strings.Count(first, "-"); n < 8 || n > 32 {
		t.Errorf("half of the requests fail: %s", first)
	}
	if second := pattern(); second != first {
		t.Errorf("same seed, other requests hit:\n%s\n%s", first, second)
	}

	// Lost once: the client's retry finds its own write.
	set(tablestore.Fault{Operation: "PutRow", Fraction: 1, Times: 1, LoseResponse: true})
	_, err := client(endpoint).PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "3"), notExist, "v", "3")})
	wantCode(t, err, "OTSConditionCheckFail")
	set(tablestore.Fault{Fraction: 1, Times: 1, LoseResponse: true})
	if err := putOne("4"); err == nil {
		t.Error("lost response: no error")
	}
	set()
	wantRow(t, c, "t", pk("a", "3"), "v=3")
	wantRow(t, c, "t", pk("a", "4"), "v=4")

	set(tablestore.Fault{Operation: "GetRow", Fraction: 1, Delay: 30 * time.Millisecond})
	before := time.Now()
	wantRow(t, c, "t", pk("a", "4"), "v=4")
	if d := time.Since(before); d < 30*time.Millisecond {
		t.Errorf("delayed request took %v", d)
	}

	set(tablestore.Fault{Operation: "BatchWriteRow", Fraction: 0.5, Rows: true, Code: "OTSPartitionUnavailable"})
	var changes []ots.RowChange
	for _, key := range strings.Split("abcdefghijklmnopqrst", "") {
		changes = append(changes, updateChange("t", pk("a", key), ignore, "n", inc(1)))
	}
	r, err := c.BatchWriteRow(batchRequest(changes))
	if err != nil {
		t.Fatal(err)
	}
	failed := strings.Count(outcomes(r.TableToRowsResult["t"]), "OTSPartitionUnavailable")
	if failed == 0 || failed == len(changes) {
		t.Errorf("%d of %d rows failed", failed, len(changes))
	}
	// The SDK sends the failed rows again until all are written.
	set(tablestore.Fault{Operation: "BatchWriteRow", Fraction: 0.3, Times: 5, Rows: true, Code: "OTSServerBusy"})
	retrying := client(endpoint)
	for i := range changes {
		changes[i] = updateChange("t", pk("a", "retry"+string(rune('a'+i))), ignore, "n", inc(1))
	}
	wantBatch(t, retrying, changes, "")
	set()
	for i := range changes {
		wantRow(t, c, "t", pk("a", "retry"+string(rune('a'+i))), "n=1")
	}

	for name, bad := range map[string]tablestore.Fault{
		"code": {Code: "OTSNothing"}, "fraction": {Fraction: 2}, "rows without code": {Rows: true},
	} {
		if err := s.SetFaults(tablestore.Faults{Rules: []tablestore.Fault{bad}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, code := range tablestore.OperationCodes() {
		set(tablestore.Fault{Operation: "ListTable", Fraction: 1, Code: code})
		_, err := c.ListTable()
		wantCode(t, err, code)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	s, endpoint := startServer(t, tablestore.Options{})
	c := impatient(endpoint)
	create(t, c, tableSpec{name: "t", key: "a:s"})
	before := s.Stats()
	put(t, c, putChange("t", pk("a", "1"), notExist, "v", make([]byte, 5000))) // 1 read, 2 write
	_, err := c.PutRow(&ots.PutRowRequest{PutRowChange: putChange("t", pk("a", "1"), notExist, "v", "x")})
	wantCode(t, err, "OTSConditionCheckFail") // 1 read, 1 write
	wantBatch(t, c, []ots.RowChange{
		updateChange("t", pk("a", "2"), exist, "v", "x"),  // 1 read, 1 write
		updateChange("t", pk("a", "3"), ignore, "v", "x"), // 1 write
	}, "OTSConditionCheckFail +")
	get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", "1")}) // 2 read
	got := s.Stats()
	want := tablestore.Stats{
		Requests: 4, Failures: 1, RowsPut: 2, RowsRead: 1, RowsFailed: 1, ReadCU: 5, WriteCU: 5,
		BytesIn: got.BytesIn - before.BytesIn, BytesOut: got.BytesOut - before.BytesOut,
	}
	got.Requests -= before.Requests
	got.BytesIn, got.BytesOut = want.BytesIn, want.BytesOut
	if got != want {
		t.Errorf("stats = %+v, want %+v", got, want)
	}
	if want.BytesIn < 5000 || want.BytesOut < 5000 {
		t.Errorf("bytes in %d, out %d", want.BytesIn, want.BytesOut)
	}
}
