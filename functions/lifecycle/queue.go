package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/offline"
	"relink/shared/record"
)

// Bounds of one invocation: how many queues are read at the same time, and what its answer may carry of their messages.
const (
	queueReaders = 8
	queueBytes   = 2 << 20
)

// queues serves the queues of devices that came online or acknowledged something. Records of one device are served in their order.
func (h *handler) queues(ctx context.Context, batch *record.Batch, begun, delivered []int, results []record.Result) {
	byDevice := make(map[iot.DeviceRef][]int)
	all := slices.Concat(begun, delivered)
	slices.Sort(all)
	for _, i := range all {
		if results[i].Code == 200 {
			byDevice[batch.Records[i].Device] = append(byDevice[batch.Records[i].Device], i)
		}
	}
	budget := offline.NewBudget(queueBytes)
	var wg sync.WaitGroup
	slots := make(chan struct{}, queueReaders)
	for _, records := range byDevice {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, i := range records {
				rec := &batch.Records[i]
				if err := h.serve(ctx, rec, budget, &results[i]); err != nil {
					results[i] = h.failed(ctx, rec, err)
				}
			}
		})
	}
	wg.Wait()
}

func (h *handler) serve(ctx context.Context, rec *record.Record, budget *offline.Budget, result *record.Result) error {
	if rec.Topic == device.TopicDelivered {
		var d device.Delivered
		if err := json.Unmarshal(rec.Payload, &d); err != nil {
			return iot.Wrap(iot.InvalidParams, err, "")
		}
		if err := h.queue.Delivered(ctx, rec.Device, &d); err != nil || !d.Next {
			return err
		}
		return h.queue.Page(ctx, rec.Device, d.QueueFrom, budget, result)
	}
	var on device.Online
	if err := json.Unmarshal(rec.Payload, &on); err != nil {
		return iot.Wrap(iot.InvalidParams, err, "")
	}
	if on.Discard {
		// What is discarded is not read again in any case; taking it out only saves its room.
		if err := h.queue.Discard(ctx, rec.Device, on.QueueFrom); err != nil {
			h.log.LogAttrs(ctx, slog.LevelWarn, "discarded messages not taken out", logs.Device(rec.Device), logs.Err(err))
		}
	}
	if !on.Queued {
		return nil
	}
	return h.queue.Page(ctx, rec.Device, on.QueueFrom, budget, result)
}
