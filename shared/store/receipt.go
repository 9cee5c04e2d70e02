package store

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Receipt says in which packet a message came: its packet id, and a sum over all that makes it this one and no other (package
// redelivery). The zero value is none: QoS 0, or a protocol without packet ids.
type Receipt struct {
	PacketID uint16
	Sum      uint64
}

// A Received is a message of a device as it came first.
type Received struct {
	Ref iot.DeviceRef
	Receipt
	MessageID  string
	ReceivedAt int64
}

// Receipts is a part of the table `property_latest`: for each device the last messages that came with QoS 1, so that one that comes once
// more is recognized. Properties.Post keeps the receipts of posts by itself, and Properties.Repeated finds them.
type Receipts interface {
	// Note keeps what came. Errs are per item; it is not looked what was there before.
	Note(ctx context.Context, list []Received) (errs []error)
	// Find answers, for each of list, the message that was noted for its device with the same receipt; its MessageID is empty if there
	// is none any more.
	Find(ctx context.Context, list []Received) ([]Received, error)
}

// In property_latest a receipt is a column r_00 … r_19 by the packet id: Link SDK C 3.x has up to 20 messages in flight, other firmware
// fewer, and their ids follow each other. The cell's version is when the message came: the later one wins, and one that is written again
// changes nothing.
//
//	2 bytes packet id | 8 bytes sum | 0 and 8 bytes message id, or the message id as text if it is no number; integers are big-endian
const (
	receiptSlots = 20
	receiptHead  = 10
)

var receiptColumns = func() (names [receiptSlots]string) {
	for i := range names {
		names[i] = "r_" + strconv.Itoa(i/10) + strconv.Itoa(i%10)
	}
	return names
}()

// Receipts is the part of `property_latest` that tells which messages came.
func (s *Store) Receipts() Receipts { return receipts{s.client} }

type receipts struct{ client *client }

func (r *Receipt) slot() int { return int(r.PacketID) % receiptSlots }

func appendReceipt(dst []byte, r Receipt, messageID string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, r.PacketID)
	dst = binary.BigEndian.AppendUint64(dst, r.Sum)
	if n, err := strconv.ParseUint(messageID, 10, 64); err == nil && messageID[0] != '0' && messageID[0] != '+' {
		return binary.BigEndian.AppendUint64(append(dst, 0), n)
	}
	return append(dst, messageID...)
}

func messageOfReceipt(rest []byte) string {
	if len(rest) == 9 && rest[0] == 0 {
		return strconv.FormatUint(binary.BigEndian.Uint64(rest[1:]), 10)
	}
	return string(rest)
}

// A post's receipt stands in the row of history that has the time of its arrival, which is written anyway: as one number, because the
// message id is in the row's key. So it costs least where most posts are. A post whose values all have times of their own has no such
// row, and may be anywhere in the history: its receipt stands in property_latest.

// columnReceipt is the column of property_history with a receipt's mark.
const columnReceipt = "r"

// mark is the receipt as one number.
func (r *Receipt) mark() int64 { return int64(r.Sum ^ uint64(r.PacketID)*0x9e3779b97f4a7c15) }

// arrived reports whether the post has a row of history at the time of its arrival.
func (p *Post) arrived() bool { return hasTime(p.Values, p.ReceivedAt) }

// Bounds of the search for a post that is repeated: what a device may have in flight is among the last rows. Clocks of connectors may differ.
const (
	repeatedRows = 1000
	repeatedSlip = 5 * 60_000 // milliseconds
)

// Repeated looks into the last rows of history first: there most posts are.
func (p properties) Repeated(ctx context.Context, list []Received) ([]Received, error) {
	found := make([]Received, len(list))
	errs := make([]error, len(list))
	each(len(list), func(i int) { found[i], errs[i] = p.repeated(ctx, &list[i]) })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var rest []Received
	var place []int
	for i := range found {
		if found[i].MessageID == "" {
			rest, place = append(rest, list[i]), append(place, i)
		}
	}
	if len(rest) == 0 {
		return found, nil
	}
	others, err := receipts(p).Find(ctx, rest)
	if err != nil {
		return nil, err
	}
	for j, i := range place {
		found[i] = others[j]
	}
	return found, nil
}

func (p properties) repeated(ctx context.Context, what *Received) (found Received, err error) {
	q := historyRange(what.Ref, &span{0, what.ReceivedAt + repeatedSlip})
	q.StartPrimaryKey, q.EndPrimaryKey = q.EndPrimaryKey, q.StartPrimaryKey
	q.Direction = tablestore.BACKWARD
	q.ColumnsToGet = []string{columnReceipt}
	q.Limit = repeatedRows
	mark, rows := what.mark(), 0
	err = p.client.scan(ctx, q, func(row *tablestore.Row) bool {
		if v, ok := newCells(row.Columns).value(columnReceipt).(int64); ok && v == mark {
			found = Received{Ref: what.Ref, Receipt: what.Receipt}
			found.ReceivedAt, _ = row.PrimaryKey.PrimaryKeys[1].Value.(int64)
			found.MessageID, _ = row.PrimaryKey.PrimaryKeys[2].Value.(string)
			return false
		}
		rows++
		return rows < repeatedRows
	})
	return found, err
}

// receiptCells appends the receipts of one device's posts to its row, of those that have no row of history at the time of their arrival; of
// two in one slot the later counts. The index of the first is given.
func (w *posting) receiptCells(posts []Post, errs []error, first int32) {
	var last [receiptSlots]int32 // index + 1
	any := false
	for i := first; i >= 0; i = w.next[i] {
		if p := &posts[i]; p.PacketID != 0 && errs[i] == nil && !p.HistoryOnly && !p.arrived() {
			last[p.slot()] = i + 1
			any = true
		}
	}
	if !any {
		return
	}
	for slot, i := range last {
		if i > 0 {
			p := &posts[i-1]
			w.enc.cell("", receiptColumns[slot])
			w.cell = appendReceipt(w.cell[:0], p.Receipt, p.MessageID)
			w.enc.blobAt(w.cell, max(p.ReceivedAt, 1))
		}
	}
}

func (s receipts) Note(ctx context.Context, list []Received) []error {
	changes := make([]tablestore.RowChange, 0, len(list))
	byDevice := make(map[iot.DeviceRef]int, len(list))
	place := make([]int, len(list))
	slots := make(map[int]map[int]int, len(list)) // change → slot → item: a column is written once
	for i := range list {
		at, known := byDevice[list[i].Ref]
		if !known {
			at = len(changes)
			byDevice[list[i].Ref] = at
			changes = append(changes, &tablestore.UpdateRowChange{TableName: tableLatest, PrimaryKey: deviceRowKey(list[i].Ref), Condition: always})
			slots[at] = make(map[int]int, 1)
		}
		place[i] = at
		slots[at][list[i].slot()] = i
	}
	for at, items := range slots {
		change := changes[at].(*tablestore.UpdateRowChange)
		for slot, i := range items {
			change.PutColumnWithTimestamp(receiptColumns[slot], appendReceipt(nil, list[i].Receipt, list[i].MessageID), max(list[i].ReceivedAt, 1))
		}
	}
	written := s.client.write(ctx, changes)
	errs := make([]error, len(list))
	for i, at := range place {
		errs[i] = written[at]
	}
	return errs
}

func (s receipts) Find(ctx context.Context, list []Received) ([]Received, error) {
	refs := make([]iot.DeviceRef, len(list))
	for i := range list {
		refs[i] = list[i].Ref
	}
	keys, place := distinctKeys(refs)
	rows, err := s.client.getMany(ctx, tableLatest, keys)
	if err != nil {
		return nil, err
	}
	found := make([]Received, len(list))
	for i := range list {
		for _, col := range rows[place[i]] {
			cell, _ := col.Value.([]byte)
			if col.ColumnName != receiptColumns[list[i].slot()] || len(cell) < receiptHead {
				continue
			}
			r := Receipt{binary.BigEndian.Uint16(cell), binary.BigEndian.Uint64(cell[2:])}
			if r == list[i].Receipt {
				found[i] = Received{Ref: list[i].Ref, Receipt: r, MessageID: messageOfReceipt(cell[receiptHead:]), ReceivedAt: col.Timestamp}
			}
		}
	}
	return found, nil
}
