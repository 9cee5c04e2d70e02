package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A NetworkStatus is what a device measured of its network at one time.
type NetworkStatus struct {
	Ref       iot.DeviceRef
	Time      int64  // Unix milliseconds
	MessageID string // of the post
	Index     int    // within the post
	Model     string // as posted: quantity=single|format=simple|time=now
	JSON      json.RawMessage
}

// NetworkStatuses is the table `network_status`, kept for 30 days.
type NetworkStatuses interface {
	Put(ctx context.Context, list []NetworkStatus) error // idempotent
	// List answers at most limit entries with from <= Time <= to, newest first, and the to of the next page, 0 if there is none. Entries
	// of one time are never split over two pages, unless there are more than limit.
	List(ctx context.Context, ref iot.DeviceRef, from, to int64, limit int) ([]NetworkStatus, int64, error)
}

const tableNetworkStatus = "network_status" // key: device, time, message_id

type networkStatuses struct{ client *client }

// NetworkStatuses is the table `network_status`.
func (s *Store) NetworkStatuses() NetworkStatuses { return networkStatuses{s.client} }

func (x networkStatuses) Put(ctx context.Context, list []NetworkStatus) error {
	changes := make([]tablestore.RowChange, len(list))
	for i, n := range list {
		key := deviceRowKey(n.Ref)
		key.AddPrimaryKeyColumn("time", n.Time)
		key.AddPrimaryKeyColumn("message_id", fmt.Sprintf("%s#%04d", n.MessageID, n.Index))
		var c columns
		c.add("model", n.Model)
		c.add("status", string(n.JSON))
		changes[i] = &tablestore.PutRowChange{TableName: tableNetworkStatus, PrimaryKey: key, Columns: c, Condition: always}
	}
	return firstError(x.client.write(ctx, changes))
}

func (x networkStatuses) List(ctx context.Context, ref iot.DeviceRef, from, to int64, limit int) ([]NetworkStatus, int64, error) {
	if from > to || limit <= 0 {
		return nil, 0, nil
	}
	page := NetworkPage{Limit: limit}
	err := x.client.scan(ctx, networkRange(ref, from, to, limit), func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		n := NetworkStatus{Ref: ref, Model: c.str("model"), JSON: json.RawMessage(c.str("status"))}
		n.Time, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		id, _ := row.PrimaryKey.PrimaryKeys[2].Value.(string)
		n.MessageID, n.Index = splitIndex(id)
		return page.Add(n)
	})
	return page.List, page.Next, err
}

func splitIndex(id string) (string, int) {
	if len(id) < 5 || id[len(id)-5] != '#' {
		return id, 0
	}
	n := 0
	for _, c := range []byte(id[len(id)-4:]) {
		n = n*10 + int(c-'0')
	}
	return id[:len(id)-5], n
}

func networkRange(ref iot.DeviceRef, from, to int64, limit int) tablestore.RangeRowQueryCriteria {
	newest, oldest := deviceRowKey(ref), deviceRowKey(ref)
	newest.AddPrimaryKeyColumn("time", min(to, math.MaxInt64-1))
	newest.AddPrimaryKeyColumnWithMaxValue("message_id")
	oldest.AddPrimaryKeyColumn("time", from)
	oldest.AddPrimaryKeyColumnWithMinValue("message_id")
	return tablestore.RangeRowQueryCriteria{
		TableName: tableNetworkStatus, StartPrimaryKey: newest, EndPrimaryKey: oldest, Direction: tablestore.BACKWARD, Limit: int32(min(limit+1, 5000)),
	}
}

// A NetworkPage collects one answer of NetworkStatuses.List in its order, as a HistoryPage does.
type NetworkPage struct {
	Limit int
	List  []NetworkStatus
	Next  int64 // the to of the next page; 0 if there is none
}

// Add takes the next entry and reports whether the page wants another.
func (p *NetworkPage) Add(n NetworkStatus) bool {
	have := len(p.List)
	if have < p.Limit || n.Time == p.List[0].Time {
		p.List = append(p.List, n)
		return true
	}
	for have > 0 && p.List[have-1].Time == n.Time {
		have--
	}
	p.List, p.Next = p.List[:have], n.Time
	return false
}
