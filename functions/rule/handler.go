package main

import (
	"context"
	"log/slog"
	"time"

	"relink/shared/custom"
	"relink/shared/forward"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/rule"
	"relink/shared/store"
)

// slow is how long an attempt takes of a destination that is passed over for a while: as long as an attempt may take.
const slow = 2500 * time.Millisecond

// An invoker hands batches to the function forward.
type invoker interface {
	InvokeAsync(ctx context.Context, function string, event []byte) error
}

type handler struct {
	rules  *rule.Cache
	tags   store.DeviceInfos
	custom *custom.Desk // for what connectors hand over
	router *forward.Router
	fc     invoker
	ledger store.Ledger
	deads  store.ForwardDeads
	log    *slog.Logger

	compiled compiled
}

// Invoke takes a batch of messages, or a batch of records: publishes on topics of the products' own, from a connector that waits. An
// error means that the batch is to come again.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if !message.IsBatch(event) {
		return h.published(ctx, event)
	}
	b, err := message.DecodeBatch(event)
	if err != nil {
		return nil, iot.Wrap(iot.InvalidParams, err, "event is not understood")
	}
	return nil, h.take(ctx, &b)
}

// published answers a connector once its records are stored as an event of this function: no destination keeps a device waiting.
func (h *handler) published(ctx context.Context, event []byte) ([]byte, error) {
	b, err := record.DecodeBatch(event)
	if err != nil {
		return nil, iot.Wrap(iot.InvalidParams, err, "event is not understood")
	}
	return record.AppendResults(nil, h.custom.Serve(ctx, b.Records)), nil
}

// take does all that is done with a batch. Whatever fails on the way makes it come again, whole: then each thing is done again, and the
// ledger's row is written anew.
func (h *handler) take(ctx context.Context, b *message.Messages) error {
	row := &store.LedgerRow{Function: message.Rule, Batch: b.ID, Time: b.CreatedAt}
	items, err := h.evaluate(ctx, b, row)
	if err != nil {
		return err
	}
	delivered, failed := h.router.Try(ctx, items)
	for _, i := range items {
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Matched++ })
	}
	for _, i := range delivered {
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Delivered++ })
	}
	var rest, dead []*forward.Item
	for _, i := range failed {
		h.log.LogAttrs(ctx, slog.LevelWarn, "not delivered at once", slog.String(logs.FieldOperation, "rule"), slog.String("owner", i.Owner), slog.Int64("action", i.Action),
			slog.String("type", i.Target.Type), slog.String("resource", i.Target.Resource), slog.String(logs.FieldMessageID, i.Message.ID), slog.String(logs.FieldReason, i.Reason))
		if i.Final && i.OnError == nil {
			dead = append(dead, i)
		} else {
			rest = append(rest, i) // the function forward also tells the error action, of all of a message together
		}
	}
	chunks, large, err := forward.Pack(b.ID, b.CreatedAt, rest)
	if err != nil {
		return err
	}
	dead = append(dead, large...)
	letters := make([]*store.ForwardDead, len(dead))
	for n, i := range dead {
		if letters[n], err = i.Dead(b.CreatedAt); err != nil {
			return err
		}
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Dead++ })
	}
	for _, chunk := range chunks {
		for _, i := range chunk.Items {
			forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Handed++ })
		}
	}
	if len(letters) > 0 {
		if err := h.deads.Put(ctx, letters); err != nil {
			return err
		}
	}
	// The row comes before what it tells of: if the function dies in between, the batch comes again.
	if err := h.ledger.Put(ctx, row); err != nil {
		return err
	}
	for _, chunk := range chunks {
		if err := h.fc.InvokeAsync(ctx, forward.Function, chunk.Event); err != nil {
			return iot.Wrap(iot.Unavailable, err, "what was not delivered is not handed on")
		}
	}
	return nil
}
