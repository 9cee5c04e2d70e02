package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/offline"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
)

// handler keeps who is online: the ends of sessions and the leases of connectors. The begin of a session is written by auth,
// when it gives it; here it is looked at once more whether the device may have it.
type handler struct {
	devices  store.Devices
	sessions store.Sessions
	nodes    store.Nodes
	links    store.Topology
	queue    *offline.Queue
	rules    *message.Sender // nil: nobody wants anything
	log      *slog.Logger
}

// ends are the sessions of one batch that have ended.
type ends struct {
	records []int
	refs    []iot.DeviceRef
	epochs  []int64
	at      []int64
}

// Invoke answers every record with 200, with a code, or that it is to be sent again. An error means that the batch could not
// be read.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	results := make([]record.Result, len(batch.Records))
	var ended ends
	var begun, delivered []int
	var heard sounds
	leases := make(map[string]int)            // node to its last lease in this batch
	subscribed := make(map[iot.DeviceRef]int) // device to its last subscriptions in this batch
	for i := range batch.Records {
		rec := &batch.Records[i]
		results[i].Code = 200
		var err error
		switch rec.Topic {
		case device.TopicOnline:
			if err = json.Unmarshal(rec.Payload, new(device.Online)); err == nil {
				begun = append(begun, i)
			}
		case device.TopicOffline:
			err = ended.add(i, rec)
		case device.TopicHeard:
			err = heard.add(i, rec)
		case device.TopicDelivered:
			delivered = append(delivered, i)
		case device.TopicSubscriptions:
			if err = json.Unmarshal(rec.Payload, new(device.Subscriptions)); err == nil {
				subscribed[rec.Device] = i
			}
		case device.TopicLease:
			var lease device.Lease
			if err = json.Unmarshal(rec.Payload, &lease); err == nil {
				leases[lease.Node] = i
			}
		default:
			err = fmt.Errorf("record %q is not for this function", rec.Topic)
		}
		if err != nil {
			results[i] = h.failed(ctx, rec, iot.Wrap(iot.InvalidParams, err, ""))
		}
	}
	h.lookAgain(ctx, &batch, begun, results)
	h.relations(ctx, &batch, begun, results)
	h.queues(ctx, &batch, begun, delivered, results)
	for j, err := range h.sessions.End(ctx, ended.refs, ended.epochs, ended.at) {
		if i := ended.records[j]; err != nil {
			results[i] = h.failed(ctx, &batch.Records[i], err)
		}
	}
	h.hear(ctx, &batch, &heard, results)
	h.tell(ctx, &batch, begun, &ended, results)
	h.subscribe(ctx, &batch, subscribed, results)
	h.renew(ctx, &batch, leases, results)
	return record.AppendResults(nil, results), nil
}

// lookAgain answers 403 or 404 for a device that was disabled or deleted while it logged in: between the moment when auth read its
// row and the moment when its connector could be told to drop it. The connector then ends the session.
func (h *handler) lookAgain(ctx context.Context, batch *record.Batch, begun []int, results []record.Result) {
	if len(begun) == 0 {
		return
	}
	refs := make([]iot.DeviceRef, len(begun))
	for j, i := range begun {
		refs[j] = batch.Records[i].Device
	}
	devices, err := h.devices.GetMany(ctx, refs)
	for j, i := range begun {
		switch {
		case err != nil:
			results[i] = h.failed(ctx, &batch.Records[i], err)
		case devices[j] == nil:
			results[i] = record.Result{Code: 404, Reason: string(refusal.Deleted)}
		case devices[j].Disabled:
			results[i] = record.Result{Code: 403, Reason: string(refusal.Disabled)}
		}
	}
}

func (e *ends) add(i int, rec *record.Record) error {
	var off device.Offline
	if err := json.Unmarshal(rec.Payload, &off); err != nil {
		return err
	}
	if rec.Device.IsZero() {
		return fmt.Errorf("whose session ended is not said")
	}
	if off.At == 0 {
		off.At = rec.ReceivedAt
	}
	e.records = append(e.records, i)
	e.refs = append(e.refs, rec.Device)
	e.epochs = append(e.epochs, off.Epoch)
	e.at = append(e.at, off.At)
	return nil
}

// subscribe writes the last state of each device in the batch; the ones before it are settled with it.
func (h *handler) subscribe(ctx context.Context, batch *record.Batch, last map[iot.DeviceRef]int, results []record.Result) {
	if len(last) == 0 {
		return
	}
	var refs []iot.DeviceRef
	var subs []device.Subscriptions
	for dev, i := range last {
		var s device.Subscriptions
		if err := json.Unmarshal(batch.Records[i].Payload, &s); err != nil {
			results[i] = h.failed(ctx, &batch.Records[i], iot.Wrap(iot.InvalidParams, err, ""))
			continue
		}
		refs, subs = append(refs, dev), append(subs, s)
	}
	failed := make(map[iot.DeviceRef]error)
	for j, err := range h.sessions.Subscribe(ctx, refs, subs) {
		if err != nil {
			failed[refs[j]] = err
		}
	}
	for i := range batch.Records {
		rec := &batch.Records[i]
		if err := failed[rec.Device]; err == nil || rec.Topic != device.TopicSubscriptions {
			continue
		} else if iot.Is(err, iot.Conflict) {
			results[i] = record.Result{Code: 409, Reason: string(refusal.SessionSuperseded)}
		} else {
			results[i] = h.failed(ctx, rec, err)
		}
	}
}

// renew writes each node's last lease; the ones before it are settled with it.
func (h *handler) renew(ctx context.Context, batch *record.Batch, leases map[string]int, results []record.Result) {
	for _, i := range leases {
		rec := &batch.Records[i]
		var lease device.Lease
		err := json.Unmarshal(rec.Payload, &lease)
		if err == nil && lease.Node == "" {
			err = iot.Errorf(iot.InvalidParams, "whose lease it is is not said")
		}
		if err == nil {
			err = h.nodes.Renew(ctx, store.Node{ID: lease.Node, URL: lease.URL, Until: lease.Until, Sessions: lease.Sessions, Lanes: lease.Lanes})
		}
		if err != nil {
			results[i] = h.failed(ctx, rec, err)
		}
	}
}

func (h *handler) failed(ctx context.Context, rec *record.Record, err error) record.Result {
	switch {
	case iot.Is(err, iot.Throttled):
		return record.Result{Code: 503, Reason: string(refusal.StoreThrottled), Retry: true}
	case iot.Is(err, iot.Unavailable):
		return record.Result{Code: 503, Reason: string(refusal.FunctionFailed), Retry: true}
	}
	h.log.LogAttrs(ctx, slog.LevelError, "lifecycle record not taken", logs.Device(rec.Device),
		slog.String(logs.FieldTopic, rec.Topic), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(err))
	code := int32(500)
	if iot.Is(err, iot.InvalidParams) {
		code = 400
	}
	return record.Result{Code: code, Reason: string(refusal.FunctionFailed)}
}
