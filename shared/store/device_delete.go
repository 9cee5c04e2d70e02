package store

import (
	"context"
	"math"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// Delete first marks the device's row, from when on nobody finds the device, then deletes all that belongs to it, and the row
// last: a deletion that broke off is finished by the next one, or by the next Create of the same device.
func (d devices) Delete(ctx context.Context, ref iot.DeviceRef) error {
	c := d.s.client
	mark := &tablestore.UpdateRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(ref), Condition: ifExists}
	mark.PutColumn("deleted", true)
	err := c.update(ctx, mark)
	if err != nil && !conflict(err) {
		return err
	}
	row, err := c.get(ctx, tableDevice, deviceRowKey(ref))
	if err != nil {
		return err
	}
	if row != nil {
		if err := d.dropIndex(ctx, ref, iot.IotID(row.str("iot_id")), row.int("created_at")); err != nil {
			return err
		}
	}
	for _, history := range []tablestore.RangeRowQueryCriteria{
		historyRange(ref, nil), eventRange(ref, nil), callRange(ref, nil), networkRange(ref, math.MinInt64, math.MaxInt64, maxWriteRows), queueRange(ref, 0),
		ofFirst(tableFile, "device", deviceKey(ref), "name"), ofFirst(tableUpload, "device", deviceKey(ref), "upload"),
		ofFirst(tableVersion, "device", deviceKey(ref), "module"), discoveryRange(ref),
	} {
		if err := d.dropHistory(ctx, history); err != nil {
			return err
		}
	}
	if err := d.dropInfo(ctx, ref); err != nil {
		return err
	}
	if err := d.dropTasks(ctx, ref); err != nil {
		return err
	}
	if err := (topologies{c}).forget(ctx, ref); err != nil {
		return err
	}
	err = firstError(c.write(ctx, []tablestore.RowChange{
		&tablestore.DeleteRowChange{TableName: tableSession, PrimaryKey: deviceRowKey(ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableLatest, PrimaryKey: deviceRowKey(ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableDesired, PrimaryKey: deviceRowKey(ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableShadow, PrimaryKey: deviceRowKey(ref), Condition: always},
		&tablestore.DeleteRowChange{TableName: tableUsage, PrimaryKey: deviceRowKey(ref), Condition: always},
	}))
	if err != nil || row == nil {
		return err
	}
	return c.delete(ctx, &tablestore.DeleteRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(ref), Condition: always})
}

// dropInfo deletes what a device has said of itself, with the index of its tags.
func (d devices) dropInfo(ctx context.Context, ref iot.DeviceRef) error {
	infos := deviceInfos(d)
	info, err := infos.Get(ctx, ref)
	if err != nil {
		return err
	}
	if err := infos.unindexTags(ctx, ref, info.Tags); err != nil {
		return err
	}
	return d.s.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableDeviceInfo, PrimaryKey: deviceRowKey(ref), Condition: always})
}

// dropTasks deletes a device's tasks, the index by job first: a deletion that broke off finds the rest by the tasks.
func (d devices) dropTasks(ctx context.Context, ref iot.DeviceRef) error {
	tasks, err := jobs{d.s.client}.TasksOf(ctx, ref)
	if err != nil {
		return err
	}
	index, rows := make([]tablestore.RowChange, len(tasks)), make([]tablestore.RowChange, len(tasks))
	for i, t := range tasks {
		index[i] = &tablestore.DeleteRowChange{TableName: tableTaskByJob, PrimaryKey: byJobKey(t.JobID, t.ID), Condition: always}
		rows[i] = &tablestore.DeleteRowChange{TableName: tableTask, PrimaryKey: underDevice(ref, "task", t.ID), Condition: always}
	}
	if err := firstError(d.s.client.write(ctx, index)); err != nil {
		return err
	}
	return firstError(d.s.client.write(ctx, rows))
}

// dropHistory deletes one of a device's histories as it reads it, some thousand rows at a time.
func (d devices) dropHistory(ctx context.Context, history tablestore.RangeRowQueryCriteria) error {
	const batch = maxWriteRows * parallel
	changes := make([]tablestore.RowChange, 0, batch)
	var failed error
	flush := func() bool {
		failed = firstError(d.s.client.write(ctx, changes))
		changes = changes[:0]
		return failed == nil
	}
	err := d.s.client.scan(ctx, history, func(row *tablestore.Row) bool {
		changes = append(changes, &tablestore.DeleteRowChange{TableName: history.TableName, PrimaryKey: row.PrimaryKey, Condition: always})
		return len(changes) < batch || flush()
	})
	if err != nil {
		return err
	}
	if failed == nil && len(changes) > 0 {
		flush()
	}
	return failed
}
