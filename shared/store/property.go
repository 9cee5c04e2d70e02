package store

import (
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const (
	tableLatest  = "property_latest"  // key: device
	tableHistory = "property_history" // key: device, time, message_id
)

// In property_latest a property is a column whose cell carries the value's own time as its version. The table keeps one
// version, which is the greatest: so the newest value wins by itself, without a read or a condition before the write, and in
// whatever order and how often posts arrive.
//
// In property_history a row is what one message said for one time. The message is part of the key: a device that posts twice
// in one millisecond loses nothing, and a message that is stored again finds its own row.

type properties struct{ client *client }

// Columns of properties. A column's name must begin with a letter and have letters, digits and underscores only, so that
//
//	temperature        is column p_temperature
//	climate:humidity   is column m_07_climate_humidity: the length of the block's identifier tells where it ends
const (
	columnPlain  = "p_"
	columnModule = "m_"
)

// Bounds of one column name (Tablestore, "Limits") and of a block's identifier, whose length has two digits here.
const (
	maxColumn = 255
	maxBlock  = 99
)

// validIdentifier reports whether a property can have a column.
func validIdentifier(id string) bool {
	if len(id) == 0 || len(id) > maxColumn-8 {
		return false
	}
	colon := false
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_':
		case c == ':' && !colon && i > 0 && i <= maxBlock && i < len(id)-1:
			colon = true
		default:
			return false
		}
	}
	return true
}

// columnOf is the column of a valid identifier.
func columnOf(id string) string {
	block, rest, inModule := strings.Cut(id, ":")
	if !inModule {
		return columnPlain + id
	}
	return columnModule + string([]byte{byte('0' + len(block)/10), byte('0' + len(block)%10)}) + "_" + block + "_" + rest
}

// identifierOf is the property of a column, empty if it is none.
func identifierOf(column string) string {
	if id, ok := strings.CutPrefix(column, columnPlain); ok {
		return id
	}
	rest, ok := strings.CutPrefix(column, columnModule)
	if !ok || len(rest) < 4 {
		return ""
	}
	n := int(rest[0]-'0')*10 + int(rest[1]-'0')
	rest = rest[3:]
	if n <= 0 || n > maxBlock || n+1 >= len(rest) {
		return ""
	}
	return rest[:n] + ":" + rest[n+1:]
}

func (p properties) Latest(ctx context.Context, ref iot.DeviceRef) ([]Value, error) {
	row, err := p.client.get(ctx, tableLatest, deviceRowKey(ref))
	if err != nil {
		return nil, err
	}
	values := make([]Value, 0, len(row))
	for _, col := range row {
		if id := identifierOf(col.ColumnName); id != "" {
			values = append(values, Value{Identifier: id, Time: col.Timestamp, JSON: cellJSON(col.Value)})
		}
	}
	return values, nil
}

func cellJSON(v any) json.RawMessage {
	switch v := v.(type) {
	case string:
		return json.RawMessage(v)
	case []byte:
		return v
	}
	return nil
}

// span is a range of times, both ends included.
type span struct{ from, to int64 }

// historyRange covers a device's history, all of it or what lies in times, oldest first.
func historyRange(ref iot.DeviceRef, times *span) tablestore.RangeRowQueryCriteria {
	start, end := deviceRowKey(ref), deviceRowKey(ref)
	if times == nil {
		start.AddPrimaryKeyColumnWithMinValue("time")
		end.AddPrimaryKeyColumnWithMaxValue("time")
	} else {
		start.AddPrimaryKeyColumn("time", times.from)
		end.AddPrimaryKeyColumn("time", times.to)
	}
	start.AddPrimaryKeyColumnWithMinValue("message_id")
	end.AddPrimaryKeyColumnWithMaxValue("message_id")
	return tablestore.RangeRowQueryCriteria{TableName: tableHistory, StartPrimaryKey: start, EndPrimaryKey: end}
}

func (p properties) History(ctx context.Context, ref iot.DeviceRef, identifier string, from, to int64, ascending bool, limit int) ([]Value, int64, error) {
	if from > to || limit <= 0 || !validIdentifier(identifier) {
		return nil, 0, nil
	}
	q := historyRange(ref, &span{from, min(to, math.MaxInt64-1)})
	if !ascending {
		q.StartPrimaryKey, q.EndPrimaryKey = q.EndPrimaryKey, q.StartPrimaryKey
		q.Direction = tablestore.BACKWARD
	}
	column := columnOf(identifier)
	q.ColumnsToGet = []string{column}
	q.Limit = int32(min(limit+1, 5000))
	page := ValuePage(limit)
	err := p.client.scan(ctx, q, func(row *tablestore.Row) bool {
		raw := newCells(row.Columns).value(column)
		if raw == nil {
			return true
		}
		at, _ := row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		return page.Add(Value{Identifier: identifier, Time: at, JSON: cellJSON(raw)})
	})
	if err != nil {
		return nil, 0, err
	}
	return page.Items, page.Next, nil
}
