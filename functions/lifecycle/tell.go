package main

import (
	"context"
	"encoding/json"
	"log/slog"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
)

// tell hands the begins and ends of sessions to the rule engine, those that somebody wants. An end that a newer session of the device
// covers is none: the device is online. What could not be handed over is tried again; all that was stored is stored alike once more.
func (h *handler) tell(ctx context.Context, batch *record.Batch, begun []int, ended *ends, results []record.Result) {
	if len(begun)+len(ended.records) == 0 {
		return
	}
	var which []int
	err := h.rules.Refresh(ctx)
	if err != nil {
		which = append(append(which, begun...), ended.records...)
	} else {
		var list []message.Message
		if list, which, err = h.changes(ctx, batch, begun, ended, results); err == nil {
			err = h.rules.Send(ctx, list)
		}
	}
	if err == nil {
		return
	}
	h.log.LogAttrs(ctx, slog.LevelError, "states of devices not handed to the rule engine", slog.Int("records", len(which)), logs.Err(err))
	for _, i := range which {
		if results[i].Code == 200 && !results[i].Retry {
			if iot.KindOf(err) != iot.Throttled {
				err = iot.Wrap(iot.Unavailable, err, "")
			}
			results[i] = h.failed(ctx, &batch.Records[i], err)
		}
	}
}

// changes makes the messages, and lists the records that they are of.
func (h *handler) changes(ctx context.Context, batch *record.Batch, begun []int, ended *ends, results []record.Result) (list []message.Message, which []int, err error) {
	wanted := func(i int) bool {
		dev := batch.Records[i].Device
		return results[i].Code == 200 && !results[i].Retry && h.rules.Any(dev.ProductKey) && h.rules.Wants(message.Status, dev.ProductKey, message.StatusTopic(dev))
	}
	for _, i := range begun {
		rec := &batch.Records[i]
		var on device.Online
		if !wanted(i) || json.Unmarshal(rec.Payload, &on) != nil {
			continue
		}
		which = append(which, i)
		list = append(list, message.NewStatus(&message.StatusChange{Device: rec.Device, IotID: rec.IotID, Online: true, At: rec.ReceivedAt, LastAt: on.At, RemoteAddr: on.RemoteAddr}, on.Epoch))
	}
	var refs []iot.DeviceRef
	var at []int // places in ended
	for j, i := range ended.records {
		if wanted(i) {
			refs, at, which = append(refs, ended.refs[j]), append(at, j), append(which, i)
		}
	}
	if len(refs) == 0 {
		return list, which, nil
	}
	sessions, err := h.sessions.GetMany(ctx, refs)
	if err != nil {
		return nil, which, err
	}
	for n, j := range at {
		session := sessions[n]
		if session == nil || session.Epoch > ended.epochs[j] {
			continue
		}
		rec := &batch.Records[ended.records[j]]
		list = append(list, message.NewStatus(&message.StatusChange{Device: rec.Device, IotID: rec.IotID, At: rec.ReceivedAt, LastAt: ended.at[j], RemoteAddr: session.RemoteAddr}, ended.epochs[j]))
	}
	return list, which, nil
}
