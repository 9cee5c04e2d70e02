package store

import (
	"context"
	"encoding/json"
	"fmt"

	"relink/shared/iot"
)

// A Shadow is one row of the table `shadow`. What its members mean is in package shadow ("Device shadow" of the device protocol).
type Shadow struct {
	Ref       iot.DeviceRef
	Reported  json.RawMessage // object; nil if empty
	Desired   json.RawMessage // object; nil if empty
	Version   int64           // the one that callers give, which may go back to 0
	UpdatedAt int64           // Unix milliseconds

	// Times of the last change, in seconds: of each leaf, in the order in which they stand.
	ReportedAt []int64
	DesiredAt  []int64
	ClearedAt  int64 // of a desired section that was taken away

	// The last message of the device that changed the shadow, and which version it was answered: the same message again is answered
	// the same.
	MessageID      string
	MessageVersion int64

	Revision int64 // grows with every Put; 0 if there is no row
}

// Shadows is the table `shadow`.
type Shadows interface {
	Get(ctx context.Context, ref iot.DeviceRef) (*Shadow, error) // an empty one, without an error, if there is none
	// Put writes a shadow if nobody has since it was read, and counts its Revision up; Conflict otherwise.
	Put(ctx context.Context, s *Shadow) error
}

const tableShadow = "shadow" // key: device

type shadows struct{ client *client }

// Shadows is the table `shadow`.
func (s *Store) Shadows() Shadows { return shadows{s.client} }

func (x shadows) Get(ctx context.Context, ref iot.DeviceRef) (*Shadow, error) {
	row, err := x.client.get(ctx, tableShadow, deviceRowKey(ref))
	if err != nil {
		return nil, err
	}
	s := &Shadow{
		Ref: ref, Version: row.int("version"), UpdatedAt: row.int("updated_at"), ClearedAt: row.int("cleared_at"),
		MessageID: row.str("message_id"), MessageVersion: row.int("message_version"), Revision: row.int("revision"),
	}
	for _, section := range []struct {
		name  string
		state *json.RawMessage
		at    *[]int64
	}{{"reported", &s.Reported, &s.ReportedAt}, {"desired", &s.Desired, &s.DesiredAt}} {
		if text := row.str(section.name); text != "" {
			*section.state = json.RawMessage(text)
		}
		if err := readJSON(row.str(section.name+"_at"), section.at); err != nil {
			return nil, fmt.Errorf("shadow of %s: times of %s: %w", ref, section.name, err)
		}
	}
	return s, nil
}

func (x shadows) Put(ctx context.Context, s *Shadow) error {
	var c columns
	c.add("version", s.Version)
	c.add("updated_at", s.UpdatedAt)
	c.add("cleared_at", s.ClearedAt)
	c.add("message_id", s.MessageID)
	c.add("message_version", s.MessageVersion)
	for _, section := range []struct {
		name  string
		state json.RawMessage
		at    []int64
	}{{"reported", s.Reported, s.ReportedAt}, {"desired", s.Desired, s.DesiredAt}} {
		if len(section.state) == 0 {
			continue
		}
		at, err := json.Marshal(section.at)
		if err != nil {
			return fmt.Errorf("shadow of %s: %w", s.Ref, err)
		}
		c.add(section.name, string(section.state))
		c.add(section.name+"_at", string(at))
	}
	if err := x.client.putRevisioned(ctx, tableShadow, s.Ref, s.Revision, c); err != nil {
		return err
	}
	s.Revision++
	return nil
}
