package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A ForwardDead is a delivery of the rule engine that was given up.
type ForwardDead struct {
	Owner     string        `json:"-"` // rule/1000, MNS/productKey
	At        int64         `json:"-"` // when it was given up
	MessageID string        `json:"message"`
	Action    int64         `json:"action,omitempty"` // of the rule; 0 for a subscription
	Type      string        `json:"type"`             // of the action: REPUBLISH, OTS, …
	Resource  string        `json:"resource"`         // where it was to go: topic, table, function, queue
	Device    iot.DeviceRef `json:"device"`
	Topic     string        `json:"topic"` // forwarding topic of the message
	Reason    string        `json:"reason"`
	Attempts  int           `json:"attempts"`
	Body      []byte        `json:"-"` // what was to be delivered
	Item      []byte        `json:"-"` // the delivery as the function forward takes it again
}

// ForwardDeads is the table `forward_dead`, kept for 7 days.
type ForwardDeads interface {
	// Put stores letters; storing one again (Owner, At, MessageID, Action) changes nothing.
	Put(ctx context.Context, list []*ForwardDead) error
	// List answers at most limit letters of an owner, oldest first, behind a cursor ("" for the first ones), and the cursor of the next
	// ones, "" if there is none. An empty owner means all of them, owner by owner in no order. A malformed cursor is InvalidParams.
	List(ctx context.Context, owner, cursor string, limit int) ([]*ForwardDead, string, error)
	Delete(ctx context.Context, list []*ForwardDead) error // idempotent
}

const tableForwardDead = "forward_dead" // keys: owner, at, message

type forwardDeads struct{ client *client }

// ForwardDeads is the table `forward_dead`.
func (s *Store) ForwardDeads() ForwardDeads { return forwardDeads{s.client} }

func forwardOwner(owner string) string {
	h := fnv.New32a()
	h.Write([]byte(owner))
	return fmt.Sprintf("%04x#%s", h.Sum32()>>16, owner)
}

func forwardDeadKey(owner string, at int64, message string) *tablestore.PrimaryKey {
	k := stringKey("owner", owner)
	k.AddPrimaryKeyColumn("at", at)
	k.AddPrimaryKeyColumn("message", message)
	return k
}

// ForwardDeadID is the part of a letter's key that tells apart what one owner gave up at one time.
func ForwardDeadID(d *ForwardDead) string { return fmt.Sprintf("%s/%d", d.MessageID, d.Action) }

func letterKey(d *ForwardDead) *tablestore.PrimaryKey {
	return forwardDeadKey(forwardOwner(d.Owner), d.At, ForwardDeadID(d))
}

// Put writes each letter by itself: they are few, and may be as large as messages are.
func (t forwardDeads) Put(ctx context.Context, list []*ForwardDead) error {
	errs := make([]error, len(list))
	each(len(list), func(i int) {
		d := list[i]
		text, err := json.Marshal(d)
		if err != nil {
			errs[i] = err
			return
		}
		var c columns
		c.add(columnDocument, string(text))
		c.add("body", append([]byte{}, d.Body...))
		c.add("item", append([]byte{}, d.Item...))
		errs[i] = t.client.put(ctx, &tablestore.PutRowChange{TableName: tableForwardDead, PrimaryKey: letterKey(d), Columns: c, Condition: always})
	})
	return firstError(errs)
}

// A ForwardDeadPlace is where in the table a listing goes on: behind this letter.
type ForwardDeadPlace struct {
	Owner string `json:"o"` // as in the key
	At    int64  `json:"a"`
	ID    string `json:"m"`
}

// Cursor writes a place.
func (p ForwardDeadPlace) Cursor() string {
	text, _ := json.Marshal(p) // of strings and a number: never fails
	return base64.RawURLEncoding.EncodeToString(text)
}

// ReadForwardDeadCursor reads a cursor; InvalidParams.
func ReadForwardDeadCursor(cursor string) (p ForwardDeadPlace, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, iot.Wrap(iot.InvalidParams, err, "the token is none of this list")
	}
	return p, nil
}

func (t forwardDeads) List(ctx context.Context, owner, cursor string, limit int) ([]*ForwardDead, string, error) {
	if limit <= 0 {
		return nil, "", nil
	}
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	if owner == "" {
		start.AddPrimaryKeyColumnWithMinValue("owner")
		end.AddPrimaryKeyColumnWithMaxValue("owner")
	} else {
		start, end = stringKey("owner", forwardOwner(owner)), stringKey("owner", forwardOwner(owner))
	}
	start.AddPrimaryKeyColumnWithMinValue("at")
	start.AddPrimaryKeyColumnWithMinValue("message")
	end.AddPrimaryKeyColumnWithMaxValue("at")
	end.AddPrimaryKeyColumnWithMaxValue("message")
	if cursor != "" {
		p, err := ReadForwardDeadCursor(cursor)
		if err != nil {
			return nil, "", err
		}
		if owner != "" && p.Owner != forwardOwner(owner) {
			return nil, "", iot.Errorf(iot.InvalidParams, "the token is one of another list")
		}
		start = forwardDeadKey(p.Owner, p.At, p.ID+"\x00") // the least key behind it
	}
	var list []*ForwardDead
	var failed error
	more := false
	q := tablestore.RangeRowQueryCriteria{TableName: tableForwardDead, StartPrimaryKey: start, EndPrimaryKey: end, Limit: int32(min(limit+1, 5000))}
	err := t.client.scan(ctx, q, func(row *tablestore.Row) bool {
		if len(list) == limit {
			more = true
			return false
		}
		var d *ForwardDead
		if d, failed = readForwardDead(row); failed != nil {
			return false
		}
		list = append(list, d)
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil || !more {
		return list, "", err
	}
	last := list[len(list)-1]
	return list, ForwardDeadPlace{forwardOwner(last.Owner), last.At, ForwardDeadID(last)}.Cursor(), nil
}

func readForwardDead(row *tablestore.Row) (*ForwardDead, error) {
	c := newCells(row.Columns)
	owner, _ := row.PrimaryKey.PrimaryKeys[0].Value.(string)
	d := &ForwardDead{Body: c.bytes("body"), Item: c.bytes("item")}
	if len(owner) > 5 {
		d.Owner = owner[5:]
	}
	d.At, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
	if err := json.Unmarshal([]byte(c.str(columnDocument)), d); err != nil {
		return nil, fmt.Errorf("dead letter of %s: %w", owner, err)
	}
	return d, nil
}

func (t forwardDeads) Delete(ctx context.Context, list []*ForwardDead) error {
	changes := make([]tablestore.RowChange, len(list))
	for i, d := range list {
		changes[i] = &tablestore.DeleteRowChange{TableName: tableForwardDead, PrimaryKey: letterKey(d), Condition: always}
	}
	return firstError(t.client.write(ctx, changes))
}
