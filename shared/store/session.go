package store

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/device"
	"relink/shared/iot"
)

const tableSession = "session" // key: device

// takeRounds bounds how often a session is read again because others take it at the same time.
const takeRounds = 6

type sessions struct{ client *client }

func (s sessions) Get(ctx context.Context, ref iot.DeviceRef) (*Session, error) {
	row, err := s.client.get(ctx, tableSession, deviceRowKey(ref))
	if err != nil {
		return nil, err
	}
	return readSession(ref, row), nil
}

func (s sessions) GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*Session, error) {
	keys, place := distinctKeys(refs)
	rows, err := s.client.getMany(ctx, tableSession, keys)
	if err != nil {
		return nil, err
	}
	list := make([]*Session, len(refs))
	for i, ref := range refs {
		list[i] = readSession(ref, rows[place[i]])
	}
	return list, nil
}

func readSession(ref iot.DeviceRef, row cells) *Session {
	if row == nil {
		return nil
	}
	return &Session{
		Ref: ref, Node: row.str("node"), Epoch: row.int("epoch"), Gateway: readRef(row, "gateway"), ExtRRPC: row.bool("ext_rrpc"), RemoteAddr: row.str("remote_addr"), Client: row.str("client"),
		ActiveAt: row.int("active_at"), OnlineAt: row.int("online_at"), OfflineAt: row.int("offline_at"),
		PrevNode: row.str("prev_node"), PrevEpoch: row.int("prev_epoch"), Logins: row.int("logins"), LoginsFrom: row.int("logins_from"),
		Persistent: row.bool("persistent"), Expiry: row.int("expiry"), Since: row.int("since"), QueueFrom: row.int("queue_from"),
		SecretSerial: row.int("secret_serial"), Flaps: int(row.int("flaps")), FlapSince: row.int("flap_since"),
		Subscribed: readList[device.Subscription](row, "subscribed"), Muted: readList[string](row, "muted"),
		HeardAt: row.int("heard_at"), HeardSince: row.int("heard_since"), HeardUntil: row.int("heard_until"), HeardOver: row.str("heard_over"), HeardFrom: row.str("heard_from"),
	}
}

// readList reads a column of JSON. What cannot be read counts as empty: the device subscribes again.
func readList[T any](row cells, name string) []T {
	var list []T
	if text := row.str(name); text != "" && json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	return list
}

// NextSession is the session that a take makes of the one before, nil if there was none. The epoch is the clock's where that
// is greater, so that it keeps growing over a device that was deleted and registered again.
func NextSession(t *Take, before *Session) *Session {
	next := &Session{Ref: t.Ref, Node: t.Node, Epoch: t.At, Gateway: t.Gateway, ExtRRPC: t.ExtRRPC, RemoteAddr: t.RemoteAddr, ActiveAt: t.At, OnlineAt: t.At, SecretSerial: t.SecretSerial, Client: t.Client}
	next.countLogin(before)
	if before != nil {
		next.Epoch = max(t.At, before.Epoch+1)
		next.ActiveAt = before.ActiveAt
		next.Subscribed, next.Muted = before.Subscribed, before.Muted
		next.HeardAt, next.HeardSince, next.HeardUntil, next.HeardOver, next.HeardFrom = before.HeardAt, before.HeardSince, before.HeardUntil, before.HeardOver, before.HeardFrom
		if next.SecretSerial == 0 {
			next.SecretSerial = before.SecretSerial
		}
		next.countFlap(t, before)
		switch before.Node {
		case "": // it ended in order
		case t.Node: // the same node takes it again, perhaps for the same login
			next.PrevNode, next.PrevEpoch = before.PrevNode, before.PrevEpoch
		default:
			next.PrevNode, next.PrevEpoch = before.Node, before.Epoch
		}
	}
	next.keep(t, before)
	return next
}

// LoginWindow is the time, in milliseconds, within which the logins of a sub-device are counted together.
const LoginWindow = 60_000

// RecentLogins is how many logins over gateways there have been in the minute before at. One at that very time is not counted: it is
// this login, asked for again because the first answer was lost.
func (s *Session) RecentLogins(at int64) int64 {
	switch {
	case s == nil || at < s.LoginsFrom || at-s.LoginsFrom >= LoginWindow:
		return 0
	case s.OnlineAt == at && !s.Gateway.IsZero():
		return s.Logins - 1
	}
	return s.Logins
}

// countLogin sets Logins and LoginsFrom of a session over a gateway.
func (s *Session) countLogin(before *Session) {
	if s.Gateway.IsZero() {
		return
	}
	s.Logins, s.LoginsFrom = before.RecentLogins(s.OnlineAt)+1, s.OnlineAt
	if s.Logins > 1 {
		s.LoginsFrom = before.LoginsFrom
	}
}

// FlapWindow is the time in which takeovers from different addresses are counted together.
const FlapWindow = int64(time.Minute / time.Millisecond)

// countFlap counts a takeover of a live session by somebody at another address.
func (s *Session) countFlap(t *Take, before *Session) {
	s.Flaps, s.FlapSince = before.Flaps, before.FlapSince
	if t.At-s.FlapSince > FlapWindow {
		s.Flaps, s.FlapSince = 0, 0
	}
	if before.Node == "" || hostOf(before.RemoteAddr) == hostOf(t.RemoteAddr) {
		return
	}
	if s.Flaps++; s.Flaps == 1 {
		s.FlapSince = t.At
	}
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// taking is one take under way.
type taking struct {
	index  int
	claim  int64
	now    *Session // as it was last tried to write
	before *Session // as it was when that was tried
}

func (s sessions) Take(ctx context.Context, takes []Take) (now, before []*Session, errs []error) {
	now, before, errs = make([]*Session, len(takes)), make([]*Session, len(takes)), make([]error, len(takes))
	// A device's second take waits until its first is done, and so on.
	seen := make(map[iot.DeviceRef]int, len(takes))
	var waves [][]taking
	for i := range takes {
		n := seen[takes[i].Ref]
		seen[takes[i].Ref] = n + 1
		if n == len(waves) {
			waves = append(waves, make([]taking, 0, len(takes)))
		}
		waves[n] = append(waves[n], taking{index: i, claim: claim()})
	}
	for _, wave := range waves {
		s.takeWave(ctx, takes, wave, errs)
		for i := range wave {
			if t := &wave[i]; errs[t.index] == nil {
				now[t.index], before[t.index] = t.now, t.before
			}
		}
	}
	return now, before, errs
}

// takeWave takes sessions of different devices: it reads, writes on the condition that nothing changed, and goes over those
// again for which something did.
func (s sessions) takeWave(ctx context.Context, takes []Take, wave []taking, errs []error) {
	open := make([]*taking, len(wave))
	for i := range wave {
		open[i] = &wave[i]
	}
	for range takeRounds {
		open = s.takeRound(ctx, takes, open, errs)
		if len(open) == 0 {
			return
		}
	}
	for _, t := range open {
		errs[t.index] = iot.Errorf(iot.Throttled, "device %s is connecting from several places at once", takes[t.index].Ref)
	}
}

// takeRound answers the takes that have to be tried again.
func (s sessions) takeRound(ctx context.Context, takes []Take, open []*taking, errs []error) []*taking {
	keys := make([]*tablestore.PrimaryKey, len(open))
	for i, t := range open {
		keys[i] = deviceRowKey(takes[t.index].Ref)
	}
	rows, err := s.client.getMany(ctx, tableSession, keys)
	if err != nil {
		for _, t := range open {
			errs[t.index] = err
		}
		return nil
	}
	changes := make([]tablestore.RowChange, 0, len(open))
	written := make([]*taking, 0, len(open))
	for i, t := range open {
		if rows[i] != nil && t.now != nil && rows[i].int("claim") == t.claim {
			errs[t.index] = nil // the write that seemed to fail was done; its answer was lost
			continue
		}
		take := &takes[t.index]
		t.before = readSession(take.Ref, rows[i])
		t.now = NextSession(take, t.before)
		changes = append(changes, sessionChange(keys[i], t))
		written = append(written, t)
	}
	again := open[:0]
	for i, err := range s.client.write(ctx, changes) {
		t := written[i]
		if conflict(err) {
			again = append(again, t)
			continue
		}
		errs[t.index] = err
	}
	return again
}

// sessionChange puts the first session of a device, and updates the row of a later one: what the device has subscribed stays as
// it is, whoever writes it meanwhile.
func sessionChange(key *tablestore.PrimaryKey, t *taking) tablestore.RowChange {
	var c columns
	c.add("node", t.now.Node)
	c.add("epoch", t.now.Epoch)
	c.add("ext_rrpc", t.now.ExtRRPC)
	c.add("remote_addr", t.now.RemoteAddr)
	c.add("client", t.now.Client)
	c.add("active_at", t.now.ActiveAt)
	c.add("online_at", t.now.OnlineAt)
	c.add("persistent", t.now.Persistent)
	c.add("expiry", t.now.Expiry)
	c.add("since", t.now.Since)
	c.add("queue_from", t.now.QueueFrom)
	if !t.now.Gateway.IsZero() {
		c.add("gateway_product_key", string(t.now.Gateway.ProductKey))
		c.add("gateway_device_name", string(t.now.Gateway.DeviceName))
		c.add("logins", t.now.Logins)
		c.add("logins_from", t.now.LoginsFrom)
	}
	if t.now.PrevNode != "" {
		c.add("prev_node", t.now.PrevNode)
		c.add("prev_epoch", t.now.PrevEpoch)
	}
	if t.now.SecretSerial != 0 {
		c.add("secret_serial", t.now.SecretSerial)
	}
	if t.now.Flaps != 0 {
		c.add("flaps", int64(t.now.Flaps))
		c.add("flap_since", t.now.FlapSince)
	}
	c.add("claim", t.claim)
	if t.before == nil {
		return &tablestore.PutRowChange{TableName: tableSession, PrimaryKey: key, Columns: c, Condition: ifMissing}
	}
	change := &tablestore.UpdateRowChange{
		TableName: tableSession, PrimaryKey: key, Condition: ifColumn("epoch", tablestore.CT_EQUAL, t.before.Epoch),
	}
	for _, column := range c {
		change.PutColumn(column.ColumnName, column.Value)
	}
	if t.now.PrevNode == "" {
		change.DeleteColumn("prev_node")
		change.DeleteColumn("prev_epoch")
	}
	if t.now.Gateway.IsZero() && !t.before.Gateway.IsZero() {
		change.DeleteColumn("gateway_product_key")
		change.DeleteColumn("gateway_device_name")
		change.DeleteColumn("logins")
		change.DeleteColumn("logins_from")
	}
	if t.now.Flaps == 0 && t.before.Flaps != 0 {
		change.DeleteColumn("flaps")
		change.DeleteColumn("flap_since")
	}
	change.DeleteColumn("offline_at")
	return change
}

func (s sessions) Subscribe(ctx context.Context, refs []iot.DeviceRef, subs []device.Subscriptions) []error {
	changes := make([]tablestore.RowChange, len(refs))
	for i, ref := range refs {
		subscribed, err1 := json.Marshal(subs[i].Subscribed)
		muted, err2 := json.Marshal(subs[i].Muted)
		if err := errors.Join(err1, err2); err != nil {
			return slices.Repeat([]error{err}, len(refs)) // strings and numbers: it cannot fail
		}
		change := &tablestore.UpdateRowChange{
			TableName: tableSession, PrimaryKey: deviceRowKey(ref), Condition: ifColumn("epoch", tablestore.CT_EQUAL, subs[i].Epoch),
		}
		change.PutColumn("subscribed", string(subscribed))
		change.PutColumn("muted", string(muted))
		changes[i] = change
	}
	errs := s.client.write(ctx, changes)
	for i, err := range errs {
		if conflict(err) {
			errs[i] = iot.Errorf(iot.Conflict, "a newer session holds device %s", refs[i])
		}
	}
	return errs
}

func (s sessions) End(ctx context.Context, refs []iot.DeviceRef, epochs []int64, at []int64) []error {
	// Of a device that is named twice the greatest epoch decides; it covers the smaller ones.
	last := make(map[iot.DeviceRef]int, len(refs))
	for i, ref := range refs {
		if j, ok := last[ref]; !ok || epochs[i] >= epochs[j] {
			last[ref] = i
		}
	}
	changes := make([]tablestore.RowChange, 0, len(last))
	place := make(map[iot.DeviceRef]int, len(last))
	for i, ref := range refs {
		if last[ref] != i {
			continue
		}
		change := &tablestore.UpdateRowChange{
			TableName: tableSession, PrimaryKey: deviceRowKey(ref), Condition: ifColumn("epoch", tablestore.CT_LESS_EQUAL, epochs[i]),
		}
		change.PutColumn("node", "")
		change.PutColumn("offline_at", at[i])
		place[ref] = len(changes)
		changes = append(changes, change)
	}
	done := s.client.write(ctx, changes)
	errs := make([]error, len(refs))
	for i, ref := range refs {
		// A newer session, or none at all: there is nothing to end.
		if err := done[place[ref]]; !conflict(err) {
			errs[i] = err
		}
	}
	return errs
}
