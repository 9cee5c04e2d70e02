package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// roughRow is counted for a change whose length is not known: those are small rows and deletions.
const roughRow = 2 << 10

// write writes any number of rows, each under its own condition, in chunks that go in parallel; no two may address the same
// row. Errs are per change: nil, errCondition wrapped, or an *iot.Error. Rows that fail for a passing reason are tried again.
func (c *client) write(ctx context.Context, changes []tablestore.RowChange) []error {
	errs := make([]error, len(changes))
	var chunks [][2]int
	size, lo := 0, 0
	for i, change := range changes {
		n := roughRow
		if row, ok := change.(*encodedRow); ok {
			n = len(row.data) + 64
		}
		if i > lo && (i-lo == maxWriteRows || size+n > maxWriteBytes) {
			chunks = append(chunks, [2]int{lo, i})
			size, lo = 0, i
		}
		size += n
	}
	if lo < len(changes) {
		chunks = append(chunks, [2]int{lo, len(changes)})
	}
	each(len(chunks), func(i int) {
		c.writeChunk(ctx, changes[chunks[i][0]:chunks[i][1]], errs[chunks[i][0]:chunks[i][1]])
	})
	return errs
}

// writeChunk writes one request's rows. The SDK tries a request again only if all of its failed rows may be; where some
// failed for good it leaves the others, which are tried here.
func (c *client) writeChunk(ctx context.Context, changes []tablestore.RowChange, errs []error) {
	end := time.Now().Add(c.retryFor)
	index := make([]int, len(changes))
	for i := range index {
		index[i] = i
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		c.writeOnce(ctx, changes, index, errs)
		again := index[:0]
		for _, i := range index {
			if iot.Is(errs[i], iot.Throttled) {
				again = append(again, i)
			}
		}
		// If every row failed, the SDK has already used the time there was.
		if len(again) == 0 || len(again) == len(changes) || !time.Now().Add(pause).Before(end) {
			return
		}
		index = again
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// writeOnce sends the rows of changes that index names and writes each one's outcome to errs.
func (c *client) writeOnce(ctx context.Context, changes []tablestore.RowChange, index []int, errs []error) {
	byTable := make(map[string][]tablestore.RowChange, 2)
	places := make(map[string][]int, 2)
	for _, i := range index {
		table := changes[i].GetTableName()
		byTable[table] = append(byTable[table], changes[i])
		places[table] = append(places[table], i)
	}
	var resp *tablestore.BatchWriteRowResponse
	err := c.call(ctx, "write rows", func() (err error) {
		resp, err = c.ots.BatchWriteRow(&tablestore.BatchWriteRowRequest{RowChangesGroupByTable: byTable})
		return err
	})
	if err != nil {
		for _, i := range index {
			errs[i] = err
		}
		return
	}
	for table, place := range places {
		results := resp.TableToRowsResult[table]
		for j, i := range place {
			switch {
			case j >= len(results):
				errs[i] = iot.Wrap(iot.Unavailable, fmt.Errorf("write rows of %s: %d were sent, %d answered", table, len(place), len(results)), "")
			case results[j].IsSucceed:
				errs[i] = nil
			default:
				errs[i] = codeError(results[j].Error.Code, results[j].Error.Message, "write row of "+table)
			}
		}
	}
}

// conflict reports whether a conditional write found another row than it expected.
func conflict(err error) bool { return errors.Is(err, errCondition) }

var (
	always    = &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_IGNORE}
	ifMissing = &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST}
	ifExists  = &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_EXPECT_EXIST}
)

// ifColumn expects the row, and a column that compares so with value; a row without the column does not pass.
func ifColumn(name string, op tablestore.ComparatorType, value any) *tablestore.RowCondition {
	cond := tablestore.NewSingleColumnCondition(name, op, value)
	cond.FilterIfMissing = true
	cond.LatestVersionOnly = true
	return &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: cond}
}
