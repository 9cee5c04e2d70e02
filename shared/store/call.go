package store

import (
	"context"
	"encoding/json"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Call is one service that was called on a device, or one property set.
type Call struct {
	Ref        iot.DeviceRef
	MessageID  string // Alink id of the request
	Time       int64
	Identifier string // of the service; "set" for a property set, "get" for a property get
	Input      json.RawMessage
	Output     json.RawMessage // the device's whole answer; nil while there is none
	Code       int             // of the answer
	AnsweredAt int64           // 0 while there is none
}

// A CallQuery selects calls of one device with From <= time <= To. Identifier selects all if it is empty.
type CallQuery struct {
	Identifier string
	From, To   int64
	Ascending  bool
	Limit      int
}

// Calls is the table `service_call`, kept for 30 days.
type Calls interface {
	// Put stores calls; storing one again changes nothing, and takes no answer away. Errs are per call.
	Put(ctx context.Context, calls []Call) (errs []error)
	// Answer stores the answer to a call, found by its device, time and message id; of several the last counts. The error is Conflict
	// if there is no such call.
	Answer(ctx context.Context, c *Call) error
	// List answers at most q.Limit calls, and where to go on, as Events.List does.
	List(ctx context.Context, ref iot.DeviceRef, q CallQuery) ([]Call, int64, error)
}

const tableCalls = "service_call" // key: device, time, message_id

// Calls is the table `service_call`.
func (s *Store) Calls() Calls { return calls{s.client} }

type calls struct{ client *client }

func callKey(c *Call) *tablestore.PrimaryKey {
	key := deviceRowKey(c.Ref)
	key.AddPrimaryKeyColumn("time", c.Time)
	key.AddPrimaryKeyColumn("message_id", c.MessageID)
	return key
}

func (s calls) Put(ctx context.Context, list []Call) []error {
	changes := make([]tablestore.RowChange, len(list))
	for i := range list {
		c := &list[i]
		change := &tablestore.UpdateRowChange{TableName: tableCalls, PrimaryKey: callKey(c), Condition: always}
		change.PutColumn("identifier", c.Identifier)
		change.PutColumn("input", string(c.Input))
		changes[i] = change
	}
	return s.client.write(ctx, changes)
}

func (s calls) Answer(ctx context.Context, c *Call) error {
	change := &tablestore.UpdateRowChange{TableName: tableCalls, PrimaryKey: callKey(c), Condition: ifExists}
	change.PutColumn("output", string(c.Output))
	change.PutColumn("code", int64(c.Code))
	change.PutColumn("answered_at", c.AnsweredAt)
	err := s.client.update(ctx, change)
	if conflict(err) {
		return iot.Errorf(iot.Conflict, "there is no call %s of device %s", c.MessageID, c.Ref)
	}
	return err
}

// callRange covers a device's calls, all of them or what lies in times, oldest first.
func callRange(ref iot.DeviceRef, times *span) tablestore.RangeRowQueryCriteria {
	q := historyRange(ref, times)
	q.TableName = tableCalls
	return q
}

func (s calls) List(ctx context.Context, ref iot.DeviceRef, q CallQuery) ([]Call, int64, error) {
	if q.From > q.To || q.Limit <= 0 {
		return nil, 0, nil
	}
	criteria := callRange(ref, &span{q.From, min(q.To, math.MaxInt64-1)})
	if !q.Ascending {
		criteria.StartPrimaryKey, criteria.EndPrimaryKey = criteria.EndPrimaryKey, criteria.StartPrimaryKey
		criteria.Direction = tablestore.BACKWARD
	}
	criteria.Limit = int32(min(q.Limit+1, 5000))
	criteria.Filter = (&EventQuery{Identifier: q.Identifier}).filter()
	page := CallPage(q.Limit)
	err := s.client.scan(ctx, criteria, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		call := Call{Ref: ref, Identifier: c.str("identifier"), Input: cellJSON(c.value("input")), Output: cellJSON(c.value("output")),
			Code: int(c.int("code")), AnsweredAt: c.int("answered_at")}
		call.Time, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		call.MessageID, _ = row.PrimaryKey.PrimaryKeys[2].Value.(string)
		return page.Add(call)
	})
	if err != nil {
		return nil, 0, err
	}
	return page.Items, page.Next, nil
}
