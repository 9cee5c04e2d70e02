package main

import (
	"cmp"
	"context"

	"relink/shared/access"
	"relink/shared/device"
	"relink/shared/record"
)

// tokenLots are the requests of a batch that are of devices without a connection.
type tokenLots struct {
	logins  lot[device.TokenLogin]
	resumes lot[device.Resume]
	psks    lot[device.PSKLogin]
}

func (t *tokenLots) read(place int, rec *record.Record) error {
	switch rec.Topic {
	case device.TopicTokenLogin:
		err := t.logins.read(place, rec.Payload)
		if err == nil {
			login := &t.logins.items[len(t.logins.items)-1]
			login.At = cmp.Or(login.At, rec.ReceivedAt)
		}
		return err
	case device.TopicResume:
		return t.resumes.read(place, rec.Payload)
	}
	return t.psks.read(place, rec.Payload)
}

// answerTokens decides them.
func (h *handler) answerTokens(ctx context.Context, batch *record.Batch, t *tokenLots, results []record.Result) {
	put := func(i int, d *access.TokenDecision, given any, ok bool) {
		results[i] = h.issued(ctx, &batch.Records[i], access.Issue{Refusal: d.Refusal, Err: d.Err}, given, ok)
	}
	for j, d := range h.tokens.Login(ctx, t.logins.items) {
		put(t.logins.places[j], &d, d.Token, d.Token != nil)
	}
	for j, d := range h.tokens.Resume(ctx, t.resumes.items) {
		put(t.resumes.places[j], &d, d.Grant, d.Grant != nil)
	}
	for j, d := range h.tokens.PSK(ctx, t.psks.items) {
		put(t.psks.places[j], &d, d.PSK, d.PSK != nil)
	}
}
