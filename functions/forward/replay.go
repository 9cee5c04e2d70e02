package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"relink/shared/forward"
	"relink/shared/iot"
	"relink/shared/store"
)

// functionReplay is the ledger's name for what an operator has sent again.
const functionReplay = "replay"

// replay hands dead letters to this function as batches, and deletes them when that is done. One that is too large for a batch is tried
// here, once, and stays if it does not arrive.
func (h *handler) replay(ctx context.Context, r *forward.Replay) (forward.Replayed, error) {
	limit := r.Limit
	if limit <= 0 || limit > forward.MaxReplay {
		limit = forward.MaxReplay
	}
	found, cursor, err := h.deads.List(ctx, r.Owner, r.Cursor, limit)
	if err != nil {
		return forward.Replayed{}, err
	}
	answer := forward.Replayed{Cursor: cursor}
	letters := make(map[*forward.Item]*store.ForwardDead)
	var items []*forward.Item
	for _, d := range found {
		if r.MessageID != "" && d.MessageID != r.MessageID {
			continue
		}
		i, err := forward.Revive(d)
		if err != nil {
			return answer, err
		}
		letters[i] = d
		items = append(items, i)
	}
	at := h.clock().UnixMilli()
	var id [16]byte
	rand.Read(id[:]) // never fails
	batch := hex.EncodeToString(id[:])
	chunks, large, err := forward.Pack(batch, at, items)
	if err != nil {
		return answer, err
	}
	for n, chunk := range chunks {
		row := &store.LedgerRow{Function: functionReplay, Batch: fmt.Sprintf("%s-%d", batch, n), Time: at}
		for _, i := range chunk.Items {
			forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Handed++; c.Dead-- })
		}
		if err := h.fc.InvokeAsync(ctx, forward.Function, chunk.Event); err != nil {
			return answer, iot.Wrap(iot.Unavailable, err, "the letters are not handed over")
		}
		if err := h.settle(ctx, row, chunk.Items, letters); err != nil {
			return answer, err
		}
		answer.Count += len(chunk.Items)
	}
	if len(large) == 0 {
		return answer, nil
	}
	delivered, _ := h.router.Try(ctx, large)
	row := &store.LedgerRow{Function: functionReplay, Batch: batch + "-large", Time: at}
	for _, i := range delivered {
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Delivered++; c.Dead-- })
	}
	answer.Count += len(delivered)
	return answer, h.settle(ctx, row, delivered, letters)
}

// settle writes that letters are no longer dead.
func (h *handler) settle(ctx context.Context, row *store.LedgerRow, items []*forward.Item, letters map[*forward.Item]*store.ForwardDead) error {
	if len(items) == 0 {
		return nil
	}
	gone := make([]*store.ForwardDead, len(items))
	for n, i := range items {
		gone[n] = letters[i]
	}
	if err := h.ledger.Put(ctx, row); err != nil {
		return err
	}
	return h.deads.Delete(ctx, gone)
}
