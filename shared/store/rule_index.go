package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// RuleIndex is the table `rule_index`: one document that says what running rules and subscriptions want. Package interest makes and
// reads it; it follows from the tables `rule` and `subscription` and can be made again at any time.
type RuleIndex interface {
	Version(ctx context.Context) (int64, error)                                  // 0 if there is none yet; one small read
	Get(ctx context.Context) (document []byte, version int64, err error)         // nil, 0 if there is none yet
	Put(ctx context.Context, document []byte, over int64) (now int64, err error) // Conflict if it is another version by now
}

const (
	tableRuleIndex = "rule_index" // key: index
	theIndex       = "interest"
)

type ruleIndex struct{ client *client }

// RuleIndex is the table `rule_index`.
func (s *Store) RuleIndex() RuleIndex { return ruleIndex{s.client} }

func (x ruleIndex) Version(ctx context.Context) (int64, error) {
	row, err := x.client.get(ctx, tableRuleIndex, stringKey("index", theIndex), columnRevision)
	return row.int(columnRevision), err
}

func (x ruleIndex) Get(ctx context.Context) ([]byte, int64, error) {
	row, err := x.client.get(ctx, tableRuleIndex, stringKey("index", theIndex))
	if row == nil || err != nil {
		return nil, 0, err
	}
	return row.bytes(columnDocument), row.int(columnRevision), nil
}

func (x ruleIndex) Put(ctx context.Context, document []byte, over int64) (int64, error) {
	mine := claim()
	var c columns
	c.add(columnDocument, document)
	c.add(columnRevision, over+1)
	c.add(columnClaim, mine)
	change := &tablestore.PutRowChange{TableName: tableRuleIndex, PrimaryKey: stringKey("index", theIndex), Columns: c, Condition: ifMissing}
	if over != 0 {
		change.Condition = ifColumn(columnRevision, tablestore.CT_EQUAL, over)
	}
	version := over
	err := x.client.putClaimed(ctx, change, mine, &version)
	return version, err
}
