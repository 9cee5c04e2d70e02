package forward

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/rulesql"
)

// Tables is the destination OTS: a row per message. It is safe for concurrent use.
type Tables struct {
	endpoint func(instance, region string) string
	clients  clients[*tablestore.TableStoreClient]
}

// NewTables makes the destination. endpoint gives the URL of an instance; an empty region is the platform's own.
func NewTables(endpoint func(instance, region string) string, credentials func(context.Context) Credentials) *Tables {
	return &Tables{endpoint: endpoint, clients: clients[*tablestore.TableStoreClient]{credentials: credentials}}
}

// Bounds of one request (Tablestore, "Limits"), with room for what the SDK puts around the rows.
const (
	maxRows       = 200
	maxRowsBytes  = 3 << 20
	requestWithin = 3 * time.Second
)

// Deliver writes rows of one table. Of several with the same key the last one counts, as if they were written one after the other.
func (t *Tables) Deliver(ctx context.Context, items []*Item) []error {
	errs := make([]error, len(items))
	target := &items[0].Target
	ots, err := t.clients.get(ctx, target.Instance+"/"+target.Region, func(c Credentials) (*tablestore.TableStoreClient, error) {
		cfg := tablestore.NewDefaultTableStoreConfig()
		cfg.RetryTimes, cfg.MaxRetryTime = 1, requestWithin
		cfg.HTTPTimeout = tablestore.HTTPTimeout{ConnectionTimeout: requestWithin, RequestTimeout: requestWithin}
		cfg.Transport = &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 25 * time.Second}
		return tablestore.NewClientWithConfig(t.endpoint(target.Instance, target.Region), target.Instance, c.ID, c.Secret.Reveal(), c.Token.Reveal(), cfg), nil
	})
	if err != nil {
		return all(len(items), err)
	}
	rows, of := rowsOf(items, errs)
	rowErrs := make([]error, len(rows))
	for start := 0; start < len(rows); {
		end, size := start, 0
		for end < len(rows) && end-start < maxRows && (end == start || size+rows[end].size <= maxRowsBytes) {
			size += rows[end].size
			end++
		}
		if ctx.Err() != nil {
			copy(rowErrs[start:], all(len(rows)-start, &Error{Reason: "no answer in time"}))
			break
		}
		write(ots, target.Resource, rows[start:end], rowErrs[start:end])
		start = end
	}
	for n, row := range of {
		if row >= 0 {
			errs[n] = rowErrs[row]
		}
	}
	return errs
}

type row struct {
	change *tablestore.PutRowChange
	size   int
}

// rowsOf makes rows; of tells each item's, -1 if it has none.
func rowsOf(items []*Item, errs []error) (rows []row, of []int) {
	of = make([]int, len(items))
	places := make(map[string]int)
	for n, i := range items {
		of[n] = -1
		change, auto, err := rowOf(i)
		if err != nil {
			errs[n] = err
			continue
		}
		r := row{change, len(i.Body) + 256}
		key := keyOf(i.Target.Keys)
		if at, again := places[key]; again && !auto {
			rows[at], of[n] = r, at
			continue
		}
		places[key], of[n] = len(rows), len(rows)
		rows = append(rows, r)
	}
	return rows, of
}

func keyOf(keys []Key) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(strconv.Quote(k.Value))
	}
	return b.String()
}

func rowOf(i *Item) (change *tablestore.PutRowChange, auto bool, err error) {
	result, err := rulesql.ParseDocument(i.Body)
	if err != nil {
		return nil, false, refused("the result is no JSON: %v", err)
	}
	if result.Root().Kind() != rulesql.Object {
		return nil, false, refused("the result is no object")
	}
	if len(i.Target.Keys) == 0 {
		return nil, false, refused("the action names no primary key")
	}
	key := new(tablestore.PrimaryKey)
	named := make(map[string]bool)
	for _, k := range i.Target.Keys {
		named[k.Name] = true
		switch {
		case k.Auto:
			auto = true
			key.AddPrimaryKeyColumnWithAutoIncrement(k.Name)
		case k.Type == "INTEGER":
			v, err := strconv.ParseInt(k.Value, 10, 64)
			if err != nil {
				return nil, false, refused("primary key %s: %q is no integer", k.Name, k.Value)
			}
			key.AddPrimaryKeyColumn(k.Name, v)
		case k.Type == "BINARY":
			key.AddPrimaryKeyColumn(k.Name, []byte(k.Value))
		default:
			key.AddPrimaryKeyColumn(k.Name, k.Value)
		}
	}
	change = &tablestore.PutRowChange{TableName: i.Target.Resource, PrimaryKey: key}
	change.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	for name, v := range result.Members {
		if named[name] || v.IsNull() {
			continue
		}
		change.AddColumn(name, column(v))
	}
	return change, auto, nil
}

// column is a value as a column has it.
func column(v rulesql.Value) any {
	switch v.Kind() {
	case rulesql.Bool:
		return v.Bool()
	case rulesql.Number:
		if n, ok := v.Int64(); ok {
			return n
		}
		if f, ok := v.Float64(); ok {
			return f
		}
	}
	return v.Text()
}

func write(ots *tablestore.TableStoreClient, table string, rows []row, errs []error) {
	req := new(tablestore.BatchWriteRowRequest)
	for _, r := range rows {
		req.AddRowChange(r.change)
	}
	resp, err := ots.BatchWriteRow(req)
	if err != nil {
		var e *tablestore.OtsError
		if len(rows) > 1 && errors.As(err, &e) && permanent(e.Code) {
			for n := range rows { // the whole request is refused for one row
				write(ots, table, rows[n:n+1], errs[n:n+1])
			}
			return
		}
		copy(errs, all(len(rows), tableError(err)))
		return
	}
	results := resp.TableToRowsResult[table]
	for n := range rows {
		switch {
		case n >= len(results):
			errs[n] = &Error{Reason: "the answer of the table is not complete"}
		case !results[n].IsSucceed:
			errs[n] = tableError(&tablestore.OtsError{Code: results[n].Error.Code, Message: results[n].Error.Message})
		}
	}
}

func tableError(err error) error {
	var e *tablestore.OtsError
	if errors.As(err, &e) {
		return &Error{Reason: e.Code + ": " + e.Message, Final: permanent(e.Code)}
	}
	return &Error{Reason: err.Error()}
}

// permanent tells of a code whether the same request is refused again (Tablestore, "Error codes").
func permanent(code string) bool {
	switch code {
	case "OTSParameterInvalid", "OTSInvalidPK", "OTSObjectNotExist", "OTSOutOfColumnCountLimit", "OTSOutOfRowSizeLimit", "OTSNoPermissionAccess",
		"OTSAuthFailed", "OTSInvalidTableName", "OTSConditionCheckFail", "OTSRequestBodySizeExceed":
		return true
	}
	return false
}
