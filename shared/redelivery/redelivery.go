// Package redelivery recognizes an MQTT redelivery: a message that a device sends again because it has seen no acknowledgement, with DUP,
// under the same packet id, in the same session [MQTT-3.3.1-1] [MQTT-4.4.0-1]. It is then taken for the message that it repeats, with that
// one's message id and time of arrival: whoever stores it stores the same rows once more, and answers alike. Nothing else is ever taken
// for a repetition: the Alink id says nothing, because shipped firmware restarts its counter, and some of it always sends 0.
//
// The same session is the MQTT session, which outlives connections if the device wants it to; a clean one begins anew, and its packet
// ids with it. The original need not have been decided: it is in front of its repetition, in the same lane of the connector.
//
// How a function uses it: Resolve for each batch, before anything looks at message ids and times; then, for what is to be stored, Note,
// before it is stored, so that what is stored and not answered is found. Notes are a write per message. Property posts save it: their
// store keeps the receipt in a row that it writes anyway (store.Post). What a function does not note is taken each time that it comes.
package redelivery

import (
	"context"

	"github.com/cespare/xxhash/v2"

	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/store"
)

// A Service recognizes redeliveries. It is safe for concurrent use.
type Service struct {
	receipts store.Receipts
	find     func(context.Context, []store.Received) ([]store.Received, error)
}

// New makes a service.
func New(receipts store.Receipts) *Service { return &Service{receipts, receipts.Find} }

// NewPosts makes a service that finds property posts too.
func NewPosts(receipts store.Receipts, posts store.Properties) *Service {
	return &Service{receipts, posts.Repeated}
}

// ReceiptOf is a record's receipt; zero if it did not come with QoS 1 in a packet of MQTT.
func ReceiptOf(r *record.Record) store.Receipt {
	if r.QoS != 1 || r.PacketID == 0 {
		return store.Receipt{}
	}
	sum := r.Sum
	if sum == 0 {
		sum = SumOf(r)
	}
	return store.Receipt{PacketID: r.PacketID, Sum: sum*odd ^ uint64(r.Since)}
}

const odd = 0x9e3779b97f4a7c15

// SumOf is a sum over topic and payload. Whoever changes these keeps it in Record.Sum: what a script makes of the same bytes need not be
// the same twice.
func SumOf(r *record.Record) uint64 {
	return xxhash.Sum64(r.Payload)*odd ^ xxhash.Sum64String(r.Topic)
}

type repeated struct {
	dev iot.DeviceRef
	store.Receipt
}

// Resolve gives each record that repeats another one that one's message id and time of arrival. It reads the store only if there are
// records with DUP that do not follow their original in the batch. If that fails, of the records with DUP nothing is known: they are
// listed, by their index, and have to be tried again.
func (s *Service) Resolve(ctx context.Context, records []record.Record) (unknown []int, err error) {
	var lost []int
	for i := range records {
		r := &records[i]
		if !r.Dup {
			continue
		}
		receipt := ReceiptOf(r)
		if receipt == (store.Receipt{}) {
			continue
		}
		if j := original(records[:i], r, receipt); j >= 0 {
			r.MessageID, r.ReceivedAt = records[j].MessageID, records[j].ReceivedAt
		} else {
			lost = append(lost, i)
		}
	}
	if len(lost) == 0 {
		return nil, nil
	}
	asked := make([]store.Received, len(lost))
	for j, i := range lost {
		asked[j] = store.Received{Ref: records[i].Device, Receipt: ReceiptOf(&records[i]), ReceivedAt: records[i].ReceivedAt}
	}
	found, err := s.find(ctx, asked)
	if err != nil {
		return lost, err
	}
	resolved := make(map[repeated]store.Received, len(found))
	for j, i := range lost {
		if found[j].MessageID != "" {
			records[i].MessageID, records[i].ReceivedAt = found[j].MessageID, found[j].ReceivedAt
			resolved[repeated{records[i].Device, asked[j].Receipt}] = found[j]
		}
	}
	// A record that was repeated twice followed one here that had not found its original yet.
	for i := range records {
		if r := &records[i]; r.Dup && len(resolved) > 0 {
			if f, ok := resolved[repeated{r.Device, ReceiptOf(r)}]; ok {
				r.MessageID, r.ReceivedAt = f.MessageID, f.ReceivedAt
			}
		}
	}
	return nil, nil
}

// original is the index of the record that r repeats, -1 if it is not here.
func original(before []record.Record, r *record.Record, receipt store.Receipt) int {
	for j := range before {
		if o := &before[j]; o.PacketID == r.PacketID && o.Device == r.Device && ReceiptOf(o) == receipt {
			return j
		}
	}
	return -1
}

// Note keeps the receipts of some records of a batch, given by their index. Errs are per index; a record that could not be noted must not
// be stored, but tried again.
func (s *Service) Note(ctx context.Context, records []record.Record, which []int) (errs []error) {
	errs = make([]error, len(which))
	list, place := make([]store.Received, 0, len(which)), make([]int, 0, len(which))
	for j, i := range which {
		r := &records[i]
		if receipt := ReceiptOf(r); receipt != (store.Receipt{}) {
			list = append(list, store.Received{Ref: r.Device, Receipt: receipt, MessageID: r.MessageID, ReceivedAt: r.ReceivedAt})
			place = append(place, j)
		}
	}
	if len(list) == 0 {
		return errs
	}
	for k, err := range s.receipts.Note(ctx, list) {
		errs[place[k]] = err
	}
	return errs
}
