package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	tokens *access.Tokens
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
	var logins lot[device.Login]
	var registrations lot[device.Registration]
	var preAuths lot[device.PreAuth]
	var t tokenLots
	var ids []string
	for i := range batch.Records {
		rec := &batch.Records[i]
		var err error
		switch rec.Topic {
		case device.TopicLogin:
			if err = logins.read(i, rec.Payload); err == nil {
				login := &logins.items[len(logins.items)-1]
				login.Node, login.At = cmp.Or(login.Node, batch.Node), cmp.Or(login.At, rec.ReceivedAt)
			}
		case device.TopicRegister:
			if err = registrations.read(i, rec.Payload); err == nil {
				ids = append(ids, rec.MessageID)
			}
		case device.TopicPreAuth:
			err = preAuths.read(i, rec.Payload)
		case device.TopicTokenLogin, device.TopicResume, device.TopicPSK:
			err = t.read(i, rec)
		default:
			err = fmt.Errorf("record %q is not for this function", rec.Topic)
		}
		if err != nil {
			results[i] = h.refused(&device.Refusal{Cause: string(refusal.ConnectMalformed), Detail: err.Error()})
		}
	}
	for j, decision := range h.access.Login(ctx, logins.items) {
		i := logins.places[j]
		results[i] = h.answer(ctx, &batch.Records[i], decision)
	}
	for j, issue := range h.access.Register(ctx, ids, registrations.items) {
		i := registrations.places[j]
		results[i] = h.registered(ctx, &batch.Records[i], &registrations.items[j], issue)
	}
	for j, issue := range h.access.PreAuthenticate(ctx, preAuths.items) {
		i := preAuths.places[j]
		results[i] = h.issued(ctx, &batch.Records[i], issue, issue.PreAuthenticated, issue.PreAuthenticated != nil)
	}
	h.answerTokens(ctx, &batch, &t, results)
	return record.AppendResults(nil, results), nil
}

// A lot is the payloads of one kind in a batch, and where they stand in it.
type lot[T any] struct {
	items  []T
	places []int
}

// read reads a payload. What it says about an unreadable one has no part of it, because it holds a password.
func (l *lot[T]) read(place int, payload []byte) error {
	var item T
	if json.Unmarshal(payload, &item) != nil {
		return errors.New("payload is not understood")
	}
	l.items, l.places = append(l.items, item), append(l.places, place)
	return nil
}

// registered answers a dynamic registration: over MQTT the result is a message too, on a topic that tells its kind.
func (h *handler) registered(ctx context.Context, rec *record.Record, r *device.Registration, issue access.Issue) record.Result {
	result := h.issued(ctx, rec, issue, issue.Registered, issue.Registered != nil)
	if result.Code == 200 && r.Protocol == "mqtt" {
		topic := device.TopicRegistered
		if r.New {
			topic = device.TopicRegisteredNew
		}
		result.Replies = []record.Reply{{Topic: topic, Payload: result.Data}}
	}
	return result
}

// issued answers a request for credentials with what was given out.
func (h *handler) issued(ctx context.Context, rec *record.Record, issue access.Issue, given any, ok bool) record.Result {
	if !ok {
		return h.answer(ctx, rec, access.Decision{Refusal: issue.Refusal, Err: issue.Err})
	}
	data, err := json.Marshal(given)
	if err != nil {
		return h.failed(ctx, rec, err)
	}
	return record.Result{Code: 200, Data: data}
}

func (h *handler) answer(ctx context.Context, rec *record.Record, d access.Decision) record.Result {
	switch {
	case d.Grant != nil:
		data, err := json.Marshal(d.Grant)
		if err != nil {
			return h.failed(ctx, rec, err)
		}
		result := record.Result{Code: 200, Data: data}
		if d.Identify {
			who, err := json.Marshal(device.Registered{ProductKey: d.Grant.ProductKey, DeviceName: d.Grant.DeviceName})
			if err != nil {
				return h.failed(ctx, rec, err)
			}
			result.Replies = []record.Reply{{Topic: device.TopicIdentity, Payload: who}}
		}
		return result
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
	case refusal.ProductNotFound, refusal.DeviceNotFound, refusal.SignMismatch, refusal.SignLength, refusal.RegistrationSignMismatch,
		refusal.TokenMismatch, refusal.PreAuthTokenMismatch, refusal.PreAuthTokenExpired, refusal.CertificateMissing,
		refusal.CertificateMalformed, refusal.CertificateUntrusted, refusal.CertificateExpired, refusal.CertificateRevoked, refusal.CertificateUnbound,
		refusal.TokenRevoked, refusal.TimestampOutOfWindow:
		return 401
	case refusal.DeviceDisabled, refusal.AuthMethodNotAllowed, refusal.RegistrationOff, refusal.AlreadyActivated,
		refusal.TooManyPhysicalDevices, refusal.CertificateOtherDevice:
		return 403
	case refusal.BackendUnavailable:
		return 500
	}
	return 400
}
