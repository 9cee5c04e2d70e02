package store

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// Bounds of one request (Tablestore, "Limits"), with room for what the SDK puts around the rows.
const (
	maxWriteRows  = 200
	maxWriteBytes = 3 << 20
	maxReadRows   = 100
	parallel      = 8 // requests of one call that are in flight together
)

// client is the SDK with contexts, classified errors and batches of any length.
type client struct {
	ots         *tablestore.TableStoreClient
	transport   *http.Transport
	credentials *credentials
	retryFor    time.Duration
}

// call runs one request of the SDK. The SDK panics on answers it cannot read; that must not take the process along.
func (c *client) call(ctx context.Context, doing string, f func() error) (err error) {
	if ctx.Err() != nil {
		return iot.Wrap(iot.Unavailable, fmt.Errorf("%s: %w", doing, context.Cause(ctx)), "out of time")
	}
	defer func() {
		if p := recover(); p != nil {
			err = iot.Wrap(iot.Unavailable, fmt.Errorf("%s: the SDK gave up: %v", doing, p), "the database's answer is not understood")
		}
	}()
	if err := f(); err != nil {
		return otsError(err, doing)
	}
	return nil
}

// get reads one row, all of it or some columns; nil cells without an error if there is none.
func (c *client) get(ctx context.Context, table string, key *tablestore.PrimaryKey, columns ...string) (cells, error) {
	req := &tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: table, PrimaryKey: key, MaxVersion: 1, ColumnsToGet: columns}}
	var row cells
	err := c.call(ctx, "read "+table, func() error {
		resp, err := c.ots.GetRow(req)
		if err == nil && len(resp.PrimaryKey.PrimaryKeys) > 0 {
			row = newCells(resp.Columns)
		}
		return err
	})
	return row, err
}

// getMany reads rows in chunks; the answer has the length of keys, nil where there is no row.
func (c *client) getMany(ctx context.Context, table string, keys []*tablestore.PrimaryKey) ([]cells, error) {
	rows := make([]cells, len(keys))
	errs := make([]error, (len(keys)+maxReadRows-1)/maxReadRows)
	each(len(errs), func(i int) {
		lo := i * maxReadRows
		hi := min(lo+maxReadRows, len(keys))
		errs[i] = c.getChunk(ctx, table, keys[lo:hi], rows[lo:hi])
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (c *client) getChunk(ctx context.Context, table string, keys []*tablestore.PrimaryKey, rows []cells) error {
	doing := "read rows of " + table
	req := &tablestore.BatchGetRowRequest{MultiRowQueryCriteria: []*tablestore.MultiRowQueryCriteria{{TableName: table, PrimaryKey: keys, MaxVersion: 1}}}
	return c.call(ctx, doing, func() error {
		resp, err := c.ots.BatchGetRow(req)
		if err != nil {
			return err
		}
		results := resp.TableToRowsResult[table]
		if len(results) != len(keys) {
			return fmt.Errorf("%d rows were asked for, %d were answered", len(keys), len(results))
		}
		for i := range results {
			r := &results[i]
			if !r.IsSucceed {
				return &tablestore.OtsError{Code: r.Error.Code, Message: r.Error.Message}
			}
			if len(r.PrimaryKey.PrimaryKeys) > 0 {
				rows[i] = newCells(r.Columns)
			}
		}
		return nil
	})
}

func (c *client) put(ctx context.Context, change *tablestore.PutRowChange) error {
	return c.call(ctx, "put into "+change.TableName, func() error {
		_, err := c.ots.PutRow(&tablestore.PutRowRequest{PutRowChange: change})
		return err
	})
}

func (c *client) update(ctx context.Context, change *tablestore.UpdateRowChange) error {
	return c.call(ctx, "update "+change.TableName, func() error {
		_, err := c.ots.UpdateRow(&tablestore.UpdateRowRequest{UpdateRowChange: change})
		return err
	})
}

func (c *client) delete(ctx context.Context, change *tablestore.DeleteRowChange) error {
	return c.call(ctx, "delete from "+change.TableName, func() error {
		_, err := c.ots.DeleteRow(&tablestore.DeleteRowRequest{DeleteRowChange: change})
		return err
	})
}

// scan reads a range page by page until it ends or f answers false.
func (c *client) scan(ctx context.Context, q tablestore.RangeRowQueryCriteria, f func(row *tablestore.Row) bool) error {
	q.MaxVersion = 1
	for q.StartPrimaryKey != nil {
		var resp *tablestore.GetRangeResponse
		err := c.call(ctx, "scan "+q.TableName, func() (err error) {
			resp, err = c.ots.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &q})
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range resp.Rows {
			if !f(row) {
				return nil
			}
		}
		q.StartPrimaryKey = resp.NextStartPrimaryKey
	}
	return nil
}

// each calls f(0) … f(n-1), at most `parallel` together, and returns when all have returned.
func each(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
