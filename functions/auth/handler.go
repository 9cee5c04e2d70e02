package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"relink/shared/access"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
)

// handler decides batches of logins.
type handler struct {
	access *access.Service
	log    *slog.Logger
}

// Invoke answers every record: 200 with a Grant, another code with a Refusal, or that the login is to be asked again. An error
// means that the batch could not be read.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	results := make([]record.Result, len(batch.Records))
	logins := make([]device.Login, 0, len(batch.Records))
	places := make([]int, 0, len(batch.Records))
	for i := range batch.Records {
		var login device.Login
		if err := h.read(&batch, i, &login); err != nil {
			results[i] = h.refused(&device.Refusal{Cause: string(refusal.ConnectMalformed), Detail: err.Error()})
			continue
		}
		logins = append(logins, login)
		places = append(places, i)
	}
	for j, decision := range h.access.Login(ctx, logins) {
		i := places[j]
		results[i] = h.answer(ctx, &batch.Records[i], decision)
	}
	return record.AppendResults(nil, results), nil
}

// read reads a login. What it says about an unreadable one has no part of the payload, which holds a password.
func (h *handler) read(batch *record.Batch, i int, login *device.Login) error {
	rec := &batch.Records[i]
	if rec.Topic != device.TopicLogin {
		return fmt.Errorf("record %q is not for this function", rec.Topic)
	}
	if json.Unmarshal(rec.Payload, login) != nil {
		return fmt.Errorf("login is not understood")
	}
	if login.Node == "" {
		login.Node = batch.Node
	}
	if login.At == 0 {
		login.At = rec.ReceivedAt
	}
	return nil
}

func (h *handler) answer(ctx context.Context, rec *record.Record, d access.Decision) record.Result {
	switch {
	case d.Grant != nil:
		data, err := json.Marshal(d.Grant)
		if err != nil {
			return h.failed(ctx, rec, err)
		}
		return record.Result{Code: 200, Data: data}
	case d.Refusal != nil:
		return h.refused(d.Refusal)
	case iot.Is(d.Err, iot.Throttled) || iot.Is(d.Err, iot.Unavailable):
		return record.Result{Code: 503, Reason: string(refusal.BackendUnavailable), Retry: true}
	default:
		return h.failed(ctx, rec, d.Err)
	}
}

func (h *handler) failed(ctx context.Context, rec *record.Record, err error) record.Result {
	h.log.LogAttrs(ctx, slog.LevelError, "login not decided", slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(err))
	return h.refused(&device.Refusal{Cause: string(refusal.BackendUnavailable)})
}

func (h *handler) refused(r *device.Refusal) record.Result {
	data, err := json.Marshal(r)
	if err != nil { // a struct of strings always can be
		data = []byte("{}")
	}
	return record.Result{Code: codeOf(refusal.Cause(r.Cause)), Reason: r.Cause, Data: data}
}

// codeOf is the code of a refusal in the log, after HTTP: who it is, whether it may, or how it was asked.
func codeOf(cause refusal.Cause) int32 {
	switch cause {
	case refusal.ProductNotFound, refusal.DeviceNotFound, refusal.SignMismatch, refusal.SignLength:
		return 401
	case refusal.DeviceDisabled, refusal.SubDeviceLogin:
		return 403
	case refusal.BackendUnavailable:
		return 500
	}
	return 400
}
