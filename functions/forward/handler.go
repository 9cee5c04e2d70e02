package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"relink/shared/forward"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// waits are the times before each attempt ("What happens to a message", limits).
var waits = [...]time.Duration{time.Second, 3 * time.Second, 10 * time.Second}

type invoker interface {
	InvokeAsync(ctx context.Context, function string, event []byte) error
}

type handler struct {
	router *forward.Router
	fc     invoker // hands batches of dead letters to this function again
	ledger store.Ledger
	deads  store.ForwardDeads
	log    *slog.Logger
	now    func() time.Time // time.Now if nil
}

// Invoke takes a batch of items, or the order to send dead letters again, whose answer is a forward.Replayed. An error means that the
// event is to come again.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	e, err := forward.ReadEvent(event)
	if err != nil {
		return nil, err
	}
	if e.Replay != nil {
		answer, err := h.replay(ctx, e.Replay)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	}
	return nil, h.take(ctx, e.Batch)
}

func (h *handler) take(ctx context.Context, b *forward.Batch) error {
	items, err := b.Decode()
	if err != nil {
		return err
	}
	row := &store.LedgerRow{Function: forward.Function, Batch: b.ID, Time: b.Time}
	for _, i := range items {
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Matched++ })
	}
	row.Taken = row.Matched
	left := items
	for _, wait := range waits {
		if allFinal(left) {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		var delivered []*forward.Item
		delivered, left = h.router.Try(ctx, left)
		if ctx.Err() != nil {
			return iot.Wrap(iot.Unavailable, context.Cause(ctx), "out of time")
		}
		for _, i := range delivered {
			forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Delivered++ })
		}
	}
	if err := h.bury(ctx, left, b.Time); err != nil {
		return err
	}
	for _, i := range left {
		forward.Count(row, i.Owner, func(c *store.LedgerCounts) { c.Dead++ })
	}
	h.tell(ctx, left)
	return h.ledger.Put(ctx, row)
}

func allFinal(items []*forward.Item) bool {
	for _, i := range items {
		if !i.Final {
			return false
		}
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return iot.Wrap(iot.Unavailable, context.Cause(ctx), "out of time")
	}
}

// bury keeps what is given up.
func (h *handler) bury(ctx context.Context, items []*forward.Item, at int64) error {
	if len(items) == 0 {
		return nil
	}
	letters := make([]*store.ForwardDead, len(items))
	for n, i := range items {
		var err error
		if letters[n], err = i.Dead(at); err != nil {
			return err
		}
		h.log.LogAttrs(ctx, slog.LevelWarn, "given up", slog.String(logs.FieldOperation, "rule"), slog.String("owner", i.Owner), slog.Int64("action", i.Action),
			slog.String("type", i.Target.Type), slog.String("resource", i.Target.Resource), logs.Device(i.Message.Device),
			slog.String(logs.FieldMessageID, i.Message.ID), slog.String(logs.FieldReason, i.Reason))
	}
	return h.deads.Put(ctx, letters)
}

// tell runs the error actions, once for each message of each rule, without trying again ("Failure and error action").
func (h *handler) tell(ctx context.Context, items []*forward.Item) {
	type about struct{ owner, message string }
	groups := make(map[about][]*forward.Item)
	var order []about
	for _, i := range items {
		if i.OnError == nil {
			continue
		}
		a := about{i.Owner, i.Message.ID}
		if groups[a] == nil {
			order = append(order, a)
		}
		groups[a] = append(groups[a], i)
	}
	var told []*forward.Item
	for _, a := range order {
		first := groups[a][0]
		body, err := forward.Failure(groups[a])
		if err != nil {
			h.log.LogAttrs(ctx, slog.LevelError, "failure not told", slog.String("owner", a.owner), logs.Err(err))
			continue
		}
		i := &forward.Item{Owner: a.owner, RuleName: first.RuleName, Action: first.OnError.ID, Message: first.Message, Body: body}
		result, err := rulesql.ParseDocument(body)
		if err == nil {
			i.Target, err = forward.CompileErrorAction(first.OnError).Fill(result)
		}
		if err != nil {
			i.Failed(err)
		}
		told = append(told, i)
	}
	_, failed := h.router.Try(ctx, told)
	for _, i := range failed {
		h.log.LogAttrs(ctx, slog.LevelWarn, "error action failed", slog.String(logs.FieldOperation, "rule"), slog.String("owner", i.Owner), slog.Int64("action", i.Action),
			slog.String(logs.FieldMessageID, i.Message.ID), slog.String(logs.FieldReason, i.Reason))
	}
}

func (h *handler) clock() time.Time {
	if h.now == nil {
		return time.Now()
	}
	return h.now()
}
