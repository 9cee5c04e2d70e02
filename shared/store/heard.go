package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// hearRounds bounds how often rows are read again because others make or write them at the same time.
const hearRounds = 3

// LastActive is when the device last connected, or was last heard of without a connection, whichever was later; 0 if never.
func (s *Session) LastActive() int64 { return max(s.OnlineAt, s.HeardAt) }

// LastAddr is the address that the device had then.
func (s *Session) LastAddr() string {
	if s.HeardAt > s.OnlineAt {
		return s.HeardFrom
	}
	return s.RemoteAddr
}

// NextHeard is the session that a hearing makes of the one before, nil if there was none. It is nil if the hearing changes nothing.
func NextHeard(h *Hearing, before *Session) *Session {
	switch {
	case before == nil && !h.Login, before != nil && before.HeardAt > h.At:
		return nil
	case before == nil:
		before = &Session{Ref: h.Ref, ActiveAt: h.At}
	}
	next := *before
	if next.HeardSince == 0 || next.HeardUntil < h.At {
		next.HeardSince = h.At
	}
	next.HeardAt, next.HeardUntil, next.HeardOver, next.HeardFrom = h.At, max(next.HeardUntil, h.Until), h.Over, h.From
	if h.SecretSerial != 0 {
		next.SecretSerial = h.SecretSerial
	}
	return &next
}

func (s sessions) Hear(ctx context.Context, heard []Hearing) []error {
	errs := make([]error, len(heard))
	// A device's second hearing waits until its first is noted, and so on.
	seen := make(map[iot.DeviceRef]int, len(heard))
	var waves [][]int
	for i := range heard {
		n := seen[heard[i].Ref]
		seen[heard[i].Ref] = n + 1
		if n == len(waves) {
			waves = append(waves, nil)
		}
		waves[n] = append(waves[n], i)
	}
	for _, wave := range waves {
		for range hearRounds {
			if wave = s.hearRound(ctx, heard, wave, errs); len(wave) == 0 {
				break
			}
		}
		for _, i := range wave {
			errs[i] = iot.Errorf(iot.Throttled, "device %s is heard of in several places at once", heard[i].Ref)
		}
	}
	return errs
}

// hearRound notes hearings of different devices, and answers those that have to be tried again.
func (s sessions) hearRound(ctx context.Context, heard []Hearing, open []int, errs []error) (again []int) {
	keys := make([]*tablestore.PrimaryKey, len(open))
	for j, i := range open {
		keys[j] = deviceRowKey(heard[i].Ref)
	}
	rows, err := s.client.getMany(ctx, tableSession, keys)
	if err != nil {
		for _, i := range open {
			errs[i] = err
		}
		return nil
	}
	var changes []tablestore.RowChange
	var written []int
	for j, i := range open {
		before := readSession(heard[i].Ref, rows[j])
		if next := NextHeard(&heard[i], before); next != nil {
			changes, written = append(changes, heardChange(keys[j], before, next)), append(written, i)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	for k, err := range s.client.write(ctx, changes) {
		if conflict(err) {
			again = append(again, written[k])
			continue
		}
		errs[written[k]] = err
	}
	return again
}

// heardChange puts the first row of a device, and otherwise writes what was heard of it and nothing else, unless somebody else heard of it
// meanwhile, or the device was deleted.
func heardChange(key *tablestore.PrimaryKey, before, next *Session) tablestore.RowChange {
	var c columns
	c.add("heard_at", next.HeardAt)
	c.add("heard_since", next.HeardSince)
	c.add("heard_until", next.HeardUntil)
	c.add("heard_over", next.HeardOver)
	c.add("heard_from", next.HeardFrom)
	if next.SecretSerial != 0 {
		c.add("secret_serial", next.SecretSerial)
	}
	if before == nil {
		c.add("node", "")
		c.add("epoch", int64(0))
		c.add("active_at", next.ActiveAt)
		return &tablestore.PutRowChange{TableName: tableSession, PrimaryKey: key, Columns: c, Condition: ifMissing}
	}
	same := tablestore.NewSingleColumnCondition("heard_at", tablestore.CT_EQUAL, before.HeardAt)
	same.FilterIfMissing = before.HeardAt != 0 // a row of MQTT alone does not have the column
	same.LatestVersionOnly = true
	change := &tablestore.UpdateRowChange{TableName: tableSession, PrimaryKey: key, Condition: &tablestore.RowCondition{
		RowExistenceExpectation: tablestore.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: same,
	}}
	for _, column := range c {
		change.PutColumn(column.ColumnName, column.Value)
	}
	return change
}
