package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// Columns of tables whose rows are one document each: remote configurations, files, uploads, jobs, tasks, rules, subscriptions.
const (
	columnDocument = "document" // JSON
	columnRevision = "revision"
	columnClaim    = "claim"
)

// getDocument reads a row into a document, and gives its revision; 0 if there is no row.
func getDocument(ctx context.Context, c *client, table string, key *tablestore.PrimaryKey, into any) (revision int64, err error) {
	row, err := c.get(ctx, table, key)
	if row == nil || err != nil {
		return 0, err
	}
	return readDocument(table, row, into)
}

func readDocument(table string, row cells, into any) (revision int64, err error) {
	if err := json.Unmarshal([]byte(row.str(columnDocument)), into); err != nil {
		return 0, fmt.Errorf("document of table %s: %w", table, err)
	}
	return row.int(columnRevision), nil
}

// documentChange puts a document under the condition that its row has the revision, 0 for none.
func documentChange(table string, key *tablestore.PrimaryKey, document any, revision, claimed int64) (*tablestore.PutRowChange, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("document of table %s: %w", table, err)
	}
	var cols columns
	cols.add(columnDocument, string(text))
	cols.add(columnRevision, revision+1)
	cols.add(columnClaim, claimed)
	change := &tablestore.PutRowChange{TableName: table, PrimaryKey: key, Columns: cols, Condition: ifMissing}
	if revision != 0 {
		change.Condition = ifColumn(columnRevision, tablestore.CT_EQUAL, revision)
	}
	return change, nil
}

// putDocument writes a document over the revision that the caller has read, 0 for none, and advances it. Conflict if somebody else
// wrote meanwhile; not if it was this very call, whose answer was lost.
func putDocument(ctx context.Context, c *client, table string, key *tablestore.PrimaryKey, document any, revision *int64) error {
	mine := claim()
	change, err := documentChange(table, key, document, *revision, mine)
	if err != nil {
		return err
	}
	return c.putClaimed(ctx, change, mine, revision)
}

// putClaimed does a conditional put whose row carries the caller's claim, and advances the revision.
func (c *client) putClaimed(ctx context.Context, change *tablestore.PutRowChange, mine int64, revision *int64) error {
	if err := c.put(ctx, change); conflict(err) {
		row, err := c.get(ctx, change.TableName, change.PrimaryKey, columnClaim)
		if err != nil {
			return err
		}
		if row.int(columnClaim) != mine {
			return iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
		}
	} else if err != nil {
		return err
	}
	*revision++
	return nil
}

func deleteRow(ctx context.Context, c *client, table string, key *tablestore.PrimaryKey) error {
	return c.delete(ctx, &tablestore.DeleteRowChange{TableName: table, PrimaryKey: key, Condition: always})
}

// underDevice is a key of two columns, the first of which is the device's.
func underDevice(ref iot.DeviceRef, column, value string) *tablestore.PrimaryKey {
	k := deviceRowKey(ref)
	k.AddPrimaryKeyColumn(column, value)
	return k
}

// ofFirst is the range of all rows with a first key column, in the order of the second, which is a string.
func ofFirst(table, first, value, second string) tablestore.RangeRowQueryCriteria {
	start, end := stringKey(first, value), stringKey(first, value)
	start.AddPrimaryKeyColumnWithMinValue(second)
	end.AddPrimaryKeyColumnWithMaxValue(second)
	return tablestore.RangeRowQueryCriteria{TableName: table, StartPrimaryKey: start, EndPrimaryKey: end}
}

// eachDocument walks through a range of documents until f answers false. last is the row's last key column.
func eachDocument[T any](ctx context.Context, c *client, q tablestore.RangeRowQueryCriteria, f func(last string, document T, revision int64) bool) error {
	var failed error
	err := c.scan(ctx, q, func(row *tablestore.Row) bool {
		var document T
		revision, err := readDocument(q.TableName, newCells(row.Columns), &document)
		if err != nil {
			failed = err
			return false
		}
		keys := row.PrimaryKey.PrimaryKeys
		last, _ := keys[len(keys)-1].Value.(string)
		return f(last, document, revision)
	})
	if err == nil {
		err = failed
	}
	return err
}
