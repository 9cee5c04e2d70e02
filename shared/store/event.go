package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// An Event is one event that a device reported.
type Event struct {
	Ref        iot.DeviceRef
	MessageID  string
	Sequence   int    // tells apart what one message carries: 0 for an event post, counted up in batches
	Time       int64  // the event's own
	Identifier string // module:identifier for one of a custom module
	Type       string // info, alert, error; unknown if the thing model did not have the event
	Output     json.RawMessage
}

// An EventQuery selects events of one device with From <= time <= To. Identifier and Type select all if they are empty.
type EventQuery struct {
	Identifier string
	Type       string
	From, To   int64
	Ascending  bool
	Limit      int
}

// Events is the table `event_history`, kept for 30 days.
type Events interface {
	// Put stores events; storing one again changes nothing. Errs are per event; nil means it is durable.
	Put(ctx context.Context, events []Event) (errs []error)
	// List answers at most q.Limit events, and where to go on (0 if there is no more): the next From if ascending, else the next
	// To. Events of one time are never split over two answers; an answer is longer than the limit only if a single time has more.
	List(ctx context.Context, ref iot.DeviceRef, q EventQuery) ([]Event, int64, error)
}

// A row of event_history is one event. The message and the place in it are part of the key: a device that reports twice in one
// millisecond loses nothing, and a message that is stored again finds its own rows.
const tableEvents = "event_history" // key: device, time, message_id

// Events is the table `event_history`.
func (s *Store) Events() Events { return events{s.client} }

type events struct{ client *client }

// eventMessage is the last part of an event's key.
func eventMessage(e *Event) string {
	if e.Sequence == 0 {
		return e.MessageID
	}
	return fmt.Sprintf("%s/%05d", e.MessageID, e.Sequence)
}

func (s events) Put(ctx context.Context, list []Event) []error {
	changes := make([]tablestore.RowChange, 0, len(list))
	index := make(map[string]int, len(list))
	place := make([]int, len(list))
	for i := range list {
		e := &list[i]
		device, message := deviceKey(e.Ref), eventMessage(e)
		id := fmt.Sprintf("%s %d %s", device, e.Time, message)
		at, again := index[id]
		if !again { // a request may not name a row twice; whoever stores an event again stores the same
			at = len(changes)
			index[id] = at
			key := stringKey("device", device)
			key.AddPrimaryKeyColumn("time", e.Time)
			key.AddPrimaryKeyColumn("message_id", message)
			var c columns
			c.add("identifier", e.Identifier)
			c.add("type", e.Type)
			c.add("output", string(e.Output))
			changes = append(changes, &tablestore.PutRowChange{TableName: tableEvents, PrimaryKey: key, Columns: c, Condition: always})
		}
		place[i] = at
	}
	written := s.client.write(ctx, changes)
	errs := make([]error, len(list))
	for i, at := range place {
		errs[i] = written[at]
	}
	return errs
}

// eventRange covers a device's events, all of them or what lies in times, oldest first.
func eventRange(ref iot.DeviceRef, times *span) tablestore.RangeRowQueryCriteria {
	q := historyRange(ref, times)
	q.TableName = tableEvents
	return q
}

func (s events) List(ctx context.Context, ref iot.DeviceRef, q EventQuery) ([]Event, int64, error) {
	if q.From > q.To || q.Limit <= 0 {
		return nil, 0, nil
	}
	criteria := eventRange(ref, &span{q.From, min(q.To, math.MaxInt64-1)})
	if !q.Ascending {
		criteria.StartPrimaryKey, criteria.EndPrimaryKey = criteria.EndPrimaryKey, criteria.StartPrimaryKey
		criteria.Direction = tablestore.BACKWARD
	}
	criteria.Limit = int32(min(q.Limit+1, 5000))
	criteria.Filter = q.filter()
	page := EventPage(q.Limit)
	err := s.client.scan(ctx, criteria, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		e := Event{Ref: ref, Identifier: c.str("identifier"), Type: c.str("type"), Output: cellJSON(c.value("output"))}
		e.Time, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		message, _ := row.PrimaryKey.PrimaryKeys[2].Value.(string)
		e.MessageID, e.Sequence = splitEventMessage(message)
		return page.Add(e)
	})
	if err != nil {
		return nil, 0, err
	}
	return page.Items, page.Next, nil
}

// splitEventMessage is eventMessage backwards.
func splitEventMessage(s string) (id string, sequence int) {
	if n := len(s) - 6; n > 0 && s[n] == '/' {
		if _, err := fmt.Sscanf(s[n+1:], "%05d", &sequence); err == nil {
			return s[:n], sequence
		}
	}
	return s, 0
}

// filter leaves away, in the service, what is not asked for.
func (q *EventQuery) filter() tablestore.ColumnFilter {
	only := func(column, value string) *tablestore.SingleColumnCondition {
		c := tablestore.NewSingleColumnCondition(column, tablestore.CT_EQUAL, value)
		c.FilterIfMissing = true
		c.LatestVersionOnly = true
		return c
	}
	switch {
	case q.Identifier != "" && q.Type != "":
		both := tablestore.NewCompositeColumnCondition(tablestore.LO_AND)
		both.AddFilter(only("identifier", q.Identifier))
		both.AddFilter(only("type", q.Type))
		return both
	case q.Identifier != "":
		return only("identifier", q.Identifier)
	case q.Type != "":
		return only("type", q.Type)
	}
	return nil
}
