package store

import (
	"context"
	"encoding/json"
	"fmt"

	"relink/shared/iot"
)

// A Tag is one key with its value.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// A DeviceInfo is one row of the table `device_info`: what a device says of itself, and what it is told about itself.
type DeviceInfo struct {
	Ref       iot.DeviceRef
	Tags      []Tag      // of users, in the order in which they came
	Facts     []Tag      // of the SDK: the tags of the domain SYSTEM
	LogUpload bool       // the device's log is taken
	LANPrefix string     // for control in the local network; empty until it is asked for
	LANSecret iot.Secret // likewise; encrypted at rest
	UpdatedAt int64      // Unix milliseconds
	Revision  int64      // grows with every Put; 0 if there is no row
}

// DeviceInfos is the tables `device_info` and `device_by_tag`.
type DeviceInfos interface {
	Get(ctx context.Context, ref iot.DeviceRef) (*DeviceInfo, error) // an empty one, without an error, if there is none
	// Put writes a row if nobody has since it was read, and counts its Revision up; Conflict otherwise. before is the tags that were
	// read, for the index.
	Put(ctx context.Context, d *DeviceInfo, before []Tag) error
	// Tagged names the devices that have, or once had, a tag: callers look at the tags themselves. An empty value stands for any.
	// It ends after limit devices.
	Tagged(ctx context.Context, tag Tag, limit int) ([]iot.DeviceRef, error)
}

const tableDeviceInfo = "device_info" // key: device

type deviceInfos struct{ s *Store }

// DeviceInfos is the tables `device_info` and `device_by_tag`.
func (s *Store) DeviceInfos() DeviceInfos { return deviceInfos{s} }

func (x deviceInfos) Get(ctx context.Context, ref iot.DeviceRef) (*DeviceInfo, error) {
	row, err := x.s.client.get(ctx, tableDeviceInfo, deviceRowKey(ref))
	if err != nil {
		return nil, err
	}
	d := &DeviceInfo{Ref: ref, LogUpload: row.bool("log_upload"), LANPrefix: row.str("lan_prefix"), UpdatedAt: row.int("updated_at"), Revision: row.int("revision")}
	if d.LANSecret, err = x.s.seal.open(row.bytes("lan_secret"), secretPlace(tableDeviceInfo, ref.String())); err != nil {
		return nil, err
	}
	if err := readJSON(row.str("tags"), &d.Tags); err != nil {
		return nil, fmt.Errorf("tags of %s: %w", ref, err)
	}
	if err := readJSON(row.str("facts"), &d.Facts); err != nil {
		return nil, fmt.Errorf("facts of %s: %w", ref, err)
	}
	return d, nil
}

// Put writes index rows of new tags before the row and deletes those of old ones after it: an index row too many does no harm.
func (x deviceInfos) Put(ctx context.Context, d *DeviceInfo, before []Tag) error {
	var c columns
	for _, list := range []struct {
		name string
		tags []Tag
	}{{"tags", d.Tags}, {"facts", d.Facts}} {
		text, err := json.Marshal(list.tags)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", list.name, d.Ref, err)
		}
		c.add(list.name, string(text))
	}
	c.add("log_upload", d.LogUpload)
	c.add("lan_prefix", d.LANPrefix)
	if sealed := x.s.seal.seal(d.LANSecret, secretPlace(tableDeviceInfo, d.Ref.String())); sealed != nil {
		c.add("lan_secret", sealed)
	}
	c.add("updated_at", d.UpdatedAt)
	if err := x.indexTags(ctx, d.Ref, missingTags(d.Tags, before)); err != nil {
		return err
	}
	if err := x.s.client.putRevisioned(ctx, tableDeviceInfo, d.Ref, d.Revision, c); err != nil {
		return err
	}
	d.Revision++
	return x.unindexTags(ctx, d.Ref, missingTags(before, d.Tags))
}

// missingTags are those of tags that others does not have.
func missingTags(tags, others []Tag) []Tag {
	has := make(map[Tag]bool, len(others))
	for _, t := range others {
		has[t] = true
	}
	var missing []Tag
	for _, t := range tags {
		if !has[t] {
			missing = append(missing, t)
		}
	}
	return missing
}
