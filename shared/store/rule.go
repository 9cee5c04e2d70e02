package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Rule is a rule of the rule engine with its actions: a row of the table `rule`. Rule and actions are one row, so that they change
// together and have one version.
type Rule struct {
	ID          int64          `json:"-"` // grows with the time of creation
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	DataType    string         `json:"dataType"` // JSON, BINARY
	Select      string         `json:"select,omitempty"`
	ProductKey  iot.ProductKey `json:"productKey,omitempty"`
	ShortTopic  string         `json:"shortTopic,omitempty"`
	TopicType   int            `json:"topicType"` // -1 while there is no topic
	Where       string         `json:"where,omitempty"`
	Running     bool           `json:"running,omitempty"`
	CreatedAt   int64          `json:"createdAt"`
	ModifiedAt  int64          `json:"modifiedAt"`
	LastAction  int64          `json:"lastAction,omitempty"` // counts actions ever created; see package rule
	Actions     []RuleAction   `json:"-"`                    // at most 10 and one for failures; nil in lists
	Revision    int64          `json:"-"`
}

// A RuleAction is where the results of a rule go.
type RuleAction struct {
	ID            int64           `json:"id"`
	Type          string          `json:"type"`
	Configuration json.RawMessage `json:"configuration"`   // an object, without what is added when it is read
	ForErrors     bool            `json:"error,omitempty"` // gets what another action could not deliver
}

// Rules is the table `rule`.
type Rules interface {
	Get(ctx context.Context, id int64) (*Rule, error)           // nil without an error if there is none
	GetMany(ctx context.Context, ids []int64) ([]*Rule, error)  // of the same length, nil where there is none
	List(ctx context.Context) ([]*Rule, error)                  // newest first, without actions
	Put(ctx context.Context, r *Rule) error                     // over the revision that was read, 0 for none, and advances it; Conflict
	Delete(ctx context.Context, id int64, revision int64) error // Conflict if it is another revision; none is no error
}

const (
	tableRule     = "rule" // key: rule
	columnActions = "actions"
)

type rules struct{ client *client }

// Rules is the table `rule`.
func (s *Store) Rules() Rules { return rules{s.client} }

func ruleKey(id int64) *tablestore.PrimaryKey {
	k := new(tablestore.PrimaryKey)
	k.AddPrimaryKeyColumn("rule", id)
	return k
}

func readRule(id int64, row cells) (*Rule, error) {
	r := &Rule{ID: id}
	var err error
	if r.Revision, err = readDocument(tableRule, row, r); err != nil {
		return nil, err
	}
	if text := row.str(columnActions); text != "" {
		if err := json.Unmarshal([]byte(text), &r.Actions); err != nil {
			return nil, fmt.Errorf("actions of rule %d: %w", id, err)
		}
	}
	return r, nil
}

func (t rules) Get(ctx context.Context, id int64) (*Rule, error) {
	row, err := t.client.get(ctx, tableRule, ruleKey(id))
	if row == nil || err != nil {
		return nil, err
	}
	return readRule(id, row)
}

func (t rules) GetMany(ctx context.Context, ids []int64) ([]*Rule, error) {
	keys := make([]*tablestore.PrimaryKey, len(ids))
	for i, id := range ids {
		keys[i] = ruleKey(id)
	}
	rows, err := t.client.getMany(ctx, tableRule, keys)
	if err != nil {
		return nil, err
	}
	list := make([]*Rule, len(ids))
	for i, row := range rows {
		if row == nil {
			continue
		}
		if list[i], err = readRule(ids[i], row); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (t rules) List(ctx context.Context) ([]*Rule, error) {
	newest, oldest := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	newest.AddPrimaryKeyColumnWithMaxValue("rule")
	oldest.AddPrimaryKeyColumnWithMinValue("rule")
	q := tablestore.RangeRowQueryCriteria{TableName: tableRule, StartPrimaryKey: newest, EndPrimaryKey: oldest, Direction: tablestore.BACKWARD,
		ColumnsToGet: []string{columnDocument, columnRevision}}
	var list []*Rule
	var failed error
	err := t.client.scan(ctx, q, func(row *tablestore.Row) bool {
		id, _ := row.PrimaryKey.PrimaryKeys[0].Value.(int64)
		r, err := readRule(id, newCells(row.Columns))
		if err != nil {
			failed = err
			return false
		}
		list = append(list, r)
		return true
	})
	if err == nil {
		err = failed
	}
	return list, err
}

func (t rules) Put(ctx context.Context, r *Rule) error {
	mine := claim()
	change, err := documentChange(tableRule, ruleKey(r.ID), r, r.Revision, mine)
	if err != nil {
		return err
	}
	actions, err := json.Marshal(r.Actions)
	if err != nil {
		return fmt.Errorf("actions of rule %d: %w", r.ID, err)
	}
	cols := columns(change.Columns)
	cols.add(columnActions, string(actions))
	change.Columns = cols
	return t.client.putClaimed(ctx, change, mine, &r.Revision)
}

func (t rules) Delete(ctx context.Context, id, revision int64) error {
	err := t.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableRule, PrimaryKey: ruleKey(id),
		Condition: ifColumn(columnRevision, tablestore.CT_EQUAL, revision)})
	if !conflict(err) {
		return err
	}
	row, err := t.client.get(ctx, tableRule, ruleKey(id), columnRevision)
	if row == nil || err != nil {
		return err
	}
	return iot.Errorf(iot.Conflict, "somebody else changed it meanwhile")
}
