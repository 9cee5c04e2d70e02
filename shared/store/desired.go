package store

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Desired is what somebody wants a property to be. Its version grows with every change and outlives the value.
type Desired struct {
	Identifier string          `json:"-"` // module:identifier for one of a custom module
	Version    int64           `json:"version"`
	Time       int64           `json:"time"`
	Value      json.RawMessage `json:"value,omitempty"` // nil: cleared
}

// DesiredProperties is the table `desired`, one row per device.
type DesiredProperties interface {
	// Get answers all of a device's properties that ever had a desired value, in no order, and the row's revision, 0 if there is none.
	Get(ctx context.Context, ref iot.DeviceRef) (list []Desired, revision int64, err error)
	// Update writes some of them; the others stay. Conflict if the revision is not the row's any more.
	Update(ctx context.Context, ref iot.DeviceRef, revision int64, list []Desired) error
}

// A row of desired has a column per property, named as in property_latest, that holds a Desired as JSON, and the columns revision and
// claim, which make Update conditional and safe to repeat.
const tableDesired = "desired" // key: device

// DesiredProperties is the table `desired`.
func (s *Store) DesiredProperties() DesiredProperties { return desired{s.client} }

type desired struct{ client *client }

func (d desired) Get(ctx context.Context, ref iot.DeviceRef) ([]Desired, int64, error) {
	row, err := d.client.get(ctx, tableDesired, deviceRowKey(ref))
	if err != nil {
		return nil, 0, err
	}
	var list []Desired
	for _, col := range row {
		id := identifierOf(col.ColumnName)
		if id == "" {
			continue
		}
		v := Desired{Identifier: id}
		if err := json.Unmarshal(cellJSON(col.Value), &v); err != nil {
			return nil, 0, iot.Wrap(iot.Internal, err, "a stored desired value is broken")
		}
		list = append(list, v)
	}
	return list, row.int("revision"), nil
}

func (d desired) Update(ctx context.Context, ref iot.DeviceRef, revision int64, list []Desired) error {
	mine := claim()
	change := &tablestore.UpdateRowChange{TableName: tableDesired, PrimaryKey: deviceRowKey(ref), Condition: ifMissing}
	if revision > 0 {
		change.Condition = ifColumn("revision", tablestore.CT_EQUAL, revision)
	}
	change.PutColumn("revision", revision+1)
	change.PutColumn("claim", mine)
	for i := range list {
		v := &list[i]
		if !validIdentifier(v.Identifier) {
			return iot.Errorf(iot.InvalidParams, "a property's identifier cannot be stored")
		}
		var text strings.Builder
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false) // values stay as they were written
		if err := enc.Encode(v); err != nil {
			return iot.Wrap(iot.InvalidParams, err, "a desired value is not JSON")
		}
		change.PutColumn(columnOf(v.Identifier), text.String())
	}
	err := d.client.update(ctx, change)
	if !conflict(err) {
		return err
	}
	row, err := d.client.get(ctx, tableDesired, deviceRowKey(ref), "claim")
	if err == nil && row.int("claim") != mine {
		err = iot.Errorf(iot.Conflict, "the desired values of %s were changed meanwhile", ref)
	}
	return err
}
