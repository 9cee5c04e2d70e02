package tablestore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
)

// A clock is a time that tests move. The SDK signs with the real time, so it starts there.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// add moves the clock and returns the new time in ms.
func (c *clock) add(d time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now.UnixMilli()
}

func client(endpoint string, options ...ots.ClientOption) *ots.TableStoreClient {
	config := ots.NewDefaultTableStoreConfig()
	config.RetryTimes = 3
	config.MaxRetryTime = time.Second
	return ots.NewClientWithConfig(endpoint, "relink", tablestore.DefaultAccessKeyID, tablestore.DefaultAccessKeySecret, "", config, options...)
}

func start(t testing.TB, o tablestore.Options) *ots.TableStoreClient {
	t.Helper()
	return client(tablestoretest.Start(t, o))
}

// tableSpec describes a table for tests: key columns as "name:type", type i, s, b or a (automatic).
type tableSpec struct {
	name      string
	key       string
	ttl       int
	versions  int
	deviation int64
}

func (s tableSpec) request() *ots.CreateTableRequest {
	meta := &ots.TableMeta{TableName: s.name}
	for _, col := range strings.Fields(s.key) {
		name, typ, _ := strings.Cut(col, ":")
		switch typ {
		case "i":
			meta.AddPrimaryKeyColumn(name, ots.PrimaryKeyType_INTEGER)
		case "s":
			meta.AddPrimaryKeyColumn(name, ots.PrimaryKeyType_STRING)
		case "b":
			meta.AddPrimaryKeyColumn(name, ots.PrimaryKeyType_BINARY)
		case "a":
			meta.AddPrimaryKeyColumnOption(name, ots.PrimaryKeyType_INTEGER, ots.AUTO_INCREMENT)
		}
	}
	o := ots.NewTableOption(-1, 1)
	if s.ttl != 0 {
		o.TimeToAlive = s.ttl
	}
	if s.versions != 0 {
		o.MaxVersion = s.versions
	}
	o.DeviationCellVersionInSec = s.deviation
	return &ots.CreateTableRequest{TableMeta: meta, TableOption: o, ReservedThroughput: &ots.ReservedThroughput{}}
}

func create(t testing.TB, c *ots.TableStoreClient, s tableSpec) {
	t.Helper()
	if _, err := c.CreateTable(s.request()); err != nil {
		t.Fatalf("create table %s: %v", s.name, err)
	}
}

// pk builds a primary key from name, value pairs.
func pk(pairs ...any) *ots.PrimaryKey {
	k := &ots.PrimaryKey{}
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case int:
			k.AddPrimaryKeyColumn(name, int64(v))
		case bound:
			switch v {
			case lowest:
				k.AddPrimaryKeyColumnWithMinValue(name)
			case highest:
				k.AddPrimaryKeyColumnWithMaxValue(name)
			case automatic:
				k.AddPrimaryKeyColumnWithAutoIncrement(name)
			}
		default:
			k.AddPrimaryKeyColumn(name, v)
		}
	}
	return k
}

type bound int

const (
	lowest bound = iota
	highest
	automatic
)

// at is a value with a version.
type at struct {
	value any
	ts    int64
}

func putChange(table string, key *ots.PrimaryKey, expect ots.RowExistenceExpectation, pairs ...any) *ots.PutRowChange {
	ch := &ots.PutRowChange{TableName: table, PrimaryKey: key}
	ch.SetCondition(expect)
	for i := 0; i < len(pairs); i += 2 {
		if v, ok := pairs[i+1].(at); ok {
			ch.AddColumnWithTimestamp(pairs[i].(string), v.value, v.ts)
		} else {
			ch.AddColumn(pairs[i].(string), pairs[i+1])
		}
	}
	return ch
}

func put(t testing.TB, c *ots.TableStoreClient, ch *ots.PutRowChange) *ots.PutRowResponse {
	t.Helper()
	r, err := c.PutRow(&ots.PutRowRequest{PutRowChange: ch})
	if err != nil {
		t.Fatalf("put %v: %v", ch.PrimaryKey.PrimaryKeys[0].Value, err)
	}
	return r
}

func updateChange(table string, key *ots.PrimaryKey, expect ots.RowExistenceExpectation, pairs ...any) *ots.UpdateRowChange {
	ch := &ots.UpdateRowChange{TableName: table, PrimaryKey: key}
	ch.SetCondition(expect)
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case at:
			ch.PutColumnWithTimestamp(name, v.value, v.ts)
		case del:
			ch.DeleteColumn(name)
		case delAt:
			ch.DeleteColumnWithTimestamp(name, int64(v))
		case inc:
			ch.IncrementColumn(name, int64(v))
		default:
			ch.PutColumn(name, v)
		}
	}
	return ch
}

type (
	del   struct{}
	delAt int64
	inc   int64
)

func update(t testing.TB, c *ots.TableStoreClient, ch *ots.UpdateRowChange) *ots.UpdateRowResponse {
	t.Helper()
	r, err := c.UpdateRow(&ots.UpdateRowRequest{UpdateRowChange: ch})
	if err != nil {
		t.Fatalf("update %v: %v", ch.PrimaryKey.PrimaryKeys[0].Value, err)
	}
	return r
}

func get(t testing.TB, c *ots.TableStoreClient, q *ots.SingleRowQueryCriteria) *ots.GetRowResponse {
	t.Helper()
	if q.MaxVersion == 0 && q.TimeRange == nil {
		q.MaxVersion = 1
	}
	r, err := c.GetRow(&ots.GetRowRequest{SingleRowQueryCriteria: q})
	if err != nil {
		t.Fatalf("get %v: %v", q.PrimaryKey.PrimaryKeys[0].Value, err)
	}
	return r
}

// row renders a row as "name=value name=value", versions of a column in order.
func row(columns []*ots.AttributeColumn) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%v", c.ColumnName, c.Value)
	}
	return b.String()
}

func wantRow(t testing.TB, c *ots.TableStoreClient, table string, key *ots.PrimaryKey, want string) {
	t.Helper()
	r := get(t, c, &ots.SingleRowQueryCriteria{TableName: table, PrimaryKey: key, MaxVersion: 100})
	if got := row(r.Columns); got != want {
		t.Errorf("row %v = %q, want %q", key.PrimaryKeys[len(key.PrimaryKeys)-1].Value, got, want)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var e *ots.OtsError
	if !errors.As(err, &e) {
		t.Errorf("error = %v, want code %s", err, code)
	} else if e.Code != code {
		t.Errorf("error = %s %q, want code %s", e.Code, e.Message, code)
	}
}

// condition compares a column in a row condition or filter.
func condition(column string, op ots.ComparatorType, value any, missingFails bool) *ots.SingleColumnCondition {
	f := ots.NewSingleColumnCondition(column, op, value)
	f.FilterIfMissing = missingFails
	f.LatestVersionOnly = true
	return f
}

const (
	ignore   = ots.RowExistenceExpectation_IGNORE
	exist    = ots.RowExistenceExpectation_EXPECT_EXIST
	notExist = ots.RowExistenceExpectation_EXPECT_NOT_EXIST
)
