package store

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// LedgerCounts is what became of messages in the rule engine. Matched and what follows count deliveries: a message once for each action
// of each rule and for each subscription that it matched. For every row Matched = Delivered + Handed + Dead.
type LedgerCounts struct {
	Taken     int64 `json:"taken,omitempty"`     // messages (rule) or deliveries (forward) that were in the batch
	Matched   int64 `json:"matched,omitempty"`   // deliveries to be made; of forward: Taken
	Unmatched int64 `json:"unmatched,omitempty"` // messages that no rule and no subscription wanted in the end
	FailedSQL int64 `json:"failedSql,omitempty"` // messages × rules that could not be evaluated
	Delivered int64 `json:"delivered,omitempty"`
	Handed    int64 `json:"handed,omitempty"` // to the function forward
	Dead      int64 `json:"dead,omitempty"`   // became dead letters; negative where they are sent again
}

// Add adds other to the counts.
func (c *LedgerCounts) Add(other LedgerCounts) {
	c.Taken += other.Taken
	c.Matched += other.Matched
	c.Unmatched += other.Unmatched
	c.FailedSQL += other.FailedSQL
	c.Delivered += other.Delivered
	c.Handed += other.Handed
	c.Dead += other.Dead
}

// A LedgerRow is one batch in the rule engine.
type LedgerRow struct {
	Function string // rule, forward; replay for dead letters that an operator sends again
	Batch    string // its id, which it keeps when it is delivered again
	// Time is when the batch was made, Unix milliseconds. What rule hands to forward, and forward to itself, keeps the time of the first
	// batch, so that both ends of a handing over lie in the same span.
	Time int64
	LedgerCounts
	// Of tells the counts apart by rule (rule/1000) and subscription (MNS/productKey): at most MaxLedgerOf of them, the rest is only in
	// the sum. Without Taken and Unmatched.
	Of map[string]LedgerCounts
}

// MaxLedgerOf bounds LedgerRow.Of.
const MaxLedgerOf = 100

// Ledger is the table `ledger`, kept for 7 days.
type Ledger interface {
	// Put writes a row; the same Function, Batch and Time again overwrite it.
	Put(ctx context.Context, row *LedgerRow) error
	// Each calls f, one call after the other, for every row with from <= Time <= to, in no order.
	Each(ctx context.Context, from, to int64, f func(*LedgerRow)) error
}

const (
	tableLedger  = "ledger" // keys: shard, time, batch
	ledgerShards = 16
)

type ledger struct{ client *client }

// Ledger is the table `ledger`.
func (s *Store) Ledger() Ledger { return ledger{s.client} }

func ledgerShard(n uint32) string { return fmt.Sprintf("%02x", n%ledgerShards) }

func (l ledger) Put(ctx context.Context, row *LedgerRow) error {
	h := fnv.New32a()
	h.Write([]byte(row.Batch))
	key := stringKey("shard", ledgerShard(h.Sum32()>>16)) // the low bits of FNV spread badly over short ids
	key.AddPrimaryKeyColumn("time", row.Time)
	key.AddPrimaryKeyColumn("batch", row.Function+"#"+row.Batch)
	counts, err := json.Marshal(row.LedgerCounts)
	if err != nil {
		return err
	}
	var c columns
	c.add("function", row.Function)
	c.add("id", row.Batch)
	c.add("counts", string(counts))
	if len(row.Of) > 0 {
		of, err := json.Marshal(row.Of)
		if err != nil {
			return err
		}
		c.add("of", string(of))
	}
	return l.client.put(ctx, &tablestore.PutRowChange{TableName: tableLedger, PrimaryKey: key, Columns: c, Condition: always})
}

func (l ledger) Each(ctx context.Context, from, to int64, f func(*LedgerRow)) error {
	var mu sync.Mutex
	errs := make([]error, ledgerShards)
	each(ledgerShards, func(i int) {
		start, end := stringKey("shard", ledgerShard(uint32(i))), stringKey("shard", ledgerShard(uint32(i)))
		start.AddPrimaryKeyColumn("time", from)
		start.AddPrimaryKeyColumnWithMinValue("batch")
		end.AddPrimaryKeyColumn("time", to)
		end.AddPrimaryKeyColumnWithMaxValue("batch")
		q := tablestore.RangeRowQueryCriteria{TableName: tableLedger, StartPrimaryKey: start, EndPrimaryKey: end}
		var failed error
		err := l.client.scan(ctx, q, func(row *tablestore.Row) bool {
			var r *LedgerRow
			if r, failed = readLedger(row); failed != nil {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			f(r)
			return true
		})
		if err == nil {
			err = failed
		}
		errs[i] = err
	})
	return firstError(errs)
}

func readLedger(row *tablestore.Row) (*LedgerRow, error) {
	c := newCells(row.Columns)
	r := &LedgerRow{Function: c.str("function"), Batch: c.str("id")}
	r.Time, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
	if err := json.Unmarshal([]byte(c.str("counts")), &r.LedgerCounts); err != nil {
		return nil, fmt.Errorf("counts of batch %s in the ledger: %w", r.Batch, err)
	}
	if of := c.str("of"); of != "" {
		if err := json.Unmarshal([]byte(of), &r.Of); err != nil {
			return nil, fmt.Errorf("counts of batch %s in the ledger: %w", r.Batch, err)
		}
	}
	return r, nil
}
